"""Turn raw frames into network inputs: resize, crop, flip, normalize. All functions are TensorFlow ops."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ..models.spec import SlowFastSpec

# TensorFlow's default is a few percent faster, but makes red and blue darker by 1 (of 255).
_DCT = "INTEGER_ACCURATE"


def decode(image: tf.Tensor | bytes, smaller: int = 1) -> tf.Tensor:
    """Decode a JPEG image.

    Args:
        image: scalar string.
        smaller: divisor of height and width: 1, 2, 4 or 8.

    Returns:
        uint8 `[H, W, 3]`, RGB.

    Example:
        >>> decode(tf.io.encode_jpeg(np.zeros([48, 64, 3], np.uint8)), smaller=2).shape
        TensorShape([24, 32, 3])
    """
    return tf.io.decode_jpeg(image, 3, smaller, dct_method=_DCT)


def resized_shape(shape: tf.Tensor | Sequence[int], short_side: int | tf.Tensor) -> tf.Tensor:
    """Return the height and width of frames resized to a shorter side; the longer side is rounded down (PySlowFast).

    Args:
        shape: height and width of the frames, int `[2]`.
        short_side: the shorter side, in pixels.

    Returns:
        Height and width as whole numbers, float32 `[2]`.

    Example:
        >>> resized_shape([240, 320], 256).numpy()
        array([256., 341.], dtype=float32)
    """
    shape = tf.cast(shape, tf.float64)  # with float32, some whole results would be rounded down by one
    short_side = tf.cast(short_side, tf.float64)
    shorter = tf.reduce_min(shape)
    return tf.cast(tf.where(shape == shorter, short_side, tf.floor(shape / shorter * short_side)), tf.float32)


class Window(NamedTuple):
    """The part of a frame that a crop shows. Frames, optical flow and boxes use the same window and its draws.

    Attributes:
        top, left, height, width: int32 scalars, in pixels of the frame.
        flip: bool scalar, whether the crop is mirrored.
    """

    top: tf.Tensor
    left: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    flip: tf.Tensor


def draw_window(
    shape: tf.Tensor,
    short_sides: Sequence[int | tf.Tensor],
    size: int | tf.Tensor,
    seed: tf.Tensor | tuple[int, int],
    short_side_draw: str = "uniform",
    flip: bool = True,
) -> Window:
    """Draw the window of a training crop (section 4): a random shorter side, a random square, a random flip.

    The edges of the square are at whole pixels of the frame. Only the square is therefore cut out (or decoded) before
    resizing, which is several times as fast as resizing first.

    Args:
        shape: height and width of the frames, int32 `[2]`.
        short_sides: lowest and highest shorter side to resize frames to, in pixels, both included.
        size: height and width of the crop, in pixels; at most the lowest shorter side.
        seed: int `[2]`; the same seed gives the same window.
        short_side_draw: "uniform", or "inverse": 1 / shorter side is uniform.
        flip: whether to mirror half of the crops.

    Returns:
        A `Window` in pixels of the frame.

    Example:
        >>> window = draw_window(tf.constant([240, 320]), (256, 320), 224, seed=(0, 1))
        >>> int(window.height) <= 224
        True
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


def cut(frames: tf.Tensor, window: Window) -> tf.Tensor:
    """Cut a window out of frames or JPEG images; only the window of a JPEG image is decoded.

    Args:
        frames: uint8 `[N, H, W, C]`, or JPEG images, string `[N]`.
        window: the part to cut out; it is not mirrored.

    Returns:
        uint8 `[N, height, width, C]`, of the window's size.

    Example:
        >>> window = draw_window(tf.constant([240, 320]), (240, 240), 224, seed=(0, 1))
        >>> cut(tf.zeros([4, 240, 320, 3], tf.uint8), window).shape
        TensorShape([4, 224, 224, 3])
    """
    top, left, height, width, _ = window
    if frames.dtype != tf.string:
        return frames[:, top : top + height, left : left + width]
    place = tf.stack([top, left, height, width])
    # Unrolled: a loop over the images takes 10 % longer.
    images = [tf.io.decode_and_crop_jpeg(image, place, 3, dct_method=_DCT) for image in tf.unstack(frames)]
    return tf.reshape(tf.stack(images), [-1, height, width, 3])


