"""Videos as TensorFlow records: a `tf.train.SequenceExample` for each video, with the names of MediaSequence.

MediaSequence (`mediapipe/util/sequence`) is the convention of TensorFlow's video readers; docs/prepare.md lists the
names in use.

- Timestamps are microseconds from the start of the file.
- Labels are segments. Each class is also a label of the clip, once.
- The boxes of the key frame are regions. A box with several labels is repeated, and `region/track/index` numbers the
  boxes. Boxes without labels, from a detector, have the prefix PREDICTED.

A record is a head, which has the position of each image, followed by the images. The index of the directory (`shards`)
stores the position of each head. A clip of a long video can therefore be read without the rest of the video.
"""

import itertools
import math
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from ..flow import LIMIT
from ..reference import Box, Video

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def encode(
    video: Video,
    labels: Sequence[str],
    frames: Sequence[bytes],
    times: Sequence[float] | np.ndarray,
    rate: float,
    size: tuple[int, int],
    flows: Sequence[bytes] | None = None,
    dataset: str = "",
    path: str | None = None,
) -> tuple[bytes, bytes]:
    """Encode a video as a record.

    Args:
        video: the video; its labels, times, key frame and boxes are stored.
        labels: the class names.
        frames: JPEG images.
        times: times of the frames, ascending, in seconds from the start of the file, `[len(frames)]`.
        rate: frames per second.
        size: height and width of the frames, in pixels.
        flows: the optical flow of each frame, from `flow.compute`; None for no optical flow.
        dataset: name of the data set.
        path: path to store in the record; None for `video.path`.

    Returns:
        The head and the images of a serialized `tf.train.SequenceExample`; the record is the head followed by the
        images. The same video gives the same bytes.

    Example:
        >>> head, images = encode(Video("a.mp4", ((0, 0.0, 1.0),)), ["run"], [jpeg], [0.0], 30.0, (256, 340))
        >>> writer.write(head + images)
    """
    path = video.path if path is None else path
    stamps = np.round(np.asarray(times) * 1e6).astype(np.int64)
    end = int(stamps[-1]) + round(1e6 / rate)
    image = {"format": "JPEG", "channels": 3, "height": size[0], "width": size[1], "frame_rate": float(rate)}
    context = {
        "example/id": video.id or path,
        "example/dataset_name": dataset,
        "clip/data_path": path,
        "clip/media_id": video.id or path,
        "clip/start/timestamp": int(stamps[0]),
        "clip/end/timestamp": end,
        **_label_context(video.labels, labels, end),
        "image/colorspace": "RGB",
        **{f"image/{name}": value for name, value in image.items()},
    }
    lists: dict[str, Iterable[tf.train.Feature]] = {"image/timestamp": map(_int, stamps)}
    pieces = _image_list(context, "", frames, 0)
    if flows is not None:
        context.update({f"FORWARD_FLOW/image/{name}": value for name, value in image.items()})
        context["FORWARD_FLOW/image/saturation"] = LIMIT
        lists["FORWARD_FLOW/image/timestamp"] = map(_int, stamps)
        pieces += _image_list(context, "FORWARD_FLOW/", flows, sum(map(len, pieces)))
    if video.key is not None:
        annotated = [(i, label, box) for i, box in enumerate(video.boxes) for label in box.labels]
        lists.update(_regions("", video.key, annotated, labels))
        predicted = [(i, None, box) for i, box in enumerate(video.boxes) if not box.labels]
        lists.update(_regions("PREDICTED/", video.key, predicted, labels))
    example = tf.train.SequenceExample(
        context=tf.train.Features(feature={name: _feature(value) for name, value in context.items()}),
        feature_lists=tf.train.FeatureLists(
            feature_list={name: tf.train.FeatureList(feature=features) for name, features in lists.items()}
        ),
    )
    # In a protocol buffer, the concatenation of two messages is their merge.
    return example.SerializeToString(deterministic=True), b"".join(pieces)


def parse(serialized: tf.Tensor | bytes, flow: bool = False) -> dict[str, tf.Tensor]:
    """Parse a record, with TensorFlow's own ops.

    Args:
        serialized: a record, a scalar string tensor.
        flow: whether to return the optical flow as well; the record must contain it.

    Returns:
        A dictionary of tensors. Times are in seconds from the first frame of the record.
        - "id": id of the video, string `[]`.
        - "frames": JPEG images, string `[N]`.
        - "rate": frames per second, float32 `[]`; "times": times of the frames, float32 `[N]`.
        - "labels": class indices, int64 `[L]`; "starts", "ends": start and end of each label, float32 `[L]`.
        - "boxes": (x1, y1, x2, y2) as fractions of width and height, float32 `[M, 4]`; boxes with labels come first.
        - "box_labels": class indices, int64 `[M, K]`, padded with -1.
        - "box_scores": scores of the boxes, float32 `[M]`.
        - "key_time": time of the key frame with the boxes, float32 `[]`; -1 without a key frame.
        - "flow": images of optical flow for `flow.decode`, string `[N]`; only with `flow`.

    Example:
        >>> tf.data.TFRecordDataset("val-00000-of-00001.tfrecord").map(parse)
    """
    images = {name: tf.io.FixedLenSequenceFeature([], tf.string) for name in _encoded(flow).values()}
    parsed, _, lists = _parse(serialized, {}, images)
    return {**parsed, **{name: lists[feature] for name, feature in _encoded(flow).items()}}


