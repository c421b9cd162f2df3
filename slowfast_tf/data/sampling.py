"""Sample the raw frame indices of clips (section 3 of the paper)."""

import typing
from collections.abc import Sequence

import tensorflow as tf

from ..models.spec import SlowFastSpec

# Added before rounding down: an inexact product may lie just below a whole number. It needs float64.
_ROUNDING = 1e-4


class Sampling(typing.NamedTuple):
    """Which clips of a video to read.

    Attributes:
        spec: the network, which sets the frames and the stride of a clip.
        starts: start of each clip, float64 `[K]`, see `clip_frames`. For a video with a key frame, the clip is
            centered on the key frame instead.
        rate_ratio: factor on the spec's stride, float64 if a tensor.
        short_side: pixels of the frame's shorter side that later steps need at most; None for all.
    """

    spec: SlowFastSpec
    starts: Sequence[float] | tf.Tensor
    rate_ratio: float | tf.Tensor = 1.0
    short_side: int | None = None

    def indices(
        self, frames: int | tf.Tensor, rate: float | tf.Tensor, nominal_rate: float | None, key: int | tf.Tensor
    ) -> tf.Tensor:
        """Return the raw frame indices of the clips.

        Args:
            frames: number of frames of the video.
            rate: frames a second of the video.
            nominal_rate: frames a second that the stride counts; None for the video's own rate.
            key: index of the key frame; below 0 without one.

        Returns:
            int32 `[K, F]`.
        """
        rate_ratio = tf.cast(self.rate_ratio, tf.float64) * (
            tf.cast(rate, tf.float64) / nominal_rate if nominal_rate else 1.0
        )
        return tf.cond(
            key < 0,
            lambda: clip_frames(self.starts, frames, self.spec, rate_ratio),
            lambda: key_frames(key, frames, self.spec, rate_ratio),
        )


def test_starts(clips: int, to_the_end: bool = False) -> list[float]:
    """Return the starts of test clips, evenly spaced over the video (section 4).

    Clip k of K starts at k / K of the possible starts (PySlowFast on Kinetics), or at k / (K - 1) (PySlowFast on
    Charades). A single clip is the middle one, as in MMAction2; PySlowFast takes the first one.

    Args:
        clips: number of clips, K.
        to_the_end: whether the last clip ends with the video, that is, k / (K - 1).

    Returns:
        Floats in `[0, 1]`, for `clip_frames`.

    Example:
        >>> test_starts(3, to_the_end=True)
        [0.0, 0.5, 1.0]
    """
    return [0.5] if clips == 1 else [k / (clips - to_the_end) for k in range(clips)]


def clip_frames(
    starts: Sequence[float] | tf.Tensor,
    frames: int | tf.Tensor,
    spec: SlowFastSpec,
    rate_ratio: float | tf.Tensor = 1.0,
) -> tf.Tensor:
    """Return the raw frame indices of clips, for the pathway with the most frames (section 3).

    "strided" takes every (tau / alpha)-th frame. "linspace" spaces the frames evenly over the T * tau raw frames, first
    and last included, as PySlowFast does. Past the end of the video, the last frame is repeated.

    Args:
        starts: start of each clip, float64 `[K]`, from 0 (it starts with the video) to 1 (it ends with the video).
            Uniform draws give random clips.
        frames: number of frames of the video.
        spec: the network; a clip spans its T * tau raw frames.
        rate_ratio: the video's frame rate divided by the rate that tau counts.

    Returns:
        int32 `[K, F]`, within `[0, frames)`; F is alpha * T, or T for Slow-only.

    Example:
        >>> clip_frames(test_starts(10), 300, spec).shape
        TensorShape([10, 32])
    """
    rate_ratio = tf.cast(rate_ratio, tf.float64)
    span = spec.clip_span * rate_ratio
    room = tf.maximum(tf.cast(frames, tf.float64) - span, 0)
    start = tf.convert_to_tensor(starts, tf.float64)[:, None] * room
    count = spec.clip_frames
    if spec.frame_index == "strided":
        index = tf.floor(start + _ROUNDING) + tf.range(count, dtype=tf.float64) * spec.clip_stride * rate_ratio
    else:
        index = start + tf.linspace(tf.constant(0, tf.float64), span - 1, count)
    return _within(index, frames)


def middle_clip(frames: int | tf.Tensor, spec: SlowFastSpec, rate_ratio: float | tf.Tensor = 1.0) -> tf.Tensor:
    """Return the raw frame indices of the middle clip of a video, int32 `[F]`.

    Args:
        frames, spec, rate_ratio: as for `clip_frames`.
    """
    return clip_frames(test_starts(1), frames, spec, rate_ratio)[0]


def key_frames(
    key: int | tf.Tensor, frames: int | tf.Tensor, spec: SlowFastSpec, rate_ratio: float | tf.Tensor = 1.0
) -> tf.Tensor:
    """Return the raw frame indices of the clip around a key frame (section 5), as PySlowFast does on AVA.

    The clip starts half its span before the key frame and takes every (tau / alpha)-th frame.

    Args:
        key: index of the key frame.
        frames, spec, rate_ratio: as for `clip_frames`.

    Returns:
        int32 `[1, F]`, within `[0, frames)`.
    """
    steps = tf.range(spec.clip_frames, dtype=tf.float64) * spec.clip_stride - spec.clip_span // 2
    return _within(tf.cast(key, tf.float64) + steps * tf.cast(rate_ratio, tf.float64), frames)[None]


def _within(index: tf.Tensor, frames: int | tf.Tensor) -> tf.Tensor:
    """Round indices down and clip them to the frames of a video."""
    return tf.cast(tf.clip_by_value(tf.floor(index + _ROUNDING), 0, tf.cast(frames - 1, tf.float64)), tf.int32)
