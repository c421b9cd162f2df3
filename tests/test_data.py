"""From videos to batches: what the videos' own pixels say must be what the pipeline says of them."""

import collections
import csv
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from coded_video import decode, write
from conftest import CLASSES, picture, told

import slowfast_tf
from slowfast_tf import config
from slowfast_tf.cli import UserError
from slowfast_tf.data import Clips, datasets, load, sampling, transforms
from slowfast_tf.data.datasets import demo
from slowfast_tf.models.presets import get_spec

ROOT = pathlib.Path(__file__).parents[1]


# Time


def clip(place, frames, preset="slowfast_8x8_r50", **changes):
    index = sampling.clip_frames([place], frames, get_spec(preset, **changes))
    assert index.dtype == tf.int32
    return index[0].numpy().tolist()


def test_strided_clips():
    """8x8 with alpha 4: 32 Fast frames, every second of 64."""
    assert clip(0.0, 100) == list(range(0, 64, 2))
    assert clip(0.5, 100) == list(range(18, 82, 2))  # 36 frames of room
    assert clip(1.0, 100) == list(range(36, 100, 2))
    assert clip(0.99, 100) == list(range(35, 99, 2))
    assert clip(0.7, 64) == list(range(0, 64, 2))  # no room
    assert clip(0.7, 40) == [*range(0, 40, 2), *[39] * 12]
    assert clip(0.3, 1) == [0] * 32
    assert clip(0.0, 100, "slow_8x8_r50") == [0, 8, 16, 24, 32, 40, 48, 56]
    assert clip(0.0, 100, "slowfast_4x16_r50") == list(range(0, 64, 2))
    assert clip(1.0, 300, "slowfast_16x8_r50") == list(range(172, 300, 2))


def test_linspace_clips():
    """32 of 64 frames, first and last included: 63 / 31 apart, rounded down."""
    assert clip(0.0, 100, frame_index="linspace") == [*range(0, 62, 2), 63]
    assert clip(1.0, 100, frame_index="linspace") == [*range(36, 98, 2), 99]
    assert clip(0.0, 20, frame_index="linspace") == [*range(0, 20, 2), *[19] * 22]
    assert clip(0.0, 1, frame_index="linspace") == [0] * 32
    # From a half: 0.5 + 2.03 i passes the next whole number from i = 16 on.
    assert clip(0.5, 65, frame_index="linspace") == [*range(0, 32, 2), *range(33, 64, 2)]
    assert clip(0.0, 100, "slow_8x8_r50", frame_index="linspace") == [0, 9, 18, 27, 36, 45, 54, 63]


def test_slow_frames_of_a_clip():
    """As paper.md has them from the two codebases."""
    assert get_spec("slowfast_8x8_r50").slow_index == (0, 4, 8, 12, 16, 20, 24, 28)
    assert get_spec("slowfast_8x8_r50", frame_index="linspace").slow_index == (0, 4, 8, 13, 17, 22, 26, 31)
    assert get_spec("slowfast_4x16_r50", frame_index="linspace").slow_index == (0, 10, 20, 31)
    assert get_spec("slow_8x8_r50", frame_index="linspace").slow_index == tuple(range(8))


@pytest.mark.parametrize("frames", [64, 71, 100, 233, 300, 1799])
@pytest.mark.parametrize("clips", [2, 3, 10])
def test_test_clips_start_where_pyslowfast_has_them(frames, clips):
    index = sampling.clip_frames(sampling.test_places(clips), frames, get_spec("slowfast_8x8_r50"))
    assert index.shape == (clips, 32)
    # start = delta * clip / clips, then whole frames (slowfast/datasets/decoder.py)
    assert index[:, 0].numpy().tolist() == [int((frames - 64) * k / clips) for k in range(clips)]


def test_a_single_test_clip_lies_in_the_middle():
    assert clip(sampling.test_places(1)[0], 101)[0] == 18


# Space


