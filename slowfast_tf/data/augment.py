"""Augment training clips beyond scale, crop and flip, with TensorFlow ops and the same draw for all frames.

The same seed, int `[2]`, gives the same result. The operations and their distributions are those of PySlowFast (AUG
in its configurations), which follows timm. `mixing` mixes the clips of a batch.
"""

import functools
import math
import typing
from collections.abc import Callable, Sequence

import tensorflow as tf

from .mixing import Seed, paste

Number: typing.TypeAlias = float | tf.Tensor  # a number or a scalar tensor

_GRAY = (0.299, 0.587, 0.114)
_FILL = 128.0  # value of pixels from outside the frame, as in timm


def color_jitter(clip: tf.Tensor, strength: float, seed: Seed) -> tf.Tensor:
    """Change brightness, contrast and saturation by a separate random factor each, in random order.

    Args:
        clip: float32 `[T, H, W, 3]`, RGB, 0 to 255.
        strength: 0 to 1; factors are uniform in `[1 - strength, 1 + strength]`. PySlowFast uses 0.4.
        seed: int `[2]`.

    Returns:
        float32 `[T, H, W, 3]`, 0 to 255.

    Example:
        >>> color_jitter(tf.fill([4, 8, 8, 3], 100.0), strength=0.4, seed=(0, 1)).shape
        TensorShape([4, 8, 8, 3])
    """
    factors, order = tf.unstack(tf.random.stateless_uniform([2, 3], seed))
    factors = 1 + strength * (2 * factors - 1)
    order = tf.argsort(order)
    for i in range(3):
        steps = [functools.partial(f, clip, factors[j]) for j, f in enumerate((brightness, contrast, saturation))]
        clip = tf.switch_case(order[i], steps)
    return clip


def rand_augment(clip: tf.Tensor, layers: int, magnitude: float, seed: Seed) -> tf.Tensor:
    """Apply RandAugment (arXiv 1909.13719); timm and PySlowFast name it "rand-m{magnitude}-n{layers}-mstd0.5-inc1".

    Each layer draws one of fifteen operations, applies it with probability 0.5, and draws its strength from a normal
    distribution with mean `magnitude` and standard deviation 0.5. All frames share the operation and its strength;
    `auto_contrast`, `equalize` and `contrast` compute their statistics for each frame.

    Args:
        clip: float32 `[T, H, W, 3]`, RGB, 0 to 255.
        layers: number of operations in sequence.
        magnitude: 0 (weak) to 10 (strong).
        seed: int `[2]`.

    Returns:
        float32 `[T, H, W, 3]`, 0 to 255. Pixels from outside the frame are gray (128).

    Example:
        >>> rand_augment(tf.fill([4, 8, 8, 3], 100.0), layers=2, magnitude=7, seed=(0, 1)).shape
        TensorShape([4, 8, 8, 3])
    """
    shape = clip.shape
    seeds = tf.random.experimental.stateless_split(seed, 2)  # pyright: ignore[reportAttributeAccessIssue]
    draws = tf.random.stateless_uniform([layers, 3], seeds[0])
    strengths = (magnitude + 0.5 * tf.random.stateless_normal([layers], seeds[1])) / 10
    for i in range(layers):
        pick, sign, applied = tf.unstack(draws[i])
        strength = tf.clip_by_value(strengths[i], 0.0, 1.0)
        operations = _operations(clip, strength, tf.where(sign < 0.5, -1.0, 1.0))
        index = tf.cast(pick * len(operations), tf.int32)
        clip = tf.switch_case(tf.where(applied < 0.5, index, len(operations)), [*operations, lambda c=clip: c])
    return tf.ensure_shape(clip, shape)


def _operations(clip: tf.Tensor, strength: tf.Tensor, sign: tf.Tensor) -> list[Callable[[], tf.Tensor]]:
    """Return RandAugment's operations as functions without arguments, for a strength (0 to 1) and a sign (-1 or 1)."""
    height, width = tf.unstack(tf.cast(tf.shape(clip)[1:3], tf.float32))
    factor = 1 + 0.9 * strength * sign
    shift = 0.45 * strength * sign
    return [
        lambda: auto_contrast(clip),
        lambda: equalize(clip),
        lambda: 255 - clip,
        lambda: rotate(clip, 30 * strength * sign),
        lambda: posterize(clip, 4 - tf.floor(4 * strength)),
        lambda: solarize(clip, 256 - tf.floor(256 * strength)),
        lambda: solarize_add(clip, tf.floor(110 * strength)),
        lambda: saturation(clip, factor),
        lambda: contrast(clip, factor),
        lambda: brightness(clip, factor),
        lambda: sharpness(clip, factor),
        lambda: affine(clip, [1, 0.3 * strength * sign, 0, 0, 1, 0]),
        lambda: affine(clip, [1, 0, 0, 0.3 * strength * sign, 1, 0]),
        lambda: affine(clip, [1, 0, shift * width, 0, 1, 0]),
        lambda: affine(clip, [1, 0, 0, 0, 1, shift * height]),
    ]


