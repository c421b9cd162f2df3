"""What happens while a run goes on: progress, whole checkpoints, the history, and a stop for good reasons."""

import csv
import io
import math
import pathlib
import re
import signal
import sys
import time

import keras
import numpy as np
import tensorflow as tf
import tqdm

from ..errors import RunError
from ..files.atomic import atomic, write_text
from ..models.keras_compat import learning_rate, step_on_batch
from . import averaging, strategies

SLOW_INPUT = 0.3


class Interrupted(Exception):
    """The run was asked to stop, and has saved where it is."""


class Checkpoints(keras.callbacks.Callback):
    """Writes what a run needs to go on after each epoch, and the best model.

    `history.csv` is written first, then `model.keras` if this epoch is the best, then `checkpoints/`: a run
    that is killed between two of them repeats the epoch and writes the same again. On Ctrl-C, or when it is terminated
    (Slurm, Kubernetes), a run saves after the step that it is in, and stops; after the last step of an epoch, when its
    test is over, as there are no steps left to go on with. Of several machines each would be in another step, so there
    the last epoch is what is saved.

    Args:
        model: the model to save.
        workdir: of the run.
        monitor: the figure, of the validation set, that the best model has most of.
        first_epoch: of this run; later lines of an earlier history are forgotten.
        first_step: of that epoch.

    Raises:
        Interrupted: from `fit`, after a signal.
    """

    def __init__(self, model, workdir, monitor, first_epoch, first_step=0):
        super().__init__()
        self.saved = model
        self.workdir = pathlib.Path(workdir)
        self.monitor = monitor
        self.rows = read_history(self.workdir)[:first_epoch]
        self.place = first_epoch, first_step
        self._signal = None

    def on_train_begin(self, logs=None):
        self._before = {s: signal.signal(s, self._stop_soon) for s in (signal.SIGINT, signal.SIGTERM)}

    def on_train_end(self, logs=None):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def on_train_batch_end(self, batch, logs=None):
        self.place = self.place[0], self.place[1] + 1
        if batch + 1 < self.params["steps"]:
            self._stop_if_asked()

    def on_epoch_end(self, epoch, logs=None):
        self.place = epoch + 1, 0
        if strategies.is_chief(self.saved.distribute_strategy):
            self.rows.append({"epoch": epoch, **{name: float(value) for name, value in logs.items()}})
            text = io.StringIO()
            writer = csv.DictWriter(text, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)
            write_text(self.workdir / "history.csv", text.getvalue())
        else:
            self.rows.append({self.monitor: float(logs[self.monitor])})
        if self.rows[-1][self.monitor] >= max(row[self.monitor] for row in self.rows):
            with averaging.holding(self.saved, True):
                self._save(self.workdir / "model.keras")
        self._save_place()
        self._stop_if_asked()

    def _stop_soon(self, number, frame):
        if self._signal == number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait
        self._signal = number

    def _stop_if_asked(self):
        if self._signal is None:
            return
        epoch, step = self.place
        if step and strategies.shard(self.saved.distribute_strategy)[1] == 1:
            self._save_place()
        else:
            step = 0
        self.on_train_end()
        raise Interrupted(f"the same command goes on after epoch {epoch}" + (f" and {step} steps" if step else ""))

    def _save_place(self):
        epoch, step = self.place
        older = _places(self.workdir)
        with averaging.holding(self.saved, False):
            self._save(self.workdir / "checkpoints" / f"epoch_{epoch:04d}{f'_step_{step:06d}' if step else ''}.keras")
        if strategies.is_chief(self.saved.distribute_strategy):
            for _, _, path in older:
                if path.exists() and (epoch, step) != place_of(path):
                    path.unlink()

    def _save(self, path):
        with strategies.writer(self.saved.distribute_strategy, path) as wanted, atomic(wanted) as temporary:
            self.saved.save(temporary)


