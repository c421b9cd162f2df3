"""A run from its configuration to its figures, and runs that are stopped or fail."""

import csv
import json
import math
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers.training import compare, values

from slowfast_tf import config, runtime, train
from slowfast_tf.data import Clips
from slowfast_tf.data.datasets.synthetic import shapes as demo
from slowfast_tf.errors import InputError
from slowfast_tf.files.lock import hold
from slowfast_tf.models.slowfast import load_model
from slowfast_tf.training import run
from slowfast_tf.training.run import build
from slowfast_tf.training.workdir import check_workdir

ROOT = pathlib.Path(__file__).parents[2]
TINY = ["model.depth=10", "model.width=8", "test.clips=2"]
TINY += ["train.epochs=4", "train.batch_size=8", "train.learning_rate=0.005", "train.warmup_epochs=1"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "demo"
    demo.make(root, train=32, validation=16, seed=3)
    return root


SLOW = 'model.pathways=["slow"]'


def command(videos, workdir, *more):
    overrides = [*TINY, f"data.root={videos}", *more]
    return [
        *(sys.executable, "-m", "slowfast_tf.train", "--config", str(ROOT / "configs/demo.json")),
        *("--workdir", str(workdir)),
        *(word for override in overrides for word in ("--set", override)),
    ]


@pytest.fixture
def in_process(capfd):
    """Run the command in this process; return the exit code, the output and the errors."""

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            runtime.run(lambda: train.main(command(*arguments)[3:]), train.ADVICE)
        return end.value.code, *capfd.readouterr()

    return run


def read_history(workdir):
    with open(workdir / "history.csv", newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(videos, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    process = subprocess.run(command(videos, workdir), capture_output=True, text=True, cwd=ROOT, timeout=900)
    return process, workdir


@pytest.mark.legacy
def test_a_run_writes_all_promised_files(whole, videos):
    process, workdir = whole
    assert process.returncode == 0, process.stderr
    figures = json.loads((workdir / "metrics.json").read_text())
    assert figures["videos"] == 16 and figures["skipped"] == 0 and figures["views"] == "2x1"
    assert 0 <= figures["top1"] <= figures["top5"] <= 1
    assert f"top1 {figures['top1']:.3f}" in process.stdout

    history = read_history(workdir)
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    # 4 steps an epoch of 16: the rates are those of steps 4, 8, 12 and 16 of the cosine.
    rates = [0.005 * 0.5 * (math.cos(math.pi * step / 16) + 1) for step in (4, 8, 12, 16)]
    np.testing.assert_allclose([row["learning_rate"] for row in history], rates, atol=1e-6)

    resolved = config.load(workdir / "config.json")
    assert resolved == config.load(ROOT / "configs/demo.json", [*TINY, f"data.root={videos}"])
    for name in ("model.keras", "curves.png", "confusion.png", "prediction.png", "saved_model/1/saved_model.pb"):
        assert (workdir / name).stat().st_size > 1000, name
    assert [p.name for p in (workdir / "checkpoints").iterdir()] == ["epoch_0004.keras"]
    assert list((workdir / "tensorboard").rglob("events.*"))
    assert not list(workdir.rglob(".*")), "temporary files are left"


@pytest.mark.legacy
def test_the_best_epoch_is_kept(whole, videos):
    import keras

    _, workdir = whole
    model = keras.models.load_model(workdir / "model.keras")
    history = read_history(workdir)
    assert model.spec.labels == demo.CLASSES
    clips = Clips(config.load(workdir / "config.json"), "val")
    figures = dict(zip(("loss", "top1", "top5"), model.evaluate(clips.validation(), verbose=0)))
    best = max(row["val_top1"] for row in history)
    assert figures["top1"] == pytest.approx(best)
    assert any(
        row["val_top1"] == pytest.approx(best) and row["val_loss"] == pytest.approx(figures["loss"], rel=1e-4)
        for row in history
    )


def test_a_killed_run_ends_like_an_uninterrupted_one(whole, in_process, videos, tmp_path):
    _, undisturbed = whole
    workdir = tmp_path / "run"
    words = command(videos, workdir, "export=[]")
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 900
    while not (workdir / "checkpoints" / "epoch_0001.keras").exists():
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (workdir / "metrics.json").exists()

    code, out, error = in_process(videos, workdir, "export=[]")
    assert code == 0, error
    assert "resuming after epoch" in out
    there, here = read_history(undisturbed), read_history(workdir)
    assert len(there) == len(here)
    for a, b in zip(there, here):
        assert a["learning_rate"] == b["learning_rate"]
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-3)
        assert a["val_loss"] == pytest.approx(b["val_loss"], rel=1e-3)
    # With another number of threads, these weights differ by 1e-4. Not the scores are compared: of epochs with equal
    # top-1, that with the lowest loss is kept, and their losses differ by less than sums in another order do.
    final = [load_model(place / "checkpoints/epoch_0004.keras").trainable_weights for place in (undisturbed, workdir)]
    compare(*map(values, final), rtol=0, atol=1e-3)


@pytest.mark.legacy
def test_another_configuration_does_not_overwrite_a_run(whole, in_process, videos):
    _, workdir = whole
    before = (workdir / "model.keras").read_bytes()
    code, _, error = in_process(videos, workdir, "seed=5")
    assert code == 2 and error.count("\n") == 1 and "(seed: 0 there, 5 here); choose another --workdir" in error
    assert (workdir / "model.keras").read_bytes() == before


@pytest.mark.parametrize("name", ["model.keras", "checkpoints/epoch_0002.keras"])
def test_a_model_of_an_unknown_configuration_is_not_replaced(name, configure, tmp_path):
    """A run would resume from the checkpoint, whatever its configuration was."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=f"has {name}, but no config.json$") as error:
        check_workdir(tmp_path, configure())
    assert error.value.argument == "workdir"


def test_two_runs_in_one_work_directory(configure, tmp_path):
    """The second run is refused before it reads a video. The files of the first one do not change."""
    with hold(tmp_path / "run/.lock"):
        with pytest.raises(InputError, match=f"run is in use by process {os.getpid()} on .*; wait until it ends"):
            run.train(configure("data.root=nowhere"), tmp_path / "run")
        assert os.listdir(tmp_path / "run") == [".lock"]
    with pytest.raises(InputError, match="nowhere"):
        run.train(configure("data.root=nowhere"), tmp_path / "run")
    assert not os.listdir(tmp_path)


def test_a_loss_of_nan_stops_the_run(in_process, videos, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    code, _, error = in_process(videos, tmp_path / "run", "train.learning_rate=1e30", "train.warmup_epochs=0", SLOW)
    assert code == 1
    line = error.strip().splitlines()[-1]
    assert line.startswith("error: the loss became ") and "at step" in line and "learning rate" in line
    assert "lower train.learning_rate" in line
    assert not (tmp_path / "run" / "model.keras").exists()
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.slow
def test_multigrid(videos, tmp_path):
    """Clips have a quarter of the frames at first, and all frames at the end. Every epoch is tested with all frames."""
    overrides = ["model.frames=4", "model.stride=8", SLOW, "train.multigrid=true"]
    overrides += ["train.schedule=steps", "train.step_epochs=[1]", "train.step_rates=[0.1]", "train.epochs=2"]
    overrides += ["train.batch_size=1", "train.precise_batchnorm=2", "export=[]"]
    settings = config.load(ROOT / "configs/demo.json", [*TINY, f"data.root={videos}", *overrides])
    figures = run.train(settings, tmp_path).metrics
    assert figures["videos"] == 16 and figures["skipped"] == 0
    phases = Clips(settings, "train").phases
    assert {shape.frames for phase in phases for shape in phase.shapes} == {1, 2, 4}
    history = read_history(tmp_path)
    assert len(history) == phases[-1].epochs.stop == 3
    assert all(math.isfinite(row["loss"]) and math.isfinite(row["val_loss"]) for row in history)


def test_starting_from_other_weights(tmp_path):
    import slowfast_tf

    source = slowfast_tf.SlowFast("slowfast_2x16_demo", depth=10, width=8, num_classes=5)
    source.save(tmp_path / "source.keras")
    target = slowfast_tf.SlowFast("slowfast_2x16_demo", depth=10, width=8, num_classes=7)
    head = [w.copy() for w in target.get_layer("head").get_weights()]
    run.initialize(target, tmp_path / "source.keras")
    for layer in target.layers:
        expected = head if layer.name == "head" else source.get_layer(layer.name).get_weights()
        for ours, theirs in zip(layer.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(InputError, match="is another network"):
        run.initialize(slowfast_tf.SlowFast("slowfast_2x16_demo", depth=10, width=16), tmp_path / "source.keras")


def test_a_work_directory_of_another_configuration(configure, tmp_path):
    """The message names the keys that differ, at most three."""
    configure().save(tmp_path / "config.json")
    check_workdir(tmp_path, configure())
    check_workdir(tmp_path / "other", configure("seed=1"))
    with pytest.raises(InputError, match=r"another configuration \(train.epochs: 1 there, 2 here\)$") as error:
        check_workdir(tmp_path, configure("train.epochs=2"))
    assert error.value.argument == "workdir"
    changes = ["seed=1", "train.epochs=2", "train.momentum=0.5", "test.clips=3", "test.crops=1"]
    with pytest.raises(InputError, match=r"\(seed: 0 there, 1 here; .*; and 2 more\)$") as error:
        check_workdir(tmp_path, configure(*changes))
    assert str(error.value).count(" there, ") == 3


def test_a_work_directory_of_an_earlier_version(configure, tmp_path):
    """A key that its configuration does not have yet gets the default value; a removed key is null."""
    values = json.loads(configure().model_dump_json())
    del values["data"]["fold"]
    values["data"]["service"] = None
    (tmp_path / "config.json").write_text(json.dumps(values))
    check_workdir(tmp_path, configure())


@pytest.mark.legacy
def test_a_layer_that_does_not_exist(configure):
    settings = configure('train.freeze=["slow_res1"]')
    with pytest.raises(InputError, match="train.freeze: no layer .* is called 'slow_res1'; layers: .*slow_res2"):
        build(settings, Clips(settings, "train"))
