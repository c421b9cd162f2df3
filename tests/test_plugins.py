"""Modules that a configuration names, and their registrations: optimizers by name, tensorflow-io's reader."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import coded, numbers, write

from slowfast_tf import load, plugins, runtime, train
from slowfast_tf.errors import InputError
from slowfast_tf.models import keras_compat as compat
from slowfast_tf.training import optimizers, run, schedules
from slowfast_tf.video import tensorflow_io

pytestmark = pytest.mark.legacy

ADDONS = importlib.util.find_spec("tensorflow_addons")
IO = importlib.util.find_spec("tensorflow_io")

MINE = """
import keras

@keras.saving.register_keras_serializable("Mine")
class Half(keras.optimizers.SGD):
    def update_step(self, gradient, variable, *args):
        super().update_step(0.5 * gradient, variable, *args)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of a user's own."""
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name, text: (tmp_path / f"{name}.py").write_text(text)


def test_an_optimizer_of_a_users_module(configure, module):
    module("slowfast_tf_test_half", MINE)
    settings = configure(
        'plugins=["slowfast_tf_test_half"]', 'train.optimizer={"class_name": "Mine>Half", "config": {"momentum": 0.0}}'
    )
    with pytest.raises(InputError, match="train.optimizer: Mine>Half cannot be made"):
        optimizers.from_config(settings.train, 0.1)
    plugins.load_plugins(settings.plugins)
    optimizer = optimizers.from_config(settings.train, schedules.Cosine(0.01, 2))
    variable = tf.Variable([1.0])
    rate = compat.learning_rate(optimizer)
    optimizer.apply_gradients([(tf.constant([4.0]), variable)])
    assert rate == pytest.approx(0.01) and variable.numpy() == pytest.approx(1 - 0.5 * 0.01 * 4)


@pytest.mark.parametrize(
    "name, text, said",
    [
        ("slowfast_tf_test_missing", None, "ModuleNotFoundError"),
        ("slowfast_tf_test_broken", "raise RuntimeError('of another\\nversion')", "RuntimeError: of another version"),
    ],
)
def test_a_plugin_that_cannot_be_loaded(name, text, said, module, values, tmp_path, capfd):
    if text:
        module(name, text)
    path = tmp_path / "c.json"
    path.write_text(json.dumps({**values, "plugins": [name]}))
    with pytest.raises(SystemExit) as end:
        runtime.run(lambda: train.main(["--config", str(path), "--workdir", str(tmp_path / "run")]))
    error = capfd.readouterr().err.splitlines()[-1]
    assert end.value.code == 2 and not (tmp_path / "run").exists()
    assert error.startswith(f"error: plugins: {name} cannot be loaded with TensorFlow {tf.__version__}")
    assert said in error and "remove it from plugins" in error


@pytest.mark.parametrize("name", sorted(plugins.RUNS_ON))
def test_where_a_known_plugin_runs(name, monkeypatch):
    if importlib.util.find_spec(name):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not there
    with pytest.raises(InputError, match=plugins.RUNS_ON[name]):
        plugins.load_plugins([name])


@pytest.mark.parametrize(
    "override, said",
    [
        ("train.optimizer=lamb", 'takes "sgd", "adamw" or {"class_name": NAME, "config": {...}}; received \'lamb\''),
        ('train.optimizer={"name": "Addons>LAMB"}', "received {'name': 'Addons>LAMB'}"),
        ('train.optimizer={"class_name": "Addons>LAMB", "config": 3}', "takes"),
        ("plugins=tensorflow_addons", "plugins"),
        ("data.reader=decord", "data.reader"),
    ],
)
def test_mistakes_in_a_configuration(configure, override, said):
    with pytest.raises(InputError) as error:
        configure(override)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_options_that_an_optimizer_by_name_would_not_get(configure):
    with pytest.raises(InputError, match="in its config"):
        configure('train.optimizer={"class_name": "Lion"}', "train.clip_norm=1.0")


@pytest.mark.skipif(not ADDONS, reason="tensorflow-addons is not installed (extra legacy)")
def test_lamb_of_addons_trains_and_goes_on(configure, tmp_path):
    settings = configure(
        'plugins=["tensorflow_addons"]', 'train.optimizer={"class_name": "Addons>LAMB", "config": {"beta_1": 0.8}}'
    )
    run.train(settings, tmp_path / "run")
    (path,) = (tmp_path / "run/checkpoints").iterdir()
    optimizer = load(path, compile=True).optimizer
    weights = optimizer.get_weights()
    assert type(optimizer).__name__ == "LAMB" and optimizer.get_config()["beta_1"] == pytest.approx(0.8)
    assert int(weights[0]) == 2 and compat.learning_rate(optimizer) == pytest.approx(0, abs=1e-6)  # 8 videos by 4
    assert all(np.abs(w).max() > 0 for w in weights[1:5])  # the moments


@pytest.mark.skipif(not IO, reason="tensorflow-io is not installed (extra legacy)")
def test_reader_tensorflow_io(tmp_path):
    """In a separate process: tensorflow-io aborts at exit. FFmpeg 4 may be on LD_LIBRARY_PATH (.ci/legacy)."""
    path = tmp_path / "coded.mp4"
    write(path, [coded(number) for number in range(12)])
    script = (
        "import os, sys; import numpy; from slowfast_tf.errors import InputError\n"
        "from slowfast_tf.video import tensorflow_io\n"
        "try: numpy.save(sys.argv[2], tensorflow_io.reader()(sys.argv[1], [0, 3, 3, 99]))\n"
        "except InputError as error: print(error, flush=True)\n"
        "os._exit(0)"
    )
    command = [sys.executable, "-c", script, str(path), str(tmp_path / "frames.npy")]
    process = subprocess.run(command, capture_output=True, text=True)
    if not (tmp_path / "frames.npy").exists():
        assert "needs the libraries of FFmpeg 3 or 4" in process.stdout, process.stderr
        pytest.skip("no FFmpeg 3 or 4 on LD_LIBRARY_PATH")
    assert numbers(np.load(tmp_path / "frames.npy")) == [0, 3, 3, 11]


@pytest.mark.skipif(bool(IO), reason="tensorflow-io is installed")
def test_reader_tensorflow_io_is_missing(configure):
    with pytest.raises(InputError, match="TensorFlow before 2.18"):
        tensorflow_io.reader()
    with pytest.raises(InputError, match="is for video files"):
        configure("data.reader=tensorflow_io", "data.dataset=records")
