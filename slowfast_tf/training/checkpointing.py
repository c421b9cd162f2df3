"""Save a run after each epoch and on a signal, so that the same command can resume it."""

import contextlib
import pathlib
import re
import signal
import types
from collections.abc import Iterator
from typing import NamedTuple

import keras
import tensorflow as tf

from ..files.atomic import atomic, remove_stale
from . import averaging, strategies
from .history import best_epoch, read_history, write_history


class Interrupted(Exception):
    """A signal stopped the run. The message says from where the same command resumes."""


class Position(NamedTuple):
    """The progress of a run: `epoch` finished epochs, and `step` finished steps of the next epoch."""

    epoch: int = 0
    step: int = 0


START = Position()


class Checkpoints(keras.callbacks.Callback):
    """Save a checkpoint after each epoch, from which the run can resume, and the best model.

    At the end of an epoch `history.csv` is written first, then `model.keras` if this epoch is the best one
    (`history.best_epoch`), then `checkpoints/`. If the run is killed between two of these writes, the resumed run
    repeats the epoch and writes the same files again.

    `on_signal` only records a signal. After Ctrl-C or a termination signal (Slurm, Kubernetes) the run finishes its
    current step, saves and stops. After the last step of an epoch it validates first, because the epoch has no steps
    left to resume with. With several workers, each may be in a different step, so they stop without saving and resume
    after the last finished epoch.

    If a run is killed while it saves, a partly written checkpoint remains. The constructor removes such files, because
    no later save may replace them.

    Args:
        model: the model to save.
        workdir: the run's work directory.
        monitor: name of the history column that decides the best epoch, such as "val_top1"; see `history.best_epoch`.
        position: where the run starts; later rows of an existing history are dropped.

    Raises:
        Interrupted: raised in `fit` after a signal.

    Example:
        >>> checkpoints = Checkpoints(model, "runs/demo", "val_top1")  # doctest: +SKIP
        >>> with handle_signals(checkpoints.on_signal, signal.SIGINT, signal.SIGTERM):  # doctest: +SKIP
        ...     model.fit(train, validation_data=val, epochs=3, callbacks=[checkpoints])
    """

    def __init__(self, model: keras.Model, workdir: pathlib.Path, monitor: str, position: Position = START):
        super().__init__()
        self.saved = model
        self.workdir = pathlib.Path(workdir)
        self.monitor = monitor
        self.position = position
        self.rows = read_history(self.workdir)[: position.epoch]
        self._signal: int | None = None
        for directory in (self.workdir, self.workdir / "checkpoints"):
            remove_stale(directory)

    def on_signal(self, number: int, frame: types.FrameType | None) -> None:
        """Handle a signal: stop after the current step, or immediately on the second Ctrl-C."""
        if self._signal == number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = number

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.position = Position(self.position.epoch, self.position.step + 1)
        if batch + 1 < self.params["steps"]:  # pyright: ignore[reportOptionalSubscript]
            self.stop_if_asked()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.position = Position(epoch + 1)
        self.rows.append({"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}})
        if strategies.is_chief(self.saved.distribute_strategy):
            write_history(self.workdir, self.rows)
        if best_epoch(self.rows, self.monitor) == epoch + 1:
            with averaging.holding(self.saved, True):
                self._save(self.workdir / "model.keras")
        self._save_position()
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Save the position and raise `Interrupted` if a signal has arrived."""
        if self._signal is None:
            return
        epoch, step = self.position
        if step and strategies.shard(self.saved.distribute_strategy)[1] == 1:
            self._save_position()
        else:
            step = 0
        raise Interrupted(f"the same command resumes after epoch {epoch}" + (f" and {step} steps" if step else ""))

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """If a signal has arrived, stop on the error of a worker that is gone: the same signal may have stopped it."""
        try:
            yield
        except tf.errors.OpError:
            if strategies.shard(self.saved.distribute_strategy)[1] > 1:
                self.stop_if_asked()
            raise

    def _save_position(self) -> None:
        epoch, step = self.position
        older = _checkpoints(self.workdir)
        with averaging.holding(self.saved, False):
            self._save(self.workdir / "checkpoints" / f"epoch_{epoch:04d}{f'_step_{step:06d}' if step else ''}.keras")
        if strategies.is_chief(self.saved.distribute_strategy):
            for position, path in older:
                if position != self.position:
                    path.unlink(missing_ok=True)

    def _save(self, path: pathlib.Path) -> None:
        with strategies.writer(self.saved.distribute_strategy, path) as wanted, atomic(wanted) as temporary:
            self.saved.save(temporary)


def latest_checkpoint(workdir: pathlib.Path) -> tuple[pathlib.Path | None, Position]:
    """Return the path and the position of a run's newest checkpoint; None and the start if there is none.

    Args:
        workdir: the run's directory.

    Example:
        >>> latest_checkpoint(pathlib.Path("runs/none"))
        (None, Position(epoch=0, step=0))
    """
    found = _checkpoints(workdir)
    if not found:
        return None, START
    position, path = found[-1]
    return path, position


def _checkpoints(workdir: pathlib.Path) -> list[tuple[Position, pathlib.Path]]:
    """Return the positions and paths of a run's checkpoints, the newest last."""
    found = []
    for path in (pathlib.Path(workdir) / "checkpoints").glob("epoch_*.keras"):
        match = re.fullmatch(r"epoch_(\d+)(?:_step_(\d+))?", path.stem)
        if match:
            found.append((Position(int(match[1]), int(match[2] or 0)), path))
    return sorted(found)
