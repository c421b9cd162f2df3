"""Lateral connections, against NumPy."""

import numpy as np
import pytest
from helpers.networks import convolve, error, noise

from slowfast_tf.models.lateral import Lateral

# Lateral connections and non-local blocks


def fuse(slow, fast, kind, weights=(), **kwargs):
    layer = Lateral(kind, **kwargs)
    layer.build([slow.shape, fast.shape])
    if weights:
        layer.set_weights(weights)
    y = layer([slow, fast])
    assert y.shape == layer.compute_output_shape([slow.shape, fast.shape])
    return np.asarray(y)


@pytest.mark.legacy
def test_time_to_channel_by_hand():
    # One place, two Slow frames, four Fast ones of two channels: 10 t + c. The paper's TtoC lays the alpha
    # frames of a Slow frame side by side, each with its channels together.
    slow = np.full((1, 2, 1, 1, 4), 100.0, "float32")
    fast = np.reshape([0, 1, 10, 11, 20, 21, 30, 31], (1, 4, 1, 1, 2)).astype("float32")
    y = fuse(slow, fast, "channel_concat", alpha=2)
    assert y[0, :, 0, 0].tolist() == [[100] * 4 + [0, 1, 10, 11], [100] * 4 + [20, 21, 30, 31]]
    y = fuse(slow, fast, "channel_sum", alpha=2)
    assert y[0, :, 0, 0].tolist() == [[100, 101, 110, 111], [120, 121, 130, 131]]
    y = fuse(slow, fast, "sample", alpha=2)
    assert y[0, :, 0, 0].tolist() == [[100] * 4 + [0, 1], [100] * 4 + [20, 21]]


@pytest.mark.legacy
@pytest.mark.parametrize("lowering", ["conv3d", "conv2d"])
@pytest.mark.parametrize("kernel, alpha", [(5, 8), (7, 4)])
def test_time_strided_convolution(kernel, alpha, lowering):
    slow, fast = noise(2, 2, 3, 5, 4), noise(2, 2 * alpha, 3, 5, 2, seed=1)
    weights = noise(kernel, 1, 1, 2, 4, seed=2)
    expected = convolve(fast, weights, (alpha, 1, 1), 1)
    options = {"alpha": alpha, "kernel": kernel, "options": {"lowering": lowering}}
    bare = fuse(slow, fast, "conv", [weights], norm=False, **options)
    assert error(bare, np.concatenate([slow, expected], -1)) < 1e-5
    gamma, beta, mean, variance = (noise(4, seed=i) ** 2 + 0.5 for i in range(4))
    normed = fuse(slow, fast, "conv", [weights, gamma, beta, mean, variance], **options)
    expected = np.maximum((expected - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)
    assert error(normed, np.concatenate([slow, expected], -1)) < 1e-5


@pytest.mark.legacy
@pytest.mark.parametrize("height, width", [(4, 6), (3, 5), (1, 2)])
def test_half_resolution_is_fused_by_repeating(height, width):
    slow = noise(2, 1, height, width, 3)
    fast = noise(2, 2, -(-height // 2), -(-width // 2), 1, seed=1)
    y = fuse(slow, fast, "sample", alpha=2, scale=2)
    expected = np.repeat(np.repeat(fast[:, ::2], 2, 2), 2, 3)[:, :, :height, :width]
    assert (y == np.concatenate([slow, expected], -1)).all()
