"""Optimizers whose weight decay is that of PyTorch and PySlowFast."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

import keras
import tensorflow as tf

from ..config import Train
from ..errors import InputError
from ..models import keras_compat as compat

register = keras.saving.register_keras_serializable("slowfast_tf")


class _Common(keras.optimizers.Optimizer if TYPE_CHECKING else compat.Optimizer):
    """The differences of both optimizers from Keras: clipping by the global norm, weight averages, weight decay.

    - With several replicas Keras 3 clips the gradients of each one, before their sum, whose norm is meant.
    - It updates averages of weights where a replica may not.
    - At the end of `fit` it replaces the weights by their averages, with which a run could not be resumed.
      `slowfast_tf.training.averaging` does so for validation and for saving only.
    """

    def _clip_gradients(self, gradients: list) -> list:
        return gradients if self.global_clipnorm else super()._clip_gradients(gradients)

    def _all_reduce_sum_gradients(self, pairs: Iterable) -> list[tuple]:
        gradients, variables = zip(*super()._all_reduce_sum_gradients(pairs))
        if self.global_clipnorm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.global_clipnorm)
        return list(zip(gradients, variables))

    def _use_weight_decay(self, variable: Any) -> bool:
        # "gamma" in Keras 3, ".../gamma:0" in Keras 2, ".../gamma/replica_1:0" under a strategy.
        return not re.search(r"(^|/)(gamma|beta)(/replica_\d+)?(:\d+)?$", variable.name)

    def update_step(self, gradient: Any, variable: Any, *args: Any) -> None:
        super().update_step(gradient, variable, *args)
        self._update_average(variable)

    def _update_average(self, variable: Any) -> None:
        if self.use_ema:
            average = self._model_variables_moving_average[self._get_variable_index(variable)]
            decay = tf.where(self.iterations > 0, tf.constant(self.ema_momentum, variable.dtype), 0)  # pyright: ignore[reportOptionalOperand, reportArgumentType]
            self.assign(average, decay * tf.convert_to_tensor(average) + (1 - decay) * variable)

    def _update_model_variables_moving_average(self, variables: Any) -> None:
        """Do nothing: `update_step` has updated them."""

    def finalize_variable_values(self, variables: Any) -> None:
        """Do nothing: training may continue."""


@register
class SGD(_Common, keras.optimizers.SGD):  # pyright: ignore[reportIncompatibleMethodOverride]
    """SGD as PyTorch has it. Arguments are those of `keras.optimizers.SGD`.

    - Weight decay is added to the gradient (after clipping), not to BatchNorm's gamma and beta. Keras' own is
      decoupled: it shrinks weights apart from the gradient step, without momentum. The published recipes were tuned for
      this one.
    - The velocity sums gradients. Keras' sums steps, so that after a drop of the rate to a tenth the first step is
      still eight times as long as PyTorch's.

    Example:
        >>> model = slowfast_tf.SlowFast("slowfast_2x16_demo")
        >>> model.compile(SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-4), "categorical_crossentropy")
    """

    # Whether the velocity that is to be loaded sums steps: a file of an earlier version does not say what it sums.
    _sums_steps = False

    def update_step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, gradient: Any, variable: Any, *args: Any
    ) -> None:  # Keras 3 passes the learning rate, Keras 2 does not
        if self.weight_decay and self._use_weight_decay(variable):
            decay = tf.cast(self.weight_decay, gradient.dtype)
            gradient = gradient + decay * tf.cast(variable, gradient.dtype)
        if self.momentum:
            rate = args[0] if args else self.learning_rate
            velocity = self.momentums[self._get_variable_index(variable)]
            compat.descend(variable, velocity, gradient, rate, self.momentum, self.nesterov)
            self._update_average(variable)
        else:
            super().update_step(gradient, variable, *args)

    def _apply_weight_decay(self, variables: Any) -> None:
        """Do nothing: the decay is part of the gradient."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "velocity": "gradients"}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "SGD":
        config = dict(config)
        sums_steps = config.pop("velocity", None) is None
        optimizer = super().from_config(config, custom_objects)
        optimizer._sums_steps = sums_steps
        return optimizer

    def load_own_variables(self, store: Any) -> None:
        super().load_own_variables(store)
        self.bring_up_to_date()

    def bring_up_to_date(self) -> None:
        """Turn a velocity of steps, which was just loaded, into one of gradients."""
        if self._sums_steps and self.momentum and int(self.iterations):
            schedule, momentums = cast(Any, self._learning_rate), cast(Any, self.momentums)
            rate = float(schedule(int(self.iterations) - 1) if callable(schedule) else self.learning_rate)
            for velocity in momentums:
                velocity.assign(tf.convert_to_tensor(velocity) * (-1 / rate if rate else 0.0))
        self._sums_steps = False


