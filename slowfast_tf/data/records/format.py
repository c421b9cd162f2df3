"""Videos as TensorFlow records: a `tf.train.SequenceExample` each, with the names of MediaSequence.

MediaSequence (`mediapipe/util/sequence`) is the convention of TensorFlow's video readers; docs/prepare.md lists the
names that are used. Timestamps are microseconds from the start of the file. Labels are segments, and each class once
is a label of the clip as well. The boxes of the key frame are regions: a box with several labels is repeated, and
`region/track/index` tells which are the same; boxes without labels, of a detector, have the prefix PREDICTED.

A record is a head, which tells where in it each image is, and the images: what a clip needs of a long video is read
without the rest. The index tells where the heads are.
"""

import itertools
import json
import math
import operator
import zlib

import numpy as np
import tensorflow as tf

from ...errors import InputError
from ...files import remote
from ..flow import LIMIT

INDEX = "index.json"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def encode(video, labels, frames, times, rate, size, flows=None, dataset="", path=None):
    """A record of a video.

    Args:
        video: a `reference.Video`.
        labels: the class names.
        frames: JPEG images, a list of bytes.
        times: of the frames, rising, in seconds from the start of the file, `[len(frames)]`.
        rate: frames a second.
        size: height and width of the frames.
        flows: the optical flow of each frame as `flow.compute` gives it; None: none is stored.
        dataset: name of the data set.
        path: of the video, as it is noted; `video.path` if None.

    Returns:
        The head and the images of a serialized `tf.train.SequenceExample`, bytes each, to be written one after the
        other. The same video gives the same bytes.
    """
    path = video.path if path is None else path
    stamps = np.round(np.asarray(times) * 1e6).astype(np.int64)
    end = int(stamps[-1]) + round(1e6 / rate)
    classes = sorted({label for label, _, _ in video.labels})
    names = [labels[i] for i in classes]
    image = {"format": "JPEG", "channels": 3, "height": size[0], "width": size[1], "frame_rate": float(rate)}
    context = {
        "example/id": video.id or path,
        "example/dataset_name": dataset,
        "clip/data_path": path,
        "clip/media_id": video.id or path,
        "clip/start/timestamp": int(stamps[0]),
        "clip/end/timestamp": end,
        "clip/label/index": _ints(classes),
        "clip/label/string": _texts(names),
        "clip/label/text": _texts(names),
        "segment/start/timestamp": _ints(round(start * 1e6) for _, start, _ in video.labels),
        "segment/end/timestamp": _ints(end if math.isinf(stop) else round(stop * 1e6) for _, _, stop in video.labels),
        "segment/label/index": _ints(label for label, _, _ in video.labels),
        "segment/label/string": _texts(labels[label] for label, _, _ in video.labels),
        "image/colorspace": "RGB",
        **{f"image/{name}": value for name, value in image.items()},
    }
    lists = {"image/timestamp": map(_int, stamps)}
    parts = _image_list(context, "", frames, 0)
    if flows is not None:
        context.update({f"FORWARD_FLOW/image/{name}": value for name, value in image.items()})
        context["FORWARD_FLOW/image/saturation"] = LIMIT
        lists["FORWARD_FLOW/image/timestamp"] = map(_int, stamps)
        parts += _image_list(context, "FORWARD_FLOW/", flows, sum(map(len, parts)))
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
    # Messages that follow each other are one message.
    return example.SerializeToString(deterministic=True), b"".join(parts)


def parse(serialized, flow=False):
    """What a record holds, with TensorFlow's own ops.

    Args:
        serialized: a record, a scalar string tensor.
        flow: whether to give the optical flow as well; the record must hold it.

    Returns:
        A dictionary of tensors. Times are in seconds from the first frame of the record.
        - "id": of the video, string.
        - "frames": JPEG images, string `[N]`.
        - "rate": frames a second, float32; "times": of the frames, float32 `[N]`.
        - "labels": class indices, int64 `[L]`; "starts", "ends": when each happens, float32 `[L]`.
        - "boxes": (x1, y1, x2, y2) as shares of width and height, float32 `[M, 4]`; those with labels come first.
        - "box_labels": class indices, int64 `[M, K]`, filled up with -1.
        - "box_scores": float32 `[M]`.
        - "key_time": of the key frame, which the boxes belong to, float32; -1 without one.
        - "flow": images of optical flow for `flow.decode`, string `[N]`; if `flow` only.
    """
    images = {name: tf.io.FixedLenSequenceFeature([], tf.string) for name in _encoded(flow).values()}
    parsed, _, lists = _parse(serialized, {}, images)
    return {**parsed, **{name: lists[feature] for name, feature in _encoded(flow).items()}}


def parse_head(head, flow=False):
    """What the head of a record tells, with TensorFlow's own ops.

    Args:
        head: the first part of what `encode` gives, a scalar string tensor.
        flow: whether to tell of the optical flow as well; the record must hold it.

    Returns:
        As `parse`, but "frames" (and "flow") are int64 `[N, 3]`: for each image, how many bytes after the head it
        begins, its bytes, and their CRC-32.

    Raises:
        tf.errors.InvalidArgumentError: for what `encode` would not write.
    """
    tables = {
        name: [feature.replace("encoded", part) for part in ("position", "bytes", "crc32")]
        for name, feature in _encoded(flow).items()
    }
    features = {feature: tf.io.RaggedFeature(tf.int64) for table in tables.values() for feature in table}
    parsed, context, _ = _parse(head, features, {})
    tables = {name: tf.stack([context[x] for x in table], -1) for name, table in tables.items()}
    for table in tables.values():
        places, sizes, _ = tf.unstack(table, axis=-1)
        rising = tf.reduce_all(places >= tf.concat([[0], (places + sizes)[:-1]], 0)) & tf.reduce_all(sizes > 0)
        possible = tf.reduce_all(tf.maximum(places, sizes) < 2**31) & (tf.size(sizes) == tf.size(parsed["times"]))
        tf.debugging.Assert(rising & possible & (tf.size(sizes) > 0), ["images one after the other"])
    return {**parsed, **tables}


