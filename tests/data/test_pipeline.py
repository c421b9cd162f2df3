"""Data sets from their published form to training batches: from files, and from the records made of them."""

import collections
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers import published
from helpers.coded_video import write
from helpers.pictures import CLASSES, picture, told
from helpers.processes import QUICK_START
from helpers.published import FAR, FILM, NEAR
from PIL import Image
from scipy import ndimage

import slowfast_tf
from slowfast_tf.data import Clips
from slowfast_tf.data.datasets.synthetic import shapes as demo
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.errors import InputError
from slowfast_tf.training import run

ROOT = pathlib.Path(__file__).parents[2]


def write_picture(path, number, count=40, rate=30):
    """Write a video of `picture`s; its container may differ from its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path.parent / "made.mp4", [picture(number, t) for t in range(count)], pix_fmt="yuv444p", qp=1, rate=rate)
    (path.parent / "made.mp4").rename(path)


@pytest.fixture
def both(configure, tmp_path):
    """Prepares a data set; returns the configurations that read its files and its records."""

    def make(dataset, root, *overrides, preparing=()):
        settings = configure(f"data.dataset={dataset}", f"data.root={root}", *overrides, *preparing)
        prepare(settings, str(tmp_path / "records"))
        return settings, configure("data.dataset=records", f"data.root={tmp_path / 'records'}", *overrides)

    return make


# Data sets. Each maker gives the numbers of the training pictures and of those to validate, the frame rate, and
# labels for a number and the begin and the end of a clip.


def make_folder(root):
    for number in range(5):
        write_picture(root / ("train" if number < 4 else "val") / CLASSES[number % 4] / f"{number}.mp4", number)
    return 4, (4,), 30, lambda number, begin, end: {number % 4}


def make_kinetics(root):
    published.kinetics(root)
    paths = [next(root.rglob(f"{letter}*")) for letter in ("-AAA", "BBB", "CCC", "EEE")]
    for number, path in enumerate(paths):
        write_picture(path, number)
    # zumba is the last of the three names, abseiling the first
    return 3, (3,), 30, lambda number, begin, end: {(2, 1, 0, 0)[number]}


def make_lists(root):
    for number in range(4):
        write_picture(root / "videos" / f"{number} .mp4", number)
    published.put(root / "classes.txt", "run\nsit\njump\n")
    published.put(root / "train.csv", "videos/0 .mp4,run;jump\nvideos/1 .mp4,1\nvideos/2 .mp4,\n")
    published.put(root / "val.csv", "videos/3 .mp4,jump\n")
    return 3, (3,), 30, lambda number, begin, end: ({0, 2}, {1}, set(), {2})[number]


def make_charades(root, frames=False):
    spans = published.charades(root, frames)

    def during(number, begin, end):
        return {label for label, first, last in spans[number] if first < end and last > begin}

    return 3, (0, 1, 2), 24 if frames else 30, during


MAKERS = {
    "folder": make_folder,
    "kinetics": make_kinetics,
    "lists": make_lists,
    "charades": make_charades,
    "charades frames": lambda root: make_charades(root, frames=True),
}


@pytest.mark.parametrize("name", MAKERS)
def test_labels_from_files_and_records(both, tmp_path, name):
    root = tmp_path / "data"
    root.mkdir()
    train, validation, rate, labels_of = MAKERS[name](root)
    settings = both(
        name.split()[0], root, f"train.batch_size={train}", "model.activation=sigmoid", preparing=["prepare.shards=2"]
    )
    views = []
    for config in settings:
        clips = Clips(config, "train")
        assert clips.count == train and clips.dataset == name.split()[0]
        drawn = set()
        for inputs, labels in clips.train(range(0, 6)):
            video, frame = told(inputs["fast"])
            assert sorted(video[:, 0]) == list(range(train)) and np.all(video == video[:, :1])
            np.testing.assert_array_equal(frame, frame[:, :1] + np.arange(0, 32, 2))
            for number, first, row in zip(video[:, 0], frame[:, 0], labels.numpy()):
                expected = labels_of(number, first / rate, (first + 31) / rate)
                assert set(np.flatnonzero(row)) == expected and set(row) <= {0, 1}
                drawn.add((number, *np.flatnonzero(row)))
        clips_of_a_video = max(collections.Counter(number for number, *_ in drawn).values())
        assert clips_of_a_video > 1 if name == "charades" else clips_of_a_video >= 1

        clips = Clips(config, "val")
        ((inputs, labels), *_) = clips.validation()
        numbers = told(inputs["fast"])[0][:, 0]
        for number, row in zip(numbers, labels.numpy()):
            assert set(np.flatnonzero(row)) == labels_of(number, 0, np.inf)
        views.append({})
        for i, (inputs, labels, identity) in enumerate(clips.views()):
            views[-1][identity.numpy(), i % 2] = {**inputs, "labels": labels}
        assert sorted({told(view["fast"])[0][0, 0] for view in views[-1].values()}) == sorted(validation)
        assert not clips.skipped
    # Both hold the same videos, by the same names.
    assert views[0].keys() == views[1].keys() and len(views[0]) == 2 * len(validation)
    for key, expected in views[0].items():
        np.testing.assert_array_equal(views[1][key]["labels"], expected["labels"])
        for pathway in ("slow", "fast"):
            assert np.abs(views[1][key][pathway] - expected[pathway]).mean() < 0.06  # a step of 4 in one color is 0.07


def test_several_labels_need_sigmoid(configure, tmp_path):
    """This is an error before the training, not in the test after it."""
    make_lists(tmp_path)
    settings = configure("data.dataset=lists", f"data.root={tmp_path}")
    with pytest.raises(InputError, match="^videos/0 .mp4 has several labels; set model.activation to sigmoid$"):
        Clips(settings, "train")
    assert Clips(settings, "val").count == 1


def test_several_labels_in_records(both, configure, tmp_path):
    """If the labels of all records are read at the start, the error is before the training."""
    root = tmp_path / "data"
    root.mkdir()
    make_lists(root)
    (root / "val.csv").write_text("videos/1 .mp4,sit\n")
    both("lists", root, "model.activation=sigmoid", preparing=["prepare.shards=1"])
    settings = ["data.dataset=records", f"data.root={tmp_path / 'records'}", "train.batch_size=3"]
    with pytest.raises(InputError, match="^videos/0 .mp4 has several labels; set model.activation to sigmoid$"):
        Clips(configure(*settings, "data.fold=[0,3]"), "val")
    weighted = configure(*settings, "train.class_weights=balanced")
    with pytest.raises(InputError, match="^videos/0 .mp4 has several labels; set model.activation to sigmoid$"):
        run.build(weighted, Clips(weighted, "train"))


def test_demo(both, tmp_path):
    demo.make(tmp_path / "demo", train=8, validation=3)
    settings = both("demo", tmp_path / "demo", preparing=["prepare.shards=1"])
    for config in settings:
        clips = Clips(config, "train")
        assert clips.labels == demo.CLASSES and clips.dataset == "demo"
        batches = list(clips.train(range(1)))
        assert len(batches) == 2 and all(inputs["fast"].shape == (4, 16, 32, 32, 3) for inputs, _ in batches)
        np.testing.assert_array_equal(sum(tf.reduce_sum(labels, 0) for _, labels in batches), np.ones(8))
        for _, labels, identity in Clips(config, "val").views():
            name = identity.numpy().decode().split("/")[0]
            assert np.flatnonzero(labels).tolist() == [demo.CLASSES.index(name)]


@pytest.mark.parametrize("overrides", [(), ("data.color_jitter=0.4", "data.random_erasing=0.5")])
def test_the_same_clips_from_files_and_records(both, tmp_path, overrides):
    """There is one video, so its position is the same, and the same random numbers give the same clips."""
    for split in ("train", "val"):
        write_picture(tmp_path / "data" / split / "ant" / "0.mp4", 3, 58)
    settings = both("folder", tmp_path / "data", "train.batch_size=1", *overrides)
    epochs = [list(Clips(config, "train").train(range(0, 4))) for config in settings]
    assert len(epochs[0]) == 4
    for (files, labels), (records, labels_of_records) in zip(*epochs):
        np.testing.assert_array_equal(labels, labels_of_records)
        for name in files:
            assert np.abs(files[name] - records[name]).mean() < 0.06
    assert np.abs(epochs[0][0][0]["fast"] - epochs[0][1][0]["fast"]).mean() > 0.06


def test_rates(both, tmp_path):
    """25 frames a second where the stride counts 30: every 1.667th frame; 26.67 of 40 leave a room of 13.33."""
    for split in ("train", "val"):
        write_picture(tmp_path / "data" / split / "ant" / "0.mp4", 3, 40, rate=25)
        write_picture(tmp_path / "data" / split / "ant" / "1.mp4", 4, 1, rate=25)
    steps = [0, 1, 3, 5, 6, 8, 10, 11, 13, 15, 16, 18, 20, 21, 23, 25]
    for config in both("folder", tmp_path / "data", "data.frame_rate=30", "test.to_the_end=true", "test.crops=1"):
        found = collections.defaultdict(list)
        for inputs, _, _ in Clips(config, "val").views():
            video, frame = told(inputs["fast"])
            found[video[0, 0]].append(frame[0].tolist())
        assert found == {3: [steps, [13 + i for i in steps]], 4: [[0] * 16] * 2}
        ((inputs, _),) = Clips(config, "val").validation()
        assert sorted(told(inputs["slow"])[1].tolist()) == [[0, 0], [6, 6 + 13]]


def test_rate_of_the_records(both, tmp_path):
    """60 frames a second stored as 30: every second one."""
    for split in ("train", "val"):
        write_picture(tmp_path / "data" / split / "ant" / "0.mp4", 3, 58, rate=60)
    files, records = both("folder", tmp_path / "data", "test.crops=1", preparing=["prepare.frame_rate=30"])
    first = next(iter(Clips(records, "val").views()))[0]
    assert told(first["fast"])[1].tolist() == [[*range(0, 58, 4), 56]]  # 29 frames, and the last one again


# Order: forty videos, told by red; green tells the frame


def number_of(inputs):
    return np.round((inputs["fast"].numpy()[..., 0].mean((1, 2, 3)) * 0.225 + 0.45) * 255 / 6).astype(int).tolist()


@pytest.fixture(scope="session")
def forty(configure, tmp_path_factory):
    """Configurations by source of 40 training videos, whose records are in 4 files of 10, and overrides."""
    root = tmp_path_factory.mktemp("forty")
    for number in range(44):
        path = root / "data" / ("train" if number < 40 else "val") / CLASSES[number % 4] / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        image = np.full((32, 36, 3), 6 * (number % 40), np.uint8)
        images = []
        for time in range(34):
            image[..., 1] = 20 + 4 * time
            images.append(image.copy())
        write(path, images, pix_fmt="yuv444p", qp=1)
    prepare(configure(f"data.root={root / 'data'}", "prepare.shards=4"), str(root / "records"))
    sources = {
        "files": ("data.dataset=folder", f"data.root={root / 'data'}"),
        "records": ("data.dataset=records", f"data.root={root / 'records'}"),
    }
    return lambda source, *overrides: configure(*sources[source], "data.short_sides=[32, 32]", *overrides)


@pytest.mark.parametrize("source", ["files", "records"])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_each_video_is_in_one_part(forty, source, parts):
    config = forty(source, f"train.batch_size={4 * parts}")
    assert Clips(config, "train").steps(Clips(config, "train").phases[0]) == 10 // parts
    epochs = collections.defaultdict(list)
    for part in range(parts):
        batches = list(Clips(config, "train").train(range(0, 2), shard=(part, parts)))
        assert len(batches) == 2 * (10 // parts)
        for i, (inputs, labels) in enumerate(batches):
            assert inputs["fast"].shape[0] == 4
            numbers = number_of(inputs)
            np.testing.assert_array_equal(labels, np.eye(4)[np.array(numbers) % 4])
            epochs[i // (10 // parts)] += numbers
    orders = list(epochs.values())
    assert all(len(set(order)) == len(order) == 10 // parts * parts * 4 for order in orders)
    assert orders[0] != orders[1]


@pytest.mark.parametrize("source, part", [("files", (1, 2)), ("records", (0, 1))])
def test_a_run_resumes_where_it_stopped(forty, source, part):
    augmented = ["data.color_jitter=0.4", "data.mixup=0.8", "data.cutmix=1", "data.random_erasing=0.3"]
    config = forty(source, "train.batch_size=12", *augmented)
    whole = list(Clips(config, "train").train(range(0, 4), shard=part))
    rest = list(Clips(config, "train").train(range(2, 4), shard=part))
    assert len(whole) == 12 and len(rest) == 6
    for expected, found in zip(whole[6:], rest):
        tf.nest.map_structure(np.testing.assert_array_equal, found, expected)
    other = next(
        iter(Clips(forty(source, "train.batch_size=12", "seed=1", *augmented), "train").train(range(1), shard=part))
    )
    assert np.abs(other[0]["fast"] - whole[0][0]["fast"]).max() > 0.1


def test_every_iteration_has_another_order_of_records(forty):
    data = slowfast_tf.data.load(forty("records"), "train")
    orders = [sum((number_of(inputs) for inputs, _ in data), []) for _ in range(2)]
    assert orders[0] != orders[1] and [sorted(order) for order in orders] == [list(range(40))] * 2


def test_orders_do_not_repeat(forty):
    """Also for seeds that differ in their higher bits only."""

    def first(epoch, *overrides):
        return number_of(next(iter(Clips(forty("records", *overrides), "train").train(range(epoch, epoch + 1))))[0])

    orders = [first(0), first(256), first(512), first(0, "seed=256"), first(0, "seed=65536")]
    assert len(set(map(tuple, orders))) == len(orders)


@pytest.fixture
def seeded():
    """Sets TensorFlow's global seed, as a run does."""
    tf.random.set_seed(1)
    yield
    tf.random.set_seed(None)


