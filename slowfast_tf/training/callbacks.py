"""What happens while a run goes on: whole checkpoints, the history, and a stop when the loss is no number."""

import csv
import io
import math
import pathlib

import keras

from ..cli import Failure, atomic, write_text


class Checkpoints(keras.callbacks.Callback):
    """Writes what a run needs to go on after each epoch, and the best model.

    `history.csv` is written first, then `model.keras` if this epoch is the best, then `checkpoints/`: a run
    that is killed between two of them repeats the epoch and writes the same again.

    Args:
        workdir: of the run.
        monitor: the figure, of the validation set, that the best model has most of.
        first_epoch: of this call of `fit`; later lines of an earlier history are forgotten.
    """

    def __init__(self, workdir, monitor, first_epoch):
        super().__init__()
        self.workdir = pathlib.Path(workdir)
        self.monitor = monitor
        self.rows = read_history(self.workdir)[:first_epoch]

    def on_epoch_end(self, epoch, logs=None):
        rate = float(self.model.optimizer.learning_rate)
        self.rows.append({"epoch": epoch, "learning_rate": rate, **{k: float(v) for k, v in logs.items()}})
        text = io.StringIO()
        writer = csv.DictWriter(text, self.rows[0])
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.workdir / "history.csv", text.getvalue())
        if self.rows[-1][self.monitor] >= max(row[self.monitor] for row in self.rows):
            self._save(self.workdir / "model.keras")
        self._save(self.workdir / "checkpoints" / f"epoch_{epoch + 1:04d}.keras")
        for older in sorted((self.workdir / "checkpoints").glob("epoch_*.keras"))[:-1]:
            older.unlink()

    def _save(self, path):
        with atomic(path) as temporary:
            self.model.save(temporary)


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops a run whose loss is no longer a number, before anything good is overwritten."""

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            optimizer = self.model.optimizer
            raise Failure(
                f"the loss became {logs['loss']} at step {int(optimizer.iterations.numpy())} with learning rate"
                f" {float(optimizer.learning_rate):.3g}; try a lower train.learning_rate or a longer"
                f" train.warmup_epochs. Checkpoints from before are kept"
            )


def read_history(workdir):
    """The lines of a run's `history.csv`, a list of dictionaries of floats; empty if there is none."""
    path = pathlib.Path(workdir) / "history.csv"
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def latest_checkpoint(workdir):
    """The newest checkpoint of a run and its epochs, or (None, 0)."""
    found = sorted((pathlib.Path(workdir) / "checkpoints").glob("epoch_*.keras"))
    return (found[-1], int(found[-1].stem.split("_")[1])) if found else (None, 0)