def parse_head(head: tf.Tensor | bytes, flow: bool = False) -> dict[str, tf.Tensor]:
    """Parse the head of a record, with TensorFlow's own ops.

    Args:
        head: the first of the two values of `encode`, a scalar string tensor.
        flow: whether to return the optical flow as well; the record must contain it.

    Returns:
        The dictionary of `parse`, but "frames" (and "flow") are int64 `[N, 3]`: for each image its offset from the end
        of the head in bytes, its size in bytes, and its CRC-32.

    Raises:
        tf.errors.InvalidArgumentError: if the head is damaged.
    """
    tables = {
        name: [feature.replace("encoded", part) for part in ("position", "bytes", "crc32")]
        for name, feature in _encoded(flow).items()
    }
    features = {feature: tf.io.RaggedFeature(tf.int64) for table in tables.values() for feature in table}
    parsed, context, _ = _parse(head, features, {})
    tables = {name: tf.stack([context[x] for x in table], -1) for name, table in tables.items()}
    for table in tables.values():
        offsets, sizes, _ = tf.unstack(table, axis=-1)
        rising = tf.reduce_all(offsets >= tf.concat([[0], (offsets + sizes)[:-1]], 0)) & tf.reduce_all(sizes > 0)
        possible = tf.reduce_all(tf.maximum(offsets, sizes) < 2**31) & (tf.size(sizes) == tf.size(parsed["times"]))
        tf.debugging.Assert(rising & possible & (tf.size(sizes) > 0), ["images one after the other"])
    return {**parsed, **tables}


def _encoded(flow: bool) -> dict[str, str]:
    """Return the names of the features with images, by their name in the result of `parse`."""
    return {"frames": "image/encoded", **({"flow": "FORWARD_FLOW/image/encoded"} if flow else {})}


def _parse(serialized: tf.Tensor | bytes, more_context: dict, more_lists: dict) -> tuple[dict, dict, dict]:
    """Return the values of `parse` without the images, and the parsed context and feature lists."""
    integers, floats = tf.io.RaggedFeature(tf.int64), tf.io.RaggedFeature(tf.float32)
    context = {
        "example/id": tf.io.FixedLenFeature([], tf.string),
        "image/frame_rate": tf.io.FixedLenFeature([], tf.float32),
        "clip/start/timestamp": tf.io.FixedLenFeature([], tf.int64),
        **{f"segment/{name}": integers for name in ("label/index", "start/timestamp", "end/timestamp")},
        **more_context,
    }
    region = {
        "region/timestamp": integers,
        **{f"region/bbox/{name}": floats for name in CORNERS},
        "region/label/confidence": floats,
    }
    lists = {
        "region/label/index": integers,
        "region/track/index": integers,
        "image/timestamp": tf.io.FixedLenSequenceFeature([], tf.int64),
        **region,
        **{f"PREDICTED/{name}": feature for name, feature in region.items()},
        **more_lists,
    }
    context, lists = tf.io.parse_single_sequence_example(serialized, context, lists)
    first = context["clip/start/timestamp"]

    def seconds(stamps: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.cast(stamps - first, tf.float64) / 1e6, tf.float32)

    def regions(prefix: str) -> tuple[tf.Tensor, tf.Tensor]:
        columns = [lists[f"{prefix}region/bbox/{name}"].flat_values for name in CORNERS]
        return tf.stack(columns, -1), lists[f"{prefix}region/label/confidence"].flat_values

    # A box with several labels is stored as several consecutive regions.
    corners, scores = regions("")
    _, box = tf.unique(lists["region/track/index"].flat_values, tf.int64)
    box_labels = tf.RaggedTensor.from_value_rowids(  # pyright: ignore[reportAttributeAccessIssue]
        lists["region/label/index"].flat_values, box
    )
    firsts = box_labels.row_starts()
    predicted_corners, predicted_scores = regions("PREDICTED/")
    box_labels = box_labels.to_tensor(-1)
    segments = [tf.size(context[f"segment/{name}"]) for name in ("label/index", "start/timestamp", "end/timestamp")]
    tf.debugging.assert_equal(segments, segments[:1] * 3, "labels with times")
    tf.debugging.assert_equal(tf.shape(predicted_corners)[0], tf.size(predicted_scores), "boxes with scores")
    # A key frame before the first frame is at the first frame; a negative time says that there is none.
    key = tf.concat([tf.maximum(lists["region/timestamp"].flat_values, first), [first - 1_000_000]], 0)[0]
    parsed = {
        "id": context["example/id"],
        "rate": context["image/frame_rate"],
        "times": seconds(lists["image/timestamp"]),
        "labels": context["segment/label/index"],
        "starts": seconds(context["segment/start/timestamp"]),
        "ends": seconds(context["segment/end/timestamp"]),
        "boxes": tf.concat([tf.gather(corners, firsts), predicted_corners], 0),
        "box_labels": tf.pad(box_labels, [[0, tf.size(predicted_scores)], [0, 0]], constant_values=-1),
        "box_scores": tf.concat([tf.gather(scores, firsts), predicted_scores], 0),
        "key_time": seconds(key),
    }
    return parsed, context, lists


