"""Report the progress of a run: a bar, a line for each epoch, and the share of time spent waiting for the input."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tqdm

from ..models.keras_compat import learning_rate, step_on_batch

SLOW_INPUT = 0.3  # share of the time spent waiting for the input, above which the run says so


class Progress(keras.callbacks.Callback):
    """Show a bar with remaining time, loss, learning rate, clips per second and the share of time spent on input.

    The last three are added to the logs of each epoch, so this callback comes before the callbacks that write
    logs. Each epoch also prints a line; without a terminal there is no bar.

    Args:
        clips: clips in a step; successive steps of an epoch use the values in turn.
        steps: steps in an epoch.
        first_step: number of steps already done in the first epoch.
        epochs: number of epochs in the run.
        quiet: print nothing; set for all workers but one.
    """

    def __init__(self, clips: Sequence[int], steps: int, first_step: int, epochs: int, quiet: bool = False):
        super().__init__()
        self.clips, self.steps, self.first_step, self.epochs, self.quiet = clips, steps, first_step, epochs, quiet
        self._warned = quiet

    def on_train_begin(self, logs: dict | None = None) -> None:
        step = step_on_batch(self.model)  # pyright: ignore[reportArgumentType]

        def timed(batches: Iterator) -> Any:
            began = time.perf_counter()
            batch = next(batches)
            self._waited += time.perf_counter() - began
            return step(batch)

        self.model.train_function = timed  # pyright: ignore[reportOptionalMemberAccess]

    def on_train_end(self, logs: dict | None = None) -> None:
        self.model.train_function = None  # `fit` creates a new one  # pyright: ignore[reportOptionalMemberAccess]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._step, self._done, self._timed_clips, self._waited = self.first_step, 0, 0, 0.0
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

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        assert logs is not None
        self._done += 1
        if self._done == 1:  # the first step builds the graph
            self._began, self._waited = time.perf_counter(), 0.0
        else:
            self._timed_clips += self.clips[self._step % len(self.clips)]
        self._step += 1
        speed, wait = self._measure()
        rate = self._learning_rate()
        self._bar.set_postfix(loss=f"{logs['loss']:.4f}", lr=f"{rate:.3g}", clips_s=f"{speed:.1f}", wait=f"{wait:.0%}")
        self._bar.update()
        if self._done == 50 and wait > SLOW_INPUT and not self._warned:
            self._warned = True
            tqdm.tqdm.write(
                f"the device waits for the input {wait:.0%} of the time: prepare the videos as records (python -m"
                " slowfast_tf.prepare), or turn off costly augmentation",
                file=sys.stderr,
            )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        assert logs is not None
        self._bar.close()
        logs["learning_rate"] = self._learning_rate()
        logs["clips_per_second"], logs["input_wait"] = self._measured
        if not self.quiet:
            line = " ".join(f"{name} {value:.4g}" for name, value in logs.items())
            print(f"epoch {epoch + 1}/{self.epochs}: {line}", flush=True)

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._measured = self._measure()  # measured before validation, which does not count

    def _learning_rate(self) -> float:
        return learning_rate(self.model.optimizer)  # pyright: ignore[reportOptionalMemberAccess]

    def _measure(self) -> tuple[float, float]:
        """Return clips per second and the share of time spent waiting for the input, both since the first step."""
        seconds = time.perf_counter() - self._began
        if self._done < 2:
            return 0.0, 0.0
        return self._timed_clips / seconds, self._waited / seconds
