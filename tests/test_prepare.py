"""Videos to records: what is stored, and that it is whole, the same every time, and readable by others."""

import csv
import hashlib
import io
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from helpers.coded_video import coded, decode, numbers, write

from slowfast_tf import config, prepare
from slowfast_tf.data import Clips, flow
from slowfast_tf.data.records import format as records
from slowfast_tf.data.records.frames import Frames
from slowfast_tf.data.reference import Box, Video
from slowfast_tf.errors import InputError, RunError, VideoError

ALWAYS = (0.0, float("inf"))
LABELS = ("sit", "stand", "walk", "wave")


def pixels(image):
    """A JPEG image through a reader that shares nothing with the package."""
    return np.asarray(PIL.Image.open(io.BytesIO(image)).convert("RGB"))


def jpeg(image, quality=95):
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "jpeg", quality=quality)
    return file.getvalue()


def checksums(directory):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in directory.iterdir() if p.is_file()}


def stored(video, **settings):
    """What a video's frames tell (see `coded_video`), and the `Frames`."""
    frames = Frames(video, config.Prepare(**settings))
    return numbers([pixels(image) for image, _ in frames]), frames


# Records


@pytest.fixture
def detection():
    """The part of a film from 901 s to 903 s with three boxes, the middle one of a detector."""
    boxes = (
        Box((0.1, 0.2, 0.3, 0.4), (3, 1)),
        Box((0.5, 0.5, 0.75, 1.0), (), 0.875),
        Box((0.0, 0.0, 1.0, 1.0), (2,)),
    )
    video = Video("frames/abc", (), id="abc,0902", rate=2.0, span=(901.0, 903.0), key=902.0, boxes=boxes)
    images = [b"one", b"two", b"three", b"four"]
    times = [901.0, 901.5, 902.0, 902.5]
    return b"".join(records.encode(video, LABELS, images, times, 2.0, (256, 340), dataset="ava"))


def test_the_names_of_media_sequence_are_enough(detection):
    context, lists = tf.io.parse_single_sequence_example(
        detection,
        {
            "example/id": tf.io.FixedLenFeature([], tf.string),
            "clip/media_id": tf.io.FixedLenFeature([], tf.string),
            "clip/data_path": tf.io.FixedLenFeature([], tf.string),
            "clip/start/timestamp": tf.io.FixedLenFeature([], tf.int64),
            "clip/end/timestamp": tf.io.FixedLenFeature([], tf.int64),
            "clip/label/index": tf.io.VarLenFeature(tf.int64),
            "image/format": tf.io.FixedLenFeature([], tf.string),
            "image/height": tf.io.FixedLenFeature([], tf.int64),
            "image/width": tf.io.FixedLenFeature([], tf.int64),
            "image/frame_rate": tf.io.FixedLenFeature([], tf.float32),
        },
        {
            "image/encoded": tf.io.FixedLenSequenceFeature([], tf.string),
            "image/timestamp": tf.io.FixedLenSequenceFeature([], tf.int64),
            "region/timestamp": tf.io.FixedLenSequenceFeature([], tf.int64),
            "region/num_regions": tf.io.FixedLenSequenceFeature([], tf.int64),
            "region/bbox/xmin": tf.io.VarLenFeature(tf.float32),
            "region/bbox/ymax": tf.io.VarLenFeature(tf.float32),
            "region/label/index": tf.io.VarLenFeature(tf.int64),
            "region/label/string": tf.io.VarLenFeature(tf.string),
            "region/track/index": tf.io.VarLenFeature(tf.int64),
            "PREDICTED/region/bbox/xmax": tf.io.VarLenFeature(tf.float32),
            "PREDICTED/region/label/confidence": tf.io.VarLenFeature(tf.float32),
        },
    )
    plain = {
        name: np.array(value.values if isinstance(value, tf.SparseTensor) else value).tolist()
        for name, value in {**context, **lists}.items()
    }
    expected = {
        "example/id": b"abc,0902",
        "clip/media_id": b"abc,0902",
        "clip/data_path": b"frames/abc",
        "clip/start/timestamp": 901_000_000,
        "clip/end/timestamp": 903_000_000,
        "clip/label/index": [],
        "image/format": b"JPEG",
        "image/height": 256,
        "image/width": 340,
        "image/frame_rate": 2.0,
        "image/encoded": [b"one", b"two", b"three", b"four"],
        "image/timestamp": [901_000_000, 901_500_000, 902_000_000, 902_500_000],
        "region/timestamp": [902_000_000],
        "region/num_regions": [3],
        "region/bbox/xmin": pytest.approx([0.1, 0.1, 0.0]),
        "region/bbox/ymax": pytest.approx([0.4, 0.4, 1.0]),
        "region/label/index": [3, 1, 2],
        "region/label/string": [b"wave", b"stand", b"walk"],
        "region/track/index": [0, 0, 2],
        "PREDICTED/region/bbox/xmax": [0.75],
        "PREDICTED/region/label/confidence": [0.875],
    }
    assert plain == expected


