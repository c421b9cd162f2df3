"""Running averages of weights: what is tested and saved, while training goes on with the weights themselves."""

import contextlib

import keras

from . import precise_batchnorm


@contextlib.contextmanager
def holding(model, averages):
    """Inside, a model has the running averages of its weights, or (`averages` False) the weights themselves.

    Args:
        model: a compiled model. Without averages (`train.ema_decay` 0, or no step yet) nothing happens.
        averages: which of the two; it may have them already.
    """
    before = _swap(model, averages)
    try:
        yield
    finally:
        _swap(model, before)


def _swap(model, averages):
    """Exchanges weights and averages, which are slots of the optimizer, unless it is done; gives what was before."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    before = getattr(optimizer, "swapped", False)
    if before != averages and getattr(optimizer, "use_ema", False) and int(optimizer.iterations.numpy()):
        for variable, average in zip(optimizer._trainable_variables, optimizer._model_variables_moving_average):
            other = average.numpy()
            average.assign(variable.numpy())
            variable.assign(other)
        optimizer.swapped = averages
    return before


class TestedWeights(keras.callbacks.Callback):
    """Validates with the weights that `model.keras` is to have: averages (`holding`), with precise BatchNorm.

    Args:
        batches: training batches for `precise_batchnorm.recompute`, an iterable; the same ones each time, so that a run
            that was stopped goes on as if it had not been.
        count: how many of them; 0 leaves BatchNorm as it is.
    """

    def __init__(self, batches, count):
        super().__init__()
        self.batches, self.count = batches, count
        self._inside = contextlib.ExitStack()

    def on_test_begin(self, logs=None):
        self._inside.enter_context(holding(self.model, True))
        if self.count:
            precise_batchnorm.recompute(self.model, self.batches, self.count)

    def on_test_end(self, logs=None):
        self._inside.close()
