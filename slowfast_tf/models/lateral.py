"""Lateral connections, from the Fast pathway to the Slow pathway (section 3.3)."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from .base import Composite, Shape, per_frame, register, sizes
from .conv import Conv3D
from .layers import ConvNorm


@register
class Lateral(Composite):
    """Fuse a Fast feature `[B, alpha * T, H, W, C]` into the Slow feature, at the frames of the Slow pathway.

    Input: a list of the Slow and the Fast feature. Output: the Slow feature, with the channels of the Fast feature
    appended (or added, for "channel_sum"). A Fast feature of a half-resolution input (Table 5c) is reduced in time at
    its own size, then repeated 2x2 in space, then cropped to the size of the Slow feature. This order gives the
    recomputed cost of 35.98 G.

    Args:
        kind: "conv" for a time-strided kernel x 1x1 convolution to 2 C channels; "sample" for every alpha-th frame;
            "channel_concat" and "channel_sum" for alpha frames stacked as channels.
        alpha: Fast frames per Slow frame.
        kernel: kernel size of "conv" in time.
        norm: whether BatchNorm and ReLU follow "conv".
        scale: height and width of the Slow feature divided by those of the Fast feature, rounded up.
        options: see `Composite`.

    Raises:
        ValueError: if the sizes of the two features do not fit.
    """

    def __init__(self, kind: str, alpha: int, kernel: int = 5, norm: bool = True, scale: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.kind = kind
        self.alpha = alpha
        self.kernel_size = (kernel, 1, 1)
        self.norm = norm
        self.scale = scale

    def build(self, input_shape: Sequence[Shape]) -> None:
        self.conv: Any = None
        if self.kind == "conv":
            filters, strides = 2 * input_shape[1][-1], (self.alpha, 1, 1)
            if self.norm:
                self.conv = ConvNorm(filters, self.kernel_size, strides, name="conv", **self._options)
            else:
                self.conv = Conv3D(filters, self.kernel_size, strides, name="conv", **self._conv_options)
            self.conv.build(input_shape[1])
        self.built = True

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        slow, fast = inputs
        for large, small in zip(slow.shape[2:4], fast.shape[2:4]):
            if large is not None and small is not None and -(-large // self.scale) != small:
                raise ValueError(
                    f"the Slow and the Fast input do not fit: their features are {slow.shape[2:4]} and"
                    f" {fast.shape[2:4]} at {self.name}; the Fast input must have the Slow one's height and width"
                    + (f", divided by {self.scale} and rounded up" if self.scale > 1 else "")
                )
        if self.kind == "conv":
            fast = self.conv(fast, training=training) if self.norm else self.conv(fast)
        elif self.kind == "sample":
            fast = fast[:, :: self.alpha]
        else:
            batch, time, height, width, channels = sizes(fast)
            fast = tf.reshape(fast, [batch, time // self.alpha, self.alpha, height, width, channels])
            fast = tf.transpose(fast, [0, 1, 3, 4, 2, 5])
            fast = tf.reshape(fast, [batch, time // self.alpha, height, width, self.alpha * channels])
        if self.scale > 1:
            size = [self.scale * n for n in sizes(fast)[2:4]]
            fast = per_frame(lambda frames: tf.image.resize(frames, size, "nearest"), fast)
            fast = fast[:, :, : sizes(slow)[2], : sizes(slow)[3]]
        if self.kind == "channel_sum":
            return slow + fast
        return tf.concat([slow, fast], -1)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        slow, fast = input_shape
        added = {"conv": 2 * fast[-1], "sample": fast[-1], "channel_concat": self.alpha * fast[-1], "channel_sum": 0}
        return (*slow[:-1], slow[-1] + added[self.kind])
