"""The batches of a small data set: pixels encode the video and the frame, so that each batch can be checked."""

import collections
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import decode
from helpers.pictures import CLASSES, told

import slowfast_tf
from slowfast_tf.data import Clips, datasets, load, sampling
from slowfast_tf.data.sources import Files
from slowfast_tf.errors import InputError
from slowfast_tf.models.views import MIDDLE
from slowfast_tf.video.decode import read_frames


def test_validation_batches(configure_detection):
    clips = Clips(configure_detection(), "val")
    (inputs, labels, weights), *rest = clips.validation()
    least = clips.spec.person_score  # boxes below it do not count
    frames = [[box for box in video.boxes if box.score >= least] for video in clips.source.videos[:2]]
    assert sum(map(len, frames)) < sum(len(video.boxes) for video in clips.source.videos[:2])
    count = max(map(len, frames))
    assert inputs["boxes"].shape == (2, count, 4) and labels.shape == (2, count, 80) and len(rest) == 2
    for i, boxes in enumerate(frames):
        found = inputs["boxes"][i].numpy()
        np.testing.assert_allclose(found[: len(boxes)], 48 * np.array([box.corners for box in boxes]), atol=1e-4)
        assert not found[len(boxes) :].any() and weights[i].numpy().sum() == len(boxes)
        happens = [set(np.flatnonzero(row)) for row in labels[i].numpy()[: len(boxes)]]
        assert happens == [set(box.labels) for box in boxes]


def check_batch(inputs, labels, size=4):
    """Shapes, types, labels and the frames of a batch of the `folder` data set; gives the videos and first frames."""
    assert {name: (x.dtype, x.shape) for name, x in inputs.items()} == {
        "slow": (tf.float32, (size, 2, 32, 32, 3)),
        "fast": (tf.float32, (size, 16, 32, 32, 3)),
    }
    assert labels.dtype == tf.float32 and labels.shape == (size, 4)
    video, frame = told(inputs["fast"])
    assert np.all(video == video[:, :1])
    video = video[:, 0]
    np.testing.assert_array_equal(labels, np.eye(4)[video % 4])
    np.testing.assert_array_equal(frame, frame[:, :1] + np.arange(0, 32, 2))
    np.testing.assert_array_equal(told(inputs["slow"])[1], frame[:, [0, 8]])
    assert np.all(frame[:, -1] < 34 + 3 * (video % 2))
    return video.tolist(), frame[:, 0].tolist()


def epoch(data):
    """Videos and first frames of every batch of an epoch, one list each."""
    videos, frames = zip(*(check_batch(*batch) for batch in data))
    return sum(videos, []), sum(frames, [])


def test_training_epochs(configure):
    clips = Clips(configure(), "train")
    assert clips.labels == CLASSES and clips.spec.labels == CLASSES and clips.spec.num_classes == 4
    assert clips.count == 8 and clips.steps(clips.phases[-1]) == 2
    videos, frames = epoch(clips.train(range(0, 6)))
    epochs = [tuple(videos[i : i + 8]) for i in range(0, 48, 8)]
    assert all(sorted(videos) == list(range(8)) for videos in epochs)
    assert len(set(epochs)) == 6
    starts = collections.defaultdict(set)
    for video, frame in zip(videos, frames):
        starts[video % 2].add(frame)
    # A clip has 32 of 34 or 37 frames, and starts at a random frame, from 0 to 2 or from 0 to 5.
    assert starts[0] <= {0, 1, 2} and len(starts[0]) > 1 and starts[1] <= set(range(6)) and len(starts[1]) > 2
    assert not clips.skipped


def test_load_has_other_clips_at_every_iteration(configure):
    data = slowfast_tf.data.load(configure(), "train")
    epochs = [epoch(data) for _ in range(4)]
    for videos, _ in epochs:
        assert sorted(videos) == list(range(8))
    assert len({tuple(videos) for videos, _ in epochs}) > 1
    assert len({tuple(frame for _, frame in sorted(zip(*e))) for e in epochs}) > 1


def test_the_last_part_of_a_batch_is_left_out(configure):
    clips = Clips(configure("train.batch_size=3"), "train")
    assert clips.steps(clips.phases[-1]) == 2
    videos = [check_batch(*batch, 3)[0] for batch in clips.train(range(0, 6))]
    assert len(videos) == 12
    epochs = [sum(videos[i : i + 2], []) for i in range(0, 12, 2)]
    assert all(len(set(e)) == 6 for e in epochs)
    assert set(sum(epochs, [])) == set(range(8))
    with pytest.raises(InputError, match="9 is larger than the 8 training videos"):
        Clips(configure("train.batch_size=9"), "train").train()


def test_a_multigrid_batch_that_is_too_large(configure):
    """The first batches have a quarter of the frames and half the width: 16 times the clips."""
    overrides = ["train.multigrid=true", "train.epochs=4", "train.schedule=steps", "train.step_epochs=[3]"]
    overrides += ["train.step_rates=[0.1]", "train.batch_size=1", "model.frames=4", "model.stride=8"]
    clips = Clips(configure(*overrides), "train")
    assert clips.steps(clips.phases[-1]) >= 1
    with pytest.raises(InputError) as caught:
        clips.steps(clips.phases[0])
    assert str(caught.value) == (
        "with train.multigrid, a train.batch_size of 1 has batches of up to 16 clips, more than the 8 training videos;"
        " lower train.batch_size or set train.multigrid to false"
    )


