"""Learning rate schedules by step, as in section 4 of the paper and in the published configurations."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from ..config import Train
from ..data.multigrid import Phase

register = keras.saving.register_keras_serializable("slowfast_tf")


class _Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule with a linear warm-up, from `warmup_learning_rate` to the schedule's value at `warmup_steps`."""

    def __init__(self, learning_rate: float, warmup_steps: int, warmup_learning_rate: float):
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.warmup_learning_rate = warmup_learning_rate

    def after_warmup(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate at a step, float32, as if there were no warm-up."""
        raise NotImplementedError

    def __call__(self, step: Any) -> Any:
        step = tf.cast(step, tf.float32)
        end = self.after_warmup(tf.constant(float(self.warmup_steps)))
        share = step / max(self.warmup_steps, 1)
        line = self.warmup_learning_rate + (end - self.warmup_learning_rate) * share
        return tf.where(step < self.warmup_steps, line, self.after_warmup(step))

    def get_config(self) -> dict[str, Any]:
        return dict(self.__dict__)


@register
class Cosine(_Warmup):
    """Half a period of a cosine, `0.5 * (cos(pi * n / n_max) + 1)`, after a linear warm-up.

    Args:
        learning_rate: the rate at step 0 of the cosine.
        steps: n_max, which includes the warm-up.
        warmup_steps: steps of the warm-up.
        warmup_learning_rate: the rate at which the warm-up starts.

    Example:
        >>> optimizer = keras.optimizers.SGD(Cosine(0.1, steps=1000, warmup_steps=100))
    """

    def __init__(self, learning_rate: float, steps: int, warmup_steps: int = 0, warmup_learning_rate: float = 0.0):
        super().__init__(learning_rate, warmup_steps, warmup_learning_rate)
        self.steps = steps

    def after_warmup(self, step: tf.Tensor) -> tf.Tensor:
        return self.learning_rate * 0.5 * (tf.cos(math.pi * step / self.steps) + 1)


@register
class Steps(_Warmup):
    """A learning rate that changes at given steps, after a linear warm-up.

    Args:
        learning_rate: the rate before the first boundary.
        boundaries: steps at which the rate changes, ascending.
        rates: factor of `learning_rate` from each boundary on.
        warmup_steps, warmup_learning_rate: as for `Cosine`.

    Example:
        >>> optimizer = keras.optimizers.SGD(Steps(0.1, boundaries=[300, 600], rates=[0.1, 0.01]))
    """

    def __init__(
        self,
        learning_rate: float,
        boundaries: Sequence[int],
        rates: Sequence[float],
        warmup_steps: int = 0,
        warmup_learning_rate: float = 0.0,
    ):
        super().__init__(learning_rate, warmup_steps, warmup_learning_rate)
        self.boundaries = list(boundaries)
        self.rates = list(rates)

    def after_warmup(self, step: tf.Tensor) -> tf.Tensor:
        passed = tf.reduce_sum(tf.cast(step >= tf.constant(self.boundaries, tf.float32), tf.int32))
        return self.learning_rate * tf.gather(tf.constant([1.0, *self.rates]), passed)


def from_config(train: Train, phases: Sequence[Phase], steps: Sequence[int]) -> Cosine | Steps:
    """Return the schedule of a run.

    Args:
        train: the configuration's section "train".
        phases: the run's phases; a single phase without multigrid training.
        steps: number of steps in an epoch of each phase.

    Example:
        >>> schedule = from_config(
        ...     settings.train, clips.phases, [clips.steps(phase) for phase in clips.phases]
        ... )  # doctest: +SKIP
    """
    scale = train.batch_size / (train.learning_rate_batch or train.batch_size)
    rate = train.learning_rate * scale
    warmup = {
        "warmup_steps": round(train.warmup_epochs * steps[0]),
        "warmup_learning_rate": train.warmup_learning_rate * scale,
    }
    if train.multigrid:
        starts = list(itertools.accumulate(len(phase.epochs) * count for phase, count in zip(phases, steps)))
        first = phases[0].rate
        return Steps(rate * first, starts[:-1], [phase.rate / first for phase in phases[1:]], **warmup)
    if train.schedule == "cosine":
        return Cosine(rate, train.epochs * steps[0], **warmup)
    boundaries = [round(epoch * steps[0]) for epoch in train.step_epochs]
    return Steps(rate, boundaries, train.step_rates, **warmup)
