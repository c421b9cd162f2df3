"""Read clips of video files and of directories of JPEG images."""

import functools
import os
import typing
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ...errors import VideoError
from ...video.decode import read_frames, reduction
from ...video.log import log_damage, log_once
from ...video.probe import is_sane, probe
from .. import transforms
from ..clips import Clip
from ..reference import Box, Probe, ResolvedVideo, Video, resolve
from ..sampling import Sampling
from .base import Reader, Source, clip_signature


class Decode(typing.Protocol):
    """A function that decodes frames of a video file, with the interface of `video.decode.read_frames`."""

    def __call__(self, path: str, frames: np.ndarray, short_side: int | None = None) -> np.ndarray: ...


class Files(Source):
    """Video files, and directories of JPEG images.

    Args:
        videos: references to the videos.
        decode: function that decodes video files; None for `read_frames`.
        probe: function that probes video files.

    Example:
        >>> files = Files(load_split("folder", "data/mine", "val").videos)
        >>> clip = files.read(0, Sampling(spec, test_starts(spec)))
    """

    def __init__(self, videos: Sequence[Video], decode: Decode | None = None, probe: Probe = probe):
        super().__init__([video.id or video.path for video in videos], [video.box_score for video in videos])
        self.videos, self.decode, self.probe = videos, decode, probe

    def signature(self, frames: int) -> Clip:
        return clip_signature(tf.TensorSpec([None, frames, None, None, 3], tf.uint8))

    def classes(self) -> list[list[int]]:
        return [sorted({index for index, _, _ in video.labels}) for video in self.videos]

    def select(self, numbers: Sequence[int]) -> "Files":
        other = typing.cast(Files, super().select(numbers))
        other.videos = [self.videos[i] for i in numbers]
        return other

    def reader(self, sampling: Sampling) -> Reader:
        return functools.partial(self._read, _frame_indices(sampling), sampling.short_side)

    def _read(
        self, indices_of: typing.Any, short_side: int | None, number: int, starts: np.ndarray, rate_ratio: float
    ) -> Clip:
        video = self.videos[number]
        found = resolve(video, self.probe)
        for problem in found.problems:
            log_once(problem, problem)
        indices = indices_of(starts, rate_ratio, found.last - found.first, found.rate, found.key).numpy() + found.first
        frames = self._frames(video, found, indices.ravel(), short_side)
        times = np.reshape([times for _, *times in found.labels], (-1, 2))
        corners, box_labels, scores = _box_arrays(video.boxes)
        return Clip(
            id=self.names[number],
            frames=frames.reshape(*indices.shape, *frames.shape[1:]),
            spans=np.stack([found.times[indices[:, 0]], found.times[indices[:, -1]] + 1 / found.rate], 1),
            labels=np.array([label for label, _, _ in found.labels], np.int64),
            starts=times[:, 0],
            ends=times[:, 1],
            boxes=corners,
            box_labels=box_labels,
            box_scores=scores,
        )

    def _frames(self, video: Video, found: ResolvedVideo, indices: np.ndarray, short_side: int | None) -> np.ndarray:
        """Return frames of a file or a directory, uint8 `[N, H, W, 3]`."""
        if found.images:
            return read_images([found.images[i] for i in indices], short_side)
        if self.decode:
            return self.decode(video.path, indices, short_side)
        return read_frames(video.path, indices, short_side, found.info)


def _frame_indices(sampling: Sampling) -> typing.Any:
    """Return `Sampling.indices` as a concrete function of five arguments; eager ops take twice as long."""
    scalar, whole = tf.TensorSpec([], tf.float64), tf.TensorSpec([], tf.int32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float64), scalar, whole, scalar, whole], autograph=False)
    def indices(
        starts: tf.Tensor, rate_ratio: tf.Tensor, frames: tf.Tensor, rate: tf.Tensor, key: tf.Tensor
    ) -> tf.Tensor:
        return sampling._replace(starts=starts, rate_ratio=rate_ratio).indices(frames, rate, key)

    # A concrete function, because TensorFlow warns if each dataset creates a new `tf.function`.
    return indices.get_concrete_function()


def _box_arrays(boxes: Sequence[Box]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return corners `[N, 4]`, class indices `[N, any]` padded with -1, and scores `[N]`."""
    width = max((len(box.labels) for box in boxes), default=0)
    labels = [(*box.labels, *[-1] * (width - len(box.labels))) for box in boxes]
    corners = np.reshape([box.corners for box in boxes], (len(boxes), 4))
    return corners, np.reshape(labels, (len(labels), width)), np.array([box.score for box in boxes])


def read_images(paths: Sequence[str], short_side: int | None = None) -> np.ndarray:
    """Decode JPEG images of a directory.

    Args:
        paths: paths of the images.
        short_side: see `video.decode.reduction`; libjpeg reduces by a factor of at most 8.

    Returns:
        uint8 `[N, H, W, 3]`, RGB, with the size of the first image. A damaged image is replaced by the last intact
        image before it, or at the start by the first intact image. The log reports this once for each directory.

    Raises:
        VideoError: if no image can be decoded.
    """
    images, waiting, damaged = [], 0, 0
    for path in paths:
        try:
            image = _read_image(path, short_side)
            if images and image.shape != images[0].shape:
                raise ValueError(f"{image.shape} among {images[0].shape}")
            images += [image] * (waiting + 1)
            waiting = 0
        except (tf.errors.OpError, ValueError):
            damaged += 1
            if images:
                images.append(images[-1])
            else:
                waiting += 1
    if not images:
        raise VideoError(f"{paths[0]}: no image of the clip can be decoded ({len(paths)} damaged); replace the images")
    log_damage(os.path.dirname(paths[0]), damaged, len(paths))
    return np.stack(images)


def _read_image(path: str, short_side: int | None) -> np.ndarray:
    data = tf.io.read_file(path)
    height, width, _ = tf.io.extract_jpeg_shape(data).numpy().tolist()
    if not is_sane(width, height):
        raise ValueError(f"{width} x {height} pixels")
    return transforms.decode(data, min(reduction(height, width, short_side), 8)).numpy()
