"""Which frames of a video a clip is made of: time at two rates (section 3 of the paper)."""

import typing

import tensorflow as tf

# Float64 and this make the whole numbers of exact arithmetic whole, which float32 takes for less, now and then.
_ROUNDING = 1e-4


class Sampling(typing.NamedTuple):
    """Which clips of a video to take.

    Attributes:
        spec: a `SlowFastSpec`.
        starts: of K clips, see `clip_frames`; a video with a key frame gives the clip around it instead.
        rate_ratio: a factor on the spec's stride, float64 if a tensor.
        short_side: the most pixels that anything that follows needs of a frame's shorter side; None: all.
    """

    spec: typing.Any
    starts: typing.Any
    rate_ratio: typing.Any = 1.0
    short_side: int | None = None

    def indices(self, frames, rate, nominal_rate, key):
        """Raw frame indices, int32 `[K, count]`.

        Args:
            frames: number of frames of the video.
            rate: of the video, frames a second.
            nominal_rate: what the stride is meant for; None: any.
            key: index of the key frame; below 0 without one.
        """
        rate_ratio = tf.cast(self.rate_ratio, tf.float64) * (
            tf.cast(rate, tf.float64) / nominal_rate if nominal_rate else 1.0
        )
        return tf.cond(
            key < 0,
            lambda: clip_frames(self.starts, frames, self.spec, rate_ratio),
            lambda: key_frames(key, frames, self.spec, rate_ratio),
        )


def test_starts(clips, to_the_end=False):
    """Where test clips lie: `clips` of them uniform over the video.

    The k-th of K starts at k / K of the room that there is, as PySlowFast starts them on Kinetics, or at k / (K - 1),
    as it does on Charades. A single clip lies in the middle, as in MMAction2 (PySlowFast takes the very start).

    Args:
        clips: how many.
        to_the_end: the last clip ends with the video.

    Returns:
        A list of floats in `[0, 1]`, for `clip_frames`.
    """
    return [0.5] if clips == 1 else [k / (clips - to_the_end) for k in range(clips)]


def clip_frames(starts, frames, spec, rate_ratio=1.0):
    """Raw frame indices of clips, for the densest pathway (alpha * T frames, or T for Slow-only).

    "strided" takes every (tau / alpha)-th frame, "linspace" divides the T * tau raw frames evenly, first and
    last included, as PySlowFast does. Past the end of the video the last frame is repeated.

    Args:
        starts: where a clip starts, as a share of the room that there is: float64 `[K]`, 0 (the start of the
            video) to 1 (the clip ends with it). Uniform draws give random clips.
        frames: number of frames of the video, an integer or a scalar tensor.
        spec: a `SlowFastSpec`; a clip covers its T * tau raw frames.
        rate_ratio: raw frames that pass for one of the spec's: the video's rate over the one that tau is meant for.

    Returns:
        int32 `[K, count]`, within `[0, frames)`.
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


def middle_clip(frames, spec, rate_ratio=1.0):
    """Return the raw frame indices of the middle clip of a video, int32 `[F]`.

    Args:
        frames: number of frames of the video, an integer or a scalar tensor.
        spec: a `SlowFastSpec`.
        rate_ratio: as for `clip_frames`.
    """
    return clip_frames(test_starts(1), frames, spec, rate_ratio)[0]


def key_frames(key, frames, spec, rate_ratio=1.0):
    """Raw frame indices of the clip around a key frame, as PySlowFast takes them on AVA.

    Args:
        key: index of the key frame.
        frames, spec, rate_ratio: as for `clip_frames`.

    Returns:
        int32 `[1, count]`, within `[0, frames)`: from half a clip before the key frame on, every (tau / alpha)-th.
    """
    steps = tf.range(spec.clip_frames, dtype=tf.float64) * spec.clip_stride - spec.clip_span // 2
    return _within(tf.cast(key, tf.float64) + steps * tf.cast(rate_ratio, tf.float64), frames)[None]


def _within(index, frames):
    """Whole indices of the frames of a video."""
    return tf.cast(tf.clip_by_value(tf.floor(index + _ROUNDING), 0, tf.cast(frames - 1, tf.float64)), tf.int32)