# CutMix has fewer different shares, because a rectangle has one of some hundreds of areas.
@pytest.mark.parametrize("mixed, least", [("data.mixup=0.8", 0.9), ("data.cutmix=1", 0.7)])
def test_every_epoch_has_other_mixtures(forty, seeded, mixed, least):
    """The shares of the clips of a batch, which are the labels' values of its two classes."""
    data = slowfast_tf.data.load(forty("records", "train.batch_size=2", mixed), "train")
    shares = [float(labels.numpy().max()) for _ in range(2) for _, labels in data]
    different = {round(share, 5) for share in shares if share < 1}
    assert len(different) > 10 and len(different) > least * sum(share < 1 for share in shares)


def test_multigrid(forty):
    """Batches have the schedule's shapes, and no video is in an epoch twice."""
    overrides = ["train.epochs=4", "train.batch_size=1", "train.schedule=steps", "train.step_epochs=[3]"]
    overrides += ["train.step_rates=[0.1]", "train.multigrid=true", "model.frames=4", "model.stride=8"]
    overrides += ["data.crop_size=28"]
    for source in ("files", "records"):
        clips = Clips(forty(source, *overrides), "train")
        assert len(clips.phases) > 3 and clips.phases[-1].shapes[-1] == (1, 4, 28)
        for phase in clips.phases[:3:2]:
            epochs = range(phase.epochs.start, phase.epochs.start + 2)
            steps = clips.steps(phase)
            batches = list(clips.train(epochs, phase))
            assert len(batches) == 2 * steps and steps >= 2
            for epoch in (batches[:steps], batches[steps:]):
                numbers = []
                for step, (inputs, labels) in enumerate(epoch):
                    batch, frames, size = phase.shape(step)
                    assert inputs["slow"].shape == (batch, frames, size, size, 3)
                    assert inputs["fast"].shape == (batch, 8 * frames, size, size, 3) and labels.shape == (batch, 4)
                    time = (inputs["fast"].numpy()[..., 1].mean((2, 3)) * 0.225 + 0.45) * 255
                    assert np.all(np.diff(np.round((time - 20) / 4)) >= 0)
                    numbers += number_of(inputs)
                assert len(set(numbers)) == len(numbers) > 20


