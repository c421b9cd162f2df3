"""Precise BatchNorm: compute the statistics for testing over many training batches with fixed weights."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from ..models.layers import BatchNorm


def recompute(model: Any, batches: Iterable, count: int) -> None:
    """Recompute the running mean and variance of every BatchNorm for the current weights.

    The running statistics lag behind the weights. They are replaced by the mean and variance over all values of the
    batches, as in fvcore, which PySlowFast uses (Wu and Johnson, arXiv 2105.07576, appendix). Frozen layers keep their
    statistics.

    Args:
        model: a `SlowFast`.
        batches: training batches: inputs, or tuples that begin with inputs. Batches may differ in size.
        count: maximum number of batches to take.

    Raises:
        ValueError: if there is no batch.
    """
    layers = [x for x in model._flatten_layers() if isinstance(x, BatchNorm) and x.built and x.trainable]
    momentum = [layer.momentum for layer in layers]
    counts: list[list[Any]] = [[] for _ in layers]

    # A separate graph, traced with momentum 0: after each batch, the running statistics are those of this batch.
    @tf.function(reduce_retracing=True, autograph=False)
    def forward(inputs: Any) -> list[Any]:
        model(inputs, training=True)
        return [found.pop() for found in counts]

    seen = np.zeros(len(layers))
    sums: list[Any] = [0.0] * len(layers)
    squares: list[Any] = [0.0] * len(layers)
    try:
        for layer, found in zip(layers, counts):
            layer.momentum, layer.observe = 0.0, found.append
        for batch in itertools.islice(batches, count):
            sizes = forward(batch[0] if isinstance(batch, (tuple, list)) else batch)
            for i, (layer, size) in enumerate(zip(layers, sizes)):
                n, mean = float(size), _value(layer.moving_mean)
                bias = 1.0 if layer.synchronized else (n - 1) / n  # see `BatchNorm`
                sums[i] += n * mean
                squares[i] += n * (mean**2 + bias * _value(layer.moving_variance))
                seen[i] += n
    finally:
        for layer, value in zip(layers, momentum):
            layer.momentum, layer.observe = value, None
    if not seen.all():
        raise ValueError("precise BatchNorm needs at least one training batch")
    for layer, total, square, n in zip(layers, sums, squares, seen):
        statistics: Any = layer.moving_mean, layer.moving_variance
        statistics[0].assign(total / n)
        statistics[1].assign(square / n - (total / n) ** 2)


def _value(variable: Any) -> np.ndarray:
    return variable.numpy().astype(np.float64)  # the difference of squares would lose digits in float32
