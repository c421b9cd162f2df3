"""What happens while a run goes on: interruptions, and what is said of its speed."""

import os
import platform
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from slowfast_tf.interrupts import handle_signals
from slowfast_tf.training import checkpointing, history, progress
from slowfast_tf.training.tensorboard import TensorBoard

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
Y = X.sum(1, keepdims=True)
STEPS = 4


def linear():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", metrics=["mae"], jit_compile=False)
    return model


def fit(model, workdir, epochs, first=(0, 0), more=()):
    """Trains from epoch and step `first` on; a step has two of the eight clips, always the same ones."""
    epoch, step = first
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(2)
    saving = checkpointing.Checkpoints(model, workdir, "val_mae", checkpointing.Position(epoch, step))
    for some, skip in ((range(epoch, epoch + 1), step), (range(epoch + 1, epochs), 0)):
        if some:
            with handle_signals(saving.on_signal, signal.SIGINT, signal.SIGTERM):
                model.fit(
                    data.repeat().skip(skip),
                    steps_per_epoch=STEPS - skip,
                    initial_epoch=some.start,
                    epochs=some.stop,
                    validation_data=data,
                    callbacks=[saving, *more],
                    verbose=0,
                )


class Signal(keras.callbacks.Callback):
    """Sends this process a signal before a training step, counted from 0 over all epochs."""

    def __init__(self, number, step):
        super().__init__()
        self.number, self.left = number, step

    def on_train_batch_begin(self, batch, logs=None):
        if not self.left:
            os.kill(os.getpid(), self.number)
        self.left -= 1


def test_what_a_killed_run_left_is_removed(tmp_path):
    """A checkpoint within an epoch has a name that no later one has, so no later save removes the half of it."""
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    left = f".{platform.node()}.{ended.stdout.strip()}.5.abcdefgh"
    for path in (f".model.keras{left}", f"checkpoints/.epoch_0001_step_000003.keras{left}"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "half").touch()
    (tmp_path / "checkpoints" / "epoch_0001.keras").touch()
    checkpointing.Checkpoints(linear(), tmp_path, "val_mae")
    assert os.listdir(tmp_path) == ["checkpoints"]
    assert os.listdir(tmp_path / "checkpoints") == ["epoch_0001.keras"]


@pytest.mark.legacy
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_saves_and_goes_on(number, tmp_path):
    """In the second step of the second epoch: it is done, and kept."""
    handler = signal.getsignal(number)
    whole = linear()
    fit(whole, tmp_path / "whole", 3)
    with pytest.raises(checkpointing.Interrupted, match="^the same command resumes after epoch 1 and 2 steps$"):
        fit(linear(), tmp_path / "run", 3, more=[Signal(number, STEPS + 1)])
    assert signal.getsignal(number) is handler
    path, (epoch, step) = checkpointing.latest_checkpoint(tmp_path / "run")
    assert path.name == "epoch_0001_step_000002.keras" and (epoch, step) == (1, 2)
    model = keras.models.load_model(path)
    fit(model, tmp_path / "run", 3, (epoch, step))
    for a, b in zip(model.get_weights(), whole.get_weights()):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert [row["epoch"] for row in history.read_history(tmp_path / "run")] == [1, 2, 3]
    assert [p.name for p in (tmp_path / "run/checkpoints").iterdir()] == ["epoch_0003.keras"]


@pytest.mark.legacy
def test_after_the_last_step_of_an_epoch_its_test_is_finished(tmp_path):
    with pytest.raises(checkpointing.Interrupted, match="^the same command resumes after epoch 1$"):
        fit(linear(), tmp_path, 3, more=[Signal(signal.SIGTERM, STEPS - 1)])
    assert [row["epoch"] for row in history.read_history(tmp_path)] == [1]
    path, (epoch, step) = checkpointing.latest_checkpoint(tmp_path)
    assert path.name == "epoch_0001.keras" and (epoch, step) == (1, 0)
    fit(keras.models.load_model(path), tmp_path, 3, (epoch, step))
    assert [row["epoch"] for row in history.read_history(tmp_path)] == [1, 2, 3]


