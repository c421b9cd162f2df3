"""The loss and the metrics of a run. With several labels at once some boxes may be padding."""

from typing import Any

import keras
import tensorflow as tf

from ..config import Train
from ..models.spec import SlowFastSpec

register = keras.saving.register_keras_serializable("slowfast_tf")


@register
class BinaryCrossentropy(keras.losses.BinaryCrossentropy):
    """Keras' binary cross-entropy, as the mean over boxes with weight: padded boxes (weight 0) do not lower it.

    Labels and logits are `[B, classes]`; or `[B, N, classes]` with weights `[B, N]`, where Keras would divide by B * N.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        loss: Any = super().__call__(y_true, y_pred, sample_weight)
        if sample_weight is None:
            return loss
        total = tf.reduce_sum(tf.cast(sample_weight, loss.dtype))
        # At least 1: a batch without any box has a loss of 0.
        return loss * tf.cast(tf.size(sample_weight), loss.dtype) / tf.maximum(total, 1.0)


@register
class AUC(keras.metrics.AUC):
    """Keras' area under a curve, without the boxes of weight 0.

    Labels and logits are `[B, classes]`; or `[B, N, classes]` with weights `[B, N]`, all 0 or 1.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if sample_weight is not None:
            kept = tf.cast(sample_weight, tf.bool)
            y_true, y_pred = tf.boolean_mask(y_true, kept), tf.boolean_mask(y_pred, kept)
        return super().update_state(y_true, y_pred)


def from_config(
    train: Train, spec: SlowFastSpec
) -> tuple[keras.losses.Loss, list[keras.metrics.Metric], list[keras.metrics.Metric]]:
    """Return the loss of a run, its metrics without weights and its metrics with weights, as `compile` takes them.

    One label a clip is watched by "top1" and, with more than five classes, "top5"; several labels by "pr_auc".

    Args:
        train: the configuration's section.
        spec: the network's specification.
    """
    if spec.activation == "softmax":
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=train.label_smoothing)
        metrics: list[keras.metrics.Metric] = [keras.metrics.CategoricalAccuracy("top1")]
        if spec.num_classes > 5:  # the best five of five classes are always right
            metrics.append(keras.metrics.TopKCategoricalAccuracy(5, "top5"))
        return loss, metrics, []
    loss = BinaryCrossentropy(from_logits=True, label_smoothing=train.label_smoothing)
    auc = AUC(curve="PR", multi_label=True, num_labels=spec.num_classes, from_logits=True, name="pr_auc")
    return (loss, [], [auc]) if spec.head == "roi" else (loss, [auc], [])


def monitored(spec: SlowFastSpec) -> str:
    """Return the name of the validation metric that the best epoch has most of."""
    return "val_top1" if spec.activation == "softmax" else "val_pr_auc"