def test_parse_boxes(detection):
    parsed = next(iter(tf.data.Dataset.from_tensors(detection).map(records.parse)))
    parsed = {name: value.numpy() for name, value in parsed.items()}
    assert parsed["id"] == b"abc,0902"
    assert parsed["frames"].tolist() == [b"one", b"two", b"three", b"four"]
    assert parsed["rate"] == 2
    assert parsed["key_time"] == 1  # the third frame: 902 s - 901 s
    # Those with labels first.
    expected = [[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], [0.5, 0.5, 0.75, 1]]
    np.testing.assert_allclose(parsed["boxes"], expected, atol=1e-7)
    assert parsed["box_labels"].tolist() == [[3, 1], [2, -1], [-1, -1]]
    assert parsed["box_scores"].tolist() == [1, 1, 0.875]


@pytest.mark.parametrize("length", [1, 200, 40_000])  # of an image; lengths take one byte, two or three
def test_a_head_tells_where_images_are(length):
    random = np.random.default_rng(0)
    frames, flows = ([random.bytes(length + i) for i in range(5)] for _ in range(2))
    video = Video("a.mp4", ((1, 0.0, 2.0),), id="a")
    head, images = records.encode(video, LABELS, frames, np.arange(5) / 2, 2.0, (8, 8), flows=flows)
    about, whole = records.parse_head(head, flow=True), records.parse(head + images, flow=True)
    for name, expected in (("frames", frames), ("flow", flows)):
        table = about.pop(name).numpy().tolist()
        assert [images[place : place + size] for place, size, _ in table] == expected
        assert [checksum for _, _, checksum in table] == [zlib.crc32(image) for image in expected]
        assert whole.pop(name).numpy().tolist() == expected
    assert about.keys() == whole.keys() and all(np.array_equal(about[name], whole[name]) for name in whole)


def test_parse_labels():
    labels = ((2, 11.9, 21.2), (0, 0.0, 4.5), (2, 25.0, float("inf")))
    record = b"".join(records.encode(Video("a.mp4", labels), LABELS, [b"x"] * 60, np.arange(60) / 2, 2.0, (8, 8)))
    parsed = records.parse(record)
    assert parsed["labels"].numpy().tolist() == [2, 0, 2]
    np.testing.assert_allclose(parsed["starts"], [11.9, 0, 25], rtol=1e-6)
    np.testing.assert_allclose(parsed["ends"], [21.2, 4.5, 30], rtol=1e-6)  # an open end is the video's
    example = tf.train.SequenceExample.FromString(record)
    assert list(example.context.feature["clip/label/index"].int64_list.value) == [0, 2]  # each once
    assert list(example.context.feature["clip/label/text"].bytes_list.value) == [b"sit", b"walk"]
    assert list(example.context.feature["segment/start/timestamp"].int64_list.value) == [11_900_000, 0, 25_000_000]


def test_parse_nothing_but_a_frame():
    parsed = records.parse(b"".join(records.encode(Video("a.mp4", ()), LABELS, [b"x"], [0.0], 30.0, (8, 8))))
    shapes = {name: value.shape.as_list() for name, value in parsed.items()}
    assert shapes == {
        "id": [],
        "frames": [1],
        "rate": [],
        "times": [1],
        "labels": [0],
        "starts": [0],
        "ends": [0],
        "boxes": [0, 4],
        "box_labels": [0, 0],
        "box_scores": [0],
        "key_time": [],
    }
    assert parsed["key_time"] == -1


# Frames


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    """A second and a half of numbered frames at 30 a second."""
    path = tmp_path_factory.mktemp("numbered") / "numbered.mp4"
    return write(path, [coded(i, 48, 64) for i in range(45)], g=10, bf=2, qp=10)