@pytest.mark.parametrize("source", ["files", "records"])
def test_augmentation(forty, source):
    config = forty(
        source,
        *["data.color_jitter=0.4", "data.rand_augment_layers=2", "data.random_erasing=0.5"],
        *["data.mixup=0.8", "data.cutmix=1", "train.batch_size=10"],
    )
    mixed = 0
    for inputs, labels in Clips(config, "train").train(range(2)):
        assert {name: x.shape for name, x in inputs.items()} == {
            "slow": (10, 2, 32, 32, 3),
            "fast": (10, 16, 32, 32, 3),
        }
        assert labels.shape == (10, 4) and all(np.isfinite(x).all() for x in inputs.values())
        # Both pathways have the same augmentation.
        np.testing.assert_allclose(inputs["slow"], tf.gather(inputs["fast"], [0, 8], axis=1), atol=1e-5)
        np.testing.assert_allclose(tf.reduce_sum(labels, 1), np.ones(10), atol=1e-5)
        mixed += np.sum((labels > 0.02) & (labels < 0.98))
    assert mixed > 10


@pytest.fixture
def some_damaged(forty, tmp_path):
    """Records of `forty` of which the given ones of the four files end early."""

    def make(damaged, *overrides):
        root = tmp_path / "records"
        shutil.copytree(forty("records").data.root, root)
        for path in sorted(root.glob("train*.tfrecord"))[:damaged]:
            path.write_bytes(path.read_bytes()[:100])
        return forty("records", f"data.root={root}", "train.batch_size=10", *overrides)

    return make


