"""From raw frames to what a network sees: resizing, cropping, flipping, normalising. TensorFlow ops throughout."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

# TensorFlow's default, faster by a few hundredths, makes red and blue darker by one of 255.
_DCT = "INTEGER_ACCURATE"


def decode(image, smaller=1):
    """A JPEG image, a scalar string, as uint8 `[H, W, 3]`, or 2, 4 or 8 times smaller."""
    return tf.io.decode_jpeg(image, 3, smaller, dct_method=_DCT)


def resized_shape(shape, short_side):
    """Height and width, float32 `[2]` of whole numbers, once the shorter of `shape` is `short_side`.

    The longer side is rounded down, as PySlowFast has it.
    """
    shape = tf.cast(shape, tf.float64)  # float32 would round some whole numbers down to the next
    short_side = tf.cast(short_side, tf.float64)
    shorter = tf.reduce_min(shape)
    return tf.cast(tf.where(shape == shorter, short_side, tf.floor(shape / shorter * short_side)), tf.float32)


class Window(NamedTuple):
    """What a crop shows, in whole pixels of the frame, so that frames, optical flow and boxes follow the same draws.

    Attributes:
        top, left, height, width: int32 scalars.
        flip: whether the crop is mirrored, a bool scalar.
    """

    top: tf.Tensor
    left: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    flip: tf.Tensor


def draw_window(shape, short_sides, size, seed, short_side_draw="uniform", flip=True):
    """A training crop's window (section 4): a random shorter side, a square anywhere, mirrored half the time.

    The square is rounded to whole pixels of the frame, so that it can be cut out, or decoded alone, before it is
    resized: several times as fast as to resize and crop.

    Args:
        shape: height and width of the frames, int `[2]`.
        short_sides: least and most of the shorter side that frames are resized to, in pixels, both included.
        size: height and width of the crop; at most the least shorter side.
        seed: two integers; the same seed gives the same window.
        short_side_draw: "uniform", or "inverse": 1 / shorter side is uniform.
        flip: whether to mirror at all.

    Returns:
        A `Window`.
    """
    draws = tf.random.stateless_uniform([4], seed)
    low, high = (tf.cast(side, tf.float32) for side in short_sides)
    if short_side_draw == "inverse":
        short_side = 1 / (1 / high + draws[0] * (1 / low - 1 / high))
    else:
        short_side = low + draws[0] * (high - low)
    shorter = tf.cast(tf.reduce_min(shape), tf.float32)
    side = tf.maximum(tf.cast(tf.round(shorter * tf.cast(size, tf.float32) / short_side), tf.int32), 1)
    room = tf.cast(shape - side + 1, tf.float32)
    top, left = tf.unstack(tf.minimum(tf.cast(draws[1:3] * room, tf.int32), shape - side))
    return Window(top, left, side, side, draws[3] < 0.5 if flip else tf.constant(False))


def crop_window(frames, window, size, spec=None):
    """What a window shows of raw frames or JPEG images.

    Args:
        frames: uint8 or float32 `[N, H, W, C]`, or JPEG images, string `[N]`, which are decoded in the window only.
        window: a `Window`.
        size: height and width of the crop.
        spec: a `SlowFastSpec` to `normalize` for; None: the scale stays that of the input.

    Returns:
        float32 `[N, size, size, C]`; bilinear, without antialiasing.
    """
    top, left, height, width, flip = window
    if frames.dtype == tf.string:
        place = tf.stack([top, left, height, width])
        # Ops side by side: a loop over them takes longer by a tenth.
        images = [tf.io.decode_and_crop_jpeg(image, place, 3, dct_method=_DCT) for image in tf.unstack(frames)]
        frames = tf.reshape(tf.stack(images), [-1, height, width, 3])
    else:
        frames = frames[:, top : top + height, left : left + width]
    channels = frames.shape[-1]
    # Rows of pixels in a tensor of three dimensions: TensorFlow mirrors others several times slower.
    rows = tf.reshape(frames, [-1, width, channels])
    rows = tf.cond(flip, lambda: tf.reverse(rows, [1]), lambda: rows)
    frames = tf.reshape(rows, [-1, height, width, channels])
    # float32 before, not after: resizing takes twice as long for uint8, and a crop has more pixels than most windows.
    frames = normalize(frames, spec) if spec else tf.cast(frames, tf.float32)
    return tf.image.resize(frames, [size, size])


def crop_boxes(boxes, shape, window, size):
    """Boxes of the original frame in pixels of a crop, by the steps that `crop_window` takes frames through.

    Coordinates are continuous: 0 is the left edge of the first pixel, and `size` the right edge of the last one.

    Args:
        boxes: float32 `[N, 4]`, x1, y1, x2, y2 as shares (0 to 1) of the original width and height.
        shape: height and width of the original frames, int `[2]`.
        window: a `Window`.
        size: height and width of the crop: one number, or two.

    Returns:
        float32 `[N, 4]`, x1, y1, x2, y2 in pixels, within the crop. Rows of which less than a pixel is left in
        height or width are all zero, as padding is.
    """
    limit = tf.cast(size, tf.float32) * tf.ones([2])
    top, left, height, width = (tf.cast(value, tf.float32) for value in window[:4])
    scale = limit[::-1] / tf.stack([width, height])
    origin = tf.stack([left, top])
    pixels = tf.cast(shape, tf.float32)[::-1]
    first, last = (
        tf.clip_by_value((corner * pixels - origin) * scale, 0.0, limit[::-1]) for corner in tf.split(boxes, 2, -1)
    )
    x1 = tf.where(window.flip, limit[1] - last[:, :1], first[:, :1])
    x2 = tf.where(window.flip, limit[1] - first[:, :1], last[:, :1])
    boxes = tf.concat([x1, first[:, 1:], x2, last[:, 1:]], -1)
    seen = tf.reduce_all(last - first >= 1, -1, keepdims=True)
    return tf.where(seen, boxes, 0.0)


def crop_flow(flow, window, size):
    """What a window shows of optical flow: displacements shrink with the frame and are mirrored with it.

    Args:
        flow: float32 `[N, H, W, 2]`, pixels to the right and downwards.
        window, size: as for `crop_window`.

    Returns:
        float32 `[N, size, size, 2]`, in pixels of the crop.
    """
    sides = tf.cast(tf.stack([window.width, window.height]), tf.float32)
    mirrored = tf.where(window.flip, [-1.0, 1.0], [1.0, 1.0])
    return crop_window(flow, window, size) * (tf.cast(size, tf.float32) / sides * mirrored)


def resize(frames, short_side):
    """Frames with a shorter side of so many pixels; the longer one is rounded down, as PySlowFast has it.

    Args:
        frames: uint8 or float32 `[N, H, W, C]`.
        short_side: in pixels.

    Returns:
        float32 `[N, H', W', C]`, on the scale of the input; bilinear, without antialiasing.
    """
    shape = tf.shape(frames)[1:3]
    wanted = tf.cast(resized_shape(shape, short_side), tf.int32)
    frames = tf.cast(frames, tf.float32)
    return tf.cond(tf.reduce_all(shape == wanted), lambda: frames, lambda: tf.image.resize(frames, wanted))


def test_crops(frames, size, crops):
    """Test crops (section 4): shorter side resized to `size`, squares along the longer side.

    Args:
        frames: uint8 `[N, H, W, C]`.
        size: height and width of a crop.
        crops: 1 (the middle), or more, evenly from one end to the other; 0: the whole frames, as a single one.

    Returns:
        float32 `[crops, N, size, size, C]`, on the scale of the input.
    """
    frames = resize(frames, size)
    if not crops:
        return frames[None]
    room = tf.shape(frames)[1:3] - size
    found = []
    for place in [0.5] if crops == 1 else [i / (crops - 1) for i in range(crops)]:
        top, left = tf.unstack(_corner(room, place))
        found.append(frames[:, top : top + size, left : left + size])
    # With the number of frames, where it is known: a replica that gets no clip makes some of none by it.
    return tf.reshape(tf.stack(found), [crops, frames.shape[0] or -1, size, size, frames.shape[-1]])


def middle_window(shape, size):
    """What the one crop of `test_crops` shows of frames of a height and width `[2]`: for `crop_boxes`.

    Returns:
        Height and width of the resized frames, int32 `[2]`, and the `Window` in these.
    """
    shape = tf.cast(resized_shape(shape, size), tf.int32)
    top, left = tf.unstack(_corner(shape - size, 0.5))
    return shape, Window(top, left, tf.constant(size), tf.constant(size), tf.constant(False))


def _corner(room, place):
    return tf.cast(tf.math.ceil(tf.cast(room, tf.float32) * place), tf.int32)


def normalize(frames, spec):
    """Frames on a 0..255 scale, uint8 or float32, to the network's: `(x / 255 - mean) / std`, channels in its order."""
    frames = tf.convert_to_tensor(frames)
    if spec.channel_order == "bgr":
        frames = tf.reverse(frames, [-1])
    low = [-m / s for m, s in zip(spec.mean, spec.std)]
    high = [(1 - m) / s for m, s in zip(spec.mean, spec.std)]
    if len(set(low)) == len(set(high)) == 1:
        # One number for all channels: for each of three TensorFlow takes several times as long.
        low, high = low[0], high[0]
        if frames.dtype == tf.uint8:  # in one op
            return tf.quantization.dequantize(tf.bitcast(frames, tf.quint8), low, high, mode="MIN_COMBINED")
    scale = (tf.constant(high) - tf.constant(low)) / 255
    return tf.cast(frames, tf.float32) * scale + tf.constant(low)


