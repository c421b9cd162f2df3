"""A pathway's first convolution with its pooling, and its residual stages (Table 1)."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from .base import Composite, Shape, per_frame, register
from .conv_workarounds import zero_pad
from .layers import Bottleneck, ConvNorm, NonLocal


@register
class Stem(Composite):
    """conv1 (kT x 7x7, spatial stride 2) and pool1 (max 1 x 3x3, spatial stride 2).

    Args:
        filters: output channels.
        temporal_kernel: kernel size of conv1 in time.
        options: see `Composite`.
    """

    def __init__(self, filters: int, temporal_kernel: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.conv = ConvNorm(filters, (temporal_kernel, 7, 7), (1, 2, 2), name="conv1", **self._options)

    def build(self, input_shape: Shape) -> None:
        self.conv.build(input_shape)
        self.built = True

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        x = self.conv(x, training=training)
        return per_frame(self._pool, x)

    def _pool(self, frames: tf.Tensor) -> tf.Tensor:
        # Pad with zeros: after ReLU no value is below 0, and TFLite has no pooling with explicit padding.
        return tf.nn.max_pool2d(zero_pad(frames, (1, 1), trained=self.conv.norm is not None), 3, 2, "VALID")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, time, height, width, channels = self.conv.compute_output_shape(input_shape)
        return (batch, time, height and -(-height // 2), width and -(-width // 2), channels)


@register
class Stage(Composite):
    """res2 to res5 of one pathway: bottleneck blocks, the first with the spatial stride.

    Args:
        filters: output channels.
        inner_filters: channels inside the blocks.
        temporal_kernels: kernel size in time of the first convolution of each block.
        stride: stride of height and width in the first block.
        dilation: dilation of height and width in every block.
        nonlocal_blocks: indices (from 0) of the blocks that are followed by a non-local block.
        nonlocal_kind, nonlocal_pool, nonlocal_pool_last: `kind`, `pool` and `pool_last` of `NonLocal`.
        options: see `Composite`.
    """

    def __init__(
        self,
        filters: int,
        inner_filters: int,
        temporal_kernels: Sequence[int],
        stride: int = 1,
        dilation: int = 1,
        nonlocal_blocks: Sequence[int] = (),
        nonlocal_kind: str = "dot_product",
        nonlocal_pool: Sequence[int] = (1, 2, 2),
        nonlocal_pool_last: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.blocks = []
        for i, kernel in enumerate(temporal_kernels):
            block = stride if i == 0 else 1, dilation
            self.blocks.append(Bottleneck(filters, inner_filters, kernel, *block, name=f"block{i}", **self._options))
            if i in nonlocal_blocks:
                pool = nonlocal_pool, nonlocal_pool_last
                self.blocks.append(NonLocal(nonlocal_kind, *pool, name=f"nonlocal{i}", **self._options))

    def build(self, input_shape: Shape) -> None:
        for block in self.blocks:
            block.build(input_shape)
            input_shape = block.compute_output_shape(input_shape)
        self.built = True

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        for block in self.blocks:
            x = block(x, training=training)
        return x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        for block in self.blocks:
            input_shape = block.compute_output_shape(input_shape)
        return input_shape
