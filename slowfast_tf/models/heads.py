"""Heads, which compute logits from features."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from .base import Layer, Shape, register, sizes
from .roi_align import RoIAlign, adaptive_average_pool


def activate(logits: tf.Tensor, activation: str) -> tf.Tensor:
    """Return the scores of logits, by a spec's `activation`: "softmax" or "sigmoid".

    Args:
        logits: float32 `[..., classes]`.
        activation: "softmax" or "sigmoid".

    Returns:
        Scores, float32 `[..., classes]`, 0 to 1.

    Example:
        >>> activate(tf.constant([0.0, 0.0]), "softmax").numpy()
        array([0.5, 0.5], dtype=float32)
    """
    return {"softmax": tf.nn.softmax, "sigmoid": tf.nn.sigmoid}[activation](logits)


@register
class ClassificationHead(Layer):
    """Classification head (Table 1): global average pooling of each pathway, concatenation, dropout, dense layer.

    Input: a list of features `[B, T, H, W, C]`, one per pathway. Output: logits `[B, num_classes]`, float32.

    Args:
        num_classes: number of classes.
        dropout: dropout rate.
    """

    def __init__(self, num_classes: int, dropout: float = 0.5, **kwargs: Any):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.dropout = keras.layers.Dropout(dropout, dtype=kwargs.get("dtype"), name="dropout")
        self.classifier = _classifier(num_classes)

    def build(self, input_shape: Sequence[Shape]) -> None:
        channels = sum(shape[-1] for shape in input_shape)
        self.classifier.build((None, channels))
        self.built = True

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        x = tf.concat([tf.reduce_mean(x, [1, 2, 3]) for x in inputs], -1)
        return self.classifier(self.dropout(x, training=training))

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return (input_shape[0][0], self.num_classes)


@register
class RoIHead(Layer):
    """Detection head (section 5): average over time, RoIAlign, maximum over each box, concatenation, dropout, classes.

    Input: a list of features `[B, T, H, W, C]`, one per pathway, and boxes `[B, N, 4]`: x1, y1, x2, y2 in input
    pixels. Output: logits `[B, N, num_classes]`, float32; ignore the logits of padding boxes (all zeros).

    Args:
        num_classes: number of classes.
        strides: input pixels per feature pixel, for each pathway.
        dropout: dropout rate.
        aligned: see `RoIAlign`.
        bins: number of bins per box in height and in width.
        time: pooling of features over time, "mean" or "max".
        context: whether features of the whole image, pooled over the same number of bins, are concatenated to those of
            a box (MMAction2).
        hidden: whether a hidden layer, with as many units as features, comes before the classifier (MMAction2).
    """

    def __init__(
        self,
        num_classes: int,
        strides: list[int],
        dropout: float = 0.5,
        aligned: bool = True,
        bins: int = 7,
        time: str = "mean",
        context: bool = False,
        hidden: bool = False,
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)
        self.num_classes = num_classes
        self.aligns = [
            RoIAlign(size=bins, stride=stride, aligned=aligned, dtype="float32", name=f"align{i}")
            for i, stride in enumerate(strides)
        ]
        self.bins = bins
        self.over_time = {"mean": tf.reduce_mean, "max": tf.reduce_max}[time]
        self.context = context
        self.dropout = keras.layers.Dropout(dropout, dtype="float32", name="dropout")
        self.classifier = _classifier(num_classes)
        self.hidden: Any = None
        self.has_hidden = hidden

    def build(self, input_shape: Sequence[Shape]) -> None:
        channels = sum(shape[-1] for shape in input_shape[:-1]) * (2 if self.context else 1)
        if self.has_hidden:
            self.hidden = keras.layers.Dense(channels, "relu", dtype="float32", name="hidden")
            self.hidden.build((None, None, channels))
        self.classifier.build((None, None, channels))
        self.built = True

    def call(self, inputs: Sequence[tf.Tensor], training: bool | None = None) -> tf.Tensor:
        *features, boxes = inputs
        features = [self.over_time(x, 1) for x in features]
        x = [tf.reduce_max(align([x, boxes]), [2, 3]) for align, x in zip(self.aligns, features)]
        if self.context:
            count = sizes(boxes)[1]
            whole = [tf.reduce_max(adaptive_average_pool(tf.cast(x, tf.float32), self.bins), [1, 2]) for x in features]
            x += [tf.repeat(x[:, None], count, axis=1) for x in whole]
        x = self.dropout(tf.concat(x, -1), training=training)
        return self.classifier(x if self.hidden is None else self.hidden(x))

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return (input_shape[0][0], input_shape[-1][1], self.num_classes)


def _classifier(num_classes: int) -> keras.layers.Dense:
    # Logits stay float32 under mixed precision: otherwise the small scores of a softmax are lost.
    return keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),  # pyright: ignore[reportArgumentType]
        dtype="float32",
        name="classifier",
    )