def test_mirroring_can_be_turned_off(configure):
    """Blue rises to the right, and falls in a mirrored clip."""
    rises = {}
    for flip in ("true", "false"):
        data = Clips(configure(f"data.flip={flip}"), "train").train(range(0, 4))
        rises[flip] = np.concatenate([x["fast"][:, 0, 0, -1, 2] > x["fast"][:, 0, 0, 0, 2] for x, _ in data])
    assert rises["false"].all() and 4 < rises["true"].sum() < 28


def test_validation(configure):
    (batch,) = load(configure(), "val")
    videos, frames = check_batch(*batch)
    assert videos == [8, 9, 10, 11]
    assert frames == [1, 2, 1, 2]  # the middle of 2 or 5 frames of room, rounded down
    parts = [check_batch(*b, size)[0] for b, size in zip(load(configure("train.batch_size=3"), "val"), (3, 1))]
    assert parts == [[8, 9, 10], [11]]


def test_views(configure, folder):
    """The crops of one clip at a time, the clips of a video one after the other."""
    views = list(Clips(configure(), "val").views())
    names = [name.numpy().decode() for *_, name in views]
    assert names == [f"{CLASSES[n % 4]}/{n:02d}.mp4" for n in (8, 9, 10, 11) for _ in range(2)]
    for i, (inputs, labels, name) in enumerate(views):
        assert inputs["fast"].shape == (3, 16, 32, 32, 3) and inputs["slow"].shape == (3, 2, 32, 32, 3)
        video, frame = told(inputs["fast"])
        number = 8 + i // 2
        assert np.all(video == number)
        np.testing.assert_array_equal(labels, np.eye(4)[number % 4])
        # k / K of the room of 2 or 5 frames
        np.testing.assert_array_equal(frame[:, 0], [(0, (1, 2)[number % 2])[i % 2]] * 3)
        first_column = inputs["fast"].numpy()[:, 0, :, 0, 2].mean(-1)
        height, width = decode(folder / "val" / name.numpy().decode()).shape[1:3]
        if height < width:
            assert np.all(np.diff(first_column) > 0.05)  # from left to right
        else:
            assert np.all(np.abs(np.diff(first_column)) < 0.01)


@pytest.mark.parametrize("name", ["train", "validation", "views", "key_frames"])
def test_no_iterator_waits_for_autotuning(configure, configure_detection, name):
    """See `pipeline._ready`: with autotuning, the end of an iterator waits on a busy core."""
    settings = (configure_detection if name == "key_frames" else configure)()
    assert getattr(Clips(settings, "val"), name)().options().autotune.enabled is False


def test_reading_creates_no_executors(configure):
    """See `Source.read`: with `tf.py_function`, an EagerPyFunc, the process sometimes crashes in training."""
    clips = Clips(configure(), "val")
    middle = sampling.Sampling(clips.spec, sampling.test_starts(clips.spec, MIDDLE))
    read = tf.function(lambda number: clips.source.read(number, middle), autograph=False)
    kinds = {op.type for op in read.get_concrete_function(tf.TensorSpec([], tf.int64)).graph.get_operations()}
    assert "PyFunc" in kinds and "EagerPyFunc" not in kinds


@pytest.mark.parametrize("preset, names", [("slow_4x16_r50", ["slow"]), ("fast_4x16_r50", ["fast"])])
def test_batches_for_one_pathway(configure, preset, names):
    inputs, _ = next(iter(load(configure(f"model.preset={preset}", "train.batch_size=2"), "train")))
    assert list(inputs) == names and inputs[names[0]].shape == (2, 4 if names == ["slow"] else 32, 32, 32, 3)


@pytest.fixture
def damaged(folder, tmp_path):
    """`folder` with a text file and a broken video in each split."""
    root = tmp_path / "damaged"
    shutil.copytree(folder, root)
    for split in ("train", "val"):
        (root / split / "ant" / "text.mp4").write_text("no video")
        whole = next((root / split / "bee").glob("*.mp4")).read_bytes()
        (root / split / "dog" / "broken.avi").write_bytes(whole[: len(whole) // 3])
        (root / split / "dog" / "notes.txt").write_text("not even called a video")
    return root


def test_files_that_cannot_be_read(configure, damaged):
    clips = Clips(configure(f"data.root={damaged}", "train.batch_size=5"), "train")
    assert clips.count == 10
    videos = []
    for batch in clips.train(range(0, 3)):
        videos += check_batch(*batch, 5)[0]
    assert len(videos) == 30 and set(videos) == set(range(8))
    assert set(clips.skipped) == {"ant/text.mp4", "dog/broken.avi"}
    for name, cause in clips.skipped.items():
        path = str(damaged / "train" / name)
        assert cause.startswith(f"{path}: ") and len(cause) > len(path) + 5

    clips = Clips(configure(f"data.root={damaged}"), "val")
    (batch,) = clips.validation()
    assert check_batch(*batch)[0] == [8, 9, 10, 11]
    assert len(clips.skipped) == 2
    assert [name.numpy().decode() for *_, name in clips.views()] == [
        f"{CLASSES[n % 4]}/{n:02d}.mp4" for n in (8, 9, 10, 11) for _ in range(2)
    ]


@pytest.mark.legacy
def test_a_video_is_decoded_once_for_30_views(configure, folder):
    read, calls = read_frames, []

    def counted(path, indices, short_side):
        calls.append(pathlib.Path(path).name)
        return read(path, indices, short_side)

    source = Files(datasets.load_split("folder", folder, "val").videos, decode=counted)
    clips = Clips(configure("test.clips=10"), "val", source=source)
    shapes = [inputs["fast"].shape for inputs, _, _ in clips.views()]
    assert shapes == [(3, 16, 32, 32, 3)] * 40
    assert sorted(calls) == ["08.mp4", "09.mp4", "10.mp4", "11.mp4"]
