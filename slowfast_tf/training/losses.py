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


def _weights(y_true: Any, sample_weight: Any) -> tf.Tensor:
    """Return the weights of clips, `[B]`: 0 for a clip without a label, as a test of softmax leaves it out."""
    labelled = tf.cast(tf.reduce_any(tf.not_equal(y_true, 0), -1), tf.float32)
    return labelled if sample_weight is None else labelled * tf.cast(sample_weight, tf.float32)


class _OfLabelled(keras.metrics.Metric):
    """Leaves clips without a label out of a metric of Keras."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        return super().update_state(y_true, y_pred, _weights(y_true, sample_weight))


@register
class Top1(_OfLabelled, keras.metrics.CategoricalAccuracy):
    """Keras' accuracy of the class with the highest score, over the clips that have a label."""


@register
class TopK(_OfLabelled, keras.metrics.TopKCategoricalAccuracy):
    """Keras' accuracy of the K classes with the highest scores, over the clips that have a label."""


@register
class MacroF1(keras.metrics.Metric):
    """The mean F1 of the classes that have clips, over the clips that have a label: `macro_f1` of a test.

    Keras' F1Score averages over all classes, and creates its variables in the first step, where a strategy of several
    devices cannot. A mixed clip counts as a clip of its largest class, as in "top1".

    Args:
        classes: number of classes.
        name: name of the metric.
        **options: as for Keras' metric.

    Example:
        >>> metric = MacroF1(3)
        >>> metric.update_state(tf.one_hot([0, 0, 1], 3), tf.one_hot([0, 0, 0], 3))
        >>> round(float(metric.result()), 3)  # of 0.8 and 0
        0.4
    """

    def __init__(self, classes: int, name: str = "macro_f1", **options: Any):
        super().__init__(name=name, **options)
        self.classes = classes
        self.right, self.predicted, self.true = (
            self.add_weight(shape=(classes,), initializer="zeros", name=name) for name in ("right", "predicted", "true")
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        weights = _weights(y_true, sample_weight)[:, None]
        true, predicted = (tf.one_hot(tf.argmax(y, -1), self.classes) for y in (y_true, y_pred))
        self.right.assign_add(tf.reduce_sum(weights * true * predicted, 0))
        self.predicted.assign_add(tf.reduce_sum(weights * predicted, 0))
        self.true.assign_add(tf.reduce_sum(weights * true, 0))

    def result(self) -> tf.Tensor:
        right, predicted, true = (tf.convert_to_tensor(x) for x in (self.right, self.predicted, self.true))
        present = tf.cast(true > 0, tf.float32)
        f1 = tf.math.divide_no_nan(2 * right, true + predicted)
        return tf.math.divide_no_nan(tf.reduce_sum(present * f1), tf.reduce_sum(present))

    def reset_state(self) -> None:
        for variable in self.variables:  # Keras 2 would assign a scalar
            variable.assign(tf.zeros(variable.shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "classes": self.classes}


def from_config(
    train: Train, spec: SlowFastSpec, classes: Sequence[Sequence[int]] = ()
) -> tuple[keras.losses.Loss, list[keras.metrics.Metric], list[keras.metrics.Metric]]:
    """Return the loss of a run, its unweighted metrics and its weighted metrics, for Keras' `compile`.

    With one label per clip the metrics are "top1" and, for more than five classes, "top5"; they leave out clips without
    a label, as a test does. With several labels the metric is "pr_auc".

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
        metrics: list[keras.metrics.Metric] = [Top1("top1")]
        if spec.num_classes > 5:  # with five classes or fewer, "top5" would always be 1
            metrics.append(TopK(5, "top5"))
        if train.keep == "macro_f1":
            metrics.append(MacroF1(spec.num_classes))
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
