"""Batch normalization, bottleneck and non-local block, on `[batch, time, height, width, channel]`.

The layers are serializable Keras layers. `Conv3D` is in `conv`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from .base import HAS_GPU, Composite, Shape, per_frame, register, sizes
from .conv import Conv3D
from .conv_workarounds import norm_in_float32


@register
class BatchNorm(keras.layers.BatchNormalization):
    """Keras' BatchNormalization with TensorFlow's fused kernel, for 5-D inputs, which are reshaped to 4-D.

    Keras uses the fused kernel only for 4-D inputs. A training step of 8x8 R50 takes 4.3 s with it and 5.8 s without.

    Momentum is 0.9 and epsilon 1e-5, as published. Weights, configuration and the meaning of `training`, `trainable`
    and `synchronized` are those of Keras; `synchronized=True` runs Keras' code. The running variance averages
    the unbiased batch variance, as in the fused kernel and PyTorch; Keras' code averages the biased variance.

    Attributes:
        observe: None, or a function that is called with the number of values of each channel whenever the running
            statistics are updated.
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **kwargs: Any):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        self.supports_jit = HAS_GPU
        self.observe: Callable[[Any], None] | None = None

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> Any:
        batch, time, height, width, channels = sizes(inputs)
        update = bool(training) and self.trainable
        if update and self.observe:
            self.observe(batch * time * height * width)
        if self.synchronized:
            return super().call(inputs, training=training, mask=mask)
        x = tf.reshape(inputs, [batch * time, height, width, channels])
        if norm_in_float32(channels, x.dtype):
            x = tf.cast(x, tf.float32)
        x, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            x,
            tf.convert_to_tensor(self.gamma),
            tf.convert_to_tensor(self.beta),
            None if update else tf.convert_to_tensor(self.moving_mean),
            None if update else tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            is_training=update,
        )
        if update:
            moving: Any
            for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + new * (1.0 - self.momentum))
        return tf.reshape(tf.cast(x, inputs.dtype), [batch, time, height, width, channels])