def resize_window(
    frames: tf.Tensor, flip: bool | tf.Tensor, size: int | tf.Tensor, spec: SlowFastSpec | None = None
) -> tf.Tensor:
    """Mirror and resize the result of `cut`, with bilinear interpolation and no antialiasing.

    Args:
        frames: uint8 or float32 `[N, H, W, C]`.
        flip: whether to mirror, see `Window`.
        size: height and width of the crop, in pixels.
        spec: the network to `normalize` for; None keeps the scale of the input.

    Returns:
        float32 `[N, size, size, C]`.

    Example:
        >>> resize_window(tf.zeros([4, 200, 200, 3], tf.uint8), flip=True, size=224).shape
        TensorShape([4, 224, 224, 3])
    """
    _, height, width, channels = tf.unstack(tf.shape(frames))
    # TensorFlow mirrors a tensor of three dimensions several times as fast as others.
    rows = tf.reshape(frames, [-1, width, channels])
    rows = tf.cond(tf.cast(flip, tf.bool), lambda: tf.reverse(rows, [1]), lambda: rows)
    frames = tf.reshape(rows, [-1, height, width, frames.shape[-1]])
    # Convert before resizing: uint8 takes twice as long, and a crop has more pixels than most windows.
    frames = normalize(frames, spec) if spec else tf.cast(frames, tf.float32)
    return tf.image.resize(frames, [size, size])


