"""Convolution, batch normalisation, bottleneck and non-local block, on `[batch, time, height, width, channel]`.

Each layer is a Keras layer that serialises itself. Convolutions hold one 5-D kernel and run it either as
Conv3D or as Conv2D, with the same result: every kernel here but the Fast pathway's first is flat in time or in space.
"""

import keras
import tensorflow as tf

register = keras.saving.register_keras_serializable("slowfast_tf")

# XLA makes these networks about five times slower on a CPU. Keras' compile(jit_compile="auto")
# asks each layer, so that a plain `model.compile(...)` in a notebook is fast as well.
_GPU = bool(tf.config.list_physical_devices("GPU"))


def sizes(x):
    """The dimensions of `x`: a number where it is known, otherwise a scalar tensor."""
    dynamic = tf.shape(x)
    return [dynamic[i] if n is None else n for i, n in enumerate(x.shape)]


def zero_pad(x, pads, trained=True):
    """`x` with zeros before and behind the dimensions between the first and the last one.

    PadV2, not Pad, for training: where a Pad stands before a convolution, TensorFlow's graph optimiser (remapper) fuses
    the two, trips over the gradient that needs the Pad as well, prints an error and leaves the whole graph as it is.
    For inference the fused pair is quicker, and Pad is the one that LiteRT accelerates.
    """
    if not any(pads):
        return x
    if not trained:
        return tf.pad(x, [(0, 0), *((pad, pad) for pad in pads), (0, 0)])
    return tf.raw_ops.PadV2(
        input=x, paddings=[(0, 0), *((pad, pad) for pad in pads), (0, 0)], constant_values=tf.zeros([], x.dtype)
    )