@pytest.mark.parametrize("damaged", [2, 3])
def test_damaged_records_are_replaced(some_damaged, damaged):
    config = some_damaged(damaged)
    clips = Clips(config, "train")
    numbers = sum((number_of(inputs) for inputs, _ in clips.train(range(1))), [])
    assert len(numbers) == 40 and len(set(numbers)) == 40 - 10 * damaged
    assert len(clips.skipped) == 10 * damaged
    lost = sorted(pathlib.Path(config.data.root).glob("train*.tfrecord"))[:damaged]
    ends = {
        f"{path}: the record of {name} is damaged; remove that file and prepare the data again"
        for path in lost
        for name in clips.skipped
    }
    assert set(clips.skipped.values()) <= ends


def test_all_records_are_damaged(some_damaged, tmp_path):
    with pytest.raises(InputError, match="none of the 40 training videos can be read: .* is damaged; remove that file"):
        run.train(some_damaged(4, 'model.pathways=["slow"]'), tmp_path / "run")


# Optical flow


@pytest.fixture(scope="module")
def moving(configure, tmp_path_factory):
    """Records with flow of a texture that moves 2 pixels to the right from frame to frame; blue rises to the right."""
    root = tmp_path_factory.mktemp("moving")
    random = np.random.default_rng(0)
    texture = ndimage.gaussian_filter(random.normal(size=(64, 200, 2)), (2, 2, 0))
    texture = np.clip(110 + 60 * texture / texture.std(), 0, 255)
    for split in ("train", "val"):
        path = root / "data" / split / "ant" / "0.mp4"
        path.parent.mkdir(parents=True)
        images = []
        for time in range(34):
            seen = texture[:, 90 - 2 * time : 90 - 2 * time + 96]
            blue = np.broadcast_to(40.0 + np.arange(96)[None, :, None], (64, 96, 1))
            images.append(np.concatenate([seen, blue], -1).astype(np.uint8))
        write(path, images, pix_fmt="yuv444p", qp=4)
    prepare(configure(f"data.root={root / 'data'}", "prepare.flow=true"), str(root / "records"))
    overrides = "data.dataset=records", f"data.root={root / 'records'}", "model.fast_input=flow", "train.batch_size=1"
    return lambda *more: configure(*overrides, *more)


