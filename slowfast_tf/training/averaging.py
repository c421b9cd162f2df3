"""Running averages of weights: validation and saving use them, while training continues with the weights themselves."""

import contextlib
from collections.abc import Iterable, Iterator

import keras

from . import precise_batchnorm


@contextlib.contextmanager
def holding(model: keras.Model, averages: bool) -> Iterator[None]:
    """Give a model the running averages of its weights, or the weights themselves, inside the block.

    Args:
        model: a compiled model. Without averages (`train.ema_decay` 0, or before the first step) nothing happens.
        averages: True for the averages, False for the weights. The model may hold them already, so blocks nest.
    """
    before = _swap(model, averages)
    try:
        yield
    finally:
        _swap(model, before)


def _swap(model: keras.Model, averages: bool) -> bool:
    """Exchange weights and averages, which are slots of the optimizer, if need be; return what was there before."""
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
    """Validate with the weights that `model.keras` will hold: averages (`holding`), with precise BatchNorm.

    Args:
        batches: training batches for `precise_batchnorm.recompute`. They must be the same at every iteration, so that a
            resumed run ends as an uninterrupted one.
        count: how many batches to take; 0 leaves BatchNorm as it is.
    """

    def __init__(self, batches: Iterable, count: int):
        super().__init__()
        self.batches, self.count = batches, count
        self._inside = contextlib.ExitStack()

    def on_test_begin(self, logs: dict | None = None) -> None:
        assert self.model is not None
        self._inside.enter_context(holding(self.model, True))
        if self.count:
            precise_batchnorm.recompute(self.model, self.batches, self.count)

    def on_test_end(self, logs: dict | None = None) -> None:
        self._inside.close()
