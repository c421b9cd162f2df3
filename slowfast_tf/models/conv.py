"""The 3-D convolution of every network, computed as Conv3D or as Conv2D with the same result."""

from typing import Any, Literal

import keras
import tensorflow as tf

from . import conv_workarounds as workarounds
from .base import Layer, Shape, register, sizes


@register
class Conv3D(Layer):
    """Convolution with PyTorch's padding (`dilation * (kernel - 1) / 2` on both sides) and He initialization.

    Input `[B, T, H, W, C]`, output `[B, T', H', W', filters]` with `T' = ceil(T / stride)`, and so on.
    The kernel is `[kT, kH, kW, C, filters]` for either lowering.

    Args:
        filters: output channels.
        kernel_size: three odd integers (time, height, width).
        strides: three integers.
        dilation: dilation of height and width; requires strides of 1.
        use_bias: whether to add a bias, which starts at 0. A convolution with a bias is for inference (BatchNorm
            folded) or in a non-local block, so it does not use the workarounds for training.
        relu: whether ReLU follows.
        lowering: "conv3d" (fastest in TensorFlow) or "conv2d" (a Conv2D between reshapes, which TFLite accelerates and
            quantizes). The weights are the same.

    Raises:
        ValueError: if `lowering` is unknown.

    Example:
        >>> Conv3D(64, (1, 7, 7), strides=(1, 2, 2))(tf.zeros([1, 4, 224, 224, 3])).shape
        TensorShape([1, 4, 112, 112, 64])
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, ...],
        strides: tuple[int, ...] = (1, 1, 1),
        dilation: int = 1,
        use_bias: bool = False,
        relu: bool = False,
        lowering: str = "conv3d",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.kernel_size = tuple(kernel_size)
        self.strides = tuple(strides)
        self.dilation = dilation
        self.use_bias = use_bias
        self.relu = relu
        if lowering not in ("conv3d", "conv2d"):
            raise ValueError(f"lowering must be conv3d or conv2d; got {lowering!r}")
        self.lowering = lowering

    def build(self, input_shape: Shape) -> None:
        self.kernel: Any = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, input_shape[-1], self.filters),
            initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        )
        self.bias: Any = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        if workarounds.float32_is_safer(self.kernel_size, self.strides, x):
            return tf.cast(self.call(tf.cast(x, tf.float32)), x.dtype)
        kernel = tf.cast(self.kernel, x.dtype)
        trained = self.bias is None
        flat_in_space = self.kernel_size[0] > 1 and self.kernel_size[1:] == self.strides[1:] == (1, 1)
        if self.lowering == "conv3d" and not workarounds.conv2d_is_better(
            self.kernel_size, self.strides[0], self.dilation, trained
        ):
            return self._conv3d(x, kernel, trained)
        if flat_in_space:
            return self._conv2d_over_time(x, kernel)
        if self.kernel_size[0] > 1:
            return self._conv2d_of_neighbors(x, kernel)
        return self._conv2d_of_frames(x, kernel, self.bias)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        strided = (n and -(-n // s) for n, s in zip(input_shape[1:4], self.strides))
        return (input_shape[0], *strided, self.filters)

    def _conv3d(self, x: tf.Tensor, kernel: tf.Tensor, trained: bool) -> tf.Tensor:
        strides = self.strides
        if self.kernel_size == (1, 1, 1) and strides[0] == 1 and max(strides) > 1:
            x, strides = workarounds.subsample(x, strides[1:]), (1, 1, 1)
        x, padding = self._pad(x, self.kernel_size, strides)
        if padding == "SAME" and workarounds.needs_own_gradient(self.kernel_size, self.filters, trained):
            x = workarounds.conv3d_flat_in_space(x, kernel)
        else:
            x = tf.nn.conv3d(x, kernel, [1, *strides, 1], padding)
        return self._finish(x, self.bias)

    def _conv2d_over_time(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolve with a kernel kT x 1x1 as Conv2D: rows are frames, columns are all positions of a frame."""
        batch, time, height, width, channels = sizes(x)
        stride = self.strides[0]
        x = tf.reshape(x, [batch, time, height * width, channels])
        x, padding = self._pad(x, (self.kernel_size[0], 1), (stride, 1))
        x = self._finish(tf.nn.conv2d(x, tf.squeeze(kernel, 2), [1, stride, 1, 1], padding), self.bias)
        return tf.reshape(x, [batch, sizes(x)[1], height, width, self.filters])

    def _conv2d_of_neighbors(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolve with a kernel kT x k x k (conv1 of the Fast pathway), with neighboring frames stacked as channels.

        n = kT - 1 output frames are computed together from 2n input frames. This needs fewer copies than kT frames for
        each output frame, and makes full use of vector instructions. For 32 frames of 256x256, kernel 5x7x7 and 8
        filters, it takes 70 ms instead of 149 ms in LiteRT, and 41 ms instead of 66 ms in TensorFlow.
        """
        time, n = sizes(x)[1], self.kernel_size[0] - 1
        x, kernel = _neighbors(x, n), _shifted(kernel, n)
        bias = None if self.bias is None else tf.tile(self.bias, [n])
        x = self._conv2d_of_frames(x, kernel, bias, at_once=n)
        stride = self.strides[0]
        return x[:, :time:stride] if stride > 1 or x.shape[1] != time else x

    def _conv2d_of_frames(self, x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None, at_once: int = 1) -> tf.Tensor:
        """Convolve frames as a batch of images. Each frame gives `at_once` output frames, stacked as channels."""
        _, kernel_h, kernel_w = self.kernel_size
        stride_t, stride_h, stride_w = self.strides
        if stride_t > 1 and at_once == 1:
            x = x[:, ::stride_t]
        batch, groups, height, width, channels = sizes(x)
        x = tf.reshape(x, [batch * groups, height, width, channels])
        kernel = tf.reshape(kernel, [kernel_h, kernel_w, channels, at_once * self.filters])
        if workarounds.slice_is_safer(self.kernel_size, stride_h, bias is None):
            x, stride_h, stride_w = x[:, ::stride_h, ::stride_w], 1, 1

        def convolve(x: tf.Tensor, dilation: int) -> tf.Tensor:
            x, padding = self._pad(x, (kernel_h, kernel_w), (stride_h, stride_w), dilation)
            x = tf.nn.conv2d(x, kernel, [1, stride_h, stride_w, 1], padding, dilations=dilation)
            return self._finish(x, bias)

        if workarounds.needs_phases(self.dilation, bias is None):
            x = workarounds.in_phases(convolve, x, self.dilation)
        else:
            x = convolve(x, self.dilation)
        _, height, width, _ = sizes(x)
        if at_once > 1:
            x = tf.reshape(x, [batch * groups, height * width, at_once, self.filters])
            x = tf.transpose(x, [0, 2, 1, 3])
        return tf.reshape(x, [batch, groups * at_once, height, width, self.filters])

    def _pad(
        self, x: tf.Tensor, kernel_size: tuple[int, ...], strides: tuple[int, ...], dilation: int = 1
    ) -> tuple[tf.Tensor, Literal["SAME", "VALID"]]:
        """Return `x`, padded if necessary, and the padding argument of the convolution."""
        pads = [dilation * (k // 2) for k in kernel_size]
        if max(strides) == 1 and workarounds.same_is_safe(x.shape, pads, dilation):
            return x, "SAME"  # equal to PyTorch's padding for stride 1
        return workarounds.zero_pad(x, pads, trained=self.bias is None), "VALID"

    def _finish(self, x: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
        # Use BiasAdd, not +: TensorFlow fuses it, with a following residual sum and ReLU, into the convolution.
        x = x if bias is None else tf.nn.bias_add(x, tf.cast(bias, x.dtype))
        return tf.nn.relu(x) if self.relu else x


def _neighbors(x: tf.Tensor, n: int) -> tf.Tensor:
    """Return the 2n input frames that each n output frames of a convolution need, stacked as channels.

    `x` is `[B, T, H, W, C]` and is padded by n / 2 frames. The result is `[B, ceil(T / n), H, W, 2n * C]`.
    """
    batch, time, height, width, channels = sizes(x)
    groups = -(-time // n)
    x = tf.pad(x, [(0, 0), (n // 2, n // 2 + groups * n - time), (0, 0), (0, 0), (0, 0)])
    x = tf.reshape(x, [batch * (groups + 1), n, height * width, channels])
    x = tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch, groups + 1, height, width, n * channels])
    return tf.concat([x[:, :-1], x[:, 1:]], -1)


def _shifted(kernel: tf.Tensor, n: int) -> tf.Tensor:
    """Return n copies of a kernel `[n + 1, kH, kW, C, filters]`, each a frame later: `[kH, kW, 2n, C, n, filters]`."""
    kernels = [tf.pad(kernel, [(i, n - 1 - i), *[(0, 0)] * 4]) for i in range(n)]
    return tf.transpose(tf.stack(kernels, -2), [1, 2, 0, 3, 4, 5])
