"""Gradient accumulation: compute a batch in sequential parts, for devices whose memory is too small for the batch."""

import functools
from typing import Any

import keras
import tensorflow as tf

from ..models import keras_compat as compat
from ..models.base import sizes
from ..models.keras_compat import FitModel


def in_parts(model: keras.Model, parts: int) -> None:
    """Make a model compute each training batch in parts, and update the weights once.

    Gradients, loss and metrics are those of the whole batch, with two exceptions: BatchNorm sees one part at a time,
    and the loss of padded boxes is the mean of the parts' means.

    Args:
        model: a compiled model; changed in place.
        parts: number of parts. The batch of each replica must be a multiple of it.
    """
    if parts > 1:
        step = functools.partial(_step, model, parts)
        model.train_step = functools.partial(model.after_finish, step) if isinstance(model, FitModel) else step


def _step(model: Any, parts: int, data: Any) -> dict[str, tf.Tensor]:
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    clips = tf.shape(tf.nest.flatten(data)[0])[0]
    tf.debugging.assert_equal(clips % parts, 0, f"a batch cannot be divided into {parts} equal parts")  # pyright: ignore[reportOperatorIssue]
    variables = model.trainable_variables
    # If the batch has a static size, the parts have one as well: XLA's BatchNorm needs it for the variance.
    divided = tf.nest.map_structure(lambda x: x if x is None else _divide(x, parts), data)

    def add_part(
        i: tf.Tensor, loss: tf.Tensor, predictions: tf.TensorArray, gradients: list[tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.TensorArray, list[tf.Tensor]]:
        part = tf.nest.map_structure(lambda x: x if x is None else x[i], divided)
        x, y, weights = keras.utils.unpack_x_y_sample_weight(part)
        with tf.GradientTape() as tape:
            predicted = model(x, training=True)
            this = model.compute_loss(x=x, y=y, y_pred=predicted, sample_weight=weights)
            scaled = compat.scaled_loss(model.optimizer, this)
        found = tape.gradient(scaled, variables)
        gradients = [total + gradient / parts for total, gradient in zip(gradients, found)]
        return i + 1, loss + this / parts, predictions.write(i, predicted), gradients

    _, loss, predictions, gradients = tf.while_loop(
        lambda i, *_: i < parts,
        add_part,
        (
            0,
            0.0,
            tf.TensorArray(tf.float32, parts, element_shape=model.output_shape),
            [tf.zeros(variable.shape, variable.dtype) for variable in variables],
        ),
        parallel_iterations=1,
    )
    model.optimizer.apply_gradients(zip(compat.applicable(model.optimizer, gradients), variables))
    x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
    for metric in model.metrics:
        if metric.name == "loss":
            # Each replica's loss is divided by the number of replicas, because their losses are summed.
            metric.update_state(loss * replicas, sample_weight=clips)
    metrics = model.compute_metrics(x, y, predictions.concat(), sample_weight=weights)
    return model.with_axis(metrics) if isinstance(model, FitModel) else metrics


def _divide(x: tf.Tensor, parts: int) -> tf.Tensor:
    """Return `[B, ...]` as `[parts, B / parts, ...]`."""
    size, *rest = sizes(x)
    return tf.reshape(x, [parts, size // parts, *rest])
