"""Select the frames of a clip from a video (section 3 of the paper)."""

import typing

import numpy as np
import tensorflow as tf

from ..models.spec import SlowFastSpec
from ..models.views import MIDDLE, Views

# Added before rounding down: float64 arithmetic may give slightly less than a whole number.
_ROUNDING = 1e-4
# In a part with an even number of frames, the earlier of the two middle frames is taken, as in PySlowFast.
_MIDDLE_OF_PART = 0.5 - 1e-9

Number: typing.TypeAlias = float | tf.Tensor


class Sampling(typing.NamedTuple):
    """A rule that selects clips of a video.

    Attributes:
        spec: spec of the network. The stride is in frames at its `frame_rate`.
        starts: starts of K clips, see `clip_frames`. For a video with a key frame, the clip around the key frame is
            taken instead.
        rate_ratio: factor on the spec's stride; a tensor must be float64.
        short_side: shorter side, in pixels, that later steps need, so that decoders may downscale; None for full size.
    """

    spec: SlowFastSpec
    starts: typing.Any
    rate_ratio: Number = 1.0
    short_side: int | None = None

    def indices(self, frames: typing.Any, rate: typing.Any, key: typing.Any) -> tf.Tensor:
        """Return raw frame indices, int32 `[K, count]`.

        Args:
            frames: number of frames of the video.
            rate: frame rate of the video, in frames per second.
            key: index of the key frame; below 0 without a key frame.
        """
        ratio = tf.cast(self.rate_ratio, tf.float64) * rate_ratio(self.spec, rate)
        return tf.cond(
            key < 0,
            lambda: clip_frames(self.starts, frames, self.spec, ratio),
            lambda: key_frames(key, frames, self.spec, ratio),
        )


def rate_ratio(spec: SlowFastSpec, rate: typing.Any) -> tf.Tensor:
    """Return the number of frames of a video per frame of a network's stride, a float64 scalar.

    Args:
        spec: spec of the network.
        rate: frame rate of the video, a number or a scalar tensor; 0 or less if unknown.

    Returns:
        `rate / spec.frame_rate`; 1 if `spec.frame_rate` is None (the stride is in frames of the video), or if the rate
        is unknown.

    Example:
        >>> float(rate_ratio(get_spec("slowfast_8x8_r50", frame_rate=30.0), 60.0))
        2.0
    """
    rate = tf.cast(rate, tf.float64)
    if spec.frame_rate is None:
        return tf.ones_like(rate)
    return tf.where(rate > 0, rate / spec.frame_rate, tf.ones_like(rate))


def test_starts(spec: SlowFastSpec, views: Views = MIDDLE) -> list[float]:
    """Return the starts of the clips of a test, for `clip_frames`.

    Starts are fractions of the latest possible start. Clip k of K starts at k / K, as in PySlowFast on Kinetics. If the
    last clip is to end with the video, it starts at k / (K - 1), as in PySlowFast on Charades. A single clip lies in
    the middle, as in MMAction2 (PySlowFast takes the start of the video).

    Args:
        spec: spec of the network.
        views: the number of clips, and whether the last clip ends with the video.

    Example:
        >>> test_starts(get_spec("slowfast_8x8_r50"), Views(clips=4))
        [0.0, 0.25, 0.5, 0.75]
    """
    if spec.frame_index == "segments":
        return [_MIDDLE_OF_PART] * spec.clip_frames
    return [0.5] if views.clips == 1 else [k / (views.clips - views.to_the_end) for k in range(views.clips)]


def draw_count(spec: SlowFastSpec) -> int:
    """Return the number of uniform draws that a random clip needs in `clip_frames`.

    Args:
        spec: spec of the network.

    Example:
        >>> draw_count(get_spec("slowfast_8x8_r50"))
        1
    """
    return spec.clip_frames if spec.frame_index == "segments" else 1