def _label_context(
    segments: Sequence[tuple[int, float, float]], labels: Sequence[str], end: int
) -> dict[str, tf.train.Feature]:
    """Return the features of the labels.

    Args:
        segments: class index, start and end, in seconds, of each label; an infinite end is the end of the video.
        labels: the class names.
        end: end of the video, in microseconds.
    """
    classes = sorted({label for label, _, _ in segments})
    names = [labels[i] for i in classes]
    return {
        "clip/label/index": _ints(classes),
        "clip/label/string": _texts(names),
        "clip/label/text": _texts(names),
        "segment/start/timestamp": _ints(round(start * 1e6) for _, start, _ in segments),
        "segment/end/timestamp": _ints(end if math.isinf(stop) else round(stop * 1e6) for _, _, stop in segments),
        "segment/label/index": _ints(label for label, _, _ in segments),
        "segment/label/string": _texts(labels[label] for label, _, _ in segments),
    }


def _image_list(context: dict, prefix: str, images: Sequence[bytes], offset: int) -> list[bytes]:
    """Return the pieces of a serialized `SequenceExample` that contains one list of images.

    This function does not use the protobuf library, which would copy the images three times and take 10 % of the time
    to decode and compress them.

    Args:
        context: dictionary to extend with the position, size and CRC-32 of each image.
        prefix: prefix of the names.
        images: JPEG images to store.
        offset: number of bytes between the head and these pieces.
    """
    features = [_field(1, *_field(1, *_field(1, image))) for image in images]
    name = f"{prefix}image/encoded".encode()
    sizes = [sum(map(len, feature)) for feature in features]
    pieces = _field(2, *_field(1, *_field(1, name), *_field(2, *itertools.chain(*features))))
    offset += sum(map(len, pieces)) - sum(sizes)
    ends = itertools.accumulate(sizes, initial=offset)
    next(ends)
    context[f"{prefix}image/position"] = _ints(end - len(image) for end, image in zip(ends, images))
    context[f"{prefix}image/bytes"] = _ints(map(len, images))
    context[f"{prefix}image/crc32"] = _ints(map(zlib.crc32, images))
    return pieces


def _field(number: int, *content: bytes) -> list[bytes]:
    """Return the pieces of a field of a protocol buffer that contains bytes or a message."""
    length = sum(map(len, content))
    header = [number << 3 | 2]
    while length > 127:
        header.append(length & 127 | 128)
        length >>= 7
    return [bytes([*header, length]), *content]


def _regions(
    prefix: str, key: float, regions: Sequence[tuple[int, int | None, Box]], labels: Sequence[str]
) -> dict[str, list[tf.train.Feature]]:
    """Return feature lists with one step, the key frame, for regions (number of the box, class or None, box)."""
    named = [label for _, label, _ in regions if label is not None]
    scores = [box.score for _, _, box in regions]
    features = {
        "timestamp": _int(round(key * 1e6)),
        "is_annotated": _int(1),
        "num_regions": _int(len(regions)),
        **{f"bbox/{name}": _floats(box.corners[i] for _, _, box in regions) for i, name in enumerate(CORNERS)},
        "label/index": _ints(named),
        "label/string": _texts(labels[label] for label in named),
        "label/confidence": _floats(scores),
        "track/index": _ints(i for i, _, _ in regions),
    }
    return {f"{prefix}region/{name}": [feature] for name, feature in features.items()}


def _feature(value: object) -> tf.train.Feature:
    if isinstance(value, tf.train.Feature):
        return value
    one = {int: _int, float: lambda x: _floats([x])}.get(type(value), _text)
    return one(value)


def _int(value: int) -> tf.train.Feature:
    return _ints([value])


def _ints(values: Iterable[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values: Iterable[float]) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _text(value: str) -> tf.train.Feature:
    return _texts([value])


def _texts(values: Iterable[str]) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))
