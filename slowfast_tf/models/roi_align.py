"""RoIAlign (He et al., arXiv 1703.06870, section 3) as matrix products: shapes do not depend on the values of boxes."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from .base import Layer, Shape, register, sizes


@register
class RoIAlign(Layer):
    """Average the features in each box over a grid of bins; the number of samples per bin depends on the box.

    The result equals `roi_align` of Detectron2 and torchvision with `sampling_ratio=0`. A bin takes ceil(box / bins)
    bilinear samples in height and in width. A sample that is more than a pixel outside the feature counts as 0.

    Input: a list of a feature `[B, H, W, C]` and boxes `[B, N, 4]` (x1, y1, x2, y2 in input pixels, of any size and at
    any position). Output: float32 `[B, N, size, size, C]`; zeros for a box without area, if `aligned`. The output is
    differentiable with respect to the feature and the boxes.

    Args:
        size: number of bins in height and in width.
        stride: input pixels per feature pixel.
        aligned: whether pixel centers are at half-integers. If not, boxes are shifted by half a feature pixel and have
            sides of at least one feature pixel, as first published.
    """

    def __init__(self, size: int = 7, stride: int = 16, aligned: bool = True, **kwargs: Any):
        super().__init__(autocast=False, **kwargs)  # bfloat16 would round boxes to whole pixels
        self.size = size
        self.stride = stride
        self.aligned = aligned

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        features, boxes = inputs
        batch, height, width, channels = sizes(features)
        count = sizes(boxes)[1]
        # The weights of bilinear samples on a grid are products of a weight for the row and one for the column.
        x1, y1, x2, y2 = tf.unstack(tf.reshape(tf.cast(boxes, tf.float32), [batch * count, 4]), axis=-1)
        rows = self._weights(y1, y2, height)[:, :, None, :, None]
        columns = self._weights(x1, x2, width)[:, None, :, None, :]
        weights = tf.reshape(rows * columns, [batch, count * self.size**2, height * width])
        features = tf.reshape(tf.cast(features, tf.float32), [batch, height * width, channels])
        return tf.reshape(tf.matmul(weights, features), [batch, count, self.size, self.size, channels])

    def _weights(self, low: tf.Tensor, high: tf.Tensor, length: Any) -> tf.Tensor:
        """Return the weight of each of `length` pixels in each bin along one axis: `[N]` to `[N, size, length]`."""
        offset = 0.5 if self.aligned else 0.0
        low = low / self.stride - offset
        extent = high / self.stride - offset - low
        if not self.aligned:
            extent = tf.maximum(extent, 1.0)
        real = extent > 0
        extent = tf.where(real, extent, 1.0)
        samples = tf.math.ceil(extent / self.size)
        step = extent / (self.size * samples)
        # The samples of a box are `step` apart, and `step` is above 1/2 if a bin has several samples. So, for a box of
        # any size, at most 2 * length + 3 samples are on the feature. Add one at each end for rounding.
        first = tf.maximum(tf.floor((-1.0 - low) / step - 0.5), 0.0)
        index = first[:, None] + tf.range(tf.maximum(2 * length + 5, self.size), dtype=tf.float32)
        place = low[:, None] + (index + 0.5) * step[:, None]
        limit = tf.cast(length, tf.float32)
        counts = real[:, None] & (place >= -1.0) & (place <= limit)
        share = tf.cast(counts, tf.float32) / samples[:, None]
        bins = tf.range(self.size, dtype=tf.float32)
        share = share[:, None, :] * tf.cast(tf.floor(index / samples[:, None])[:, None, :] == bins[:, None], tf.float32)
        distance = tf.clip_by_value(place, 0.0, limit - 1.0)[:, :, None] - tf.range(limit)
        return tf.matmul(share, tf.nn.relu(1.0 - tf.abs(distance)))

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        features, boxes = input_shape
        return (features[0], boxes[1], self.size, self.size, features[-1])


def adaptive_average_pool(x: tf.Tensor, bins: int) -> tf.Tensor:
    """Average images over a grid of bins, as PyTorch's `AdaptiveAvgPool2d`.

    For n pixels, bin i has the pixels from floor(i n / bins) to ceil((i + 1) n / bins). Neighboring bins overlap if n
    is not a multiple of `bins`.

    Args:
        x: float32 `[B, H, W, C]`.
        bins: number of bins in height and in width.

    Returns:
        float32 `[B, bins, bins, C]`.

    Example:
        >>> adaptive_average_pool(tf.reshape([1.0, 2.0, 3.0], [1, 1, 3, 1]), 2)[0, 0, :, 0].numpy()
        array([1.5, 2.5], dtype=float32)
    """
    _, height, width, _ = sizes(x)
    return tf.einsum("bhwc,ih,jw->bijc", x, _shares(height, bins), _shares(width, bins))


def _shares(length: Any, bins: int) -> tf.Tensor:
    """Return the weight of each of `length` pixels in each bin, `[bins, length]`."""
    index = tf.range(bins)
    # Round up without negative numbers: an integer division in ONNX rounds toward 0.
    first, end = index * length // bins, ((index + 1) * length + bins - 1) // bins
    pixel = tf.range(length)
    inside = tf.cast((pixel >= first[:, None]) & (pixel < end[:, None]), tf.float32)
    return inside / tf.reduce_sum(inside, 1, keepdims=True)
