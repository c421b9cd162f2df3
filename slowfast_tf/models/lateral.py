"""Lateral connections, from the Fast pathway to the Slow one (section 3.3)."""

import tensorflow as tf

from .layers import Composite, Conv3D, ConvNorm, register, sizes


@register
class Lateral(Composite):
    """Brings a Fast feature `[B, alpha * T, H, W, C]` to the Slow pathway's frames and fuses it.

    Input: a list of the Slow and the Fast feature. Output: the Slow feature, with the Fast one behind its
    channels (or added, for "channel_sum").

    Args:
        kind: "conv": a time-strided kernel x 1x1 convolution to 2 C channels; "sample": every alpha-th
            frame; "channel_concat" and "channel_sum": alpha frames side by side as channels.
        alpha: frames of the Fast pathway for one of the Slow.
        kernel: size in time of "conv".
        norm: whether BatchNorm and ReLU follow "conv".
        options: see `Composite`.
    """

    def __init__(self, kind, alpha, kernel=5, norm=True, **kwargs):
        super().__init__(**kwargs)
        self.kind = kind
        self.alpha = alpha
        self.kernel_size = (kernel, 1, 1)
        self.norm = norm

    def build(self, input_shape):
        self.conv = None
        if self.kind == "conv":
            filters, strides = 2 * input_shape[1][-1], (self.alpha, 1, 1)
            if self.norm:
                self.conv = ConvNorm(filters, self.kernel_size, strides, name="conv", **self._options)
            else:
                self.conv = Conv3D(
                    filters,
                    self.kernel_size,
                    strides,
                    lowering=(self._options["options"] or {}).get("lowering", "conv3d"),
                    dtype=self._options["dtype"],
                    name="conv",
                )
            self.conv.build(input_shape[1])
        self.built = True

    def call(self, inputs, training=None):
        slow, fast = inputs
        if self.kind == "conv":
            fast = self.conv(fast, training=training) if self.norm else self.conv(fast)
        elif self.kind == "sample":
            fast = fast[:, :: self.alpha]
        else:
            batch, time, height, width, channels = sizes(fast)
            fast = tf.reshape(fast, [batch, time // self.alpha, self.alpha, height, width, channels])
            fast = tf.transpose(fast, [0, 1, 3, 4, 2, 5])
            fast = tf.reshape(fast, [batch, time // self.alpha, height, width, self.alpha * channels])
        if self.kind == "channel_sum":
            return slow + fast
        return tf.concat([slow, fast], -1)

    def compute_output_shape(self, input_shape):
        slow, fast = input_shape
        added = {"conv": 2 * fast[-1], "sample": fast[-1], "channel_concat": self.alpha * fast[-1], "channel_sum": 0}
        return (*slow[:-1], slow[-1] + added[self.kind])