@pytest.mark.parametrize(
    "rate, expected",
    [
        (None, list(range(45))),
        (10.0, list(range(0, 45, 3))),
        (45.0, [round(i * 30 / 45) for i in range(68)][:67] + [44]),
    ],
)
def test_frame_rate_picks_the_nearest(numbered, rate, expected):
    found, frames = stored(Video(numbered, ()), frame_rate=rate)
    assert found == expected
    assert frames.rate == pytest.approx(rate or 30)
    np.testing.assert_allclose(frames.times, np.arange(len(expected)) / frames.rate)


def test_frame_rate_of_a_variable_rate(tmp_path):
    times = [0, 40, 80, 500, 540, 1000]  # milliseconds
    path = write(tmp_path / "v.mkv", [coded(i, 48, 64) for i in range(6)], times=times, bf=0)
    found, frames = stored(Video(path, ()))
    assert found == [0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(frames.times, np.array(times) / 1000, atol=1e-3)
    # 6 frames at 5 a second on average; at 10 a second the nearest of 0, 0.1, ... 1.1 s.
    found, frames = stored(Video(path, ()), frame_rate=10.0)
    assert found == [0, 2, 2, 3, 3, 3, 4, 4, 5, 5, 5, 5]
    # A part that has few of its frames lasts as long: to 0.7 s, though three frames take 0.6 s on average.
    found, frames = stored(Video(path, (), span=(0.0, 0.52)), frame_rate=10.0)
    assert found == [0, 2, 2, 3, 3, 3, 3]


def test_span(numbered):
    found, frames = stored(Video(numbered, (), span=(0.2, 0.5)))
    assert found == list(range(6, 15))
    assert frames.times[0] == pytest.approx(0.2)
    with pytest.raises(VideoError, match=r"no frame between 7 and 8 s; it lasts 1.50 s"):
        stored(Video(numbered, (), span=(7.0, 8.0)))


@pytest.mark.parametrize("size, expected", [((48, 65), (32, 43)), ((65, 48), (43, 32)), ((20, 30), (20, 30))])
def test_shorter_side_is_scaled_down_only(tmp_path, size, expected):
    path = write(tmp_path / "v.mp4", [coded(1, *size)] * 2, pix_fmt="yuv444p")
    frames = Frames(Video(path, ()), config.Prepare(short_side=32))
    assert {pixels(image).shape[:2] for image, _ in frames} == {expected}
    assert frames.size == expected


def test_odd_sizes_give_the_same_bytes_every_time(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (3, 33, 45, 3)).astype(np.uint8)
    path = write(tmp_path / "v.mp4", noise, pix_fmt="yuv444p")

    def once(size):
        memory = np.full(size, size % 251, np.uint8)  # whatever lay there before must not matter
        del memory
        return b"".join(image for image, _ in Frames(Video(path, ()), config.Prepare()))

    assert len({once(size) for size in range(100, 20000, 311)}) == 1


@pytest.mark.parametrize("matrix", [None, "bt709", "smpte170m"])
def test_colors_are_those_of_the_video(tmp_path, matrix):
    colors = np.array([[200, 60, 50], [40, 180, 60], [60, 60, 200], [128, 128, 128]], np.uint8)
    image = np.repeat(np.repeat(colors[None], 32, 0), 32, 1)
    path = str(tmp_path / "v.mp4")
    write(path, [image] * 2, crf=1, **({"x264-params": f"colormatrix={matrix}"} if matrix else {}))
    (kept, _), _ = Frames(Video(path, ()), config.Prepare(quality=100))
    middles = slice(8, 24)
    kept, there = (x.reshape(32, 4, 32, 3)[middles, :, middles].mean((0, 2)) for x in (pixels(kept), decode(path)[0]))
    np.testing.assert_allclose(kept, there, atol=4)


def test_folder_of_images(tmp_path):
    images = [jpeg(coded(i, 48, 64)) for i in range(6)]
    images[0] = images[0][: len(images[0]) // 2]
    images[3] = b"no image"
    for i, image in enumerate(images):
        (tmp_path / f"abc-{i:06d}.jpg").write_bytes(image)
    (tmp_path / "notes.txt").write_text("no image either")
    video = Video(str(tmp_path), (), rate=24.0)
    kept = [image for image, _ in Frames(video, config.Prepare())]
    assert kept == [images[i] for i in (1, 1, 2, 2, 4, 5)]  # as they are; another stands in for a damaged one
    frames = Frames(video, config.Prepare())
    list(frames)
    assert frames.problems == [f"{tmp_path}: 2 of 6 frames cannot be decoded; others stand in"]
    found, frames = stored(video, short_side=32, frame_rate=12.0)
    assert found == [2, 2, 4]
    assert frames.size == (32, 42)
    assert frames.times.tolist() == [0, 1 / 12, 2 / 12]


def test_a_video_of_which_less_than_half_is_whole(tmp_path):
    for i in range(5):
        (tmp_path / f"{i}.jpg").write_bytes(jpeg(coded(i)) if i % 3 == 0 else b"")
    with pytest.raises(VideoError, match="3 of 5 frames cannot be decoded"):
        list(Frames(Video(str(tmp_path), (), rate=24.0), config.Prepare()))


def test_folders_of_a_list(configure, tmp_path):
    """Directories of frames beside a video, from a list to batches and to records."""
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(36):
            (tmp_path / "data" / name / f"{i:03d}.jpg").write_bytes(jpeg(coded(i, 48, 64)))
    write(tmp_path / "data" / "c.mp4", [coded(i, 48, 64) for i in range(36)])
    for split in ("train", "val"):
        (tmp_path / "data" / f"{split}.csv").write_text("a 0\nb 1\nc.mp4 2\n")
    files = configure("data.dataset=lists", f"data.root={tmp_path / 'data'}", "test.clips=1")
    prepare.prepare(files, str(tmp_path / "records"))
    index = records.read_index(str(tmp_path / "records"))["splits"]
    assert {(index[split]["videos"], index[split]["frames"]) for split in index} == {(3, 108)}
    for settings in (files, configure("data.dataset=records", f"data.root={tmp_path / 'records'}", "test.clips=1")):
        (batch,) = Clips(settings, "val").validation()
        assert sorted(batch[1].numpy().argmax(1)) == [0, 1, 2]
        fast = batch[0]["fast"].numpy()
        np.testing.assert_allclose(fast[1:], fast[:1].repeat(2, 0), atol=0.2)  # the video is what the folders are


def test_folder_without_an_image(tmp_path):
    with pytest.raises(VideoError, match="holds no JPEG image"):
        Frames(Video(str(tmp_path), (), rate=24.0), config.Prepare())
    (tmp_path / "1.jpg").write_bytes(b"no image")
    with pytest.raises(VideoError, match="none of its 1 images can be decoded"):
        list(Frames(Video(str(tmp_path), (), rate=24.0), config.Prepare()))


# Optical flow


def test_flow_of_a_moving_texture(tmp_path):
    random = np.random.default_rng(0)
    noise = np.fft.fft2(random.normal(size=(128, 160)))
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(160)[None])
    texture = np.fft.ifft2(noise * np.exp(-((frequency * 10) ** 2))).real
    texture = np.clip(128 + 50 * texture / texture.std(), 0, 255).astype(np.uint8)
    # What was at (x, y) is at (x + 3, y - 2) in the next frame.
    images = [np.repeat(np.roll(texture, (-2 * i, 3 * i), (0, 1))[..., None], 3, -1) for i in range(4)]
    path = write(tmp_path / "v.mp4", images, qp=5)
    flows = [image for _, image in Frames(Video(path, ()), config.Prepare(flow=True))]
    found = flow.decode(tf.constant(flows)).numpy()
    assert found.shape == (4, 128, 160, 2)
    assert not found[0].any()
    middle = found[1:, 24:-24, 24:-24]
    np.testing.assert_allclose(np.median(middle, (1, 2)), [[3, -2]] * 3, atol=0.15)
    assert (np.abs(middle - [3, -2]) < 0.3).mean() > 0.95


def test_flow_is_cut_off_at_20_pixels():
    image = np.full((32, 32, 3), (255, 1, 128), np.uint8)
    np.testing.assert_allclose(flow.decode(tf.constant([jpeg(image, 100)]))[0, 16, 16], [20, -20], atol=0.2)


# Whole data sets


@pytest.fixture(scope="module")
def prepared(folder, tmp_path_factory):
    """`folder` with a broken video in it, prepared; and the configuration."""
    root = tmp_path_factory.mktemp("source") / "videos"
    shutil.copytree(folder, root)
    (root / "train" / "ant" / "broken.mp4").write_bytes((root / "train" / "ant" / "00.mp4").read_bytes()[:700])
    settings = configuration(root, short_side=32, shards=3, flow=True)
    output = root.parent / "records"
    prepare.prepare(settings, str(output))
    return settings, root, output


def configuration(root, **settings):
    return config.Config(
        name="tiny",
        model=config.Model(preset="slowfast_2x16_demo"),
        data=config.Data(dataset="folder", root=str(root)),
        train=config.Train(epochs=1, batch_size=1, learning_rate=0.1),
        prepare=config.Prepare(**settings),
    )


def test_index(prepared):
    _, _, output = prepared
    index = records.read_index(str(output))
    assert index["labels"] == ["ant", "bee", "cat", "dog"]
    assert index["prepare"]["short_side"] == 32
    assert {name: index["splits"]["train"][name] for name in ("videos", "skipped")} == {"videos": 8, "skipped": 1}
    assert {name: index["splits"]["val"][name] for name in ("videos", "skipped")} == {"videos": 4, "skipped": 0}
    assert index["splits"]["val"]["frames"] == 2 * 34 + 2 * 37
    files = {"index.json", "skipped.csv"}
    for split in index["splits"].values():
        assert len(split["shards"]) == 3
        for shard in split["shards"]:
            data = (output / shard["file"]).read_bytes()
            assert shard["bytes"] == len(data)
            assert shard["sha256"] == hashlib.sha256(data).hexdigest()
            assert shard["videos"] == sum(1 for _ in tf.data.TFRecordDataset(str(output / shard["file"])))
            files.add(shard["file"])
            assert len(shard["records"]) == shard["videos"]
            for name, start, size, checksum in shard["records"]:
                head = data[start : start + size]
                assert tf.train.SequenceExample.FromString(head).context.feature["example/id"].bytes_list.value == [
                    name.encode()
                ]
                assert zlib.crc32(head) == checksum
        assert split["frames"] == sum(shard["frames"] for shard in split["shards"])
    assert {path.name for path in output.iterdir()} == files


def test_skipped_videos_are_listed(prepared):
    _, root, output = prepared
    rows = list(csv.reader((output / "skipped.csv").open()))
    assert rows[0] == ["split", "id", "path", "reason"]
    (row,) = rows[1:]
    assert row[:3] == ["train", "ant/broken.mp4", "train/ant/broken.mp4"]
    assert row[3].startswith(f"{root}/train/ant/broken.mp4: cannot be read as a video")


def test_records_hold_the_videos(prepared):
    _, root, output = prepared
    seen = {}
    for split in ("train", "val"):
        paths = sorted(str(path) for path in output.glob(f"{split}-*"))
        for parsed in tf.data.TFRecordDataset(paths).map(lambda record: records.parse(record, flow=True)):
            seen[f"{split}/{parsed['id'].numpy().decode()}"] = parsed
    assert sorted(seen) == sorted(
        str(path.relative_to(root)) for path in root.rglob("*.mp4") if path.name != "broken.mp4"
    )
    for name, parsed in seen.items():
        there = decode(root / name)
        kept = np.stack([pixels(image) for image in parsed["frames"].numpy()])
        assert len(kept) == len(there) == len(parsed["flow"])
        assert min(kept.shape[1:3]) == 32
        np.testing.assert_allclose(kept.mean((1, 2)), there.mean((1, 2)), atol=4)  # each frame is of another color
        assert parsed["labels"].numpy().tolist() == [["ant", "bee", "cat", "dog"].index(name.split("/")[1])]
        assert parsed["starts"].numpy().tolist() == [0]
        np.testing.assert_allclose(parsed["ends"], [len(there) / 30], rtol=1e-5)


def test_problems_of_a_list_are_listed_or_fatal(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "videos")
    (tmp_path / "videos/train.csv").write_text("train/ant/00.mp4 0\ntrain/bee/01.mp4 1\nno/such.mp4 1\n")
    (tmp_path / "videos/val.csv").write_text("val/bee/09.mp4 1\nval/ant/08.mp4 7\n")
    data = config.Data(dataset="lists", root=str(tmp_path / "videos"))
    settings = configuration(tmp_path).model_copy(update={"data": data})
    with pytest.raises(InputError, match="train.csv"):
        prepare.prepare(settings, str(tmp_path / "records"), strict=True)
    assert not (tmp_path / "records").exists()
    prepare.prepare(settings, str(tmp_path / "records"))
    rows = list(csv.reader((tmp_path / "records/skipped.csv").open()))[1:]
    assert [row[0] for row in rows] == ["train", "val"]
    assert "no/such.mp4" in rows[0][3]
    assert f"{tmp_path}/videos/val.csv:2: '7' is none" in rows[1][3]
    assert records.read_index(str(tmp_path / "records"))["splits"]["train"]["videos"] == 2


def test_twice_changes_nothing(prepared, capsys):
    settings, _, output = prepared
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in output.iterdir()}
    prepare.prepare(settings, str(output))
    assert "nothing to do" in capsys.readouterr().out
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in output.iterdir()} == before


