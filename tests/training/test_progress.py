"""The progress bar, and its message about a slow input."""

import keras
import pytest
import tensorflow as tf
from helpers.fitting import X, Y, linear

from slowfast_tf.training import progress


@pytest.mark.legacy
@pytest.mark.parametrize("wait, step", [(1.0, 1.0), (0.25, 1.0)])
def test_an_input_slower_than_the_device_is_reported_once(wait, step, monkeypatch, capsys):
    """With a fake clock: reading a batch takes `wait` seconds, and a step takes `step` seconds."""
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
    bar = progress.Progress(clips=[2], steps=60, first_step=0, epochs=2)
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


@pytest.mark.legacy
def test_the_speed_of_steps_with_different_batches(monkeypatch, capsys):
    """Multigrid: steps of 1 s have 8, 4 and 1 clips in turn. The first step of an epoch builds the graph, in 9 s."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    bar = progress.Progress(clips=[8, 4, 1], steps=5, first_step=1, epochs=2)
    bar.set_model(linear())
    found = []
    for epoch, steps in enumerate((4, 5)):
        bar.on_epoch_begin(epoch)
        for step in range(steps):
            now[0] += 1 if step else 9
            bar.on_train_batch_end(step, {"loss": 1.0})
        bar.on_test_begin()
        logs = {}
        bar.on_epoch_end(epoch, logs)
        found.append(logs["clips_per_second"])
    assert found == [(1 + 8 + 4) / 3, (4 + 1 + 8 + 4) / 4]
