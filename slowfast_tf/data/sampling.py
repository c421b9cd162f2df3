"""Which frames of a video a clip is made of: time at two rates (section 3 of the paper)."""

import tensorflow as tf


def test_places(clips):
    """Where test clips lie: `clips` of them uniform over the video, as PySlowFast and MMAction2 place them.

    The k-th of K starts at k / K of the room that there is. A single clip lies in the middle, as in MMAction2
    (PySlowFast takes the very start).

    Returns:
        A list of floats in `[0, 1)`, for `clip_frames`.
    """
    return [0.5] if clips == 1 else [k / clips for k in range(clips)]


def clip_frames(places, frames, spec):
    """Raw frame indices of clips, for the densest pathway (alpha * T frames, or T for Slow-only).

    "strided" takes every (tau / alpha)-th frame, "linspace" divides the T * tau raw frames evenly, first and
    last included, as PySlowFast does. Past the end of the video the last frame is repeated.

    Args:
        places: where a clip starts, as a share of the room that there is: float `[K]`, 0 (the start of the
            video) to 1 (the clip ends with it). Uniform draws give random clips.
        frames: number of frames of the video, an integer or a scalar tensor.
        spec: a `SlowFastSpec`; a clip covers its T * tau raw frames.

    Returns:
        int32 `[K, count]`, within `[0, frames)`.
    """
    room = tf.cast(tf.maximum(frames - spec.clip_span, 0), tf.float32)
    start = tf.convert_to_tensor(places, tf.float32)[:, None] * room
    count = spec.clip_frames
    if spec.frame_index == "strided":
        index = tf.cast(start, tf.int32) + tf.range(count) * spec.clip_stride
    else:
        index = tf.cast(start + tf.linspace(0.0, spec.clip_span - 1.0, count), tf.int32)
    return tf.clip_by_value(index, 0, frames - 1)
