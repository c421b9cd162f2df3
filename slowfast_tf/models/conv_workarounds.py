"""Workarounds for convolutions that TensorFlow computes slowly or wrongly on a CPU.

`Conv3D` calls these functions. Each gives the result of the plain operation. Delete a workaround if its measurement no
longer holds: the docstring says what to measure. Times are for TensorFlow 2.21 with oneDNN, on two cores of a shared
x86-64 machine with AVX-512, so only their ratios are meaningful.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from .base import HAS_GPU, per_frame, sizes


def zero_pad(x: tf.Tensor, pads: tuple[int, ...] | list[int], trained: bool = True) -> tf.Tensor:
    """Pad the dimensions between the first and the last one with zeros on both sides.

    Training uses PadV2, not Pad. TensorFlow's graph optimizer (remapper) fuses a Pad with the following convolution. It
    fails because the gradient needs the Pad as well, prints an error, and leaves the whole graph unoptimized. In
    inference the fused pair is faster, and LiteRT accelerates Pad only.

    Args:
        x: a tensor.
        pads: number of zeros on each side, for each dimension between the first and the last one.
        trained: whether gradients are needed.
    """
    if not any(pads):
        return x
    paddings = [(0, 0), *((pad, pad) for pad in pads), (0, 0)]
    if not trained:
        return tf.pad(x, paddings)
    return tf.raw_ops.PadV2(input=x, paddings=paddings, constant_values=tf.zeros([], x.dtype))


def same_is_safe(shape: tf.TensorShape, pads: list[int], dilation: int) -> bool:
    """Return whether a convolution of stride 1 may use the padding "SAME".

    On a CPU, TensorFlow's bfloat16 gradient of SAME writes out of bounds if a kernel is longer than its input. ONNX
    Runtime does not support SAME for a dilated convolution.

    Args:
        shape: shape of the input.
        pads: zeros that the kernel needs on each side of time, height and width (or of height and width).
        dilation: dilation of height and width.
    """
    return dilation == 1 and all(n is None or n > 2 * pad for n, pad in zip(shape[1:], pads))


def float32_is_safer(kernel_size: tuple[int, ...], strides: tuple[int, ...], x: tf.Tensor) -> bool:
    """Return whether a bfloat16 convolution should be computed in float32: if its output is one pixel wide.

    On a CPU with AMX, oneDNN's strided bfloat16 convolution reads uninitialized memory if the output is one pixel wide
    and high. Conv2D and Conv3D of `[4, 20, 4, 64]`, with a kernel of 3 and a stride of 2, return 1e35 or NaN. In a
    graph with an unknown width this check has no effect. Only frames with at most 64 pixels reach this width.
    """
    width, stride = x.shape[3], strides[2]
    # Padding of kernel // 2 on both sides: the output has ceil(width / stride) pixels.
    return x.dtype == tf.bfloat16 and width is not None and 1 < stride and kernel_size[2] > 1 and width <= stride


def conv2d_is_better(kernel_size: tuple[int, ...], time_stride: int, dilation: int, trained: bool) -> bool:
    """Return whether a convolution that may run as Conv3D should run as Conv2D.

    - A dilated convolution must: without oneDNN, Conv3D does not support dilation on a CPU.
    - In training, a kernel that is flat in time should. The output is the same, but oneDNN's kernel gradient takes up
      to three times as long in 3-D. A float32 step of 8x8 R50 (160x160, batch 4) takes 3.35 s with Conv2D and 6.13 s
      with Conv3D.
    """
    flat_in_time = kernel_size[0] == time_stride == 1 and max(kernel_size) > 1
    return dilation > 1 or (flat_in_time and trained)


def subsample(x: tf.Tensor, stride: tuple[int, ...]) -> tf.Tensor:
    """Take every `stride`-th pixel of `[B, T, H, W, C]`, so that a strided 1x1 convolution becomes a dense one.

    In bfloat16, oneDNN's gradients of a strided 1x1 convolution take 210 ms, those of a dense one 53 ms (for
    `[2, 8, 56, 56, 320]` to 512 channels). In float32 they are equal. Pooling over single pixels runs on all cores. A
    strided slice runs on one core: it takes 103 ms in bfloat16, and 199 ms instead of 85 ms in float32.
    """
    return per_frame(lambda frames: tf.nn.avg_pool2d(frames, 1, stride, "VALID"), x)


def needs_own_gradient(kernel_size: tuple[int, ...], filters: int, trained: bool) -> bool:
    """Return whether `conv3d_flat_in_space` is faster.

    Folded convolutions do not use it: a SavedModel cannot store custom gradients.
    """
    flat_in_space = kernel_size[1:] == (1, 1) and (kernel_size[0] > 1 or filters >= 64)
    return flat_in_space and trained and not HAS_GPU


@tf.custom_gradient
def conv3d_flat_in_space(x: tf.Tensor, kernel: tf.Tensor) -> Any:  # the decorator returns only the tensor
    """Convolve with a kT x 1x1 kernel, stride 1 and padding SAME; compute gradients as matrix products.

    For a kernel that is long in time (3 x 1x1, `[., 8, 14, 14, >= 1024]` to 256 channels), oneDNN's kernel gradient
    takes 191 ms instead of 144 ms in bfloat16, and 41 ms instead of 33 ms in float32. On other CPUs it took twice as
    long, and the gradient of the input after a wide lateral connection took five times as long. The time of a whole
    float32 step of 8x8 R50 is equal (3.35 s, 160x160, batch 4). With few channels this function is slower: 14 ms
    instead of 5 ms for 8 channels at 56x56.
    """

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        shape: Any = kernel.shape
        kernel_t, _, _, inner, outer = shape
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
        # Stack dy as channels, once for each tap of the kernel, shifted in time relative to the input.
        time = sizes(x)[1]
        padded = zero_pad(dy, (kernel_t // 2, 0, 0))
        moved = tf.concat([padded[:, tap : tap + time] for tap in reversed(range(kernel_t))], -1)
        dk = tf.matmul(tf.reshape(x, [-1, inner]), tf.reshape(moved, [-1, kernel_t * outer]), transpose_a=True)
        dk = tf.transpose(tf.reshape(dk, [inner, kernel_t, outer]), [1, 0, 2])
        return dx, tf.reshape(dk, kernel.shape)

    return tf.nn.conv3d(x, kernel, [1] * 5, "SAME"), gradient


def slice_is_safer(kernel_size: tuple[int, ...], stride: int, trained: bool) -> bool:
    """Return whether a strided 1x1 Conv2D should slice its input and run with stride 1.

    On a CPU with AVX2 but without AVX-512, oneDNN's kernel gradient of a strided 1x1 Conv2D of 3 channels was wrong.
    """
    return kernel_size[1:] == (1, 1) and stride > 1 and trained


def needs_phases(dilation: int, trained: bool) -> bool:
    """Return whether a dilated Conv2D must use `in_phases`: without oneDNN it has no gradient on a CPU."""
    return dilation > 1 and trained and not HAS_GPU


def in_phases(convolve: Callable[[tf.Tensor, int], tf.Tensor], x: tf.Tensor, dilation: int) -> tf.Tensor:
    """Convolve every `dilation`-th row and column of `[N, H, W, C]` as a separate image, without dilation.

    Args:
        convolve: a convolution of stride 1 as a function of its input and its dilation.
        x: the input.
        dilation: dilation of height and width.
    """
    _, height, width, _ = sizes(x)
    block, margins = [dilation] * 2, [[0, -height % dilation], [0, -width % dilation]]
    return tf.batch_to_space(convolve(tf.space_to_batch(x, block, margins), 1), block, margins)


def norm_in_float32(channels: int, dtype: tf.DType) -> bool:
    """Return whether BatchNorm of a bfloat16 feature should be computed in float32.

    oneDNN has no vector code if the number of channels is not a multiple of 16 (its verbose mode says nspc_bnorm:any).
    Forward and gradient of `[64, 56, 56, 8]` take 43 ms in bfloat16 and 3.3 ms in float32. With 16 channels they take
    5.3 ms in bfloat16 and 8.3 ms in float32.
    """
    return bool(channels % 16) and dtype == tf.bfloat16
