"""Batch normalization and non-local blocks, against Keras and NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.networks import error, noise
from helpers.variables import watched

from slowfast_tf.checkpoints.loading import variables
from slowfast_tf.models.layers import BatchNorm, NonLocal

# Batch normalization


@pytest.mark.legacy
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("mixed_bfloat16", 2e-2)])
@pytest.mark.parametrize("mode", ["training", "inference", "frozen"])
def test_batch_norm_equals_keras(mode, dtype, tolerance):
    x = 3 * noise(2, 3, 5, 4, 6) + 1
    layers = [BatchNorm(dtype=dtype), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=dtype)]
    start = [noise(6, seed=i) ** 2 + 0.5 for i in range(4)]
    outputs, gradients = [], []
    for layer in layers:
        layer.build(x.shape)
        layer.set_weights(start)  # gamma, beta, moving mean, moving variance
        layer.trainable = mode != "frozen"
        variable = tf.Variable(tf.cast(x, layer.compute_dtype))
        with tf.GradientTape() as tape:
            y = layer(variable, training=mode != "inference")
            loss = tf.reduce_sum(tf.cast(y, "float32") * noise(*x.shape, seed=9))
        assert y.dtype == layer.compute_dtype
        outputs.append(tf.cast(y, "float32"))
        sources = [variable, *watched(layer.trainable_variables)]
        gradients.append([tf.cast(g, "float32") for g in tape.gradient(loss, sources)])
    assert error(*outputs) < tolerance
    assert len(gradients[0]) == (1 if mode == "frozen" else 3)
    for a, b in zip(*gradients):
        assert error(a, b) < tolerance
    gamma, beta, mean, variance = layers[0].get_weights()
    assert (gamma == start[0]).all() and (beta == start[1]).all()
    if mode == "training":
        seen = np.asarray(variable, "float64").reshape(-1, 6)
        assert error(mean, 0.9 * start[2] + 0.1 * seen.mean(0)) < 1e-4
        assert error(variance, 0.9 * start[3] + 0.1 * seen.var(0, ddof=1)) < 1e-4  # unbiased, as PyTorch's
        assert error(mean, layers[1].get_weights()[2]) < tolerance
    else:
        assert (mean == start[2]).all() and (variance == start[3]).all()


@pytest.mark.legacy
@pytest.mark.parametrize("kind", ["dot_product", "softmax"])
@pytest.mark.parametrize("lowering", ["conv3d", "conv2d"])
@pytest.mark.parametrize("pool, last", [((1, 2, 2), False), ((2, 2, 2), False), ((1, 2, 2), True), ((1, 1, 1), True)])
def test_nonlocal_block(kind, lowering, pool, last):
    x = noise(2, 3, 5, 4, 6)
    layer = NonLocal(kind, pool, last, options={"lowering": lowering})
    layer.build(x.shape)
    weights = {}
    for i, (path, variable) in enumerate(variables(layer).items()):
        weights["/".join(path.split("/")[-2:])] = value = 0.5 + 0.3 * noise(*variable.shape, seed=i)
        variable.assign(value)

    def project(name, value):
        return value @ weights[f"{name}/kernel"][0, 0, 0] + weights[f"{name}/bias"]

    def pooled(value):  # what is left over, such as the fifth row and the third frame, falls away
        (t, h, w), counts = pool, [n // size for n, size in zip(x.shape[1:4], pool)]
        value = value[:, : counts[0] * t, : counts[1] * h, : counts[2] * w]
        return (
            value.reshape(2, counts[0], t, counts[1], h, counts[2], w, -1)
            .max((2, 4, 6))
            .reshape(2, -1, value.shape[-1])
        )

    query = project("theta", x).reshape(2, 60, 3)
    key, value = (pooled(project(name, x)) if last else project(name, pooled(x)) for name in ("phi", "g"))
    assert key.shape[1] == {(1, 2, 2): 12, (2, 2, 2): 4, (1, 1, 1): 60}[pool]
    affinity = query @ key.transpose(0, 2, 1)
    if kind == "softmax":
        affinity = np.exp(affinity / np.sqrt(3))
        affinity /= affinity.sum(-1, keepdims=True)
    else:
        affinity /= key.shape[1]
    y = (affinity @ value).reshape(2, 3, 5, 4, 3) @ weights["conv/kernel"][0, 0, 0]
    y = (y - weights["norm/moving_mean"]) / np.sqrt(weights["norm/moving_variance"] + 1e-5)
    assert error(layer(x), x + y * weights["norm/gamma"] + weights["norm/beta"]) < 1e-5
