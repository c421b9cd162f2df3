"""Loss and metric of several labels at once, for clips or for boxes of which some are padding."""

import keras
import tensorflow as tf

register = keras.saving.register_keras_serializable("slowfast_tf")


@register
class BinaryCrossentropy(keras.losses.BinaryCrossentropy):
    """Keras' binary cross-entropy, as a mean over what has weight: padded boxes (weight 0) do not thin it out.

    Labels and logits `[B, classes]`; or `[B, N, classes]` with weights `[B, N]`, which Keras would divide by B * N.
    """

    def __call__(self, y_true, y_pred, sample_weight=None):
        loss = super().__call__(y_true, y_pred, sample_weight)
        if sample_weight is None:
            return loss
        total = tf.reduce_sum(tf.cast(sample_weight, loss.dtype))
        # A batch without any box has a loss of 0.
        return loss * tf.cast(tf.size(sample_weight), loss.dtype) / tf.maximum(total, 1.0)


@register
class AUC(keras.metrics.AUC):
    """Keras' area under a curve, with boxes of weight 0 left out.

    Labels and logits `[B, classes]`; or `[B, N, classes]` with weights `[B, N]`, all 0 or 1.
    """

    def update_state(self, y_true, y_pred, sample_weight=None):
        if sample_weight is not None:
            kept = tf.cast(sample_weight, tf.bool)
            y_true, y_pred = tf.boolean_mask(y_true, kept), tf.boolean_mask(y_pred, kept)
        return super().update_state(y_true, y_pred)


def from_config(train, spec):
    """What a run minimises and watches: the loss, and lists of metrics without and with weights.

    Args:
        train: a `slowfast_tf.config.Train`.
        spec: the network's `SlowFastSpec`.
    """
    if spec.activation == "softmax":
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=train.label_smoothing)
        return loss, [keras.metrics.CategoricalAccuracy("top1"), keras.metrics.TopKCategoricalAccuracy(5, "top5")], []
    loss = BinaryCrossentropy(from_logits=True, label_smoothing=train.label_smoothing)
    auc = AUC(curve="PR", multi_label=True, num_labels=spec.num_classes, from_logits=True, name="pr_auc")
    return (loss, [], [auc]) if spec.head == "roi" else (loss, [auc], [])