@register
class AdamW(_Common, keras.optimizers.AdamW):  # pyright: ignore[reportIncompatibleMethodOverride]
    """AdamW as PyTorch has it, without weight decay on BatchNorm's gamma and beta. Arguments are Keras'.

    Epsilon is added after the bias correction. Keras adds it before, where it counts `1 / sqrt(1 - beta_2**step)` times
    as much: 32 times in the first step. The last gamma of a residual block starts at 0, so the first gradients inside
    blocks are as small as that, and the loss of a tiny network differed from PyTorch's by 1e-2 after four steps.
    """

    def update_step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, gradient: Any, variable: Any, *args: Any
    ) -> None:  # Keras 3 passes the learning rate, Keras 2 does not
        epsilon, done = self.epsilon, cast(Any, self.iterations)
        step = tf.cast(done + 1, variable.dtype)
        self.epsilon = epsilon * tf.sqrt(1 - tf.pow(tf.constant(self.beta_2, variable.dtype), step))
        try:
            super().update_step(gradient, variable, *args)
        finally:
            self.epsilon = epsilon


def bring_up_to_date(optimizer: Any) -> None:
    """Turn the velocity of an optimizer that an earlier version saved into one of gradients (see `SGD`).

    Args:
        optimizer: a built optimizer of a saved model.

    Example:
        >>> model = slowfast_tf.models.slowfast.load_model("runs/old", compile=True)  # doctest: +SKIP
        >>> bring_up_to_date(model.optimizer)  # doctest: +SKIP
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of loss scaling, which loads its variables itself
    if isinstance(optimizer, SGD):
        optimizer.bring_up_to_date()


def from_config(
    train: Train, schedule: keras.optimizers.schedules.LearningRateSchedule | float
) -> keras.optimizers.Optimizer:
    """Return the optimizer of a run.

    Args:
        train: the configuration's section.
        schedule: the learning rate, by step.

    Raises:
        InputError: if `train.optimizer` names one that Keras cannot make.

    Example:
        >>> type(from_config(slowfast_tf.config.load("demo").train, 0.1)).__name__
        'SGD'
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
        # PyTorch's epsilon; Keras has 1e-7.
        optimizer = AdamW(schedule, beta_1=train.momentum, epsilon=1e-8, **options)  # pyright: ignore[reportArgumentType]
    else:
        optimizer = SGD(schedule, momentum=train.momentum, nesterov=train.momentum > 0, **options)  # pyright: ignore[reportArgumentType]
    return _guarded(optimizer, train)


def _by_name(name: str, config: dict[str, Any], schedule: Any) -> keras.optimizers.Optimizer:
    """Return an optimizer that is registered with Keras."""
    config = {"learning_rate": keras.optimizers.schedules.serialize(schedule), **config}
    try:
        return keras.optimizers.get({"class_name": name, "config": config})
    except (ImportError, TypeError, ValueError) as error:
        raise InputError(
            f"train.optimizer: {name} cannot be made: {str(error).splitlines()[0][:300]}; does plugins name the module"
            " that registers it, and does it take that config?"
        ) from error


def _guarded(optimizer: keras.optimizers.Optimizer, train: Train) -> keras.optimizers.Optimizer:
    # Keras adds loss scaling only if float16 is the policy of the model, and here it is that of the layers.
    if train.precision == "mixed_float16":
        return keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
