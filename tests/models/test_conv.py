"""The convolution, both ways it runs, against NumPy and PyTorch."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.networks import convolve, error, noise
from helpers.variables import watched

from slowfast_tf.models.layers import Conv3D

# Convolution

CONVOLUTIONS = [  # kernel, strides, dilation: all that the networks use
    ((1, 7, 7), (1, 2, 2), 1),
    ((5, 7, 7), (1, 2, 2), 1),
    ((1, 1, 1), (1, 1, 1), 1),
    ((1, 1, 1), (1, 2, 2), 1),
    ((3, 1, 1), (1, 1, 1), 1),
    ((1, 3, 3), (1, 1, 1), 1),
    ((1, 3, 3), (1, 2, 2), 1),
    ((1, 3, 3), (1, 1, 1), 2),
    ((5, 1, 1), (8, 1, 1), 1),
    ((7, 1, 1), (4, 1, 1), 1),
]


@pytest.mark.legacy
@pytest.mark.parametrize("size", [(8, 8, 8), (9, 7, 11), (8, 1, 2)])
@pytest.mark.parametrize("kernel, strides, dilation", CONVOLUTIONS)
def test_convolution_is_the_same_both_ways(kernel, strides, dilation, size):
    x = noise(2, *size, 3)
    outputs, gradients = [], []
    weights = [noise(*kernel, 3, 4, seed=1), noise(4, seed=2)]
    for lowering in ("conv3d", "conv2d"):
        layer = Conv3D(4, kernel, strides, dilation, use_bias=True, lowering=lowering)
        layer.build(x.shape)
        layer.set_weights(weights)
        with tf.GradientTape() as tape:
            variable = tf.Variable(x)
            y = layer(variable)
            loss = tf.reduce_sum(y**2)
        outputs.append(y)
        gradients.append(tape.gradient(loss, [variable, *watched(layer.trainable_variables)]))
        assert y.shape == layer.compute_output_shape(x.shape)
        assert layer.compute_output_shape((None, None, None, None, 3)) == (None, None, None, None, 4)
    expected = convolve(x.astype("float64"), weights[0].astype("float64"), strides, dilation) + weights[1]
    for y in outputs:
        assert error(y, expected) < 1e-5
    for a, b in zip(*gradients):
        assert error(a, b) < 1e-5


@pytest.mark.legacy
@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("lowering", ["conv3d", "conv2d"])
@pytest.mark.parametrize("kernel, strides, dilation", CONVOLUTIONS)
def test_convolution_gradients_in_bfloat16(kernel, strides, dilation, lowering, frames):
    """Fewer frames than the kernel is long: there TensorFlow's own SAME padding gave any number at all."""
    x = noise(2, frames, 5, 4, 32)
    gradients = []
    for dtype in ("float32", "bfloat16"):
        layer = Conv3D(32, kernel, strides, dilation, lowering=lowering, dtype=dtype)
        layer.build(x.shape)
        layer.set_weights([noise(*kernel, 32, 32, seed=1)])
        variable = tf.Variable(tf.cast(x, dtype))
        with tf.GradientTape() as tape:
            y = tf.cast(layer(variable), "float32")
            loss = tf.reduce_sum(y * noise(*y.shape, seed=2))
        gradients.append([tf.cast(g, "float32") for g in tape.gradient(loss, [variable, *watched([layer.kernel])])])
    for exact, rounded in zip(*gradients):
        assert error(rounded, exact) < 0.1  # a CPU without bfloat16 may add up in it


@pytest.mark.parametrize("lowering", ["conv3d", "conv2d"])
@pytest.mark.parametrize("kernel", [(1, 3, 3), (5, 7, 7)])
def test_narrow_frames_in_bfloat16(kernel, lowering):
    """Frames of two columns give one column; bfloat16 differs from float32 only by rounding."""
    x = noise(2, 4, 18, 2, 16)
    exact, rounded = (Conv3D(8, kernel, (1, 2, 2), lowering=lowering, dtype=dtype) for dtype in ("float32", "bfloat16"))
    for layer in (exact, rounded):
        layer.build(x.shape)
        layer.set_weights([noise(*kernel, 16, 8, seed=1)])
    expected, found = exact(x), rounded(tf.cast(x, tf.bfloat16))
    assert found.dtype == tf.bfloat16 and found.shape == expected.shape == (2, 4, 9, 1, 8)
    assert error(tf.cast(found, tf.float32), expected) < 0.05


@pytest.mark.legacy
@pytest.mark.parametrize("kernel, strides, dilation", CONVOLUTIONS)
def test_convolution_equals_pytorchs(kernel, strides, dilation):
    torch = pytest.importorskip("torch")
    x, weights = noise(2, 9, 7, 11, 3), noise(*kernel, 3, 4, seed=1)
    layer = Conv3D(4, kernel, strides, dilation)
    layer.build(x.shape)
    layer.set_weights([weights])
    expected = torch.nn.functional.conv3d(
        torch.from_numpy(x).permute(0, 4, 1, 2, 3),
        torch.from_numpy(weights).permute(4, 3, 0, 1, 2),
        stride=strides,
        padding=[kernel[0] // 2, dilation * (kernel[1] // 2), dilation * (kernel[2] // 2)],
        dilation=(1, dilation, dilation),
    )
    assert error(layer(x), expected.permute(0, 2, 3, 4, 1)) < 1e-5


@pytest.mark.legacy
@pytest.mark.parametrize("lowering", ["conv3d", "conv2d"])
def test_convolution_by_hand(lowering):
    layer = Conv3D(1, (3, 1, 1), lowering=lowering)
    layer.build((1, 4, 1, 1, 1))
    layer.set_weights([np.reshape([1.0, 2.0, 3.0], (3, 1, 1, 1, 1))])
    y = layer(np.reshape([1.0, 2.0, 3.0, 4.0], (1, 4, 1, 1, 1)))
    assert np.ravel(y).tolist() == [8, 14, 20, 11]  # 1 x before + 2 x now + 3 x after
    strided = Conv3D(1, (3, 1, 1), (2, 1, 1), lowering=lowering)
    strided.build((1, 4, 1, 1, 1))
    strided.set_weights(layer.get_weights())
    assert np.ravel(strided(np.reshape([1.0, 2.0, 3.0, 4.0], (1, 4, 1, 1, 1)))).tolist() == [8, 20]


@pytest.mark.parametrize("height, width", [(5, 5), (6, 7), (2, 3)])
def test_dilation_is_a_kernel_with_holes(height, width):
    """Forward and gradient, in a graph, equal those of a dense 5 x 5 kernel with every second row and column zero."""
    random = np.random.default_rng(0)
    layer, x = Conv3D(4, (1, 3, 3), dilation=2), tf.constant(random.normal(size=(2, 3, height, width, 5)), tf.float32)
    layer.build(x.shape)
    weights = tf.constant(random.normal(size=(2, 3, height, width, 4)), tf.float32)
    holes = np.zeros((5, 3), np.float32)
    holes[[0, 2, 4], [0, 1, 2]] = 1

    def dense(x):
        kernel = tf.einsum("ai,bj,tijcf->abcf", holes, holes, layer.kernel)
        y = tf.nn.conv2d(tf.reshape(x, [6, height, width, 5]), kernel, 1, "SAME")
        return tf.reshape(y, weights.shape)

    def run(function):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
            loss = tf.reduce_sum(y * weights)
        return y, *tape.gradient(loss, [x, layer.kernel])

    for found, expected in zip(tf.function(run, jit_compile=False)(layer), run(dense)):
        np.testing.assert_allclose(found, expected, atol=1e-4)
