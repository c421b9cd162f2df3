"""Read the clips that calibrate int8 quantization."""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..data import sampling, transforms
from ..errors import InputError, VideoError
from ..inference.clip import read_clip
from ..models.spec import SlowFastSpec


def check_quantize(quantize: str, known: Sequence[str], spec: SlowFastSpec, clips: object) -> None:
    """Check the arguments `quantize` and `clips` of an export to a format.

    Args:
        quantize: the quantization.
        known: the quantizations of the format.
        spec: the network.
        clips: the clips for the calibration of "int8", or None.

    Raises:
        InputError: if `quantize` is unknown; for "int8", if the network takes boxes (int8 is too coarse for their
            coordinates) or optical flow (videos do not hold it), or if there are no clips.

    Example:
        >>> check_quantize("float16", ("none", "float16"), get_spec("slowfast_8x8_r50"), None)
    """
    if quantize not in known:
        raise InputError(f"quantize must be one of {', '.join(known)}; got {quantize!r}")
    if quantize != "int8":
        return
    if spec.head == "roi":
        raise InputError(
            "int8 would round the corners of boxes to a 256th of the frame, and this network has head roi; export it"
            " without int8"
        )
    if not spec.takes_video:
        raise InputError("int8 is calibrated on RGB video, and this network takes optical flow; export it without int8")
    if clips is None:
        raise InputError("int8 needs clips for its calibration; give those of `calibration.read_calibration_clips`")


def at_least_one(clips: Iterable[dict[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
    """Return an iterator of the same clips, after checking that there is one.

    Without a clip, TFLite's converter would write a float32 file, and ONNX Runtime would raise a ValueError.

    Args:
        clips: the clips for the calibration of "int8".

    Raises:
        InputError: if there is no clip.

    Example:
        >>> len(list(at_least_one([{}, {}])))
        2
    """
    left = iter(clips)
    for first in left:
        return itertools.chain([first], left)
    raise InputError(
        "int8 got no clip for its calibration; give at least one clip, and a new generator for each export: a generator"
        " can be read only once"
    )


def read_calibration_clips(paths: Iterable[str | os.PathLike], spec: SlowFastSpec) -> Iterator[dict[str, np.ndarray]]:
    """Read the middle clip of each video as inputs of the network, one clip at a time.

    Args:
        paths: video files, and TFRecord files (`.tfrecord`) of SequenceExamples with JPEG frames in
            `image/encoded`, as `slowfast_tf.prepare` writes them.
        spec: a `SlowFastSpec`.

    Yields:
        Dictionaries from the name of each input to a float32 array `[1, T, S, S, C]`. A clip of an 8x8 network at
        256x256 pixels takes 31 MB.

    Raises:
        InputError: if a file cannot be read or holds no video.

    Example:
        >>> clips = read_calibration_clips(["a.mp4", "b.mp4"], model.spec)  # doctest: +SKIP
        >>> tflite.export(model, "demo.tflite", "int8", clips)  # doctest: +SKIP
    """
    for path in paths:
        try:
            if str(path).endswith(".tfrecord"):
                found = list(_records(str(path), spec))
            else:
                found = [read_clip(path, spec)]
        except (VideoError, tf.errors.OpError) as error:
            message = str(error).splitlines()[0]
            message = message if str(path) in message else f"{path}: {message}"
            raise InputError(f"calibration takes videos and TFRecord files: {message}") from error
        if not found:
            raise InputError(f"calibration takes videos and TFRecord files: {path}: holds no record")
        yield from (_inputs(frames, spec) for frames in found)


def _records(path: str, spec: SlowFastSpec) -> Iterator[tf.Tensor]:
    context = {"image/frame_rate": tf.io.FixedLenFeature([], tf.float32, 0.0)}
    features = {"image/encoded": tf.io.FixedLenSequenceFeature([], tf.string)}
    for record in tf.data.TFRecordDataset(path):
        video, sequence = tf.io.parse_single_sequence_example(record, context, features)
        encoded = sequence["image/encoded"]
        middle = sampling.middle_clip(len(encoded), video["image/frame_rate"], spec)
        yield tf.stack([transforms.decode(encoded[i]) for i in middle])


def _inputs(frames: Any, spec: SlowFastSpec) -> dict[str, np.ndarray]:
    crop = transforms.test_crops(frames, spec.crop_size, 1)[0]
    inputs = transforms.pathways(transforms.normalize(crop, spec), spec)
    return {name: x[None].numpy() for name, x in inputs.items()}
