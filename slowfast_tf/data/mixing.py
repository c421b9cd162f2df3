"""Mix the clips of a batch and their labels: mixup and CutMix, with TensorFlow ops.

The same seed, int `[2]`, gives the same result. The distributions are those of PySlowFast (MIXUP in its
configurations), which follows timm.
"""

import functools
import typing

import tensorflow as tf

Seed: typing.TypeAlias = tf.Tensor | tuple[int, int]
Inputs: typing.TypeAlias = dict[str, tf.Tensor]  # a tensor for each pathway


def mix(
    inputs: Inputs, labels: tf.Tensor, mixup_alpha: float, cutmix_alpha: float, seed: Seed
) -> tuple[Inputs, tf.Tensor]:
    """Apply `mixup` or `cutmix`: the one with an alpha above 0; if both have one, each with probability 0.5.

    Args:
        inputs, labels, seed: as for `mixup`.
        mixup_alpha: alpha of `mixup`; 0 disables it.
        cutmix_alpha: alpha of `cutmix`; 0 disables it. At least one alpha must be above 0.

    Returns:
        Mixed inputs and labels, of the same shapes.

    Example:
        >>> inputs, labels = {"slow": tf.zeros([2, 4, 8, 8, 3])}, tf.eye(2)
        >>> inputs, labels = mix(inputs, labels, mixup_alpha=0.8, cutmix_alpha=1.0, seed=(0, 1))
        >>> labels.numpy().sum(1)
        array([1., 1.], dtype=float32)
    """
    if not (mixup_alpha and cutmix_alpha):
        return cutmix(inputs, labels, cutmix_alpha, seed) if cutmix_alpha else mixup(inputs, labels, mixup_alpha, seed)
    seeds = tf.random.experimental.stateless_split(seed, 2)  # pyright: ignore[reportAttributeAccessIssue]
    return tf.cond(
        tf.random.stateless_uniform([], seeds[0]) < 0.5,
        lambda: cutmix(inputs, labels, cutmix_alpha, seeds[1]),
        lambda: mixup(inputs, labels, mixup_alpha, seeds[1]),
    )


def mixup(inputs: Inputs, labels: tf.Tensor, alpha: float, seed: Seed) -> tuple[Inputs, tf.Tensor]:
    """Blend each clip of a batch with its counterpart in the reversed batch (mixup, arXiv 1710.09412).

    Args:
        inputs: normalized float32 `[B, T, H, W, C]` of each pathway.
        labels: float32 `[B, classes]`; a clip may have several classes.
        alpha: above 0; the weight of the clip itself is drawn from Beta(alpha, alpha), once for the batch. PySlowFast
            uses 0.8.
        seed: int `[2]`.

    Returns:
        Blended inputs and labels, of the same shapes.

    Example:
        >>> inputs, labels = {"slow": tf.zeros([2, 4, 8, 8, 3])}, tf.eye(2)
        >>> inputs, labels = mixup(inputs, labels, alpha=0.8, seed=(0, 1))
        >>> labels.numpy().sum(1)
        array([1., 1.], dtype=float32)
    """
    share = _beta(alpha, seed)
    return {name: _blend(x, share) for name, x in inputs.items()}, _blend(labels, share)


def cutmix(inputs: Inputs, labels: tf.Tensor, alpha: float, seed: Seed) -> tuple[Inputs, tf.Tensor]:
    """Replace a rectangle of each clip by that of its counterpart in the reversed batch (CutMix, arXiv 1905.04899).

    The rectangle is the same for all frames, clips and pathways, scaled if a pathway has smaller frames. Its area,
    as a fraction of the frame, is drawn from Beta(alpha, alpha), once for the batch. The rectangle is clipped at the
    border; labels are weighted by the clipped area.

    Args:
        inputs, labels, seed: as for `mixup`.
        alpha: above 0; PySlowFast uses 1.

    Returns:
        Mixed inputs and labels, of the same shapes.

    Example:
        >>> inputs, labels = {"slow": tf.zeros([2, 4, 8, 8, 3])}, tf.eye(2)
        >>> inputs, labels = cutmix(inputs, labels, alpha=1.0, seed=(0, 1))
        >>> inputs["slow"].shape
        TensorShape([2, 4, 8, 8, 3])
    """
    seeds = tf.random.experimental.stateless_split(seed, 2)  # pyright: ignore[reportAttributeAccessIssue]
    sizes = {name: tf.shape(x)[2:4] for name, x in inputs.items()}
    # Draw on the pixel grid of the smallest frames: its pixels are whole pixels of every pathway.
    grid = functools.reduce(tf.minimum, sizes.values())
    sides = tf.cast(grid, tf.float32)
    half = tf.cast(sides * tf.sqrt(1 - _beta(alpha, seeds[0])), tf.int32) // 2
    middle = tf.cast(tf.random.stateless_uniform([2], seeds[1]) * sides, tf.int32)
    first, last = tf.maximum(middle - half, 0), tf.minimum(middle + half, grid)

    def cut(x: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        (top, left), (bottom, right) = (tf.unstack(edge * size // grid) for edge in (first, last))
        patch = tf.reverse(x[:, :, top:bottom, left:right], [0])
        return tf.ensure_shape(paste(x, patch, top, left), x.shape)

    share = 1 - tf.cast(tf.reduce_prod(last - first), tf.float32) / tf.cast(tf.reduce_prod(grid), tf.float32)
    return {name: cut(x, sizes[name]) for name, x in inputs.items()}, _blend(labels, share)


def paste(x: typing.Any, patch: tf.Tensor, top: int | tf.Tensor, left: int | tf.Tensor) -> tf.Tensor:
    """Paste a patch into frames.

    Args:
        x: `[..., H, W, C]`.
        patch: `[..., h, w, C]`, of the dtype of `x`.
        top, left: position of the patch, in pixels; the patch must lie within the frames.

    Returns:
        `[..., H, W, C]`.

    Example:
        >>> paste(tf.zeros([1, 3, 1]), tf.ones([1, 1, 1]), 0, 1)[0, :, 0].numpy()
        array([0., 1., 0.], dtype=float32)
    """
    height, width = tf.unstack(tf.shape(patch)[-3:-1])
    rows = x[..., top : top + height, :, :]
    rows = tf.concat([rows[..., :left, :], patch, rows[..., left + width :, :]], -2)
    return tf.concat([x[..., :top, :, :], rows, x[..., top + height :, :, :]], -3)


def _blend(x: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    """Return `share` of `x` plus `1 - share` of the reversed batch."""
    return share * x + (1 - share) * tf.reverse(x, [0])


def _beta(alpha: float, seed: Seed) -> tf.Tensor:
    """Draw from Beta(alpha, alpha), float32 `[]`."""
    draws = tf.random.stateless_gamma([2], seed, alpha, dtype=tf.float64)  # pyright: ignore[reportArgumentType]
    return tf.cast(tf.math.divide_no_nan(draws[0], tf.reduce_sum(draws)), tf.float32)  # a tiny alpha gives 0 / 0
