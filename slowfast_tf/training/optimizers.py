"""SGD and AdamW that match PyTorch and PySlowFast, and the optimizer of a run."""

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

    - With several replicas, Keras 3 clips the gradients of each replica before they are summed. Here their sum is
      clipped.
    - Keras 3 updates the averages of weights in a place where a replica may not assign to them.
    - At the end of `fit`, Keras 3 replaces the weights by their averages, so that the run could not be resumed.
      `slowfast_tf.training.averaging` uses the averages for validation and for saving only.
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
        """Do nothing: `update_step` has already updated the averages."""

    def finalize_variable_values(self, variables: Any) -> None:
        """Do nothing: Keras would replace the weights by their averages, and training may continue."""


@register
class SGD(_Common, keras.optimizers.SGD):  # pyright: ignore[reportIncompatibleMethodOverride]
    """SGD as in PyTorch. The arguments are those of `keras.optimizers.SGD`.

    - Weight decay is added to the gradient after clipping; BatchNorm's gamma and beta have none. The published recipes
      were tuned for this form. Weight decay in Keras is decoupled: it shrinks weights separately from the gradient
      step, without momentum.
    - The velocity is a sum of gradients. In Keras it is a sum of steps, so after the learning rate drops to a tenth,
      the first step is still eight times as long as in PyTorch.

    Example:
        >>> model = slowfast_tf.SlowFast("slowfast_2x16_demo")
        >>> model.compile(SGD(0.1, momentum=0.9, nesterov=True, weight_decay=1e-4), "categorical_crossentropy")
    """

    # Whether the velocity in the file to load is a sum of steps. Files of earlier versions lack the key "velocity".
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
        """Convert a loaded velocity from a sum of steps to a sum of gradients."""
        if self._sums_steps and self.momentum and int(self.iterations):
            schedule, momentums = cast(Any, self._learning_rate), cast(Any, self.momentums)
            rate = float(schedule(int(self.iterations) - 1) if callable(schedule) else self.learning_rate)
            for velocity in momentums:
                velocity.assign(tf.convert_to_tensor(velocity) * (-1 / rate if rate else 0.0))
        self._sums_steps = False


@register
class AdamW(_Common, keras.optimizers.AdamW):  # pyright: ignore[reportIncompatibleMethodOverride]
    """AdamW as in PyTorch, without weight decay on BatchNorm's gamma and beta. The arguments are those of Keras.

    Epsilon is added after the bias correction. Keras adds epsilon before it, which multiplies the effect of epsilon by
    `1 / sqrt(1 - beta_2**step)`: 32 in the first step. The last gamma of a residual block starts at 0, so the first
    gradients inside blocks are small enough for epsilon to matter: with Keras' AdamW, the loss of a tiny network
    differed from PyTorch's by 1e-2 after four steps.
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
    """Convert the velocity of an optimizer that an earlier version saved to a sum of gradients (see `SGD`).

    Args:
        optimizer: a built optimizer of a saved model.

    Example:
        >>> model = slowfast_tf.models.slowfast.load_model("runs/old", compile=True)  # doctest: +SKIP
        >>> bring_up_to_date(model.optimizer)  # doctest: +SKIP
    """
    # A LossScaleOptimizer loads the variables of its inner optimizer itself, without `SGD.load_own_variables`.
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if isinstance(optimizer, SGD):
        optimizer.bring_up_to_date()


def from_config(
    train: Train, schedule: keras.optimizers.schedules.LearningRateSchedule | float
) -> keras.optimizers.Optimizer:
    """Return the optimizer of a run.

    Args:
        train: the configuration's section "train".
        schedule: the learning rate, a schedule by step or a constant.

    Raises:
        InputError: if Keras cannot create the optimizer in `train.optimizer`.

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
        # PyTorch's default epsilon; Keras' default is 1e-7.
        optimizer = AdamW(schedule, beta_1=train.momentum, epsilon=1e-8, **options)  # pyright: ignore[reportArgumentType]
    else:
        optimizer = SGD(schedule, momentum=train.momentum, nesterov=train.momentum > 0, **options)  # pyright: ignore[reportArgumentType]
    return _guarded(optimizer, train)


def _by_name(name: str, config: dict[str, Any], schedule: Any) -> keras.optimizers.Optimizer:
    """Return an optimizer by the name under which it is registered with Keras."""
    config = {"learning_rate": keras.optimizers.schedules.serialize(schedule), **config}
    try:
        return keras.optimizers.get({"class_name": name, "config": config})
    except (ImportError, TypeError, ValueError) as error:
        raise InputError(
            f"train.optimizer: {name} cannot be made: {str(error).splitlines()[0][:300]}; does plugins name the module"
            " that registers it, and does it take that config?"
        ) from error


def _guarded(optimizer: keras.optimizers.Optimizer, train: Train) -> keras.optimizers.Optimizer:
    # Keras adds loss scaling only if the model itself has the policy mixed_float16; here only the layers have it.
    if train.precision == "mixed_float16":
        return keras.mixed_precision.LossScaleOptimizer(optimizer)
    return optimizer
