"""Stop a run whose loss diverges."""

import math

import keras

from ..errors import RunError
from ..models.keras_compat import learning_rate


class StopOnNonFinite(keras.callbacks.Callback):
    """Stop a run whose loss is not finite, before it overwrites a good checkpoint.

    Raises:
        RunError: from `fit`, with the step and the learning rate.
    """

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        assert logs is not None
        if not math.isfinite(logs["loss"]):
            optimizer = self.model.optimizer  # pyright: ignore[reportOptionalMemberAccess]
            raise RunError(
                f"the loss became {logs['loss']} at step {int(optimizer.iterations.numpy())} with learning rate"
                f" {learning_rate(optimizer):.3g}; try a lower train.learning_rate or a longer"
                f" train.warmup_epochs. Checkpoints from before are kept"
            )
