"""Augmentation of training clips beyond scale, crop and flip. TensorFlow ops throughout, one draw for all frames.

Every function is a function of its seed, two integers: the same seed gives the same clip. Randomly coloured, moved
and erased clips are as PySlowFast has them (AUG and MIXUP in its configurations), which follows timm.
"""

import functools
import math

import tensorflow as tf

_GRAY = (0.299, 0.587, 0.114)
_FILL = 128.0  # what comes in from outside the picture, as in timm


def color_jitter(clip, strength, seed):
    """Brightness, contrast and saturation, each by a factor of its own, in random order.

    Args:
        clip: float32 `[T, H, W, 3]`, RGB, 0 to 255.
        strength: 0 to 1; factors are uniform in `[1 - strength, 1 + strength]`. 0.4 in PySlowFast.
        seed: two integers.

    Returns:
        float32 `[T, H, W, 3]`, 0 to 255.
    """
    factors, order = tf.unstack(tf.random.stateless_uniform([2, 3], seed))
    factors = 1 + strength * (2 * factors - 1)
    order = tf.argsort(order)
    for i in range(3):
        steps = [functools.partial(f, clip, factors[j]) for j, f in enumerate((brightness, contrast, saturation))]
        clip = tf.switch_case(order[i], steps)
    return clip


def rand_augment(clip, layers, magnitude, seed):
    """RandAugment (arXiv 1909.13719) as timm and PySlowFast have it: "rand-m{magnitude}-n{layers}-mstd0.5-inc1".

    Each layer draws one of fifteen operations, applies it half of the time, and draws its strength anew, from a
    normal distribution around `magnitude` of deviation 0.5. The operation and its strength are the same for all
    frames; what `auto_contrast`, `equalize` and `contrast` take from the picture is each frame's own.

    Args:
        clip: float32 `[T, H, W, 3]`, RGB, 0 to 255.
        layers: how many operations, one after the other.
        magnitude: 0 (weak) to 10 (strong).
        seed: two integers.

    Returns:
        float32 `[T, H, W, 3]`, 0 to 255. What moves in from outside the picture is gray (128).
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


def _operations(clip, strength, sign):
    """The operations of RandAugment as functions of nothing, for a strength in 0..1 and a sign of -1 or 1."""
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


def brightness(clip, factor):
    """The clip times a factor: 0 is black, 1 the clip."""
    return _to_range(clip * factor)


def contrast(clip, factor):
    """Away from each frame's mean gray by a factor: 0 is that gray, 1 the clip."""
    mean = tf.tensordot(tf.reduce_mean(clip, [1, 2]), tf.constant(_GRAY), 1)[:, None, None, None]
    return _to_range(clip * factor + mean * (1 - factor))


def saturation(clip, factor):
    """Away from each pixel's gray by a factor: 0 is a gray clip, 1 the clip."""
    # One product with a 3x3 matrix: several times as fast as a sum over the last dimension.
    matrix = factor * tf.eye(3) + (1 - factor) * tf.tile(tf.constant(_GRAY)[:, None], [1, 3])
    return _to_range(tf.reshape(tf.matmul(tf.reshape(clip, [-1, 3]), matrix), tf.shape(clip)))


def sharpness(clip, factor):
    """Away from a smoothed clip by a factor: 0 is smooth, 1 the clip. The outermost pixels stay as they are.

    Smoothing weighs a pixel 5 and its eight neighbours 1, as PIL's does.
    """
    height, width = tf.unstack(tf.shape(clip)[1:3])
    inner = tf.pad(tf.ones([height - 2, width - 2]), [(1, 1), (1, 1)])[:, :, None]
    # A pixel less its smoothed self is 9 / 13 of the pixel less the mean of the nine.
    edges = clip - tf.nn.avg_pool2d(clip, 3, 1, "SAME")
    return _to_range(clip + (factor - 1) * 9 / 13 * inner * edges)


def posterize(clip, bits):
    """Keeps the highest `bits` (0 to 8) of 8 bits."""
    step = 2.0 ** (8 - tf.cast(bits, tf.float32))
    return tf.floor(clip / step) * step


def solarize(clip, threshold):
    """Inverts what is at least `threshold`."""
    above = tf.cast(clip >= threshold, tf.float32)  # several times as fast as tf.where
    return clip + above * (255 - 2 * clip)


def solarize_add(clip, amount):
    """Adds an amount, at most 110, to what is below 128."""
    return clip + amount * tf.cast(clip < 128, tf.float32)


