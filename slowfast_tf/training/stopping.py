"""Stop a run whose loss diverges, or whose validation no longer improves."""

import math

import keras

from ..errors import RunError
from ..models.keras_compat import learning_rate
from .checkpointing import Checkpoints
from .history import is_stopped


class StopOnNonFinite(keras.callbacks.Callback):
    """Stop a run whose loss is not finite, before it overwrites a good checkpoint.

    The training loss of a step is computed before its update. So after the last step of an epoch, only the validation
    loss shows that the weights are no longer finite.

    Raises:
        RunError: raised in `fit`; its message has the step and the learning rate.
    """

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        assert logs is not None
        self._check("loss", logs["loss"])

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._check("validation loss", (logs or {}).get("val_loss", 0.0))

    def _check(self, name: str, loss: float) -> None:
        if not math.isfinite(loss):
            optimizer = self.model.optimizer  # pyright: ignore[reportOptionalMemberAccess]
            raise RunError(
                f"the {name} became {loss} at step {int(optimizer.iterations.numpy())} with learning rate"
                f" {learning_rate(optimizer):.3g}; try a lower train.learning_rate or a longer"
                f" train.warmup_epochs. Checkpoints from before are kept"
            )


class StopEarly(keras.callbacks.Callback):
    """Stop a run after `patience` epochs without a better epoch. The decision uses the history: resuming keeps it.

    Args:
        checkpoints: callback with the history and the metric for the best epoch.
        patience: number of epochs; None never stops.
    """

    def __init__(self, checkpoints: Checkpoints, patience: int | None):
        super().__init__()
        self.checkpoints, self.patience = checkpoints, patience

    @property
    def is_stopped(self) -> bool:
        """Whether the run ends before its last epoch."""
        return is_stopped(self.checkpoints.rows, self.checkpoints.monitor, self.patience)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.is_stopped:
            self.model.stop_training = True  # pyright: ignore[reportOptionalMemberAccess]
