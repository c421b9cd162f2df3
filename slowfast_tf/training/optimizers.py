"""Optimizers with weight decay as PyTorch and PySlowFast have it."""

import re

import keras
import tensorflow as tf

from ..errors import InputError
from ..models import keras_compat as compat

register = keras.saving.register_keras_serializable("slowfast_tf")


class _Common(compat.Optimizer):
    """What both optimizers do in their own way: clipping by the global norm, averages of weights, decay.

    With several replicas Keras 3 clips what each one has, before the sum over them that the norm is meant of; and it
    updates averages where a replica may not. Once a `fit` ends it puts the averages in the place of the weights, with
    which a run could not go on; `slowfast_tf.training.averaging` does so for tests and for saving alone.
    """

    def _clip_gradients(self, gradients):
        return gradients if self.global_clipnorm else super()._clip_gradients(gradients)

    def _all_reduce_sum_gradients(self, pairs):
        gradients, variables = zip(*super()._all_reduce_sum_gradients(pairs))
        if self.global_clipnorm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.global_clipnorm)
        return list(zip(gradients, variables))

    def _use_weight_decay(self, variable):
        # "gamma" in Keras 3, ".../gamma:0" in Keras 2, ".../gamma/replica_1:0" under a strategy.
        return not re.search(r"(^|/)(gamma|beta)(/replica_\d+)?(:\d+)?$", variable.name)

    def update_step(self, gradient, variable, *args):
        super().update_step(gradient, variable, *args)
        if self.use_ema:
            average = self._model_variables_moving_average[self._get_variable_index(variable)]
            decay = tf.where(self.iterations > 0, tf.constant(self.ema_momentum, variable.dtype), 0)
            self.assign(average, decay * tf.convert_to_tensor(average) + (1 - decay) * variable)

    def _update_model_variables_moving_average(self, variables):
        """Nothing: `update_step` did."""

    def finalize_variable_values(self, variables):
        """Nothing: training may go on."""


@register
class SGD(_Common, compat.SGD):
    """Keras' SGD, with weight decay added to the gradient (after clipping) and none on BatchNorm's gamma and beta.

    Keras' own weight decay is decoupled: it shrinks weights beside the gradient step, past momentum. The
    published recipes were tuned for this one. Arguments are those of `keras.optimizers.SGD`.
    """

    def update_step(self, gradient, variable, *args):  # Keras 3 gives the learning rate, Keras 2 does not
        if self.weight_decay and self._use_weight_decay(variable):
            decay = tf.cast(self.weight_decay, gradient.dtype)
            gradient = gradient + decay * tf.cast(variable, gradient.dtype)
        super().update_step(gradient, variable, *args)

    def _apply_weight_decay(self, variables):
        """Nothing beside the gradient."""


@register
class AdamW(_Common, keras.optimizers.AdamW):
    """Keras' AdamW, with no weight decay on BatchNorm's gamma and beta. Arguments are Keras'."""


def from_config(train, schedule):
    """The optimizer of a run.

    Args:
        train: a `slowfast_tf.config.Train`.
        schedule: of the learning rate.
    """
    if isinstance(train.optimizer, dict):
        optimizer = _by_name(train.optimizer["class_name"], train.optimizer.get("config", {}), schedule)
        return _guarded(optimizer, train)
    options = {
        "weight_decay": train.weight_decay,
        "global_clipnorm": train.clip_norm,
        "use_ema": train.ema_decay > 0,
        "ema_momentum": train.ema_decay,
    }
    if train.optimizer == "adamw":
        optimizer = AdamW(schedule, beta_1=train.momentum, **options)
    else:
        optimizer = SGD(schedule, momentum=train.momentum, nesterov=train.momentum > 0, **options)
    return _guarded(optimizer, train)


def _by_name(name, config, schedule):
    """An optimizer that is registered with Keras."""
    config = {"learning_rate": keras.optimizers.schedules.serialize(schedule), **config}
    try:
        return keras.optimizers.get({"class_name": name, "config": config})
    except (ImportError, TypeError, ValueError) as error:
        raise InputError(
            f"train.optimizer: {name} cannot be made: {str(error).splitlines()[0][:300]}; does plugins name the module"
            " that registers it, and does it take that config?"
        ) from error


def _guarded(optimizer, train):
    # Keras wraps one by itself only where float16 is the policy of the model, not of its layers.
    if train.precision == "mixed_float16":
        return keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