def test_flow_in_training(moving):
    """2 pixels of 64, so 1 of 32, in parts of 20: 0.05; larger where the window is smaller. Against it, if mirrored."""
    signs = set()
    for sides, low, high in (("[32, 32]", 0.05, 0.05), ("[40, 64]", 0.0625, 0.1)):
        for inputs, _ in Clips(moving(f"data.short_sides={sides}"), "train").train(range(8)):
            assert inputs["fast"].shape == (1, 16, 32, 32, 2) and inputs["slow"].shape == (1, 2, 32, 32, 3)
            flow = inputs["fast"].numpy()[0, 1:]  # the first frame of a video has none before it
            right, down = np.median(flow[..., 0], (1, 2)), np.median(flow[..., 1], (1, 2))
            assert np.all(np.abs(down) < 0.01)
            blue = inputs["slow"].numpy()[0, 0, ..., 2].mean(0)
            sign = np.sign(blue[-3] - blue[2])
            assert np.all((right * sign > low * 0.9) & (right * sign < high * 1.1)) and np.ptp(right) < 0.015
            signs.add(sign)
    assert signs == {-1, 1}


def test_flow_in_tests(moving):
    clips = Clips(moving(), "val")
    views = [inputs for inputs, _, _ in clips.views()] + [inputs for inputs, _ in clips.validation()]
    assert [len(view["fast"]) for view in views] == [3, 3, 1]
    for view in views:
        assert view["fast"].shape[1:] == (16, 32, 32, 2)
        median = np.median(view["fast"].numpy()[:, 1:], (2, 3))
        np.testing.assert_allclose(median[..., 0], 0.05, atol=0.005)
        np.testing.assert_allclose(median[..., 1], 0, atol=0.005)


