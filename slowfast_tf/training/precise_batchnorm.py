"""Precise BatchNorm: statistics for testing, averaged over many training batches with the same weights."""

import itertools
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from ..models.layers import BatchNorm


def recompute(model: Any, batches: Iterable, count: int) -> None:
    """Recompute the running mean and variance of every BatchNorm for the current weights.

    The running statistics lag behind the weights. Here both become the average over single batches ("precise BN", as in
    PySlowFast). Frozen layers keep theirs.

    Args:
        model: a `SlowFast`.
        batches: training batches: inputs, or tuples that begin with inputs.
        count: the most batches to take.

    Raises:
        ValueError: if there is no batch.
    """
    layers = [x for x in model._flatten_layers() if isinstance(x, BatchNorm) and x.built and x.trainable]
    statistics = [x for layer in layers for x in (layer.moving_mean, layer.moving_variance)]
    momentum = [layer.momentum for layer in layers]

    # A separate graph, traced while the momentum is 0: the running statistics are those of the last batch.
    @tf.function(reduce_retracing=True, autograph=False)
    def forward(inputs: Any) -> None:
        model(inputs, training=True)

    sums, seen = [0.0] * len(statistics), 0
    try:
        for layer in layers:
            layer.momentum = 0.0
        for batch in itertools.islice(batches, count):
            forward(batch[0] if isinstance(batch, (tuple, list)) else batch)
            sums = [total + x.numpy() for total, x in zip(sums, statistics)]  # pyright: ignore[reportOptionalMemberAccess]
            seen += 1
    finally:
        for layer, value in zip(layers, momentum):
            layer.momentum = value
    if not seen:
        raise ValueError("precise BatchNorm needs at least one training batch")
    for x, total in zip(statistics, sums):
        x.assign(total / seen)  # pyright: ignore[reportOptionalMemberAccess]
