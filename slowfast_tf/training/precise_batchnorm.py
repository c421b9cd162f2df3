"""BatchNorm's statistics for testing, averaged over many training batches with the same weights."""

import itertools

import tensorflow as tf

from ..models.layers import BatchNorm


def recompute(model, batches, count):
    """Replaces the running mean and variance of every BatchNorm, which follow weights that have changed since.

    Both become the average of the statistics of single batches ("precise BN", as in PySlowFast). Frozen layers keep
    theirs.

    Args:
        model: a `SlowFast`.
        batches: an iterable of training batches: inputs, or tuples that begin with them.
        count: how many of them to take; fewer where there are no more.

    Raises:
        ValueError: where there is no batch.
    """
    layers = [x for x in model._flatten_layers() if isinstance(x, BatchNorm) and x.built and x.trainable]
    statistics = [x for layer in layers for x in (layer.moving_mean, layer.moving_variance)]
    momentum = [layer.momentum for layer in layers]

    # A graph of its own, which is made while the momentum is 0: the running averages are those of the last batch.
    @tf.function(reduce_retracing=True, autograph=False)
    def forward(inputs):
        model(inputs, training=True)

    sums, seen = [0.0] * len(statistics), 0
    try:
        for layer in layers:
            layer.momentum = 0.0
        for batch in itertools.islice(batches, count):
            forward(batch[0] if isinstance(batch, (tuple, list)) else batch)
            sums = [total + x.numpy() for total, x in zip(sums, statistics)]
            seen += 1
    finally:
        for layer, value in zip(layers, momentum):
            layer.momentum = value
    if not seen:
        raise ValueError("precise BatchNorm needs at least one training batch")
    for x, total in zip(statistics, sums):
        x.assign(total / seen)