def clip_frames(starts: typing.Any, frames: typing.Any, spec: SlowFastSpec, ratio: Number = 1.0) -> tf.Tensor:
    """Return raw frame indices of clips, for the densest pathway (alpha * T frames, or T for Slow-only).

    The method is `spec.frame_index`:

    - "strided" takes every (tau / alpha)-th frame.
    - "linspace" divides the T * tau raw frames evenly, including the first and the last frame, as in PySlowFast.
    - "segments" divides the whole video into equal parts and takes a frame of each, as PySlowFast does on
      Something-Something.

    Past the end of the video the last frame is repeated.

    Args:
        starts: float64, 0 to 1; uniform draws give random clips. `[K]`: for 0 a clip starts with the video, for 1 it
            ends with the video. For "segments" `[K * count]`: the position of each frame in its part.
        frames: number of frames of the video, an integer or a scalar tensor.
        spec: spec of the network; a clip covers its T * tau raw frames.
        ratio: number of raw frames per frame of the stride, see `rate_ratio`.

    Returns:
        int32 `[K, count]`, within `[0, frames)`.

    Example:
        >>> clip_frames([0.0], 300, get_spec("slow_8x8_r50"))[0].numpy().tolist()
        [0, 8, 16, 24, 32, 40, 48, 56]
    """
    ratio = tf.cast(ratio, tf.float64)
    starts, count = tf.convert_to_tensor(starts, tf.float64), spec.clip_frames
    if spec.frame_index == "segments":
        part = tf.cast(frames - 1, tf.float64) / count
        edges = tf.round(part * tf.range(count + 1, dtype=tf.float64))  # rounds halves to even, as NumPy does
        return _within(edges[:-1] + tf.floor(tf.reshape(starts, [-1, count]) * (edges[1:] - edges[:-1] + 1)), frames)
    span = spec.clip_span * ratio
    room = tf.maximum(tf.cast(frames, tf.float64) - span, 0)
    start = starts[:, None] * room
    if spec.frame_index == "strided":
        index = tf.floor(start + _ROUNDING) + tf.range(count, dtype=tf.float64) * spec.clip_stride * ratio
    else:
        index = start + tf.linspace(tf.constant(0, tf.float64), span - 1, count)
    return _within(index, frames)


def middle_clip(frames: typing.Any, rate: typing.Any, spec: SlowFastSpec) -> tf.Tensor:
    """Return the raw frame indices of the middle clip of a video, int32 `[count]`.

    Args:
        frames: number of frames of the video, an integer or a scalar tensor.
        rate: frame rate of the video, in frames per second; 0 if unknown.
        spec: spec of the network.

    Example:
        >>> middle_clip(300, 30.0, get_spec("slow_8x8_r50")).numpy()
        array([118, 126, 134, 142, 150, 158, 166, 174], dtype=int32)
    """
    return clip_frames(test_starts(spec), frames, spec, rate_ratio(spec, rate))[0]


def key_frames(key: typing.Any, frames: typing.Any, spec: SlowFastSpec, ratio: Number = 1.0) -> tf.Tensor:
    """Return raw frame indices of the clip around a key frame, as PySlowFast does on AVA.

    Args:
        key: index of the key frame.
        frames, spec, ratio: as for `clip_frames`.

    Returns:
        int32 `[1, count]`, within `[0, frames)`: every (tau / alpha)-th frame, starting half a clip before the key
        frame.

    Example:
        >>> key_frames(100, 300, get_spec("slow_8x8_r50")).numpy()
        array([[ 68,  76,  84,  92, 100, 108, 116, 124]], dtype=int32)
    """
    steps = tf.range(spec.clip_frames, dtype=tf.float64) * spec.clip_stride - spec.clip_span // 2
    return _within(tf.cast(key, tf.float64) + steps * tf.cast(ratio, tf.float64), frames)[None]


def window_offsets(spec: SlowFastSpec, rate: float) -> np.ndarray:
    """Return the frame numbers of a sliding window, relative to the start of the window, int `[count]`.

    Args:
        spec: spec of the network.
        rate: frame rate of the video, in frames per second.

    Example:
        >>> window_offsets(get_spec("slow_8x8_r50", frame_rate=30.0), 60.0)
        array([  0,  16,  32,  48,  64,  80,  96, 112], dtype=int32)
    """
    frames = window_span(spec, rate)
    ratio = rate_ratio(spec, rate)
    starts = test_starts(spec) if spec.frame_index == "segments" else [0.0]
    return clip_frames(starts, frames, spec, ratio)[0].numpy()


def window_span(spec: SlowFastSpec, rate: float) -> int:
    """Return the number of raw frames that a clip covers in a video of a given frame rate.

    Args:
        spec: spec of the network.
        rate: frame rate of the video, in frames per second.

    Example:
        >>> window_span(get_spec("slow_8x8_r50", frame_rate=30.0), 60.0)
        128
    """
    return max(int(np.ceil(spec.clip_span * float(rate_ratio(spec, rate)) - _ROUNDING)), 1)


def _within(index: tf.Tensor, frames: typing.Any) -> tf.Tensor:
    """Round indices down, and clip them to the frames of a video, int32."""
    return tf.cast(tf.clip_by_value(tf.floor(index + _ROUNDING), 0, tf.cast(frames - 1, tf.float64)), tf.int32)