def brightness(clip: tf.Tensor, factor: Number) -> tf.Tensor:
    """Multiply a clip by a factor: 0 gives black, 1 the clip.

    Args:
        clip: float32 `[T, H, W, C]`, 0 to 255.
        factor: 0 or more.

    Returns:
        float32 `[T, H, W, C]`, 0 to 255.

    Example:
        >>> clip = tf.constant([0.0, 100.0, 200.0, 255.0], shape=[1, 2, 2, 1])
        >>> tf.reshape(brightness(clip, 0.5), [-1]).numpy()
        array([  0. ,  50. , 100. , 127.5], dtype=float32)
    """
    return _to_range(clip * factor)


def contrast(clip: tf.Tensor, factor: Number) -> tf.Tensor:
    """Scale the distance to each frame's mean gray: factor 0 gives that gray, 1 the clip.

    Args:
        clip: float32 `[T, H, W, 3]`, 0 to 255.
        factor: 0 or more.

    Returns:
        float32 `[T, H, W, 3]`, 0 to 255.

    Example:
        >>> clip = tf.constant([[[[0.0, 100.0, 200.0], [40.0, 40.0, 40.0]]]])
        >>> contrast(clip, 0.0).numpy()[0, 0].round()
        array([[61., 61., 61.],
               [61., 61., 61.]], dtype=float32)
    """
    mean = tf.tensordot(tf.reduce_mean(clip, [1, 2]), tf.constant(_GRAY), 1)[:, None, None, None]
    return _to_range(clip * factor + mean * (1 - factor))


def saturation(clip: tf.Tensor, factor: Number) -> tf.Tensor:
    """Scale the distance to each pixel's gray: factor 0 gives a gray clip, 1 the clip.

    Args:
        clip: float32 `[T, H, W, 3]`, 0 to 255.
        factor: 0 or more.

    Returns:
        float32 `[T, H, W, 3]`, 0 to 255.

    Example:
        >>> clip = tf.constant([[[[0.0, 100.0, 200.0], [40.0, 40.0, 40.0]]]])
        >>> saturation(clip, 0.0).numpy()[0, 0].round()
        array([[82., 82., 82.],
               [40., 40., 40.]], dtype=float32)
    """
    # A product with a 3x3 matrix is several times as fast as a sum over the last dimension.
    matrix = factor * tf.eye(3) + (1 - factor) * tf.tile(tf.constant(_GRAY)[:, None], [1, 3])
    return _to_range(tf.reshape(tf.matmul(tf.reshape(clip, [-1, 3]), matrix), tf.shape(clip)))


def sharpness(clip: tf.Tensor, factor: Number) -> tf.Tensor:
    """Scale the distance to a smoothed clip: factor 0 gives the smoothed clip, 1 the clip.

    Smoothing weights a pixel by 5 and its eight neighbors by 1, as in PIL. The outermost pixels do not change.

    Args:
        clip: float32 `[T, H, W, C]`, 0 to 255.
        factor: 0 or more.

    Returns:
        float32 `[T, H, W, C]`, 0 to 255.

    Example:
        >>> float(sharpness(tf.fill([1, 3, 3, 1], 7.0), 2.0)[0, 1, 1, 0])
        7.0
    """
    height, width = tf.unstack(tf.shape(clip)[1:3])
    inner = tf.pad(tf.ones([height - 2, width - 2]), [(1, 1), (1, 1)])[:, :, None]
    # pixel - smoothed pixel = 9 / 13 * (pixel - mean of the nine pixels)
    edges = clip - tf.nn.avg_pool2d(clip, 3, 1, "SAME")
    return _to_range(clip + (factor - 1) * 9 / 13 * inner * edges)


