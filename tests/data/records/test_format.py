"""The content of a record, as TensorFlow and the package read it."""

import zlib

import numpy as np
import pytest
import tensorflow as tf

from slowfast_tf.data import records
from slowfast_tf.data.reference import Box, Video

LABELS = ("sit", "stand", "walk", "wave")


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


def test_the_names_of_media_sequence_suffice(detection):
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


def test_a_key_frame_before_the_first_frame():
    """It is at the first frame, as for files; a clip in the middle would need boxes of another time."""
    video = Video("a.mp4", (), id="a", key=4.5, boxes=(Box((0.1, 0.2, 0.3, 0.4), (1,)),))
    parsed = records.parse(b"".join(records.encode(video, LABELS, [b"x"] * 4, 6 + np.arange(4) / 2, 2.0, (8, 8))))
    assert parsed["key_time"] == 0


@pytest.mark.parametrize("length", [1, 200, 40_000])  # of an image; lengths take one byte, two or three
def test_a_head_has_the_positions_of_images(length):
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