class Progress(keras.callbacks.Callback):
    """A bar with time left, loss, learning rate, clips a second and the share of time spent waiting for the input.

    The last three go into the logs of each epoch, too, so this comes before what writes them. Where the output is no
    terminal there is a line an epoch.

    Args:
        clips: of a step.
        steps: of an epoch.
        first_step: of the first epoch.
        epochs: of the run.
        quiet: no output, as of all workers but one.
    """

    def __init__(self, clips, steps, first_step, epochs, quiet=False):
        super().__init__()
        self.clips, self.steps, self.first_step, self.epochs, self.quiet = clips, steps, first_step, epochs, quiet
        self._warned = quiet

    def on_train_begin(self, logs=None):
        step = step_on_batch(self.model)

        def timed(batches):
            began = time.perf_counter()
            batch = next(batches)
            self._waited += time.perf_counter() - began
            return step(batch)

        self.model.train_function = timed

    def on_train_end(self, logs=None):
        self.model.train_function = None  # made anew by the next fit

    def on_epoch_begin(self, epoch, logs=None):
        self._done, self._waited, self._timed = 0, 0.0, 0
        self._began = time.perf_counter()
        self._bar = tqdm.tqdm(
            total=self.steps,
            initial=self.first_step,
            desc=f"epoch {epoch + 1}/{self.epochs}",
            unit="step",
            disable=self.quiet or not sys.stderr.isatty(),
            leave=False,
        )
        self.first_step = 0

    def on_train_batch_end(self, batch, logs=None):
        self._done += 1
        if self._done == 1:  # the first step builds the graph
            self._began, self._waited = time.perf_counter(), 0.0
        speed, wait = self._figures()
        rate = learning_rate(self.model.optimizer)
        self._bar.set_postfix(loss=f"{logs['loss']:.4f}", lr=f"{rate:.3g}", clips_s=f"{speed:.1f}", wait=f"{wait:.0%}")
        self._bar.update()
        if self._done == 50 and wait > SLOW_INPUT and not self._warned:
            self._warned = True
            tqdm.tqdm.write(
                f"the device waits for the input {wait:.0%} of the time: prepare the videos as records (python -m"
                " slowfast_tf.prepare), drop costly augmentation, or read with a tf.data service (data.service)",
                file=sys.stderr,
            )

    def on_epoch_end(self, epoch, logs=None):
        self._bar.close()
        speed, wait = self._speed
        logs["learning_rate"] = learning_rate(self.model.optimizer)
        logs["clips_per_second"], logs["input_wait"] = speed, wait
        if not self.quiet:
            figures = " ".join(f"{name} {value:.4g}" for name, value in logs.items())
            print(f"epoch {epoch + 1}/{self.epochs}: {figures}", flush=True)

    def on_test_begin(self, logs=None):
        self._speed = self._figures()  # of training alone

    def _figures(self):
        seconds = time.perf_counter() - self._began
        if self._done < 2:
            return 0.0, 0.0
        return (self._done - 1) * self.clips / seconds, self._waited / seconds


class ExampleClips(keras.callbacks.Callback):
    """Shows TensorBoard some training clips as the network gets them, once.

    Args:
        data: batches.
        spec: the network's `SlowFastSpec`.
        directory: for TensorBoard.
    """

    def __init__(self, data, spec, directory):
        super().__init__()
        self.data, self.spec, self.directory = data, spec, directory

    def on_train_begin(self, logs=None):
        inputs = next(iter(self.data.take(1)))[0]
        with tf.summary.create_file_writer(str(self.directory)).as_default(step=0):
            for pathway in self.spec.pathways:
                tf.summary.image(f"clips/{pathway}", _sheets(inputs[pathway][:4].numpy(), self.spec), max_outputs=4)


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops a run whose loss is no longer a number, before anything good is overwritten."""

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            optimizer = self.model.optimizer
            raise RunError(
                f"the loss became {logs['loss']} at step {int(optimizer.iterations.numpy())} with learning rate"
                f" {learning_rate(optimizer):.3g}; try a lower train.learning_rate or a longer"
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
    """The newest checkpoint of a run and where it was: (path, epochs, steps of the next one), or (None, 0, 0)."""
    found = _places(workdir)
    if not found:
        return None, 0, 0
    epoch, step, path = found[-1]
    return path, epoch, step


def place_of(path):
    """Epochs and further steps of a checkpoint, by its name."""
    epoch, step = re.fullmatch(r"epoch_(\d+)(?:_step_(\d+))?", path.stem).groups()
    return int(epoch), int(step or 0)


def _places(workdir):
    paths = (pathlib.Path(workdir) / "checkpoints").glob("epoch_*.keras")
    return sorted((*place_of(path), path) for path in paths)


def _sheets(clips, spec):
    """Eight frames of each clip side by side, uint8 `[B, H, 8 * W, 3]`."""
    frames = clips[:, np.linspace(0, clips.shape[1] - 1, min(8, clips.shape[1])).astype(int)]
    if frames.shape[-1] == 3:
        frames = frames * spec.std + spec.mean
        frames = frames[..., ::-1] if spec.channel_order == "bgr" else frames
    else:  # gray, a difference or optical flow: around its middle
        frames = np.repeat(frames.mean(-1, keepdims=True) / 2 + 0.5, 3, -1)
    return np.uint8(np.clip(np.concatenate(np.moveaxis(frames, 1, 0), 2) * 255, 0, 255))