def auto_contrast(clip):
    """Stretches each channel of each frame over 0 to 255; one of a single value stays as it is."""
    low, high = tf.reduce_min(clip, [1, 2], keepdims=True), tf.reduce_max(clip, [1, 2], keepdims=True)
    flat = high <= low
    scale = 255 / tf.where(flat, 255.0, high - low)
    return (clip - tf.where(flat, 0.0, low)) * scale


def equalize(clip):
    """Makes all values of each channel of each frame about equally frequent, as PIL does, in whole numbers."""
    frames, height, width, channels = tf.unstack(tf.shape(clip))
    histograms = frames * channels
    # A bin for each value in each channel of each frame, in one row.
    first = 256 * tf.reshape(tf.range(histograms), [frames, 1, 1, channels])
    bins = tf.cast(tf.round(_to_range(clip)), tf.int32) + first
    counts = tf.math.bincount(tf.reshape(bins, [-1]), minlength=256 * histograms, maxlength=256 * histograms)
    below = tf.cumsum(tf.reshape(counts, [histograms, 256]), axis=1, exclusive=True)
    # Pixels that are not of the highest value there is.
    others = tf.reduce_max(tf.where(below < height * width, below, 0), 1, keepdims=True)
    step = others // 255
    table = tf.minimum((below + step // 2) // tf.maximum(step, 1), 255)
    table = tf.where(step > 0, table, tf.range(256))
    return tf.gather(tf.cast(tf.reshape(table, [-1]), tf.float32), bins)


def rotate(clip, degrees):
    """Turns the clip about its middle, counter-clockwise; bilinear."""
    height, width = tf.unstack(tf.cast(tf.shape(clip)[1:3], tf.float32))
    angle = degrees * math.pi / 180
    cos, sin = tf.cos(angle), tf.sin(angle)
    x, y = width / 2, height / 2
    return affine(clip, [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y])


def affine(clip, matrix):
    """Moves pixels; bilinear, gray (128) from outside.

    Args:
        clip: float32 `[T, H, W, C]`.
        matrix: six numbers (a, b, c, d, e, f), as PIL takes them: what comes to (x, y) is what was at
            (ax + by + c, dx + ey + f). Coordinates are continuous: a pixel's middle is at 0.5.
    """
    a, b, c, d, e, f = (tf.cast(value, tf.float32) for value in matrix)
    # The op counts from the middle of the first pixel.
    c, f = c + (a + b - 1) / 2, f + (d + e - 1) / 2
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=clip,
        transforms=tf.stack([a, b, c, d, e, f, 0.0, 0.0])[None],
        output_shape=tf.shape(clip)[1:3],
        fill_value=_FILL,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def random_erasing(clip, probability, seed):
    """Random erasing (arXiv 1708.04896): noise over a rectangle, the same one in all frames.

    It covers 2 to 33 % of a frame, with an aspect ratio of 0.3 to 3.3 (log-uniform).

    Args:
        clip: float32 `[T, H, W, C]`, normalised: the noise is standard normal, drawn for each pixel.
        probability: of erasing anything at all. 0.25 in PySlowFast.
        seed: two integers.

    Returns:
        float32 `[T, H, W, C]`.
    """
    seeds = tf.random.experimental.stateless_split(seed, 3)  # pyright: ignore[reportAttributeAccessIssue]
    frames, height, width, channels = tf.unstack(tf.shape(clip))
    sides = tf.cast(tf.stack([height, width]), tf.float32)
    # The first of ten draws that lies within; a rectangle of 33 % may be longer than the frame.
    area, aspect = tf.unstack(tf.random.stateless_uniform([2, 10], seeds[0]))
    area = (0.02 + (1 / 3 - 0.02) * area) * sides[0] * sides[1]
    aspect = tf.exp((2 * aspect - 1) * math.log(1 / 0.3))
    boxes = tf.round(tf.sqrt(tf.stack([area * aspect, area / aspect], 1)))
    fits = tf.reduce_all(boxes < sides, 1)
    box = boxes[tf.argmax(fits)]
    draws = tf.random.stateless_uniform([3], seeds[1])
    top, left = tf.unstack(tf.cast(draws[:2] * (sides - box + 1), tf.int32))
    box = tf.cast(box, tf.int32)

    def erase():
        noise = tf.random.stateless_normal([frames, box[0], box[1], channels], seeds[2])
        return _put(clip, noise, top, left)

    erased = tf.cond((draws[2] < probability) & tf.reduce_any(fits), erase, lambda: clip)
    return tf.ensure_shape(erased, clip.shape)


def mix(inputs, labels, mixup_alpha, cutmix_alpha, seed):
    """`mixup` or `cutmix`: the one whose alpha is above 0, either half of the time where both are.

    Args and returns are as theirs.
    """
    if not (mixup_alpha and cutmix_alpha):
        return cutmix(inputs, labels, cutmix_alpha, seed) if cutmix_alpha else mixup(inputs, labels, mixup_alpha, seed)
    seeds = tf.random.experimental.stateless_split(seed, 2)  # pyright: ignore[reportAttributeAccessIssue]
    return tf.cond(
        tf.random.stateless_uniform([], seeds[0]) < 0.5,
        lambda: cutmix(inputs, labels, cutmix_alpha, seeds[1]),
        lambda: mixup(inputs, labels, mixup_alpha, seeds[1]),
    )


def mixup(inputs, labels, alpha, seed):
    """Mixup (arXiv 1710.09412): every clip of a batch a blend of itself and the one opposite (the batch reversed).

    Args:
        inputs: a dictionary of float32 `[B, T, H, W, C]`, one a pathway, normalised.
        labels: float32 `[B, classes]`, of one class or many.
        alpha: above 0; the share of a clip itself is drawn from Beta(alpha, alpha), once for the batch. 0.8 in
            PySlowFast.
        seed: two integers.

    Returns:
        Inputs and labels of the same shapes. A label is the blend of the two clips' labels.
    """
    share = _beta(alpha, seed)
    return {name: _blend(x, share) for name, x in inputs.items()}, _blend(labels, share)


def cutmix(inputs, labels, alpha, seed):
    """CutMix (arXiv 1905.04899): in every clip of a batch a rectangle from the one opposite (the batch reversed).

    The rectangle is the same in all frames, clips and pathways, scaled where a pathway has smaller frames. Its area
    is drawn from Beta(alpha, alpha), once for the batch; it is cut at the border, and labels go by what is left.

    Args and returns as for `mixup`; alpha is 1 in PySlowFast.
    """
    seeds = tf.random.experimental.stateless_split(seed, 2)  # pyright: ignore[reportAttributeAccessIssue]
    sizes = {name: tf.shape(x)[2:4] for name, x in inputs.items()}
    # On the coarsest grid, so that whole pixels are the same place in every pathway.
    grid = functools.reduce(tf.minimum, sizes.values())
    sides = tf.cast(grid, tf.float32)
    half = tf.cast(sides * tf.sqrt(1 - _beta(alpha, seeds[0])), tf.int32) // 2
    middle = tf.cast(tf.random.stateless_uniform([2], seeds[1]) * sides, tf.int32)
    first, last = tf.maximum(middle - half, 0), tf.minimum(middle + half, grid)

    def cut(x, size):
        (top, left), (bottom, right) = (tf.unstack(edge * size // grid) for edge in (first, last))
        patch = tf.reverse(x[:, :, top:bottom, left:right], [0])
        return tf.ensure_shape(_put(x, patch, top, left), x.shape)

    share = 1 - tf.cast(tf.reduce_prod(last - first), tf.float32) / tf.cast(tf.reduce_prod(grid), tf.float32)
    return {name: cut(x, sizes[name]) for name, x in inputs.items()}, _blend(labels, share)


def _blend(x, share):
    """`x` and its reverse along the batch, in the shares `share` and `1 - share`."""
    return share * x + (1 - share) * tf.reverse(x, [0])


def _beta(alpha, seed):
    """A draw from Beta(alpha, alpha), float32."""
    draws = tf.random.stateless_gamma([2], seed, alpha, dtype=tf.float64)
    return tf.cast(tf.math.divide_no_nan(draws[0], tf.reduce_sum(draws)), tf.float32)  # a tiny alpha gives 0 / 0


def _put(x, patch, top, left):
    """`x` `[..., H, W, C]` with `patch` `[..., h, w, C]` at a place."""
    height, width = tf.unstack(tf.shape(patch)[-3:-1])
    rows = x[..., top : top + height, :, :]
    rows = tf.concat([rows[..., :left, :], patch, rows[..., left + width :, :]], -2)
    return tf.concat([x[..., :top, :, :], rows, x[..., top + height :, :, :]], -3)


def _to_range(clip):
    return tf.clip_by_value(clip, 0.0, 255.0)