def _encoded(flow):
    return {"frames": "image/encoded", **({"flow": "FORWARD_FLOW/image/encoded"} if flow else {})}


def _parse(serialized, more_context, more_lists):
    """What `parse` gives but for the images, and the parsed features."""
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

    def seconds(stamps):
        return tf.cast(tf.cast(stamps - first, tf.float64) / 1e6, tf.float32)

    def regions(prefix):
        columns = [lists[f"{prefix}region/bbox/{name}"].flat_values for name in CORNERS]
        return tf.stack(columns, -1), lists[f"{prefix}region/label/confidence"].flat_values

    # The regions of one box, of which each has a label, follow each other.
    corners, scores = regions("")
    _, box = tf.unique(lists["region/track/index"].flat_values, tf.int64)
    box_labels = tf.RaggedTensor.from_value_rowids(lists["region/label/index"].flat_values, box)
    firsts = box_labels.row_starts()
    predicted_corners, predicted_scores = regions("PREDICTED/")
    box_labels = box_labels.to_tensor(-1)
    segments = [tf.size(context[f"segment/{name}"]) for name in ("label/index", "start/timestamp", "end/timestamp")]
    tf.debugging.assert_equal(segments, segments[:1] * 3, "labels with times")
    tf.debugging.assert_equal(tf.shape(predicted_corners)[0], tf.size(predicted_scores), "boxes with scores")
    key = tf.concat([lists["region/timestamp"].flat_values, [first - 1_000_000]], 0)[0]
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


def read_index(root):
    """The index of prepared data.

    Args:
        root: the directory that `slowfast_tf.prepare` wrote.

    Returns:
        A dictionary: "dataset" (its name), "labels" (class names), "prepare" (the settings) and, for each split,
        "splits": "shards", a list of "file", "videos", "frames", "bytes", "sha256" and "records" (of each video
        its id, and of its head the place in the file, the bytes and their CRC-32) and "skipped" and "left_out" (the
        rows of `skipped.csv`, without the split); the sums "videos", "frames" and "bytes"; and "skipped", the number of
        videos that are left out.

    Raises:
        InputError: where there is no such index.
    """
    path = f"{root}/{INDEX}"
    advice = f"make it with: python -m slowfast_tf.prepare --config FILE --output {root}"
    try:
        index = json.loads(tf.io.gfile.GFile(path if remote.is_native(path) else str(remote.fetch(path))).read())
        _check(index)
    except tf.errors.OpError as error:
        raise InputError(f"{root}: no prepared data there ({INDEX} cannot be read); {advice}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is not the index of prepared data; {advice}") from error
    return index


def _check(index):
    """Raises some error for an index that the rest could not work with."""
    index["labels"], index["dataset"], index["source"], index["prepare"]["flow"]
    for split in ("train", "val"):
        for shard in index["splits"][split]["shards"]:
            shard["file"]
            for name, *place in shard["records"]:
                start, size, _ = map(operator.index, place)
                if not (isinstance(name, str) and 0 <= start and 0 <= size and start + size <= shard["bytes"]):
                    raise ValueError(name)


def _image_list(context, prefix, images, place):
    """The parts of a serialized `SequenceExample` of one list of images, `place` bytes after the head; notes in the
    context where they are. The library would copy the images three times, which takes a tenth of the time that
    decoding and compressing them takes."""
    features = [_field(1, *_field(1, *_field(1, image))) for image in images]
    name = f"{prefix}image/encoded".encode()
    sizes = [sum(map(len, parts)) for parts in features]
    parts = _field(2, *_field(1, *_field(1, name), *_field(2, *(part for parts in features for part in parts))))
    place += sum(map(len, parts)) - sum(sizes)
    ends = itertools.accumulate(sizes, initial=place)
    next(ends)
    context[f"{prefix}image/position"] = _ints(end - len(image) for end, image in zip(ends, images))
    context[f"{prefix}image/bytes"] = _ints(map(len, images))
    context[f"{prefix}image/crc32"] = _ints(map(zlib.crc32, images))
    return parts


def _field(number, *parts):
    """The parts of a field of a protocol buffer whose content is bytes or a message."""
    length = sum(map(len, parts))
    header = [number << 3 | 2]
    while length > 127:
        header.append(length & 127 | 128)
        length >>= 7
    return [bytes([*header, length]), *parts]


def _regions(prefix, key, regions, labels):
    """Feature lists of one step, the key frame, for (number of the box, class or None, `Box`) each."""
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


def _feature(value):
    if isinstance(value, tf.train.Feature):
        return value
    one = {int: _int, float: lambda x: _floats([x])}.get(type(value), _text)
    return one(value)


def _int(value):
    return _ints([value])


def _ints(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _text(value):
    return _texts([value])


def _texts(values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))