@pytest.mark.legacy
def test_a_second_ctrl_c_does_not_wait(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(linear(), tmp_path, 1, more=[Signal(signal.SIGINT, 1), Signal(signal.SIGINT, 1)])


@pytest.mark.legacy
@pytest.mark.parametrize("wait, step", [(1.0, 1.0), (0.25, 1.0)])
def test_an_input_that_is_slower_than_the_device_is_told_once(wait, step, monkeypatch, capsys):
    """By a clock of its own: reading a batch takes `wait` seconds, a step `step`."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])

    def read():
        while True:
            now[0] += wait
            yield X[:2], Y[:2]

    class Work(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            now[0] += step

    signature = (tf.TensorSpec([2, 3]), tf.TensorSpec([2, 1]))
    data = tf.data.Dataset.from_generator(read, output_signature=signature)
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # reading ahead would be seen by the clock at other times
    data = data.with_options(options)
    bar = progress.Progress(clips=2, steps=60, first_step=0, epochs=2)
    arguments = {"steps_per_epoch": 60, "epochs": 2, "validation_data": (X, Y), "verbose": 0}
    logs = linear().fit(data, callbacks=[bar, Work()], **arguments).history
    out, error = capsys.readouterr()
    slow = wait > 0.5
    assert error.count("the device waits for the input") == slow and ("slowfast_tf.prepare" in error) == slow
    # To within the batches that are read ahead.
    assert logs["input_wait"] == pytest.approx([wait / (wait + step)] * 2, abs=0.12)
    assert logs["clips_per_second"] == pytest.approx([2 / (wait + step)] * 2, rel=0.25)
    for epoch, speed in enumerate(logs["clips_per_second"], 1):
        line = next(line for line in out.splitlines() if f"epoch {epoch}/2: " in line)
        assert f"clips_per_second {speed:.4g}" in line


# Six epochs: 2, 3 and 5 have the best metric; of these 3 and 5 have the lower loss.
METRICS = [(0.5, 1.0), (0.75, 0.5), (0.75, 0.25), (0.6, 0.1), (0.75, 0.25), (float("nan"), 0.0)]


def test_of_equal_epochs_the_one_with_the_lower_loss_is_best():
    """And of those the first."""
    rows = [{"epoch": i, "val_top1": top1, "val_loss": loss} for i, (top1, loss) in enumerate(METRICS, 1)]
    assert history.best_epoch(rows, "val_top1") == 3
    assert history.best_epoch(rows[:2], "val_top1") == 2


def test_the_model_that_is_kept_is_of_the_best_epoch(tmp_path):
    """Epoch by epoch, and resumed after each."""
    for number, (top1, loss) in enumerate(METRICS):
        model = linear()
        model.layers[0].set_weights([np.full((3, 1), number + 1.0), np.zeros(1)])
        saving = checkpointing.Checkpoints(model, tmp_path, "val_top1", checkpointing.Position(number))
        saving.on_epoch_end(number, {"val_top1": top1, "val_loss": loss})
    kept = keras.models.load_model(tmp_path / "model.keras").layers[0].get_weights()[0]
    assert kept[0, 0] == history.best_epoch(history.read_history(tmp_path), "val_top1") == 3


@pytest.mark.parametrize("epoch", ["0", "0.0"])
def test_a_history_that_counts_from_0_is_resumed(epoch, tmp_path):
    (tmp_path / "history.csv").write_text(f"epoch,loss,val_loss\n{epoch},0.1,0.30000000000000004\n")
    saving = checkpointing.Checkpoints(linear(), tmp_path, "val_loss", checkpointing.Position(1))
    saving.on_epoch_end(1, {"loss": 0.05, "val_loss": 0.2})
    expected = ["epoch,loss,val_loss", "1,0.1,0.30000000000000004", "2,0.05,0.2"]
    assert (tmp_path / "history.csv").read_text().split() == expected
    history.write_history(tmp_path, history.read_history(tmp_path))
    assert (tmp_path / "history.csv").read_text().split() == expected


def test_tensorboard_keeps_the_epochs_before_an_interrupt(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(checkpointing.Interrupted):
        fit(linear(), tmp_path, 3, more=[TensorBoard(str(tmp_path / "logs")), Signal(signal.SIGINT, 2 * STEPS + 1)])
    events = EventAccumulator(str(tmp_path / "logs/train"))
    events.Reload()
    assert len(events.Tensors("epoch_loss")) == 2