def posterize(clip: tf.Tensor, bits: Number) -> tf.Tensor:
    """Keep the highest `bits` (0 to 8) of 8 bits.

    Args:
        clip: float32 `[T, H, W, C]`, 0 to 255.
        bits: the number of bits to keep.

    Returns:
        float32 `[T, H, W, C]`, 0 to 255.

    Example:
        >>> clip = tf.constant([0.0, 100.0, 200.0, 255.0], shape=[1, 2, 2, 1])
        >>> tf.reshape(posterize(clip, 1), [-1]).numpy()
        array([  0.,   0., 128., 128.], dtype=float32)
    """
    step = 2.0 ** (8 - tf.cast(bits, tf.float32))  # pyright: ignore[reportOperatorIssue]
    return tf.floor(clip / step) * step


def solarize(clip: tf.Tensor, threshold: Number) -> tf.Tensor:
    """Invert the values that are at least `threshold`.

    Args:
        clip: float32 `[T, H, W, C]`, 0 to 255.
        threshold: 0 to 256.

    Returns:
        float32 `[T, H, W, C]`, 0 to 255.

    Example:
        >>> clip = tf.constant([0.0, 100.0, 200.0, 255.0], shape=[1, 2, 2, 1])
        >>> tf.reshape(solarize(clip, 128), [-1]).numpy()
        array([  0., 100.,  55.,   0.], dtype=float32)
    """
    above = tf.cast(clip >= threshold, tf.float32)  # several times as fast as tf.where
    return clip + above * (255 - 2 * clip)


def solarize_add(clip: tf.Tensor, amount: Number) -> tf.Tensor:
    """Add an amount, at most 110, to the values below 128.

    Args:
        clip: float32 `[T, H, W, C]`, 0 to 255.
        amount: 0 to 110.

    Returns:
        float32 `[T, H, W, C]`, 0 to 255.

    Example:
        >>> clip = tf.constant([0.0, 100.0, 200.0, 255.0], shape=[1, 2, 2, 1])
        >>> tf.reshape(solarize_add(clip, 50), [-1]).numpy()
        array([ 50., 150., 200., 255.], dtype=float32)
    """
    return clip + amount * tf.cast(clip < 128, tf.float32)


def auto_contrast(clip: tf.Tensor) -> tf.Tensor:
    """Stretch each channel of each frame to 0..255; a channel of one value does not change.

    Args:
        clip: float32 `[T, H, W, C]`, 0 to 255.

    Returns:
        float32 `[T, H, W, C]`, 0 to 255.

    Example:
        >>> clip = tf.constant([100.0, 110.0, 120.0, 120.0], shape=[1, 2, 2, 1])
        >>> tf.reshape(auto_contrast(clip), [-1]).numpy()
        array([  0. , 127.5, 255. , 255. ], dtype=float32)
    """
    low, high = tf.reduce_min(clip, [1, 2], keepdims=True), tf.reduce_max(clip, [1, 2], keepdims=True)
    flat = high <= low
    scale = 255 / tf.where(flat, 255.0, high - low)
    return (clip - tf.where(flat, 0.0, low)) * scale