def denormalize(frames, spec):
    """Return normalized frames as pixels: what `normalize` started from, rounded.

    Args:
        frames: float `[..., 3]`, a NumPy array or an eager tensor, normalized for `spec`.
        spec: a `SlowFastSpec`.

    Returns:
        uint8 `[..., 3]`, RGB.
    """
    frames = np.asarray(frames) * spec.std + spec.mean
    frames = frames[..., ::-1] if spec.channel_order == "bgr" else frames
    return np.clip(frames * 255, 0, 255).round().astype(np.uint8)


def pathways(clip, spec, flow=None):
    """A clip for a network's inputs (section 3; the Fast inputs of Table 5c).

    Args:
        clip: normalised float32 `[..., alpha * T, S, S, 3]` (T frames for Slow-only), in the spec's channel order.
        spec: a `SlowFastSpec`.
        flow: float32 `[..., alpha * T, S, S, 2]`, in 20 pixels, for `fast_input` "flow".

    Returns:
        A dictionary of "slow" `[..., T, S, S, 3]` and "fast" `[..., alpha * T, S', S', C]`, as the spec has them.

    Raises:
        ValueError: for `fast_input` "flow" without `flow`, which frames alone do not give.
    """
    inputs = {}
    if "slow" in spec.pathways:
        inputs["slow"] = tf.gather(clip, spec.slow_index, axis=-4)
    if "fast" in spec.pathways:
        inputs["fast"] = _fast_input(clip, spec, flow)
    return inputs


def _fast_input(clip, spec, flow):
    if spec.fast_input == "flow":
        if flow is None:
            raise ValueError("fast_input flow needs optical flow, which these frames do not hold")
        return flow
    if spec.fast_input == "half":
        shape = tf.shape(clip)
        half = (shape[-3:-1] + 1) // 2
        frames = tf.image.resize(tf.reshape(clip, tf.concat([[-1], shape[-3:]], 0)), half, antialias=True)
        return tf.reshape(frames, tf.concat([shape[:-3], half, shape[-1:]], 0))
    if spec.fast_input in ("gray", "difference"):
        weights = tf.constant([0.299, 0.587, 0.114][:: -1 if spec.channel_order == "bgr" else 1])
        gray: Any = tf.reduce_sum(clip * weights, -1, keepdims=True)  # the stubs know fewer slices than it does
        if spec.fast_input == "gray":
            return gray
        # The first frame has none before it, and no motion.
        return tf.concat([tf.zeros_like(gray[..., :1, :, :, :]), gray[..., 1:, :, :, :] - gray[..., :-1, :, :, :]], -4)
    return clip
