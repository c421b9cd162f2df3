"""Learning rates by step (section 4 and the published configurations)."""

import itertools
import math

import keras
import tensorflow as tf

register = keras.saving.register_keras_serializable("slowfast_tf")


class _Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that begins with a line from `warmup_learning_rate` to where the schedule is by then."""

    def __init__(self, learning_rate, warmup_steps, warmup_learning_rate):
        self.learning_rate = learning_rate
        self.warmup_steps = warmup_steps
        self.warmup_learning_rate = warmup_learning_rate

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        end = self.after_warmup(tf.constant(float(self.warmup_steps)))
        share = step / max(self.warmup_steps, 1)
        line = self.warmup_learning_rate + (end - self.warmup_learning_rate) * share
        return tf.where(step < self.warmup_steps, line, self.after_warmup(step))

    def get_config(self):
        return dict(self.__dict__)


@register
class Cosine(_Warmup):
    """Half a period of a cosine, `0.5 * (cos(pi * n / n_max) + 1)`, after a linear warm-up.

    Args:
        learning_rate: at step 0 of the cosine.
        steps: n_max, the warm-up included.
        warmup_steps: of the warm-up.
        warmup_learning_rate: where the warm-up starts.
    """

    def __init__(self, learning_rate, steps, warmup_steps=0, warmup_learning_rate=0.0):
        super().__init__(learning_rate, warmup_steps, warmup_learning_rate)
        self.steps = steps

    def after_warmup(self, step):
        return self.learning_rate * 0.5 * (tf.cos(math.pi * step / self.steps) + 1)


@register
class Steps(_Warmup):
    """Shares of a learning rate from given steps on, after a linear warm-up.

    Args:
        learning_rate: before the first boundary.
        boundaries: steps, rising.
        rates: share of `learning_rate` from each boundary on.
        warmup_steps, warmup_learning_rate: as for `Cosine`.
    """

    def __init__(self, learning_rate, boundaries, rates, warmup_steps=0, warmup_learning_rate=0.0):
        super().__init__(learning_rate, warmup_steps, warmup_learning_rate)
        self.boundaries = list(boundaries)
        self.rates = list(rates)

    def after_warmup(self, step):
        passed = tf.reduce_sum(tf.cast(step >= tf.constant(self.boundaries, tf.float32), tf.int32))
        return self.learning_rate * tf.gather(tf.constant([1.0, *self.rates]), passed)


def from_config(train, phases, steps):
    """The schedule of a run.

    Args:
        train: a `slowfast_tf.config.Train`.
        phases: the run's, a list of `slowfast_tf.data.multigrid.Phase`.
        steps: of an epoch, for each phase.
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
