"""Running averages of weights: used for validation and for saving, while training continues with the raw weights."""

import contextlib
from collections.abc import Iterable, Iterator

import keras

from . import precise_batchnorm


@contextlib.contextmanager
def holding(model: keras.Model, averages: bool) -> Iterator[None]:
    """Set the weights of a model to their running averages, or to the raw weights, inside a `with` block.

    Args:
        model: a compiled model. Without averages (`train.ema_decay` 0, or before the first step) nothing happens.
        averages: True for the averages, False for the raw weights. Blocks can be nested: if the model already has the
            requested weights, they stay.
    """
    before = _swap(model, averages)
    try:
        yield
    finally:
        _swap(model, before)


def _swap(model: keras.Model, averages: bool) -> bool:
    """Swap the weights and the optimizer's averages if necessary; return whether the model had the averages before."""
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
    """Validate with the weights that are saved in `model.keras`: the averages (`holding`), with precise BatchNorm.

    Args:
        batches: training batches for `precise_batchnorm.recompute`. Each iteration must yield the same batches, so that
            a resumed run gives the same result as an uninterrupted run.
        count: number of batches to take; 0 leaves BatchNorm unchanged.
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