@pytest.mark.parametrize("height, width, side", [(40, 61, 64), (61, 40, 48), (90, 120, 33), (64, 64, 64), (35, 51, 70)])
def test_crop_resized_is_resize_and_crop(height, width, side):
    frames = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    shape = (side, width * side // height) if height <= width else (height * side // width, side)
    resized = tf.image.resize(frames, shape).numpy()
    size = 32
    last = np.array(shape) - size
    for top, left in ((0, 0), (0, last[1]), (last[0], 0), last, last // 2):
        crop = transforms.crop_resized(frames, side, top, left, size)
        assert crop.dtype == tf.float32
        np.testing.assert_allclose(crop, resized[:, top : top + size, left : left + size], atol=0.02)


def test_resized_shape_is_pyslowfasts():
    """Also where float32 would round a whole number down to the one before, such as 39 / 25 * 300 = 468."""
    random = np.random.default_rng(0)
    shapes = [(25, 39, 300), (130, 25, 340), (256, 340, 256), (7, 7, 9), *random.integers(16, 500, (300, 3)).tolist()]
    for height, width, side in shapes:
        # slowfast/datasets/transform.py, random_short_side_scale_jitter
        if width < height:
            expected = [int(np.floor(float(height) / width * side)), side]
        else:
            expected = [side, int(np.floor(float(width) / height * side))]
        assert transforms.resized_shape((height, width), side).numpy().tolist() == expected


@pytest.mark.parametrize("height, width", [(40, 71), (71, 40), (40, 40), (50, 61)])
def test_test_crops_lie_where_pyslowfast_has_them(height, width):
    frames = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    size = 32
    shape = (size, width * size // height) if height <= width else (height * size // width, size)
    resized = tf.image.resize(frames, shape).numpy()
    for crops, places in ((3, (0, 1, 2)), (1, (1,))):
        results = transforms.test_crops(frames, size, crops)
        assert results.shape == (crops, 1, size, size, 3)
        for result, place in zip(results, places):
            # slowfast/datasets/transform.py, uniform_crop
            y, x = (int(np.ceil((side - size) / 2)) for side in shape)
            if height > width:
                y = {0: 0, 1: y, 2: shape[0] - size}[place]
            else:
                x = {0: 0, 1: x, 2: shape[1] - size}[place]
            np.testing.assert_allclose(result, resized[:, y : y + size, x : x + size], atol=0.02)


def test_test_crops_of_the_right_size_are_exact():
    frames = np.random.default_rng(0).integers(0, 256, (3, 32, 41, 3), np.uint8)
    left, middle, right = transforms.test_crops(frames, 32, 3).numpy()
    np.testing.assert_array_equal(left, frames[:, :, :32])
    np.testing.assert_array_equal(middle, frames[:, :, 5:37])
    np.testing.assert_array_equal(right, frames[:, :, 9:])


@pytest.fixture(scope="module")
def draws():
    """Random crops of 32 pixels of a 40 x 60 picture: for each way to draw, sides, lefts, tops and whether mirrored."""
    rows, columns = np.mgrid[:40, :60]
    picture = np.stack([columns * 4, rows * 4, np.full_like(rows, 255)], -1).astype(np.uint8)[None]
    crop = tf.function(transforms.random_crop, reduce_retracing=True)
    results = {}
    for draw in ("uniform", "inverse"):
        found = []
        for i in range(500):
            x, y, full = np.moveaxis(crop(picture, (48, 64), 32, tf.constant([i, 7]), draw).numpy()[0], -1, 0)
            assert np.all(np.abs(full - 255) < 0.01)  # nothing from outside the picture
            # Away from the picture's edges, a column's value is 4 * ((left + column + 0.5) / scale - 0.5).
            vertical, horizontal = (y[24, 16] - y[8, 16]) / 64, (x[16, 24] - x[16, 8]) / 64
            start = x[16, 8] if horizontal > 0 else x[16, 23]
            left = (start / 4 + 0.5) / abs(horizontal) - 8.5
            top = (y[8, 16] / 4 + 0.5) / vertical - 8.5
            found.append((40 / vertical, left, top, horizontal < 0))
        results[draw] = np.array(found).T
    return results


def test_random_crops_lie_within(draws):
    for side, left, top, _ in draws.values():
        np.testing.assert_allclose(side, np.round(side), atol=0.02)
        side = np.round(side)
        assert side.min() == 48 and side.max() == 64
        for place, longest in ((left, np.floor(60 / 40 * side)), (top, side)):
            np.testing.assert_allclose(place, np.round(place), atol=0.05)
            room = longest - 32
            share = np.round(place) / room
            assert share.min() == 0 and share.max() == 1
            assert 0.45 < share.mean() < 0.55  # 5 standard errors of 500 draws are 0.065


def test_random_sides_are_drawn_as_asked(draws):
    side = draws["uniform"][0]
    assert abs(side.mean() - 56) < 1  # 5 standard errors
    # 1 / side uniform: half of the sides below the harmonic mean, 54.86.
    inverse = draws["inverse"][0]
    assert abs((1 / inverse).mean() - (1 / 48 + 1 / 64) / 2) < 0.00035
    assert inverse.mean() < side.mean() - 0.4


def test_half_of_the_crops_are_mirrored(draws):
    for *_, mirrored in draws.values():
        assert 190 < mirrored.sum() < 310


def test_random_crop_is_a_function_of_its_seed():
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), np.uint8)
    first, again, other = (transforms.random_crop(frames, (48, 64), 32, tf.constant([1, i])) for i in (2, 2, 3))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1
    for i in range(20):  # never mirrored, where left and right are classes
        crop = transforms.random_crop(
            np.tile(np.arange(60.0)[:, None], (1, 40, 1, 3)), (48, 64), 32, (i, 0), flip=False
        )
        assert crop[0, 0, 20, 0] > crop[0, 0, 10, 0]


def test_normalize():
    frames = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype(np.float32)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    spec = get_spec("slowfast_8x8_r50", mean=mean, std=std)
    np.testing.assert_allclose(transforms.normalize(frames, spec), (frames / 255 - mean) / std, atol=1e-5)
    spec = get_spec("slowfast_8x8_r50", mean=mean, std=std, channel_order="bgr")
    np.testing.assert_allclose(transforms.normalize(frames, spec), (frames[..., ::-1] / 255 - mean) / std, atol=1e-5)


def test_pathways():
    frames = np.arange(32, dtype=np.float32)[:, None, None, None] * np.ones((32, 2, 2, 3), np.float32)
    for preset, slow in (("slowfast_4x16_r50", [0, 8, 16, 24]), ("slowfast_8x8_r50", [0, 4, 8, 12, 16, 20, 24, 28])):
        inputs = transforms.pathways(frames, get_spec(preset))
        assert list(inputs) == ["slow", "fast"]
        np.testing.assert_array_equal(inputs["fast"], frames)
        np.testing.assert_array_equal(inputs["slow"], frames[slow])
        batch = transforms.pathways(np.stack([frames, frames + 1]), get_spec(preset))
        np.testing.assert_array_equal(batch["slow"][1], frames[slow] + 1)
    spec = get_spec("slowfast_8x8_r50", frame_index="linspace")
    np.testing.assert_array_equal(transforms.pathways(frames, spec)["slow"], frames[[0, 4, 8, 13, 17, 22, 26, 31]])
    assert list(transforms.pathways(frames[:4], get_spec("slow_4x16_r50"))) == ["slow"]
    assert list(transforms.pathways(frames, get_spec("fast_4x16_r50"))) == ["fast"]


# Batches


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
    assert clips.steps == 2
    videos, frames = epoch(clips.train(range(0, 6)))
    epochs = [tuple(videos[i : i + 8]) for i in range(0, 48, 8)]
    assert all(sorted(videos) == list(range(8)) for videos in epochs)
    assert len(set(epochs)) == 6
    starts = collections.defaultdict(set)
    for video, frame in zip(videos, frames):
        starts[video % 2].add(frame)
    # A clip of 32 frames has room for 2 and 5 more, and lies anywhere.
    assert starts[0] <= {0, 1, 2} and len(starts[0]) > 1 and starts[1] <= set(range(6)) and len(starts[1]) > 2
    assert not clips.skipped


def test_a_run_goes_on_where_it_stopped(configure):
    whole = list(Clips(configure(), "train").train(range(0, 4)))
    rest = list(Clips(configure(), "train").train(range(2, 4)))
    assert len(whole) == 8 and len(rest) == 4
    for (inputs, labels), (inputs_again, labels_again) in zip(whole[4:], rest):
        tf.nest.map_structure(np.testing.assert_array_equal, inputs, inputs_again)
        np.testing.assert_array_equal(labels, labels_again)
    other = next(iter(Clips(configure("seed=1"), "train").train(range(0, 1))))
    assert np.abs(other[0]["fast"] - whole[0][0]["fast"]).max() > 0.1


def test_load_draws_anew_at_every_iteration(configure):
    data = slowfast_tf.data.load(configure(), "train")
    epochs = [epoch(data) for _ in range(4)]
    for videos, _ in epochs:
        assert sorted(videos) == list(range(8))
    assert len({tuple(videos) for videos, _ in epochs}) > 1
    assert len({tuple(frame for _, frame in sorted(zip(*e))) for e in epochs}) > 1


def test_the_last_part_of_a_batch_is_left_out(configure):
    clips = Clips(configure("train.batch_size=3"), "train")
    assert clips.steps == 2
    videos = [check_batch(*batch, 3)[0] for batch in clips.train(range(0, 6))]
    assert len(videos) == 12
    epochs = [sum(videos[i : i + 2], []) for i in range(0, 12, 2)]
    assert all(len(set(e)) == 6 for e in epochs)
    assert set(sum(epochs, [])) == set(range(8))
    with pytest.raises(UserError, match="9 is larger than the 8 training videos"):
        Clips(configure("train.batch_size=9"), "train").train()


def test_mirroring_can_be_left_out(configure):
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
    clips = Clips(configure(), "val")
    views = list(clips.views())
    assert [int(index) for _, index in views] == [0, 1, 2, 3]
    for inputs, index in views:
        assert inputs["fast"].shape == (6, 16, 32, 32, 3) and inputs["slow"].shape == (6, 2, 32, 32, 3)
        video, frame = told(inputs["fast"])
        assert np.all(video == 8 + index)
        middle = (1, 2)[index % 2]
        np.testing.assert_array_equal(frame[:, 0], [0, 0, 0, middle, middle, middle])
        first_column = inputs["fast"].numpy()[:3, 0, :, 0, 2].mean(-1)
        if decode(clips.videos[index].path).shape[1] < decode(clips.videos[index].path).shape[2]:
            assert np.all(np.diff(first_column) > 0.05)  # from left to right
        else:
            assert np.all(np.abs(np.diff(first_column)) < 0.01)


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
    assert len(clips.videos) == 10
    videos = []
    for batch in clips.train(range(0, 3)):
        videos += check_batch(*batch, 5)[0]
    assert len(videos) == 30 and set(videos) == set(range(8))
    expected = {str(damaged / "train" / "ant" / "text.mp4"), str(damaged / "train" / "dog" / "broken.avi")}
    assert set(clips.skipped) == expected
    assert all(cause.startswith(f"{path}: ") and len(cause) > len(path) + 5 for path, cause in clips.skipped.items())

    clips = Clips(configure(f"data.root={damaged}"), "val")
    (batch,) = clips.validation()
    assert check_batch(*batch)[0] == [8, 9, 10, 11]
    assert len(clips.skipped) == 2
    assert [clips.videos[index].path for _, index in clips.views()] == [
        str(damaged / "val" / CLASSES[n % 4] / f"{n:02d}.mp4") for n in (8, 9, 10, 11)
    ]


def test_no_video_that_can_be_read(values, tmp_path):
    """The command ends, and with one line: an iterator that is alive at its end has held it up forever."""
    root = tmp_path / "bad"
    for split in ("train", "val"):
        for name in CLASSES:
            (root / split / name).mkdir(parents=True)
            (root / split / name / "a.mp4").write_text("no video")
    (tmp_path / "c.json").write_text(json.dumps({**values, "data": {**values["data"], "root": str(root)}}))
    done = subprocess.run(
        [sys.executable, "-m", "slowfast_tf.train", "--config", "c.json", "--workdir", "run"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2 and len(errors) == 1, done.stderr
    assert "none of the 4 training videos can be read" in errors[0] and str(root) in errors[0]
    assert "Traceback" not in done.stderr


# Data sets


def test_folder(folder):
    videos, classes = datasets.load("folder", folder, "train")
    assert classes == CLASSES
    assert [(pathlib.Path(v.path).name, v.labels) for v in videos] == [
        (f"{number:02d}.mp4", ((number % 4, 0.0, float("inf")),)) for number in (0, 4, 1, 5, 2, 6, 3, 7)
    ]


def test_folder_mistakes(tmp_path):
    with pytest.raises(UserError, match="no such directory.*train/CLASS"):
        datasets.load("folder", tmp_path / "none", "train")
    (tmp_path / "train" / "a").mkdir(parents=True)
    with pytest.raises(UserError, match="no video"):
        datasets.load("folder", tmp_path, "train")
    (tmp_path / "val" / "b").mkdir(parents=True)
    with pytest.raises(UserError, match="b: no such class"):
        datasets.load("folder", tmp_path, "val")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo") / "data"
    demo.make(root, train=10, validation=8)
    return root


def digests(root):
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*.mp4"))}


def test_demo_layout(made):
    videos, classes = datasets.load("demo", made, "train")
    assert classes == demo.CLASSES and len(classes) == 8 and len(videos) == 10
    counts = collections.Counter(v.labels[0][0] for v in videos)
    assert sorted(counts.values()) == [1, 1, 1, 1, 1, 1, 2, 2]
    videos, _ = datasets.load("demo", made, "val")
    assert [v.labels[0][0] for v in videos] == list(range(8))
    for video in videos[::5]:
        assert decode(video.path).shape == (48, 64, 80, 3)
        assert pathlib.Path(video.path).parent.name == classes[video.labels[0][0]]


def test_demo_is_the_same_again(made, tmp_path):
    demo.make(tmp_path / "again", train=10, validation=8)
    assert digests(tmp_path / "again") == digests(made)
    # A data set that is there is left alone.
    before = sorted(made.rglob("*"))
    demo.make(made, train=30, validation=1, seed=5)
    assert sorted(made.rglob("*")) == before


def test_demo_videos_share_no_draw(made, tmp_path):
    assert len(set(digests(made).values())) == 18
    # The first frame's background alone sets any two apart, also those of the same number in training and validation.
    frames = [decode(path)[0].astype(float) for path in made.rglob("*.mp4")]
    for i, frame in enumerate(frames):
        for other in frames[:i]:
            assert np.abs(frame - other).mean() > 8
    demo.make(tmp_path / "other", train=1, validation=0, seed=1)
    other = next((tmp_path / "other").rglob("*.mp4"))
    assert np.abs(decode(other)[0].astype(float) - decode(made / other.relative_to(tmp_path / "other"))[0]).mean() > 8


def difference(first, second):
    """How much of two masks is not shared, at the shift (a hand shakes) where they agree best: 0 to 1."""
    shares = []
    for dy in range(-4, 5):
        for dx in range(-4, 5):
            moved = np.roll(second, (dy, dx), (0, 1))
            shares.append((first != moved).sum() / max((first | moved).sum(), 1))
    return min(shares)


@pytest.mark.parametrize("name", demo.CLASSES)
def test_demo_motions_stand_still_at_the_slow_stride(name):
    """16 frames apart the object looks the same; 2 frames apart, at some time, it does not."""
    slow, fast = [], []
    for seed in range(4):
        # Brighter than any background: the object, where it is fully there.
        masks = demo.render(name, np.random.default_rng(seed)).min(-1) > 135
        slow += [difference(masks[t], masks[t + 16]) for t in range(0, 32, 3)]
        fast.append(max(difference(masks[t], masks[t + 2]) for t in range(0, 16)))
    assert np.median(slow) < 0.25 and np.median(fast) > 2 * np.median(slow), (slow, fast)


# Charades


@pytest.fixture(scope="module")
def charades(tmp_path_factory):
    """Three videos of two seconds in the layout of the official release, one of them without any action."""
    root = tmp_path_factory.mktemp("charades")
    (root / "Charades_v1_480").mkdir()
    (root / "Charades_v1_classes.txt").write_text("c000 Holding some clothes\nc001 Putting clothes\nc002 Sitting\n")
    actions = {
        "AAAAA": "c000 0.00 0.40;c001 0.80 1.10;c000 1.70 2.00",
        "BBBBB": "",
        "CCCCC": "c002 0.00 2.00;c001 1.30 9.90",
    }
    columns = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length".split(",")
    for name, ids in (("train", "AAAAA BBBBB CCCCC"), ("test", "AAAAA BBBBB CCCCC")):
        with open(root / f"Charades_v1_{name}.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            for identity in ids.split():
                row = dict.fromkeys(columns, "text, with a comma; and more")
                writer.writerow({**row, "id": identity, "actions": actions[identity], "length": "2.0"})
    for number, identity in enumerate(actions):
        images = [picture(number, time) for time in range(58)]
        write(root / "Charades_v1_480" / f"{identity}.mp4", images, pix_fmt="yuv444p", qp=1)
    spans = [
        [tuple(float(x) if "." in x else int(x[1:]) for x in action.split()) for action in text.split(";") if text]
        for text in actions.values()
    ]
    return root, spans


def test_charades_labels(charades, configure):
    root, spans = charades
    settings = configure(
        "data.dataset=charades", f"data.root={root}", "model.activation=sigmoid", "train.batch_size=3", "seed=3"
    )
    clips = Clips(settings, "train")
    assert clips.labels == ("Holding some clothes", "Putting clothes", "Sitting")
    seen = set()
    for inputs, labels in clips.train(range(0, 8)):
        video, frame = told(inputs["fast"])
        for i, row in enumerate(labels.numpy()):
            start, end = frame[i, 0] / 30, (frame[i, -1] + 1) / 30
            expected = np.zeros(3)
            expected[[c for c, first, last in spans[video[i, 0]] if first < end and last > start]] = 1
            np.testing.assert_array_equal(row, expected)
            seen.add((int(video[i, 0]), *row.astype(int).tolist()))
    # The clips of one video differ in their labels.
    assert seen == {(0, 1, 1, 0), (0, 0, 1, 0), (1, 0, 0, 0), (2, 0, 0, 1), (2, 0, 1, 1)}

    (batch,) = Clips(settings, "val").validation()
    np.testing.assert_array_equal(batch[1], [[1, 1, 0], [0, 0, 0], [0, 1, 1]])


def test_charades_mistakes(charades, tmp_path):
    root, _ = charades
    with pytest.raises(UserError) as error:
        datasets.load("charades", tmp_path, "train")
    for name in (
        "Charades_v1_train.csv",
        "Charades_v1_test.csv",
        "Charades_v1_classes.txt",
        "Charades_v1_480",
        "https:",
    ):
        assert name in str(error.value)
    shutil.copytree(root, tmp_path / "copy")
    (tmp_path / "copy" / "Charades_v1_test.csv").unlink()
    with pytest.raises(UserError, match=r"no \S*Charades_v1_test.csv\. "):
        datasets.load("charades", tmp_path / "copy", "train")
    (tmp_path / "copy" / "Charades_v1_test.csv").write_text("id,actions\nAAAAA,c000 0.0\n")
    with pytest.raises(UserError, match="row 2: expected columns id and actions"):
        datasets.load("charades", tmp_path / "copy", "val")
    (tmp_path / "copy" / "Charades_v1_test.csv").write_text("id,actions\nBBBBB,\nAAAAA,c999 0.0 1.0\n")
    with pytest.raises(UserError, match="row 3: .*c999"):
        datasets.load("charades", tmp_path / "copy", "val")


def test_unknown_split_or_dataset_settings(values, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="data.dataset"):
        config.load(path, ["data.dataset=kinetics"])