def equalize(clip: tf.Tensor) -> tf.Tensor:
    """Equalize the histogram of each channel of each frame as in PIL; values are rounded to whole numbers.

    Args:
        clip: float32 `[T, H, W, C]`, 0 to 255.

    Returns:
        float32 `[T, H, W, C]`, 0 to 255.

    Example:
        >>> equalize(tf.random.uniform([4, 8, 8, 3], 0, 255)).shape
        TensorShape([4, 8, 8, 3])
    """
    frames, height, width, channels = tf.unstack(tf.shape(clip))
    histograms = frames * channels
    # One row of bins: 256 for each channel of each frame.
    first = 256 * tf.reshape(tf.range(histograms), [frames, 1, 1, channels])
    bins = tf.cast(tf.round(_to_range(clip)), tf.int32) + first
    counts = tf.math.bincount(tf.reshape(bins, [-1]), minlength=256 * histograms, maxlength=256 * histograms)
    below = tf.cumsum(tf.reshape(counts, [histograms, 256]), axis=1, exclusive=True)
    # Number of pixels with a lower value than the highest one.
    others = tf.reduce_max(tf.where(below < height * width, below, 0), 1, keepdims=True)
    step = others // 255
    table = tf.minimum((below + step // 2) // tf.maximum(step, 1), 255)
    table = tf.where(step > 0, table, tf.range(256))
    return tf.gather(tf.cast(tf.reshape(table, [-1]), tf.float32), bins)


def rotate(clip: tf.Tensor, degrees: Number) -> tf.Tensor:
    """Rotate a clip counterclockwise about its center, with bilinear interpolation.

    Args:
        clip: float32 `[T, H, W, C]`, 0 to 255.
        degrees: angle in degrees, counterclockwise.

    Returns:
        float32 `[T, H, W, C]`, 0 to 255.

    Example:
        >>> clip = tf.constant([0.0, 100.0, 200.0, 255.0], shape=[1, 2, 2, 1])
        >>> tf.reshape(rotate(clip, 90), [-1]).numpy().round()
        array([100., 255.,   0., 200.], dtype=float32)
    """
    height, width = tf.unstack(tf.cast(tf.shape(clip)[1:3], tf.float32))
    angle = degrees * math.pi / 180
    cos, sin = tf.cos(angle), tf.sin(angle)
    x, y = width / 2, height / 2
    return affine(clip, [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y])


def affine(clip: tf.Tensor, matrix: Sequence[Number]) -> tf.Tensor:
    """Apply an affine transform with bilinear interpolation; pixels from outside the frame are gray (128).

    Args:
        clip: float32 `[T, H, W, C]`.
        matrix: six numbers (a, b, c, d, e, f), as in PIL: the output at (x, y) is the input at
            (ax + by + c, dx + ey + f). Coordinates are continuous, in pixels: a pixel's center is at 0.5.

    Returns:
        float32 `[T, H, W, C]`.

    Example:
        >>> clip = tf.constant([0.0, 100.0, 200.0, 255.0], shape=[1, 2, 2, 1])
        >>> tf.reshape(affine(clip, (1, 0, 1, 0, 1, 0)), [-1]).numpy()
        array([100., 128., 255., 128.], dtype=float32)
    """
    a, b, c, d, e, f = (tf.cast(value, tf.float32) for value in matrix)
    # The op's origin is the center of the first pixel.
    c, f = c + (a + b - 1) / 2, f + (d + e - 1) / 2
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=clip,
        transforms=tf.stack([a, b, c, d, e, f, 0.0, 0.0])[None],
        output_shape=tf.shape(clip)[1:3],
        fill_value=_FILL,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def random_erasing(clip: tf.Tensor, probability: float, seed: Seed) -> tf.Tensor:
    """Replace a rectangle by noise, the same rectangle in all frames (random erasing, arXiv 1708.04896).

    The rectangle covers 2 to 33 % of a frame, with an aspect ratio of 0.3 to 3.3 (log-uniform). The noise is standard
    normal, drawn for each pixel.

    Args:
        clip: normalized float32 `[T, H, W, C]`.
        probability: probability of erasing a rectangle; PySlowFast uses 0.25.
        seed: int `[2]`.

    Returns:
        float32 `[T, H, W, C]`.

    Example:
        >>> random_erasing(tf.zeros([4, 8, 8, 3]), probability=0.25, seed=(0, 1)).shape
        TensorShape([4, 8, 8, 3])
    """
    seeds = tf.random.experimental.stateless_split(seed, 3)  # pyright: ignore[reportAttributeAccessIssue]
    frames, height, width, channels = tf.unstack(tf.shape(clip))
    sides = tf.cast(tf.stack([height, width]), tf.float32)
    # Use the first of ten draws that fits: a rectangle of 33 % may be longer than the frame.
    area, aspect = tf.unstack(tf.random.stateless_uniform([2, 10], seeds[0]))
    area = (0.02 + (1 / 3 - 0.02) * area) * sides[0] * sides[1]
    aspect = tf.exp((2 * aspect - 1) * math.log(1 / 0.3))
    boxes = tf.round(tf.sqrt(tf.stack([area * aspect, area / aspect], 1)))
    fits = tf.reduce_all(boxes < sides, 1)
    box = boxes[tf.argmax(fits)]
    draws = tf.random.stateless_uniform([3], seeds[1])
    top, left = tf.unstack(tf.cast(draws[:2] * (sides - box + 1), tf.int32))
    box = tf.cast(box, tf.int32)

    def erase() -> tf.Tensor:
        noise = tf.random.stateless_normal([frames, box[0], box[1], channels], seeds[2])
        return paste(clip, noise, top, left)

    erased = tf.cond((draws[2] < probability) & tf.reduce_any(fits), erase, lambda: clip)
    return tf.ensure_shape(erased, clip.shape)


def _to_range(clip: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(clip, 0.0, 255.0)