def _neighbours(x, n):
    """Of `[B, T, H, W, C]`, padded by n / 2 frames: all 2n frames that n frames of a convolution's output need, side by
    side as channels, `[B, ceil(T / n), H, W, 2n * C]`."""
    batch, time, height, width, channels = sizes(x)
    groups = -(-time // n)
    x = tf.pad(x, [(0, 0), (n // 2, n // 2 + groups * n - time), (0, 0), (0, 0), (0, 0)])
    x = tf.reshape(x, [batch * (groups + 1), n, height * width, channels])
    x = tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch, groups + 1, height, width, n * channels])
    return tf.concat([x[:, :-1], x[:, 1:]], -1)


def _shifted(kernel, n):
    """Of a kernel `[n + 1, kH, kW, C, filters]`: `[kH, kW, 2n, C, n, filters]`, a frame later for each of n frames."""
    kernels = [tf.pad(kernel, [(i, n - 1 - i), *[(0, 0)] * 4]) for i in range(n)]
    return tf.transpose(tf.stack(kernels, -2), [1, 2, 0, 3, 4, 5])


@tf.custom_gradient
def _conv3d_flat(x, kernel):
    """Conv3D with a kT x 1x1 kernel, stride 1 and padding SAME, whose gradients are matrix products where these are
    quicker on a CPU: oneDNN takes twice as long for the kernel's where kT is 3, and five times for the input's after a
    wide lateral connection.
    """

    def gradient(dy):
        kernel_t, _, _, inner, outer = kernel.shape
        if kernel_t == 1 and inner > outer:
            dx = tf.reshape(tf.matmul(tf.reshape(dy, [-1, outer]), kernel[0, 0, 0], transpose_b=True), tf.shape(x))
        else:
            dx = tf.raw_ops.Conv3DBackpropInputV2(
                input_sizes=tf.shape(x), filter=kernel, out_backprop=dy, strides=[1] * 5, padding="SAME"
            )
        if kernel_t == 1:
            return dx, tf.raw_ops.Conv3DBackpropFilterV2(
                input=x, filter_sizes=kernel.shape, out_backprop=dy, strides=[1] * 5, padding="SAME"
            )
        # dy once for each tap of the kernel, moved in time against the input, side by side as channels.
        time = sizes(x)[1]
        padded = zero_pad(dy, (kernel_t // 2, 0, 0))
        moved = tf.concat([padded[:, tap : tap + time] for tap in reversed(range(kernel_t))], -1)
        dk = tf.matmul(tf.reshape(x, [-1, inner]), tf.reshape(moved, [-1, kernel_t * outer]), transpose_a=True)
        dk = tf.transpose(tf.reshape(dk, [inner, kernel_t, outer]), [1, 0, 2])
        return dx, tf.reshape(dk, kernel.shape)

    return tf.nn.conv3d(x, kernel, [1] * 5, "SAME"), gradient


class Layer(keras.layers.Layer):
    """A Keras layer that keeps XLA off CPUs. Keras serialises its constructor's arguments by itself."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_jit = _GPU


class Composite(Layer):
    """A layer made of layers, with the options that all of them share.

    Args:
        options: a dictionary of `lowering` (of `Conv3D`), `folded` (convolutions with a bias and no
            BatchNorm, for inference) and `synchronized` (BatchNorm over all replicas); absent keys are
            "conv3d", False and False.
    """

    def __init__(self, options=None, **kwargs):
        super().__init__(**kwargs)
        self._options = {"options": options, "dtype": kwargs.get("dtype")}


@register
class Conv3D(Layer):
    """Convolution with PyTorch's padding (`dilation * (kernel - 1) / 2` on both sides) and He initialisation.

    Input `[B, T, H, W, C]`, output `[B, T', H', W', filters]` with `T' = ceil(T / stride)`, and so on.
    The kernel is `[kT, kH, kW, C, filters]` whichever way it runs.

    Args:
        filters: output channels.
        kernel_size: three odd integers (time, height, width).
        strides: three integers.
        dilation: of height and width; only where all strides are 1.
        use_bias: whether to add a bias, starting at 0.
        relu: whether ReLU follows.
        lowering: "conv3d" (what is fastest in TensorFlow: Conv3D, or in training Conv2D for a kernel that is flat in
            time) or "conv2d" (reshapes around a Conv2D, what TFLite accelerates and quantizes). Weights are the same.
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1, 1),
        dilation=1,
        use_bias=False,
        relu=False,
        lowering="conv3d",
        **kwargs,
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

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, input_shape[-1], self.filters),
            initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal"),
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        self.built = True

    def call(self, x):
        kernel = tf.cast(self.kernel, x.dtype)
        # Where TensorFlow has no oneDNN, its Conv3D takes no dilation on a CPU. And of a kernel that is flat in time,
        # oneDNN's weight gradient takes up to three times as long in 3-D, where the output is the same.
        flat_in_time = self.kernel_size[0] == self.strides[0] == 1 and max(self.kernel_size) > 1
        conv2d = self.lowering == "conv2d" or self.dilation > 1 or (flat_in_time and self.bias is None)
        return self._conv2d(x, kernel) if conv2d else self._conv3d(x, kernel)

    def _finish(self, x, bias):
        # BiasAdd, not +: TensorFlow fuses it, and a residual sum and ReLU behind it, into the convolution.
        x = x if bias is None else tf.nn.bias_add(x, tf.cast(bias, x.dtype))
        return tf.nn.relu(x) if self.relu else x

    def _pad(self, x, kernel_size, strides, dilation=1):
        """`x`, padded where it must be, and the padding to ask of the convolution."""
        pads = [dilation * (k // 2) for k in kernel_size]
        # TensorFlow's bfloat16 gradient of SAME writes out of bounds on a CPU where a kernel is longer than its input.
        # ONNX Runtime has no SAME for a dilated convolution.
        fits = dilation == 1 and all(n is None or n > 2 * pad for n, pad in zip(x.shape[1:], pads))
        if max(strides) == 1 and fits:
            return x, "SAME"  # the same as PyTorch's padding while the stride is 1
        return zero_pad(x, pads, trained=self.bias is None), "VALID"

    def _conv3d(self, x, kernel):
        strides = self.strides
        if self.kernel_size == (1, 1, 1) and strides[0] == 1 and max(strides) > 1:
            # oneDNN's weight gradient of a strided 1x1 convolution is slower than that of a dense one, most so in
            # bfloat16. So take every second pixel before, by pooling over single ones: a strided slice does the same
            # on one core only.
            batch, time, height, width, channels = sizes(x)
            x = tf.nn.avg_pool2d(tf.reshape(x, [batch * time, height, width, channels]), 1, strides[1:], "VALID")
            _, height, width, _ = sizes(x)
            x = tf.reshape(x, [batch, time, height, width, channels])
            strides = (1, 1, 1)
        x, padding = self._pad(x, self.kernel_size, strides)
        trained = self.bias is None  # a SavedModel of folded convolutions cannot hold, and needs no, own gradients
        flat_in_space = self.kernel_size[1:] == (1, 1) and (self.kernel_size[0] > 1 or self.filters >= 64)
        if padding == "SAME" and flat_in_space and trained and not _GPU:
            x = _conv3d_flat(x, kernel)
        else:
            x = tf.nn.conv3d(x, kernel, [1, *strides, 1], padding)
        return self._finish(x, self.bias)

    def _conv2d(self, x, kernel):
        kernel_t, kernel_h, kernel_w = self.kernel_size
        stride_t, stride_h, stride_w = self.strides
        channels = x.shape[-1]
        if kernel_t > 1 and kernel_h == kernel_w == 1 and stride_h == stride_w == 1:
            # Flat in space: rows are time, columns are all places of a frame.
            batch, time, height, width, _ = sizes(x)
            x = tf.reshape(x, [batch, time, height * width, channels])
            x, padding = self._pad(x, (kernel_t, 1), (stride_t, 1))
            x = self._finish(tf.nn.conv2d(x, tf.squeeze(kernel, 2), [1, stride_t, 1, 1], padding), self.bias)
            return tf.reshape(x, [batch, sizes(x)[1], height, width, self.filters])
        bias, time, at_once = self.bias, sizes(x)[1], 1
        if kernel_t > 1:
            # n = kT - 1 frames of output at once: they need 2n frames, side by side as channels. That is fewer copies
            # than kT frames for each, and as many filters as vector instructions are wide.
            at_once = kernel_t - 1
            x, kernel = _neighbours(x, at_once), _shifted(kernel, at_once)
            bias = bias if bias is None else tf.tile(bias, [at_once])
            channels *= 2 * at_once
        elif stride_t > 1:
            x = x[:, ::stride_t]
        batch, groups, height, width, _ = sizes(x)
        x = tf.reshape(x, [batch * groups, height, width, channels])
        kernel = tf.reshape(kernel, [kernel_h, kernel_w, channels, at_once * self.filters])
        if kernel_h == kernel_w == 1 and stride_h > 1 and bias is None:
            # oneDNN's kernel gradient of a strided 1x1 convolution of 3 channels was seen to be wrong on an AVX2 CPU.
            x, stride_h, stride_w = x[:, ::stride_h, ::stride_w], 1, 1
        dilation, block = self.dilation, [self.dilation] * 2
        # Without oneDNN a dilated convolution has no gradient on a CPU; so every second pixel is a picture of its own.
        phases = dilation > 1 and bias is None and not _GPU
        if phases:
            dilation, more = 1, [[0, -height % block[0]], [0, -width % block[1]]]
            x = tf.space_to_batch(x, block, more)
        x, padding = self._pad(x, (kernel_h, kernel_w), (stride_h, stride_w), dilation)
        x = self._finish(tf.nn.conv2d(x, kernel, [1, stride_h, stride_w, 1], padding, dilations=dilation), bias)
        if phases:
            x = tf.batch_to_space(x, block, more)
        _, height, width, _ = sizes(x)
        if at_once > 1:
            x = tf.reshape(x, [batch * groups, height * width, at_once, self.filters])
            x = tf.transpose(x, [0, 2, 1, 3])
        x = tf.reshape(x, [batch, groups * at_once, height, width, self.filters])
        return x[:, :time:stride_t] if kernel_t > 1 and (stride_t > 1 or x.shape[1] != time) else x

    def compute_output_shape(self, input_shape):
        strided = (n and -(-n // s) for n, s in zip(input_shape[1:4], self.strides))
        return (input_shape[0], *strided, self.filters)


@register
class BatchNorm(keras.layers.BatchNormalization):
    """Keras' BatchNormalization through TensorFlow's fused kernel, over a 4-D view of a 5-D input.

    Momentum 0.9 and epsilon 1e-5 as published. Weights, configuration and the meaning of `training`,
    `trainable` and `synchronized` are Keras' own; `synchronized=True` runs Keras' own code. The running
    variance takes the unbiased batch variance, as the fused kernel and PyTorch have it.
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, **kwargs):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        self.supports_jit = _GPU

    def call(self, inputs, training=None, mask=None):
        if self.synchronized:
            return super().call(inputs, training=training, mask=mask)
        batch, time, height, width, channels = sizes(inputs)
        update = bool(training) and self.trainable
        x = tf.reshape(inputs, [batch * time, height, width, channels])
        if channels % 16 and x.dtype == tf.bfloat16:
            # oneDNN has no vector code for these in bfloat16 (its verbose mode says nspc_bnorm:any).
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
            for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + new * (1.0 - self.momentum))
        return tf.reshape(tf.cast(x, inputs.dtype), [batch, time, height, width, channels])


@register
class ConvNorm(Composite):
    """Convolution, BatchNorm and ReLU.

    Args:
        filters, kernel_size, strides, dilation: as for `Conv3D`.
        relu: whether ReLU follows.
        gamma: where BatchNorm's scale starts (0 for the last one of a residual block).
        options: see `Composite`.
    """

    def __init__(self, filters, kernel_size, strides=(1, 1, 1), dilation=1, relu=True, gamma=1.0, **kwargs):
        super().__init__(**kwargs)
        options = kwargs.get("options") or {}
        dtype = kwargs.get("dtype")
        folded = options.get("folded", False)
        self.conv = Conv3D(
            filters,
            kernel_size,
            strides,
            dilation,
            use_bias=folded,
            relu=folded and relu,
            lowering=options.get("lowering", "conv3d"),
            dtype=dtype,
            name="conv",
        )
        self.norm = None
        if not folded:
            self.norm = BatchNorm(
                gamma_initializer=keras.initializers.Constant(gamma),
                synchronized=options.get("synchronized", False),
                dtype=dtype,
                name="norm",
            )
        self.relu = relu and not folded

    def build(self, input_shape):
        self.conv.build(input_shape)
        if self.norm is not None:
            self.norm.build(self.conv.compute_output_shape(input_shape))
        self.built = True

    def call(self, x, training=None):
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x, training=training)
        return tf.nn.relu(x) if self.relu else x

    def compute_output_shape(self, input_shape):
        return self.conv.compute_output_shape(input_shape)


@register
class Bottleneck(Composite):
    """Residual block (section 3.4, Table 1): kT x 1x1, 1 x 3x3 (spatial stride and dilation here), 1 x 1x1.

    Args:
        filters: output channels.
        inner_filters: channels of the first two convolutions.
        temporal_kernel: kernel size in time of the first.
        stride: of height and width.
        dilation: of height and width.
        options: see `Composite`.
    """

    def __init__(self, filters, inner_filters, temporal_kernel=1, stride=1, dilation=1, **kwargs):
        super().__init__(**kwargs)
        strides = (1, stride, stride)
        self.filters = filters
        self.stride = stride
        self.a = ConvNorm(inner_filters, (temporal_kernel, 1, 1), name="a", **self._options)
        self.b = ConvNorm(inner_filters, (1, 3, 3), strides, dilation, name="b", **self._options)
        self.c = ConvNorm(filters, (1, 1, 1), relu=False, gamma=0.0, name="c", **self._options)
        self.shortcut = ConvNorm(filters, (1, 1, 1), strides, relu=False, name="shortcut", **self._options)

    def build(self, input_shape):
        shape = input_shape
        for layer in (self.a, self.b, self.c):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        if input_shape[-1] == self.filters and self.stride == 1:
            self.shortcut = None
        else:
            self.shortcut.build(input_shape)
        self.built = True

    def call(self, x, training=None):
        y = self.c(self.b(self.a(x, training=training), training=training), training=training)
        if self.shortcut is not None:
            x = self.shortcut(x, training=training)
        return tf.nn.relu(x + y)

    def compute_output_shape(self, input_shape):
        return self.c.compute_output_shape(self.b.compute_output_shape(input_shape))


@register
class NonLocal(Composite):
    """Non-local block (Wang et al., arXiv 1711.07971), as in the published SlowFast models: keys and values are
    pooled 2x2 in space, the inner width is half the outer one.

    Args:
        kind: "dot_product" (divided by the number of keys) or "softmax" (scaled by 1/sqrt(inner width)).
        options: see `Composite`.

    Raises:
        ValueError: where height or width is below 2.
    """

    def __init__(self, kind="dot_product", **kwargs):
        super().__init__(**kwargs)
        self.kind = kind

    def build(self, input_shape):
        channels = input_shape[-1]
        self.inner = channels // 2
        options = self._options["options"] or {}
        conv = {"kernel_size": (1, 1, 1), "use_bias": True, "lowering": options.get("lowering", "conv3d")}
        conv["dtype"] = self._options["dtype"]
        self.theta = Conv3D(self.inner, name="theta", **conv)
        self.phi = Conv3D(self.inner, name="phi", **conv)
        self.g = Conv3D(self.inner, name="g", **conv)
        for layer in (self.theta, self.phi, self.g):
            layer.build(input_shape)
        self.out = ConvNorm(channels, (1, 1, 1), relu=False, gamma=0.0, name="out", **self._options)
        self.out.build((*input_shape[:-1], self.inner))
        self.built = True

    def call(self, x, training=None):
        batch, time, height, width, channels = sizes(x)
        if 1 in x.shape[2:4]:
            raise ValueError(f"a non-local block pools 2x2, and its feature is {x.shape[2:4]}; give a larger input")
        pooled = tf.reshape(x, [batch * time, height, width, channels])
        pooled = tf.nn.max_pool2d(pooled, 2, 2, "VALID")
        pooled = tf.reshape(pooled, [batch, time, height // 2, width // 2, channels])
        query = tf.reshape(self.theta(x), [batch, time * height * width, self.inner])
        keys = time * (height // 2) * (width // 2)
        key = tf.reshape(self.phi(pooled), [batch, keys, self.inner])
        value = tf.reshape(self.g(pooled), [batch, keys, self.inner])
        affinity = tf.matmul(query, key, transpose_b=True)
        if self.kind == "softmax":
            affinity = tf.nn.softmax(affinity * self.inner**-0.5)
        else:
            affinity /= tf.cast(keys, affinity.dtype)
        y = tf.reshape(tf.matmul(affinity, value), [batch, time, height, width, self.inner])
        return x + self.out(y, training=training)

    def compute_output_shape(self, input_shape):
        return input_shape