@register
class ConvNorm(Composite):
    """Convolution, BatchNorm and ReLU.

    Args:
        filters, kernel_size, strides, dilation: as for `Conv3D`.
        relu: whether ReLU follows.
        gamma: initial value of BatchNorm's scale (0 for the last BatchNorm of a residual block).
        options: see `Composite`.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: tuple[int, ...],
        strides: tuple[int, ...] = (1, 1, 1),
        dilation: int = 1,
        relu: bool = True,
        gamma: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        options = kwargs.get("options") or {}
        folded = options.get("folded", False)
        self.conv = Conv3D(
            filters,
            kernel_size,
            strides,
            dilation,
            use_bias=folded,
            relu=folded and relu,
            name="conv",
            **self._conv_options,
        )
        self.norm = None
        if not folded:
            self.norm = BatchNorm(
                gamma_initializer=keras.initializers.Constant(gamma),
                synchronized=options.get("synchronized", False),
                dtype=kwargs.get("dtype"),
                name="norm",
            )
        self.relu = relu and not folded

    def build(self, input_shape: Shape) -> None:
        self.conv.build(input_shape)
        if self.norm is not None:
            self.norm.build(self.conv.compute_output_shape(input_shape))
        self.built = True

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x, training=training)
        return tf.nn.relu(x) if self.relu else x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.conv.compute_output_shape(input_shape)


@register
class Bottleneck(Composite):
    """Residual block (section 3.4, Table 1): kT x 1x1, 1 x 3x3 (spatial stride and dilation here), 1 x 1x1.

    Args:
        filters: output channels.
        inner_filters: channels of the first two convolutions.
        temporal_kernel: kernel size of the first convolution in time.
        stride: stride of height and width.
        dilation: dilation of height and width.
        options: see `Composite`.
    """

    def __init__(
        self,
        filters: int,
        inner_filters: int,
        temporal_kernel: int = 1,
        stride: int = 1,
        dilation: int = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        strides = (1, stride, stride)
        self.filters = filters
        self.stride = stride
        self.a = ConvNorm(inner_filters, (temporal_kernel, 1, 1), name="a", **self._options)
        self.b = ConvNorm(inner_filters, (1, 3, 3), strides, dilation, name="b", **self._options)
        self.c = ConvNorm(filters, (1, 1, 1), relu=False, gamma=0.0, name="c", **self._options)
        self.shortcut: Any = ConvNorm(filters, (1, 1, 1), strides, relu=False, name="shortcut", **self._options)

    def build(self, input_shape: Shape) -> None:
        shape = input_shape
        for layer in (self.a, self.b, self.c):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        if input_shape[-1] == self.filters and self.stride == 1:
            self.shortcut = None
        else:
            self.shortcut.build(input_shape)
        self.built = True

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        y = self.c(self.b(self.a(x, training=training), training=training), training=training)
        if self.shortcut is not None:
            x = self.shortcut(x, training=training)
        return tf.nn.relu(x + y)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.c.compute_output_shape(self.b.compute_output_shape(input_shape))


@register
class NonLocal(Composite):
    """Non-local block (Wang et al., arXiv 1711.07971), as in the published SlowFast models: keys and values are
    max-pooled, and the inner layers have half as many channels as the input.

    Args:
        kind: "dot_product" (divided by the number of keys) or "softmax" (scaled by 1/sqrt(inner width)).
        pool: factors by which time, height and width are pooled; a remainder at the end is dropped.
        pool_last: whether keys and values are pooled after their convolutions, not before.
        options: see `Composite`.

    Raises:
        ValueError: if time, height or width is smaller than its pool.
    """

    def __init__(
        self,
        kind: str = "dot_product",
        pool: Sequence[int] = (1, 2, 2),
        pool_last: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.kind = kind
        self.pool = tuple(pool)
        self.pool_last = pool_last

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        self.inner = channels // 2
        conv = {"kernel_size": (1, 1, 1), "use_bias": True, **self._conv_options}
        self.theta = Conv3D(self.inner, name="theta", **conv)
        self.phi = Conv3D(self.inner, name="phi", **conv)
        self.g = Conv3D(self.inner, name="g", **conv)
        for layer in (self.theta, self.phi, self.g):
            layer.build(input_shape)
        self.out = ConvNorm(channels, (1, 1, 1), relu=False, gamma=0.0, name="out", **self._options)
        self.out.build((*input_shape[:-1], self.inner))
        self.built = True

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        batch, time, height, width, _ = sizes(x)
        if any(n is not None and n < least for n, least in zip(x.shape[1:4], self.pool)):
            raise ValueError(
                f"a non-local block pools {'x'.join(map(str, self.pool))}, and its feature is"
                f" {tuple(x.shape[1:4])}; give a larger input"
            )
        if self.pool_last:
            key, value = self._pooled(self.phi(x)), self._pooled(self.g(x))
        else:
            pooled = self._pooled(x)
            key, value = self.phi(pooled), self.g(pooled)
        query = tf.reshape(self.theta(x), [batch, time * height * width, self.inner])
        keys = (time // self.pool[0]) * (height // self.pool[1]) * (width // self.pool[2])
        key = tf.reshape(key, [batch, keys, self.inner])
        value = tf.reshape(value, [batch, keys, self.inner])
        affinity = tf.matmul(query, key, transpose_b=True)
        if self.kind == "softmax":
            affinity = tf.nn.softmax(affinity * self.inner**-0.5)
        else:
            affinity /= tf.cast(keys, affinity.dtype)
        y = tf.reshape(tf.matmul(affinity, value), [batch, time, height, width, self.inner])
        return x + self.out(y, training=training)

    def _pooled(self, x: tf.Tensor) -> tf.Tensor:
        over_time, *over_space = self.pool
        if over_space != [1, 1]:
            x = per_frame(lambda frames: tf.nn.max_pool2d(frames, over_space, over_space, "VALID"), x)
        # TFLite has no three-dimensional pooling.
        end = sizes(x)[1] // over_time * over_time
        return functools.reduce(tf.maximum, [x[:, i:end:over_time] for i in range(over_time)])

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