@pytest.mark.parametrize("left_over", [False, True])
def test_files_that_are_gone_are_written_again(prepared, tmp_path, capsys, left_over):
    """One is removed, one is cut off, and the list of skipped videos is removed; the others stay as they are, also
    beside what a stopped run has left."""
    settings, _, output = prepared
    there = tmp_path / "records"
    shutil.copytree(output, there)
    gone, cut, *kept = sorted(there.glob("*.tfrecord"))
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-1])
    if left_over:
        (there / ".prepare").mkdir()
        (there / ".prepare" / f"{gone.name}.json").write_text("{}")
    (there / "skipped.csv").unlink()
    before = {path: path.stat().st_ino for path in kept}
    prepare.prepare(settings, str(there))
    assert "but for 3 of its files" in capsys.readouterr().out
    assert checksums(there) == checksums(output) and not (there / ".prepare").exists()
    assert {path: path.stat().st_ino for path in kept} == before


def test_an_index_of_an_earlier_version(prepared, tmp_path, capsys):
    """It does not say what was skipped: nothing is prepared again."""
    settings, _, output = prepared
    there = tmp_path / "records"
    shutil.copytree(output, there)
    index = json.loads((there / "index.json").read_text())
    for split in index["splits"].values():
        for shard in split["shards"]:
            del shard["skipped"], shard["left_out"]
    (there / "index.json").write_text(json.dumps(index))
    prepare.prepare(settings, str(there))
    assert "nothing to do" in capsys.readouterr().out


