"""Decode video files with tensorflow-io's FFmpeg op, for sites with FFmpeg 3 or 4."""

import warnings
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from .. import plugins
from ..errors import InputError, VideoError
from .decode import reduction


def reader() -> Callable[..., np.ndarray]:
    """Return a function like `read_frames` that decodes the whole file and ignores rotation metadata.

    Raises:
        InputError: if tensorflow-io or the libraries of FFmpeg cannot be loaded.
    """
    plugins.load_plugins(["tensorflow_io"])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tensorflow-io warns for each version of FFmpeg that it tries
            from tensorflow_io.python.ops import ffmpeg_ops  # pyright: ignore[reportMissingImports]
    except NotImplementedError as error:
        raise InputError(
            'data.reader "tensorflow_io" needs the libraries of FFmpeg 3 or 4 (libavformat.so.57 or .58), which are not'
            ' on the library path; install them (docs/stacks.md) or set data.reader "pyav"'
        ) from error

    def read(path: str, frames: np.ndarray, short_side: int | None = None) -> np.ndarray:
        try:
            images = ffmpeg_ops.io_ffmpeg_decode_video(tf.io.read_file(path), 0)
        except tf.errors.OpError as error:
            raise VideoError(f"{path}: cannot be read as a video: {str(error).splitlines()[0]}") from error
        if not len(images):
            raise VideoError(f"{path}: no frame can be decoded")
        height, width = images.shape[1:3]
        smaller = reduction(height, width, short_side)
        if smaller > 1:
            images = tf.image.resize(images, [height // smaller, width // smaller], "area")
            images = tf.cast(tf.round(images), tf.uint8)
        return tf.gather(images, np.clip(np.asarray(frames, np.int64), 0, len(images) - 1)).numpy()

    return read
