"""Averages of weights, on one device and on two."""

import os
import pathlib
import subprocess
import sys

import pytest
from helpers.processes import QUICK_START
from helpers.training import compare, compiled_network, step, train_section, values

from slowfast_tf import load
from slowfast_tf.training import averaging

ROOT = pathlib.Path(__file__).parents[2]
REPLICAS = """
import keras, numpy as np, tensorflow as tf
from slowfast_tf import config
from slowfast_tf.models.keras_compat import FitModel
from slowfast_tf.models.spec import SlowFastSpec
from slowfast_tf.training import accumulation, averaging, losses, optimizers

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
one_and_two = [tf.distribute.MirroredStrategy(devices) for devices in (["CPU:0"], ["CPU:0", "CPU:1"])]
x = np.random.default_rng(0).normal(size=(8, 5)).astype("float32") * np.arange(1, 9, dtype="float32")[:, None]
y = x.sum(1, keepdims=True)
for optimizer in ("sgd", "adamw"):
    found = []
    for strategy in one_and_two:
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3), keras.layers.Dense(1)])
            train = config.Train(epochs=1, batch_size=8, learning_rate=0.1, clip_norm=0.5, ema_decay=0.6,
                                 optimizer=optimizer)
            model.compile(optimizers.from_config(train, 0.1), "mse", metrics=["mae"])
        if strategy.num_replicas_in_sync == 2:
            accumulation.in_parts(model, 2)
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8).repeat(4)
        history = model.fit(data, epochs=1, verbose=0).history
        found.append([*model.get_weights(), history["loss"][0], history["mae"][0]])
        with averaging.holding(model, True):
            found[-1] += model.get_weights()
        assert all((a == b).all() for a, b in zip(found[-1], model.get_weights()))
    assert len(found[0]) == 4 + 2 + 4
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=optimizer)
    print("the same with", optimizer)

spec = SlowFastSpec(num_classes=6)
labels = np.eye(6, dtype="float32")[[0, 1, 3, 3, 1, 0, 0, 5]]
labels[5] = 0  # a clip without a label
found = []
for strategy in one_and_two:
    with strategy.scope():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((5,))
        model = FitModel(inputs, keras.layers.Dense(6)(inputs))
        train = config.Train(epochs=1, batch_size=8, learning_rate=0.1, keep="macro_f1")
        loss, metrics, _ = losses.from_config(train, spec)
        model.compile("sgd", loss, metrics=metrics)
    data = tf.data.Dataset.from_tensor_slices((x, labels))
    # In validation, the replicas get 4 and 3 clips, and 1 and 0.
    found.append(model.fit(data.batch(4), validation_data=data.batch(7), epochs=2, verbose=0).history)
assert {"val_top1", "val_top5", "val_macro_f1"} < set(found[0])
for name in found[0]:
    np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-5, err_msg=name)
print("the same metrics")
"""


@pytest.mark.legacy
def test_two_replicas_clip_and_average_as_one_does():
    """Also if each replica accumulates gradients over two parts of its clips. So do the metrics of `losses`."""
    done = subprocess.run(
        [sys.executable, "-c", QUICK_START + REPLICAS],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split("\n")[:3] == ["the same with sgd", "the same with adamw", "the same metrics"]


@pytest.mark.legacy
def test_averages_of_weights(batch, tmp_path):
    """The first average is the first weights. Each further average has a quarter of the new weights."""
    model = compiled_network(train_section(ema_decay=0.75))
    expected = None
    for _ in range(3):
        step(model, batch)
        now = values(model.trainable_variables)
        expected = now if expected is None else [0.75 * a + 0.25 * b for a, b in zip(expected, now)]
    with averaging.holding(model, True):
        compare(values(model.trainable_variables), expected, rtol=1e-5, atol=1e-6)
        with averaging.holding(model, False):  # as for a checkpoint during a test
            compare(values(model.trainable_variables), now)
            model.save(tmp_path / "on.keras")
        compare(values(model.trainable_variables), expected, rtol=1e-5, atol=1e-6)
    compare(values(model.trainable_variables), now)
    # After loading, a step has the same result as without saving and loading.
    again = load(tmp_path / "on.keras", compile=True)
    for other in (model, again):
        step(other, batch)
    compare(values(again.optimizer.variables), values(model.optimizer.variables), rtol=1e-4, atol=1e-6)


@pytest.mark.legacy
def test_validation_has_the_averages_and_precise_batchnorm(batch):
    batch = {"slow": batch[0]["slow"]}, batch[1]
    x, y = batch
    model = compiled_network(train_section(ema_decay=0.75))
    batches = [({"slow": x["slow"][i : i + 4]}, y[i : i + 4]) for i in (0, 4)]
    callbacks = [averaging.TestedWeights(batches, 2)]
    history = model.fit(*batch, batch_size=8, epochs=2, verbose=0, validation_data=batch, callbacks=callbacks)
    with averaging.holding(model, True):
        tested = model.evaluate(*batch, verbose=0, return_dict=True)
    assert history.history["val_loss"][-1] == pytest.approx(tested["loss"], rel=1e-5)
    without = model.evaluate(*batch, verbose=0, return_dict=True)
    assert without["loss"] != pytest.approx(tested["loss"], rel=1e-3)