def test_flow_is_missing(configure, forty, folder):
    with pytest.raises(InputError, match="needs records with optical flow, not dataset 'folder'"):
        Clips(configure("model.fast_input=flow"), "train")
    with pytest.raises(InputError, match="flow"):
        Clips(forty("records", "model.fast_input=flow"), "train")


# Boxes


# Color of a person, (film, box), and what is done.
PEOPLE = {
    (0, NEAR): ((220, 40, 40), {79, 8}),
    (0, FAR): ((40, 40, 220), {0}),
    (1, NEAR): ((230, 40, 220), {11}),
}
FILMS = (FILM, "zlVkeKC6Ha8")


def write_film(root, film, frames):
    """Write five seconds, from second 900 on, with people at their boxes. Green encodes the time around second 902."""
    images = []
    for time in range(150):
        image = np.full((80, 100, 3), 40, np.uint8)
        image[..., 1] = np.clip(100 + 2 * (time - 40), 100, 180)
        for (number, box), (color, _) in PEOPLE.items():
            if number == film:
                x1, y1, x2, y2 = (round(float(x) * side) for x, side in zip(box.split(","), (100, 80, 100, 80)))
                image[y1:y2, x1:x2] = color
        images.append(image)
    if frames:
        folder = root / "frames" / FILMS[film]
        folder.mkdir(parents=True)
        for time, image in enumerate(images):
            Image.fromarray(image).save(folder / f"{FILMS[film]}_{time + 1:06d}.jpg", quality=95, subsampling=0)
    else:
        (root / "videos_15min").mkdir(exist_ok=True)
        write(root / "videos_15min" / f"{FILMS[film]}.mp4", images, pix_fmt="yuv444p", qp=2)


@pytest.mark.parametrize("frames", [False, True])
def test_boxes_follow_crops(both, tmp_path, frames):
    """Two films, in a batch of two, of two people and of one: crops cut people off, or show none."""
    root = tmp_path / "data"
    rows = [
        f"{FILMS[film]},0902,{box},{action + 1},1"
        for (film, box), (_, actions) in PEOPLE.items()
        for action in sorted(actions)
    ]
    published.ava(root, annotated=rows)
    published.ava(root, annotated=rows, split="val")
    for film in (0, 1):
        write_film(root, film, frames)
    overrides = ["model.head=roi", "model.activation=sigmoid", "train.batch_size=2", "data.short_sides=[32, 72]"]
    overrides += ["test.clips=1", "test.crops=0"]
    for config in both("ava", root, *overrides, preparing=["prepare.quality=95"]):
        clips = Clips(config, "train")
        assert clips.count == 2 and len(clips.labels) == 80 and clips.dataset == "ava"
        found = collections.Counter()
        for inputs, labels, weights in clips.train(range(0, 24)):
            count = inputs["boxes"].shape[1]
            assert inputs["boxes"].shape == (2, count, 4) and count <= 2
            assert labels.shape == (2, count, 80) and weights.shape == (2, count)
            for i in range(2):
                film = check_boxes(inputs["fast"][i].numpy(), inputs["boxes"][i], labels[i], weights[i])
                found[count, film] += 1
        assert found[2, 0] and found[2, 1]  # with padding and without


