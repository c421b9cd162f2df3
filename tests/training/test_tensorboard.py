"""TensorBoard's events of an interrupted run."""

import signal

import pytest
from helpers.fitting import STEPS, Signal, fit, linear

from slowfast_tf.training import checkpointing
from slowfast_tf.training.tensorboard import TensorBoard


def test_tensorboard_keeps_the_epochs_before_an_interrupt(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(checkpointing.Interrupted):
        fit(linear(), tmp_path, 3, more=[TensorBoard(str(tmp_path / "logs")), Signal(signal.SIGINT, 2 * STEPS + 1)])
    events = EventAccumulator(str(tmp_path / "logs/train"))
    events.Reload()
    assert len(events.Tensors("epoch_loss")) == 2
