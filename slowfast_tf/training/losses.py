"""The loss and the metrics of a run. In detection, padded boxes have weight 0."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

from ..config import Train
from ..models.spec import SlowFastSpec

register = keras.saving.register_keras_serializable("slowfast_tf")


@register
class BinaryCrossentropy(keras.losses.BinaryCrossentropy):
    """Keras' binary cross-entropy, averaged over the boxes with a weight: padded boxes (weight 0) do not count.

    Labels and logits are `[B, classes]`, or `[B, N, classes]` with weights `[B, N]`. In the second case, Keras' own
    loss is divided by B * N, padded boxes included.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        loss: Any = super().__call__(y_true, y_pred, sample_weight)
        if sample_weight is None:
            return loss
        total = tf.reduce_sum(tf.cast(sample_weight, loss.dtype))
        # At least 1: a batch without any box has a loss of 0.
        return loss * tf.cast(tf.size(sample_weight), loss.dtype) / tf.maximum(total, 1.0)


@register
class WeightedCrossentropy(keras.losses.CategoricalCrossentropy):
    """Keras' categorical cross-entropy with a weight for each class; mixed classes have the mean of their weights.

    Args:
        class_weights: a weight for each class.
        **options: as for Keras' loss.

    Example:
        >>> loss = WeightedCrossentropy([1.0, 3.0], from_logits=True)
    """

    def __init__(self, class_weights: Sequence[float], **options: Any):
        super().__init__(**options)
        self.class_weights = list(class_weights)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        weights = tf.linalg.matvec(tf.cast(y_true, tf.float32), tf.constant(self.class_weights))
        return super().__call__(y_true, y_pred, weights if sample_weight is None else weights * sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "class_weights": self.class_weights}


def balanced_weights(classes: Sequence[Sequence[int]], count: int) -> list[float]:
    """Return scikit-learn's balanced weight of each class; 1 for a class without videos.

    Args:
        classes: class indices of each training video.
        count: number of classes.

    Example:
        >>> balanced_weights([[0], [0], [0], [1]], 2)
        [0.6666666666666666, 2.0]
    """
    labels = np.array([index for some in classes for index in some])
    present = np.unique(labels)
    weights = np.ones(count)
    weights[present] = compute_class_weight("balanced", classes=present, y=labels)
    return weights.tolist()


@register
class AUC(keras.metrics.AUC):
    """Keras' area under a curve, computed without the boxes of weight 0.

    Labels and logits are `[B, classes]`, or `[B, N, classes]` with weights `[B, N]`; the weights are 0 or 1.
    """

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if sample_weight is not None:
            kept = tf.cast(sample_weight, tf.bool)
            y_true, y_pred = tf.boolean_mask(y_true, kept), tf.boolean_mask(y_pred, kept)
        return super().update_state(y_true, y_pred)


def from_config(
    train: Train, spec: SlowFastSpec, classes: Sequence[Sequence[int]] = ()
) -> tuple[keras.losses.Loss, list[keras.metrics.Metric], list[keras.metrics.Metric]]:
    """Return the loss of a run, its unweighted metrics and its weighted metrics, for Keras' `compile`.

    With one label per clip the metrics are "top1" and, for more than five classes, "top5". With several labels the
    metric is "pr_auc".

    Args:
        train: the configuration's section "train".
        spec: the network's specification.
        classes: class indices of each training video, for `train.class_weights`.

    Example:
        >>> train = slowfast_tf.config.load("demo").train
        >>> loss, metrics, weighted = from_config(train, get_spec("slowfast_2x16_demo"))
        >>> [metric.name for metric in metrics]
        ['top1', 'top5']
    """
    options: dict[str, Any] = {"from_logits": True, "label_smoothing": train.label_smoothing}
    if spec.activation == "softmax":
        if train.class_weights:
            loss = WeightedCrossentropy(balanced_weights(classes, spec.num_classes), **options)
        else:
            loss = keras.losses.CategoricalCrossentropy(**options)
        metrics: list[keras.metrics.Metric] = [keras.metrics.CategoricalAccuracy("top1")]
        if spec.num_classes > 5:  # with five classes or fewer, "top5" would always be 1
            metrics.append(keras.metrics.TopKCategoricalAccuracy(5, "top5"))
        if train.keep == "macro_f1":
            metrics.append(keras.metrics.F1Score("macro", name="macro_f1"))
        return loss, metrics, []
    loss = BinaryCrossentropy(**options)
    auc = AUC(curve="PR", multi_label=True, num_labels=spec.num_classes, from_logits=True, name="pr_auc")
    return (loss, [], [auc]) if spec.head == "roi" else (loss, [auc], [])


def monitored(train: Train, spec: SlowFastSpec) -> str:
    """Return the name of the history column that decides the best epoch; see `history.best_epoch`.

    Example:
        >>> monitored(slowfast_tf.config.load("demo").train, get_spec("slowfast_2x16_demo"))
        'val_top1'
    """
    if train.keep == "last":
        return "epoch"
    return f"val_{train.keep or ('top1' if spec.activation == 'softmax' else 'pr_auc')}"