def check_boxes(frames, boxes, labels, weights):
    """Checks that the pixels inside a box have the color of its person and those outside have not; returns the film."""
    frames = (frames * 0.225 + 0.45) * 255
    film = None
    for (x1, y1, x2, y2), row, weight in zip(boxes.numpy(), labels.numpy(), weights.numpy()):
        if weight == 0:
            assert x1 == y1 == x2 == y2 == 0 and not row.any()
            continue
        assert weight == 1 and 0 <= x1 <= x2 - 1 <= 31 and 0 <= y1 <= y2 - 1 <= 31
        (((film, _), (color, _)),) = [
            item for item in PEOPLE.items() if item[1][1] == set(np.flatnonzero(row).tolist())
        ]
        # Colors mix at edges, over one pixel of the frame, which is up to two pixels of the crop.
        left, top, right, bottom = np.ceil(x1) + 2, np.ceil(y1) + 2, np.floor(x2) - 2, np.floor(y2) - 2
        inside = frames[:, int(top) : int(bottom), int(left) : int(right)]
        if inside.size:
            assert np.abs(inside - color).max() < 40
        outside = [frames[:, :, int(x)] for x in (x1 - 3, x2 + 2) if 0 <= x < 32]
        outside += [frames[:, int(y)] for y in (y1 - 3, y2 + 2) if 0 <= y < 32]
        assert all(np.abs(x - color).max(-1).min() > 60 for x in outside)
    # The background shows frames 44, 46, ... 74, around frame 60.
    ground = (np.abs(frames[..., 0] - 40) < 15) & (np.abs(frames[..., 2] - 40) < 15)
    for time in range(16):
        seen = frames[time, ..., 1][ground[time]]
        if seen.size > 50:
            assert abs(np.median(seen) - (108 + 4 * time)) < 4
    return film


# Several devices


MIRRORED = """
import sys
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, slowfast_tf
from slowfast_tf import config
files, records = (config.load(path) for path in sys.argv[1:])
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    inputs = {"slow": keras.Input((2, 32, 32, 3)), "fast": keras.Input((16, 32, 32, 3))}
    means = [keras.layers.GlobalAveragePooling3D()(x) for x in inputs.values()]
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Concatenate()(means)))
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
data = slowfast_tf.data.load
for settings in (files, records):
    history = model.fit(data(settings, "train"), validation_data=data(settings, "val"), verbose=0)
    assert len(history.history) == 2 and all(np.isfinite(v).all() for v in history.history.values())
    print("steps", int(model.optimizer.iterations.numpy()))
"""


def test_mirrored_strategy(forty, tmp_path):
    paths = [tmp_path / f"{source}.json" for source in ("files", "records")]
    for path in paths:
        forty(path.stem, "train.batch_size=10").save(path)
    done = subprocess.run(
        [sys.executable, "-c", QUICK_START + MIRRORED, *map(str, paths)],
        env={"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-3:] == ["4", "steps", "8"]


# The end of a program


HELD = """
import sys
from slowfast_tf import config, data
clips = data.load(config.load(sys.argv[1]), "train")
held = iter(clips.repeat().prefetch(10**6))
next(held)
"""


def test_a_script_ends_while_an_iterator_is_running(forty, tmp_path):
    forty("records").save(tmp_path / "config.json")
    done = subprocess.run(
        [sys.executable, "-c", QUICK_START + HELD, str(tmp_path / "config.json")],
        env={"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