def test_a_mended_video_is_taken(prepared, tmp_path, capsys):
    """The broken one of `prepared` is replaced, by a copy that is older than the records."""
    settings, root, _ = prepared
    shutil.copytree(root, tmp_path / "videos")
    settings = configuration(tmp_path / "videos", **settings.prepare.model_dump())
    prepare.prepare(settings, str(tmp_path / "records"))
    before = {path.name: path.stat().st_ino for path in (tmp_path / "records").glob("*.tfrecord")}
    time.sleep(2)  # times are told in whole seconds
    broken = tmp_path / "videos/train/ant/broken.mp4"
    shutil.copy2(root / "train/ant/00.mp4", broken)
    os.utime(broken, (0, 0))
    prepare.prepare(settings, str(tmp_path / "records"))
    assert "but for 1 of its files" in capsys.readouterr().out
    prepare.prepare(settings, str(tmp_path / "undisturbed"))
    assert checksums(tmp_path / "records") == checksums(tmp_path / "undisturbed")
    index = records.read_index(str(tmp_path / "records"))["splits"]["train"]
    assert (index["videos"], index["skipped"]) == (9, 0)
    after = {path.name: path.stat().st_ino for path in (tmp_path / "records").glob("*.tfrecord")}
    assert sum(after[name] != inode for name, inode in before.items()) == 1
    # One that is still broken is tried once.
    broken.write_bytes(broken.read_bytes()[:700])
    shutil.rmtree(tmp_path / "records")
    prepare.prepare(settings, str(tmp_path / "records"))
    time.sleep(2)
    broken.write_bytes(broken.read_bytes()[:600])
    for words in ("but for 1 of its files", "nothing to do"):
        capsys.readouterr()
        prepare.prepare(settings, str(tmp_path / "records"))
        assert words in capsys.readouterr().out


