"""From raw frames to what a network sees: resizing, cropping, flipping, normalising. TensorFlow ops throughout."""

import tensorflow as tf


def crop_resized(frames, short_side, top, left, size):
    """Resizes frames to a shorter side and crops a square, in one pass over the pixels of the crop.

    The same numbers as `tf.image.resize` (bilinear, half-pixel centres, no antialiasing) and a crop.

    Args:
        frames: uint8 or float32 `[N, H, W, C]`.
        short_side: of the resized frames, in pixels.
        top, left: of the crop, in pixels of the resized frames.
        size: height and width of the crop.

    Returns:
        float32 `[N, size, size, C]`, on the scale of the input.
    """
    shape = tf.cast(tf.shape(frames)[1:3], tf.float32)
    scale = resized_shape(shape, short_side) / shape
    return tf.raw_ops.ScaleAndTranslate(
        images=frames,
        size=[size, size],
        scale=scale,
        translation=-tf.cast(tf.stack([top, left]), tf.float32),
        kernel_type="triangle",
        antialias=False,
    )


def resized_shape(shape, short_side):
    """Height and width, float32 `[2]` of whole numbers, once the shorter of `shape` is `short_side`.

    The longer side is rounded down, as PySlowFast has it.
    """
    shape = tf.cast(shape, tf.float64)  # float32 would round some whole numbers down to the next
    short_side = tf.cast(short_side, tf.float64)
    shorter = tf.reduce_min(shape)
    return tf.cast(tf.where(shape == shorter, short_side, tf.floor(shape / shorter * short_side)), tf.float32)


def random_crop(frames, short_sides, size, seed, short_side_draw="uniform", flip=True):
    """Training crop (section 4): a random shorter side, a square anywhere, mirrored half the time.

    Args:
        frames: uint8 `[N, H, W, C]`.
        short_sides: least and most of the shorter side, in pixels, both included.
        size: height and width of the crop; at most the least shorter side.
        seed: two integers; the same seed gives the same crop.
        short_side_draw: "uniform", or "inverse": 1 / shorter side is uniform.
        flip: whether to mirror at all.

    Returns:
        float32 `[N, size, size, C]`, on the scale of the input.
    """
    draws = tf.random.stateless_uniform([4], seed)
    low, high = (float(side) for side in short_sides)
    if short_side_draw == "inverse":
        short_side = tf.round(1 / (1 / high + draws[0] * (1 / low - 1 / high)))
    else:
        short_side = tf.round(low + draws[0] * (high - low))
    room = resized_shape(tf.shape(frames)[1:3], short_side) - size
    top, left = tf.unstack(tf.floor(draws[1:3] * (room + 1)))
    frames = crop_resized(frames, short_side, top, left, size)
    if flip:
        frames = tf.cond(draws[3] < 0.5, lambda: tf.reverse(frames, [2]), lambda: frames)
    return frames


def test_crops(frames, size, crops):
    """Test crops (section 4): shorter side resized to `size`, squares along the longer side.

    Args:
        frames: uint8 `[N, H, W, C]`.
        size: height and width of a crop.
        crops: 1 (the middle), or more, evenly from one end to the other.

    Returns:
        float32 `[crops, N, size, size, C]`, on the scale of the input.
    """
    room = resized_shape(tf.shape(frames)[1:3], size) - size
    places = [0.5] if crops == 1 else [i / (crops - 1) for i in range(crops)]
    return tf.stack([crop_resized(frames, size, *tf.unstack(tf.math.ceil(room * p)), size) for p in places])


def normalize(frames, spec):
    """Frames on a 0..255 scale to the network's: `(x / 255 - mean) / std`, channels in the spec's order."""
    if spec.channel_order == "bgr":
        frames = tf.reverse(frames, [-1])
    # One multiplication and one addition a pixel.
    scale = [1 / (255 * s) for s in spec.std]
    shift = [-m / s for m, s in zip(spec.mean, spec.std)]
    return frames * tf.constant(scale) + tf.constant(shift)


def pathways(clip, spec):
    """A clip for a network's inputs (section 3; the Fast inputs of Table 5c).

    Args:
        clip: normalised float32 `[..., alpha * T, S, S, 3]` (T frames for Slow-only), in the spec's channel order.
        spec: a `SlowFastSpec`.

    Returns:
        A dictionary of "slow" `[..., T, S, S, 3]` and "fast" `[..., alpha * T, S', S', C]`, as the spec has them.

    Raises:
        ValueError: for `fast_input` "flow", which frames alone do not give.
    """
    inputs = {}
    if "slow" in spec.pathways:
        inputs["slow"] = tf.gather(clip, spec.slow_index, axis=-4)
    if "fast" in spec.pathways:
        inputs["fast"] = _fast_input(clip, spec)
    return inputs


def _fast_input(clip, spec):
    if spec.fast_input == "flow":
        raise ValueError("fast_input flow needs optical flow, which these frames do not hold")
    if spec.fast_input == "half":
        shape = tf.shape(clip)
        half = (shape[-3:-1] + 1) // 2
        frames = tf.image.resize(tf.reshape(clip, tf.concat([[-1], shape[-3:]], 0)), half, antialias=True)
        return tf.reshape(frames, tf.concat([shape[:-3], half, shape[-1:]], 0))
    if spec.fast_input in ("gray", "difference"):
        weights = tf.constant([0.299, 0.587, 0.114][:: -1 if spec.channel_order == "bgr" else 1])
        gray = tf.reduce_sum(clip * weights, -1, keepdims=True)
        if spec.fast_input == "gray":
            return gray
        # The first frame has none before it, and no motion.
        return tf.concat([tf.zeros_like(gray[..., :1, :, :, :]), gray[..., 1:, :, :, :] - gray[..., :-1, :, :, :]], -4)
    return clip