def crop_boxes(boxes: tf.Tensor, shape: tf.Tensor, window: Window, size: int | tf.Tensor) -> tf.Tensor:
    """Map boxes of the original frame to a crop, as `cut` and `resize_window` map frames.

    Coordinates are continuous: 0 is the left edge of the first pixel, and `size` the right edge of the last pixel.

    Args:
        boxes: float32 `[N, 4]`, x1, y1, x2, y2 as fractions of the original width and height.
        shape: height and width of the original frames, int `[2]`.
        window: the part to crop.
        size: height and width of the crop, in pixels: one number, or `[2]`.

    Returns:
        float32 `[N, 4]`, x1, y1, x2, y2 in pixels, clipped to the crop. A box with less than a pixel of height or
        width left is all zero, like padding.

    Example:
        >>> _, window = middle_window(tf.constant([100, 200]), 100)
        >>> crop_boxes(tf.constant([[0.25, 0.5, 0.5, 1.0]]), [100, 200], window, 100).numpy()
        array([[  0.,  50.,  50., 100.]], dtype=float32)
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


def resize_flow(flow: tf.Tensor, flip: bool | tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """Mirror and resize the optical flow of a window; displacements are mirrored and scaled with the frame.

    Args:
        flow: float32 `[N, H, W, 2]`, displacements to the right and downwards, in pixels.
        flip, size: as for `resize_window`.

    Returns:
        float32 `[N, size, size, 2]`, in pixels of the crop.

    Example:
        >>> resize_flow(tf.ones([4, 48, 48, 2]), flip=False, size=24)[0, 0, 0].numpy()
        array([0.5, 0.5], dtype=float32)
    """
    sides = tf.cast(tf.shape(flow)[2:0:-1], tf.float32)
    mirrored = tf.where(flip, [-1.0, 1.0], [1.0, 1.0])
    return resize_window(flow, flip, size) * (tf.cast(size, tf.float32) / sides * mirrored)


def resize(frames: tf.Tensor | np.ndarray, short_side: int | tf.Tensor) -> tf.Tensor:
    """Resize frames to a shorter side (see `resized_shape`), with bilinear interpolation and no antialiasing.

    Args:
        frames: uint8 or float32 `[N, H, W, C]`.
        short_side: the shorter side, in pixels.

    Returns:
        float32 `[N, H', W', C]`, with the value range of the input.

    Example:
        >>> resize(np.zeros([4, 240, 320, 3], np.uint8), 256).shape
        TensorShape([4, 256, 341, 3])
    """
    shape = tf.shape(frames)[1:3]
    wanted = tf.cast(resized_shape(shape, short_side), tf.int32)
    frames = tf.cast(frames, tf.float32)
    return tf.cond(tf.reduce_all(shape == wanted), lambda: frames, lambda: tf.image.resize(frames, wanted))


def downscale(frames: tf.Tensor, short_side: int) -> tf.Tensor:
    """Downscale large frames as `video.decode` does: by `decode.reduction`, with averaged and rounded pixels.

    Args:
        frames: uint8 `[N, H, W, C]`.
        short_side: minimum shorter side after downscaling, in pixels.

    Returns:
        float32 `[N, H', W', C]`, 0 to 255.

    Example:
        >>> downscale(tf.zeros([4, 1080, 1920, 3], tf.uint8), 256).shape
        TensorShape([4, 270, 480, 3])
    """
    shape, powers = tf.shape(frames)[1:3], 2 ** tf.range(16)
    factor = tf.reduce_max(tf.where(powers * short_side <= tf.reduce_min(shape), powers, 1))
    resized = functools.partial(tf.image.resize, frames, shape // factor, "area")
    return tf.cond(factor > 1, lambda: tf.round(resized()), lambda: tf.cast(frames, tf.float32))


def test_crops(frames: tf.Tensor | np.ndarray, size: int, crops: int) -> tf.Tensor:
    """Return test crops (section 4): resize the shorter side to `size`, then cut squares along the longer side.

    Args:
        frames: uint8 or float32 `[N, H, W, C]`.
        size: height and width of a crop, in pixels.
        crops: 1 for the center crop; more crops are evenly spaced from one end to the other; 0 for whole frames.

    Returns:
        float32 `[crops, N, size, size, C]` (for 0 crops `[1, N, H', W', C]`), with the value range of the input.

    Example:
        >>> test_crops(np.zeros([4, 240, 320, 3], np.uint8), 256, crops=3).shape
        TensorShape([3, 4, 256, 256, 3])
    """
    frames = resize(frames, size)
    if not crops:
        return frames[None]
    room = tf.shape(frames)[1:3] - size
    found = []
    for place in [0.5] if crops == 1 else [i / (crops - 1) for i in range(crops)]:
        top, left = tf.unstack(_corner(room, place))
        found.append(frames[:, top : top + size, left : left + size])
    # Keep the static number of frames: on a replica without clips, -1 is ambiguous.
    return tf.reshape(tf.stack(found), [crops, frames.shape[0] or -1, size, size, frames.shape[-1]])


def middle_window(shape: tf.Tensor, size: int) -> tuple[tf.Tensor, Window]:
    """Return the window of the center crop of `test_crops`, for `crop_boxes`.

    Args:
        shape: height and width of the frames, int `[2]`.
        size: height and width of the crop, in pixels.

    Returns:
        Height and width of the resized frames, int32 `[2]`, and the window in the resized frames.

    Example:
        >>> shape, window = middle_window(tf.constant([240, 320]), 256)
        >>> shape.numpy()
        array([256, 341], dtype=int32)
    """
    shape = tf.cast(resized_shape(shape, size), tf.int32)
    top, left = tf.unstack(_corner(shape - size, 0.5))
    return shape, Window(top, left, tf.constant(size), tf.constant(size), tf.constant(False))


def _corner(room: tf.Tensor, place: float) -> tf.Tensor:
    return tf.cast(tf.math.ceil(tf.cast(room, tf.float32) * place), tf.int32)


def normalize(frames: tf.Tensor | np.ndarray, spec: SlowFastSpec) -> tf.Tensor:
    """Normalize frames for a network: `(x / 255 - mean) / std`, in its channel order.

    Args:
        frames: uint8 or float32 `[..., 3]`, RGB, 0 to 255.
        spec: the network.

    Returns:
        float32 `[..., 3]`.

    Example:
        >>> normalize(np.full([1, 1, 1, 3], 255, np.uint8), get_spec("slowfast_8x8_r50")).numpy().round(2)
        array([[[[2.44, 2.44, 2.44]]]], dtype=float32)
    """
    frames = tf.convert_to_tensor(frames)
    if spec.channel_order == "bgr":
        frames = tf.reverse(frames, [-1])
    low = [-m / s for m, s in zip(spec.mean, spec.std)]
    high = [(1 - m) / s for m, s in zip(spec.mean, spec.std)]
    if len(set(low)) == len(set(high)) == 1:
        # TensorFlow is several times as fast with one number for all channels.
        low, high = low[0], high[0]
        if frames.dtype == tf.uint8:
            return tf.quantization.dequantize(tf.bitcast(frames, tf.quint8), low, high, mode="MIN_COMBINED")
    scale = (tf.constant(high) - tf.constant(low)) / 255
    return tf.cast(frames, tf.float32) * scale + tf.constant(low)


def denormalize(frames: tf.Tensor | np.ndarray, spec: SlowFastSpec) -> np.ndarray:
    """Return the rounded pixels of normalized frames; undo `normalize`.

    Args:
        frames: float `[..., 3]`, a NumPy array or an eager tensor, normalized for `spec`.
        spec: the network.

    Returns:
        uint8 `[..., 3]`, RGB.

    Example:
        >>> spec = get_spec("slowfast_8x8_r50")
        >>> denormalize(normalize(np.array([[1, 2, 3]], np.uint8), spec), spec)
        array([[1, 2, 3]], dtype=uint8)
    """
    frames = np.asarray(frames) * spec.std + spec.mean
    frames = frames[..., ::-1] if spec.channel_order == "bgr" else frames
    return np.clip(frames * 255, 0, 255).round().astype(np.uint8)


def pathways(clip: tf.Tensor, spec: SlowFastSpec, flow: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
    """Return the inputs of a network's pathways (section 3; the Fast inputs of Table 5c).

    Args:
        clip: normalized float32 `[..., alpha * T, S, S, 3]` (T frames for Slow-only), in the spec's channel order.
        spec: the network.
        flow: optical flow divided by 20 pixels, float32 `[..., alpha * T, S, S, 2]` (T frames for Slow-only), for a
            `slow_input` or `fast_input` "flow".

    Returns:
        "slow" `[..., T, S, S, C]` and "fast" `[..., alpha * T, S', S', C]`, for the pathways of the spec.

    Raises:
        ValueError: if the network takes optical flow and `flow` is None.

    Example:
        >>> spec = get_spec("slowfast_8x8_r50")
        >>> inputs = pathways(normalize(np.zeros([32, 224, 224, 3], np.uint8), spec), spec)
        >>> {name: x.shape[0] for name, x in inputs.items()}
        {'slow': 8, 'fast': 32}
    """
    if flow is None and not spec.takes_video:
        raise ValueError("the network needs optical flow, received frames only; read records that hold flow")
    inputs = {}
    if "slow" in spec.pathways:
        inputs["slow"] = tf.gather(flow if spec.slow_input == "flow" else clip, spec.slow_index, axis=-4)
    if "fast" in spec.pathways:
        inputs["fast"] = flow if spec.fast_input == "flow" else _fast_input(clip, spec)
    return inputs


def _fast_input(clip: tf.Tensor, spec: SlowFastSpec) -> tf.Tensor:
    if spec.fast_input == "half":
        shape = tf.shape(clip)
        half = (shape[-3:-1] + 1) // 2
        frames = tf.image.resize(tf.reshape(clip, tf.concat([[-1], shape[-3:]], 0)), half, antialias=True)
        return tf.reshape(frames, tf.concat([shape[:-3], half, shape[-1:]], 0))
    if spec.fast_input in ("gray", "difference"):
        weights = tf.constant([0.299, 0.587, 0.114][:: -1 if spec.channel_order == "bgr" else 1])
        gray: Any = tf.reduce_sum(clip * weights, -1, keepdims=True)  # Any: the stubs lack these slices
        if spec.fast_input == "gray":
            return gray
        # The first frame has no previous frame, so its difference is 0.
        return tf.concat([tf.zeros_like(gray[..., :1, :, :, :]), gray[..., 1:, :, :, :] - gray[..., :-1, :, :, :]], -4)
    return clip