def test_the_data_set_may_move(prepared, tmp_path):
    settings, root, output = prepared
    shutil.copytree(root, tmp_path / "elsewhere")
    moved = configuration(tmp_path / "elsewhere", **settings.prepare.model_dump())
    prepare.prepare(moved, str(tmp_path / "records"))
    found = []
    for place in (output, tmp_path / "records"):
        index = json.loads((place / "index.json").read_text())
        for split in index["splits"].values():
            for shard in split["shards"]:
                # Only the reason for what was skipped names the true path.
                shard["skipped"] = [row[:2] for row in shard["skipped"]]
        found.append((index, {k: v for k, v in checksums(place).items() if k not in ("skipped.csv", "index.json")}))
    assert found[0] == found[1] and len(found[0][1]) > 1


def test_other_settings_are_refused(prepared, tmp_path):
    settings, root, output = prepared
    with pytest.raises(InputError, match=r"other settings \(quality: 85 there, 90 here\)"):
        prepare.prepare(configuration(root, short_side=32, shards=3, flow=True, quality=90), str(output))
    with pytest.raises(InputError, match="is not empty"):
        prepare.prepare(settings, str(root))
    with pytest.raises(InputError, match="broken.mp4 is a file; name a directory"):
        prepare.prepare(settings, str(root / "train/ant/broken.mp4"))
    shutil.copytree(root, tmp_path / "more")
    shutil.copy(tmp_path / "more/val/ant/08.mp4", tmp_path / "more/val/ant/09.mp4")
    with pytest.raises(InputError, match=r"another list of val videos \(4 there, 5 here"):
        prepare.prepare(configuration(tmp_path / "more", short_side=32, shards=3, flow=True), str(output))


