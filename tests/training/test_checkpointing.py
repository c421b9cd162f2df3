"""Checkpoints of a run that is interrupted or killed, and the model that is kept."""

import os
import platform
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from helpers.fitting import METRICS, STEPS, Signal, X, Y, fit, linear

from slowfast_tf.errors import RunError
from slowfast_tf.training import checkpointing, history
from slowfast_tf.training.stopping import StopEarly, StopOnNonFinite


def test_partial_files_of_a_killed_run_are_removed(tmp_path):
    """Also a partial checkpoint within an epoch: its name does not recur, so no later save would remove it."""
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
def test_an_interrupted_run_saves_and_resumes(number, tmp_path):
    """Interrupted in the second step of the second epoch, the run finishes this step and saves it."""
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
def test_an_interrupt_after_the_last_step_waits_for_the_validation(tmp_path):
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


def test_the_saved_model_is_that_of_the_best_epoch(tmp_path):
    """Epoch by epoch, and resumed after each."""
    for number, (top1, loss) in enumerate(METRICS):
        model = linear()
        model.layers[0].set_weights([np.full((3, 1), number + 1.0), np.zeros(1)])
        saving = checkpointing.Checkpoints(model, tmp_path, "val_top1", checkpointing.Position(number))
        saving.on_epoch_end(number, {"val_top1": top1, "val_loss": loss})
    kept = keras.models.load_model(tmp_path / "model.keras").layers[0].get_weights()[0]
    assert kept[0, 0] == history.best_epoch(history.read_history(tmp_path), "val_top1") == 3


@pytest.mark.legacy
def test_weights_that_are_not_finite_after_an_epoch(tmp_path):
    """The training loss of the last step, from before its update, is finite. The earlier files are kept."""

    class Diverge(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.optimizer.iterations == 2 * STEPS:
                self.model.set_weights([np.full_like(w, np.nan) for w in self.model.get_weights()])

    model = linear()
    saving = checkpointing.Checkpoints(model, tmp_path, "val_mae")
    options = {"validation_data": (X, Y), "verbose": 0, "batch_size": 2}
    with pytest.raises(RunError, match="^the validation loss became nan at step 8 with learning rate 0.1; try"):
        model.fit(X, Y, epochs=3, callbacks=[Diverge(), StopOnNonFinite(), saving], **options)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["epoch_0001.keras"]
    assert np.isfinite(keras.models.load_model(tmp_path / "model.keras").get_weights()[0]).all()


@pytest.mark.legacy
def test_early_stopping_survives_a_resumption(tmp_path):
    """The metric does not improve in epochs 2 and 3, which are the two epochs of patience."""
    model = linear()
    model.optimizer.learning_rate = 0.0
    saving = checkpointing.Checkpoints(model, tmp_path, "val_mae")
    fit_with = {"validation_data": (X, Y), "verbose": 0, "batch_size": 2}
    model.fit(X, Y, epochs=2, callbacks=[saving, StopEarly(saving, 2)], **fit_with)
    assert len(history.read_history(tmp_path)) == 2
    resumed = checkpointing.Checkpoints(model, tmp_path, "val_mae", checkpointing.Position(2))
    early = StopEarly(resumed, 2)
    assert not early.is_stopped
    model.fit(X, Y, initial_epoch=2, epochs=9, callbacks=[resumed, early], **fit_with)
    assert len(history.read_history(tmp_path)) == 3 and early.is_stopped
