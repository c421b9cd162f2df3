"""Grad-CAM for each pathway."""

import numpy as np
import pytest
import tensorflow as tf

from slowfast_tf import SlowFast
from slowfast_tf.inference.explain import grad_cam


def test_heat_is_the_heads_weights_times_the_features(model):
    """The head is an average and a linear layer: the gradient is known, and the maps add up to the logit."""
    random = np.random.default_rng(1)
    inputs = {
        "slow": random.normal(size=(2, 2, 64, 64, 3)).astype(np.float32),
        "fast": random.normal(size=(2, 16, 64, 64, 3)).astype(np.float32),
    }
    logits, heat = grad_cam(model, inputs, classes=tf.constant([2, 0]))
    np.testing.assert_allclose(logits, model(inputs), rtol=1e-4, atol=1e-5)
    import keras

    outputs = [model.get_layer(f"{name}_res5").output for name in ("slow", "fast")]
    slow, fast = (np.asarray(x) for x in keras.Model(model.inputs, outputs)([inputs["slow"], inputs["fast"]]))
    kernel, bias = model.get_layer("head").get_weights()
    kernels = np.split(kernel, [slow.shape[-1]])
    total = bias[[2, 0]]
    for x, part, found in zip((slow, fast), kernels, (heat["slow"], heat["fast"])):
        maps = np.einsum("bthwc,cb->bthw", x, part[:, [2, 0]]) / np.prod(x.shape[1:4])
        np.testing.assert_allclose(found, np.maximum(maps, 0), atol=1e-5 * np.abs(maps).max())
        assert (maps > 0).any() and (maps < 0).any()
        total = total + maps.sum((1, 2, 3))
    np.testing.assert_allclose(total, np.take_along_axis(logits.numpy(), np.array([[2], [0]]), 1)[:, 0], rtol=1e-4)
    best = np.asarray(logits).argmax(1)
    for name, x in grad_cam(model, inputs)[1].items():
        np.testing.assert_allclose(x, grad_cam(model, inputs, classes=best)[1][name], rtol=1e-5)


@pytest.fixture(scope="module")
def people():
    """A detection network."""
    return SlowFast("slow_4x16_r50_ava", depth=10, width=8, crop_size=32)


def test_heat_of_one_pathway_and_of_people(people):
    slow = SlowFast("slow_4x16_r50", depth=10, width=8, crop_size=32, num_classes=3)
    logits, heat = grad_cam(slow, {"slow": np.random.default_rng(0).normal(size=(1, 4, 32, 32, 3)).astype(np.float32)})
    assert logits.shape == (1, 3) and {name: x.shape for name, x in heat.items()} == {"slow": (1, 4, 1, 1)}
    with pytest.raises(ValueError, match="received one with head 'roi'"):
        grad_cam(people, {})