def test_full_disk_leaves_no_half_shard(prepared, tmp_path):
    """A limit on the size of a file fails as a full disk does: in the middle of a write."""
    settings, _, output = prepared
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in output.glob("*.tfrecord"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, limits[1]))
    try:
        with pytest.raises(RunError, match=r"cannot write .*\.tfrecord: File too large; the same command goes on"):
            prepare.prepare(settings, str(tmp_path / "records"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    whole = checksums(output)
    assert all(whole[name] == value for name, value in checksums(tmp_path / "records").items())
    assert not list(tmp_path.rglob("*.tfrecord.????*[!n]"))
    prepare.prepare(settings, str(tmp_path / "records"))
    assert checksums(tmp_path / "records") == whole


def test_nothing_readable_is_said_and_can_be_mended(folder, tmp_path):
    root = tmp_path / "videos"
    shutil.copytree(folder, root)
    for path in (root / "val").rglob("*.mp4"):
        path.write_bytes(b"no video")
    with pytest.raises(InputError, match=r"none of the 4 videos of val can be read: .*cannot be read as a video"):
        prepare.prepare(configuration(root), str(tmp_path / "records"))
    shutil.copytree(folder / "val", root / "val", dirs_exist_ok=True)
    prepare.prepare(configuration(root), str(tmp_path / "records"))
    assert records.read_index(str(tmp_path / "records"))["splits"]["val"]["videos"] == 4


def test_no_index(tmp_path):
    with pytest.raises(InputError, match="no prepared data there"):
        records.read_index(str(tmp_path))
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(InputError, match="is not the index of prepared data"):
        records.read_index(str(tmp_path))


@pytest.mark.parametrize(
    "damage",
    [
        lambda index, shard: index.pop("dataset"),
        lambda index, shard: shard.pop("file"),
        lambda index, shard: shard["records"][0].pop(),
        lambda index, shard: shard["records"][0].__setitem__(0, 7),
        lambda index, shard: shard["records"][0].__setitem__(1, "12"),
        lambda index, shard: shard["records"][0].__setitem__(1, 10**30),
        lambda index, shard: shard["records"][0].__setitem__(2, 10**12),
    ],
)
def test_a_damaged_index(prepared, tmp_path, damage):
    index = json.loads((prepared[2] / "index.json").read_text())
    damage(index, index["splits"]["train"]["shards"][0])
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="is not the index of prepared data"):
        records.read_index(str(tmp_path))


@pytest.mark.slow
def test_interrupted_and_killed(tmp_path):
    """Stopped twice, once without a warning, it ends with the bytes of a run that nothing disturbed."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (8, 240, 320, 3)).astype(np.uint8)
    first = write(tmp_path / "first.mp4", [noise[i % 8] for i in range(60)], crf=30)
    for split in ("train", "val"):
        (tmp_path / "videos" / split / "all").mkdir(parents=True)
        for i in range(8):
            shutil.copy(first, tmp_path / "videos" / split / "all" / f"{i}.mp4")
    settings = configuration(tmp_path / "videos", shards=8)
    settings.save(tmp_path / "config.json")
    command = [sys.executable, "-m", "slowfast_tf.prepare", "--config", str(tmp_path / "config.json"), "--output"]

    def stop(number):
        """Sends a signal once there is another shard."""
        output = tmp_path / "stopped"
        before = len(list(output.glob("*.tfrecord")))
        process = subprocess.Popen([*command, str(output)], stderr=subprocess.PIPE, text=True)
        while len(list(output.glob("*.tfrecord"))) == before and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        errors = process.communicate()[1]
        assert not (output / "index.json").exists()
        return process.returncode, errors

    code, errors = stop(signal.SIGINT)
    assert code == 1
    assert errors.splitlines()[-1] == "error: interrupted; the same command goes on from here"
    code, _ = stop(signal.SIGKILL)
    assert code == -signal.SIGKILL
    done = {path.name: path.stat().st_ino for path in (tmp_path / "stopped").glob("*.tfrecord")}
    prepare.prepare(settings, str(tmp_path / "stopped"))
    prepare.prepare(settings, str(tmp_path / "undisturbed"))
    assert checksums(tmp_path / "stopped") == checksums(tmp_path / "undisturbed")
    assert sorted(os.listdir(tmp_path / "stopped")) == sorted(os.listdir(tmp_path / "undisturbed"))
    # What was done was not done again (the last one may have lacked its report).
    kept = sum((tmp_path / "stopped" / name).stat().st_ino == inode for name, inode in done.items())
    assert kept >= len(done) - 2


@pytest.mark.slow
def test_on_another_runner(prepared, tmp_path, monkeypatch):
    """As on Flink and Spark: a job server takes the pipeline, and workers are started by a pool of theirs.

    Beam's own job server stands for theirs.
    """
    settings, _, output = prepared
    monkeypatch.setenv("PATH", f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # the pool's
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    commands = [
        ["portability.local_job_service_main", "--port_file", str(tmp_path / "port"), "--staging_dir", str(tmp_path)],
        ["worker.worker_pool_main", f"--service_port={port}"],
    ]
    servers = [subprocess.Popen([sys.executable, "-m", f"apache_beam.runners.{c[0]}", *c[1:]]) for c in commands]
    try:
        while not (tmp_path / "port").exists():
            assert servers[0].poll() is None
            time.sleep(0.1)
        options = ["--runner=PortableRunner", f"--job_endpoint=localhost:{(tmp_path / 'port').read_text()}"]
        options += ["--environment_type=EXTERNAL", f"--environment_config=localhost:{port}"]
        prepare.prepare(settings, str(tmp_path / "records"), beam_options=options)
        assert checksums(tmp_path / "records") == checksums(output)
    finally:
        for server in servers:
            server.terminate()
            server.wait(60)


def test_a_mistyped_option(tmp_path, capsys):
    (tmp_path / "config.json").write_text(configuration(tmp_path).model_dump_json())
    with pytest.raises(SystemExit) as stop:
        prepare.main(["--config", str(tmp_path / "config.json"), "--output", str(tmp_path / "x"), "--strikt"])
    assert stop.value.code == 2
    assert "unrecognized arguments: --strikt" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, reason",
    [
        (["--runner=Flonk"], "Unexpected pipeline runner: Flonk. Valid"),
        (
            ["--runner=FnApiRunner", "--direct_num_workers=abc"],
            ".*argument --direct_num_workers: invalid int value: 'abc'",
        ),
    ],
)
def test_a_mistyped_runner(prepared, tmp_path, options, reason):
    settings, *_ = prepared
    (tmp_path / "config.json").write_text(settings.model_dump_json())
    command = [sys.executable, "-m", "slowfast_tf.prepare", "--config", str(tmp_path / "config.json")]
    done = subprocess.run([*command, "--output", str(tmp_path / "x"), *options], capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
    assert re.match(f"error: Apache Beam cannot take {' '.join(options)}: {reason}", line), line


@pytest.mark.parametrize("output", ["", "/"])
def test_an_output_that_is_no_directory_of_its_own(tmp_path, capsys, output):
    with pytest.raises(SystemExit):
        prepare.main(["--config", str(tmp_path / "config.json"), "--output", output])
    assert "is no directory of its own" in capsys.readouterr().err


def test_an_output_that_cannot_be_written(prepared, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"cannot write --output {tmp_path}/file/x: .*; choose another directory"):
        prepare.prepare(prepared[0], str(tmp_path / "file/x"))


def test_names_of_other_bytes_and_links_to_nothing(folder, tmp_path, capsys):
    """A name that is not UTF-8, and a link to nothing: each is skipped and listed, and all the rest prepared, once."""
    root = tmp_path / "videos"
    shutil.copytree(folder, root)
    other = os.fsencode(root / "train/ant") + b"/caf\xe9.mp4"
    shutil.copy(next((root / "train/ant").glob("*.mp4")), other)
    (root / "train/bee/gone.mp4").symlink_to("nowhere")
    prepare.prepare(configuration(root), str(tmp_path / "records"))
    rows = list(csv.reader((tmp_path / "records/skipped.csv").open()))[1:]
    reasons = "\n".join(row[3] for row in rows)
    assert "caf\ufffd.mp4: a name that is not in UTF-8" in reasons and "gone.mp4: cannot be read as a video" in reasons
    capsys.readouterr()
    prepare.prepare(configuration(root), str(tmp_path / "records"))
    assert "nothing to do" in capsys.readouterr().out
