"""Configurations: how they are put together, and what a mistake is answered with."""

import json
import pathlib
import subprocess
import sys

import pytest

from slowfast_tf import config
from slowfast_tf.errors import InputError

ROOT = pathlib.Path(__file__).parents[2]

MINIMAL = {
    "name": "n",
    "model": {"preset": "slowfast_4x16_r50"},
    "data": {"dataset": "folder", "root": "videos"},
    "train": {"epochs": 2, "batch_size": 8, "learning_rate": 0.1, "warmup_epochs": 0},
}


@pytest.fixture
def put(tmp_path):
    """Writes a JSON file below `tmp_path` and gives its path."""

    def put(values, name="c.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(values if isinstance(values, str) else json.dumps(values))
        return path

    return put


def mistake(path, *overrides):
    """The message for a configuration that must be refused: one line."""
    with pytest.raises(InputError) as error:
        config.load(path, overrides)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_defaults_are_the_papers(put):
    settings = config.load(put(MINIMAL))
    assert settings.train.momentum == 0.9 and settings.train.weight_decay == 1e-4
    assert settings.data.short_sides == [256, 320] and settings.data.crop_size == 224
    assert (settings.test.clips, settings.test.crops, settings.test.fuse) == (10, 3, "mean")


def test_base_over_several_levels(put):
    put(MINIMAL, "base/a.json")
    put({"base": "a.json", "seed": 3, "train": {"epochs": 5, "momentum": 0.5}, "model": {"alpha": 4}}, "base/b.json")
    put({"base": "b.json", "train": {"epochs": 7}}, "base/c.json")
    path = put({"base": "base/c.json", "name": "d", "test": {"clips": 1}}, "d.json")
    settings = config.load(path, ["train.learning_rate=0.5"])
    assert (settings.name, settings.seed) == ("d", 3)
    train = settings.train
    assert (train.epochs, train.momentum, train.batch_size, train.learning_rate) == (7, 0.5, 8, 0.5)
    assert settings.test.clips == 1 and settings.test.crops == 3
    assert settings.spec().alpha == 4 and settings.spec().frames == 4
    # What a file says about a list replaces the base's list.
    assert config.load(put({"base": "d.json", "data": {"short_sides": [240, 250]}}, "e.json")).data.short_sides == [
        240,
        250,
    ]


def test_a_cycle_of_bases(put, tmp_path):
    path = put({**MINIMAL, "base": "c.json"})
    assert "base" in mistake(path) and str(path) in mistake(path)
    put({"base": "two.json"}, "one.json")
    put({"base": "deeper/../three.json"}, "two.json")
    put({}, "deeper/x.json")
    put({"base": "one.json"}, "three.json")
    assert "is its own base" in mistake(tmp_path / "one.json")


@pytest.mark.parametrize("base", [3, None, ["c.json"], {"file": "c.json"}])
def test_a_base_that_is_no_name(put, base):
    assert f"received {base!r}" in mistake(put({**MINIMAL, "base": base}))


def test_a_base_that_is_missing(put):
    assert "gone.json" in mistake(put({**MINIMAL, "base": "gone.json"}))


def test_overrides(put):
    path = put(MINIMAL)
    settings = config.load(
        path,
        [
            "name=a=b",
            "seed=7",
            "data.flip=false",
            "data.short_sides=[230, 231]",
            "data.root=/some/where else",
            "train.init=null",
            'train.schedule="steps"',
            "train.step_epochs=[1]",
            "train.step_rates=[0.1]",
            "train.epochs=3",
            "train.epochs=4",
            "test.fuse=max",
            "model.fast_kernels=[1, 1, 3, 3, 3]",
            'export=["saved_model"]',
        ],
    )
    assert settings.name == "a=b" and settings.seed == 7 and settings.data.flip is False
    assert settings.data.short_sides == [230, 231] and settings.data.root == "/some/where else"
    assert settings.train.schedule == "steps" and settings.train.epochs == 4 and settings.train.init is None
    assert settings.test.fuse == "max" and settings.export == ["saved_model"]
    assert settings.spec().fast_kernels == (1, 1, 3, 3, 3)
    # A whole section at once.
    assert config.load(path, ['test={"clips": 2, "fuse": "max"}']).test.clips == 2


@pytest.mark.parametrize(
    "override, said",
    [
        ("a.b", ["KEY=VALUE", "'a.b'"]),
        ("train.epochs", ["KEY=VALUE", "'train.epochs'"]),
        ("name.first=x", ["'name'", "holds a value"]),
        ("train.epochs.x.y=3", ["'epochs'", "holds a value"]),
        ("data.short_sides.0=3", ["data.short_sides", "list", "{'0': 3}"]),
        ("=3", ["unknown key"]),
        ("train.=3", ["unknown key 'train.'"]),
        ("trian.epochs=3", ["'trian'", "did you mean 'train'?"]),
        ("train.leaning_rate=3", ["'train.leaning_rate'", "did you mean 'learning_rate'?"]),
        ("leaning_rate=3", ["unknown key 'leaning_rate'"]),
        ("nam=3", ["'nam'", "did you mean 'name'?"]),
        ("data.crop=3", ["'data.crop'", "did you mean 'crop_size'?"]),
        ("test.zzz=3", ["'test.zzz'", "clips, crops, to_the_end, fuse"]),
        ("model.alfa=3", ["'alfa'", "did you mean 'alpha'?"]),
        ("model.preset=slowfast_8x8_r5", ["'slowfast_8x8_r5'", "did you mean 'slowfast_8x8_r50'?"]),
        ("train.epochs=three", ["train.epochs", "'three'"]),
        ("train.epochs=2.5", ["train.epochs", "2.5"]),
        ("train.epochs=0", ["train.epochs", "greater than or equal to 1", "received 0"]),
        ("train.epochs=true", ["train.epochs", "True"]),
        ("train.learning_rate=-1", ["train.learning_rate", "greater than or equal to 0", "received -1"]),
        ("train.learning_rate=NaN", ["train.learning_rate", "nan"]),
        ("train.learning_rate=Infinity", ["train.learning_rate", "inf"]),
        ("train.momentum=1", ["train.momentum", "less than 1", "received 1"]),
        ("train.schedule=sine", ["train.schedule", "'cosine'", "'steps'", "'sine'"]),
        ("train.step_epochs=[1, 2]", ["2 step_epochs", "0 step_rates"]),
        ("train.schedule=steps", ["step_epochs", "'steps'"]),
        ("data.flip=yes", ["data.flip", "'yes'"]),
        ("data.dataset=imagenet", ["data.dataset", "'demo'", "'imagenet'"]),
        ("data.short_sides=[1]", ["data.short_sides", "[1]"]),
        ("data.short_sides=[320, 256]", ["short_sides", "[320, 256]"]),
        ("data.crop_size=300", ["crop_size 300", "[256, 320]"]),
        ("data.short_sides=[256, 320.5]", ["data.short_sides.1", "320.5"]),
        ('export=["onyx"]', ["export.0", "'onyx'"]),
        ("model=3", ["model", "received 3"]),
        ("train=[]", ["train", "received []"]),
        ("model.alpha=3", ["alpha 3", "1, 2, 4, 8, 16"]),
        ("model.alpha=0", ["alpha", "0"]),
        ("model.width=wide", ["width", "'wide'"]),
        ("model.width=true", ["width", "True"]),
        ("model.width=null", ["width", "None"]),
        ("model.slow_kernels=3", ["slow_kernels", "list", "received 3"]),
        ("model.mean=0.45", ["mean", "list", "received 0.45"]),
        ("model.dropout=half", ["dropout", "number", "'half'"]),
        ("model.lateral_norm=1", ["lateral_norm", "true or false", "received 1"]),
        ("model.nonlocal_blocks=[1, 2]", ["nonlocal_blocks"]),
        ('model.std=["a", "b", "c"]', ["wrong type"]),
        ("model.activation=relu", ["activation", "softmax", "'relu'"]),
    ],
)
def test_mistakes(put, override, said):
    path = put(MINIMAL)
    message = mistake(path, override)
    for text in said:
        assert text in message, message


@pytest.mark.parametrize("key", ["name", "model", "data", "train", "model.preset", "data.root", "train.epochs"])
def test_missing_keys(put, key):
    values = json.loads(json.dumps(MINIMAL))
    *parents, last = key.split(".")
    section = values
    for parent in parents:
        section = section[parent]
    del section[last]
    assert f"{key!r} is missing" in mistake(put(values))


LION = {"class_name": "Lion", "config": {"beta_2": 0.9}}


@pytest.mark.parametrize(
    "child, expected",
    [
        ({"class_name": "Lamb"}, {"class_name": "Lamb"}),
        ({"class_name": "Lamb", "config": {"epsilon": 1e-5}}, {"class_name": "Lamb", "config": {"epsilon": 1e-5}}),
        ({"config": {"beta_1": 0.8}}, {"class_name": "Lion", "config": {"beta_1": 0.8, "beta_2": 0.9}}),
        ({"class_name": "Lion", "config": {"beta_2": 0.5}}, {"class_name": "Lion", "config": {"beta_2": 0.5}}),
        ("adamw", "adamw"),
    ],
)
def test_an_optimizer_inherits_the_config_of_its_own_class_only(put, child, expected):
    put({**MINIMAL, "train": {**MINIMAL["train"], "optimizer": LION}}, "base.json")
    path = put({"base": "base.json", "train": {"optimizer": child}})
    assert config.load(path).train.optimizer == expected
    if child == {"class_name": "Lamb"}:
        base = path.parent / "base.json"
        assert config.load(base, ["train.optimizer.class_name=Lamb"]).train.optimizer == child


def test_a_warmup_may_last_the_whole_run(put):
    path = put(MINIMAL)
    assert config.load(path, ["train.warmup_epochs=2"]).train.warmup_epochs == 2
    steps = ["train.schedule=steps", "train.step_epochs=[1]", "train.step_rates=[0.1]"]
    config.load(path, ["train.warmup_epochs=2"]).check_new_run()
    with pytest.raises(InputError, match="train.warmup_epochs 3 is longer than the run of 2 epochs"):
        config.load(path, [*steps, "train.warmup_epochs=3"]).check_new_run()
    # A multigrid run has 1.5 times the epochs.
    multigrid = [*steps, "train.multigrid=true"]
    config.load(path, [*multigrid, "train.warmup_epochs=3"]).check_new_run()
    with pytest.raises(InputError, match="3.5 is longer than the run of 3 epochs"):
        config.load(path, [*multigrid, "train.warmup_epochs=3.5"]).check_new_run()


def test_a_network_of_optical_flow_has_no_saved_model(put):
    path = put({**MINIMAL, "model": {"preset": "slowfast_4x16_r50", "fast_input": "flow"}})
    assert config.load(path).export == []
    with pytest.raises(InputError, match="optical flow.*tflite or onnx"):
        config.load(path, ['export=["saved_model"]']).check_new_run()
    # Without the Fast pathway there is no flow.
    config.load(path, ['export=["saved_model"]', 'model.pathways=["slow"]']).check_new_run()


def test_an_override_that_cannot_be_applied_is_told_apart(put):
    with pytest.raises(InputError) as error:
        config.load(put(MINIMAL), ["train.epochs"])
    assert error.value.argument == "overrides" and "--" not in str(error.value)


def test_shipped_configurations_by_name(put, tmp_path, monkeypatch):
    names = {str(path.relative_to(ROOT / "configs").with_suffix("")) for path in ROOT.glob("configs/**/*.json")}
    assert set(config.shipped()) == names and {"demo", "kinetics400/slowfast_8x8_r50"} <= names
    monkeypatch.chdir(tmp_path)
    by_name, by_path = config.load("kinetics400/slowfast_8x8_r50"), ROOT / "configs/kinetics400/slowfast_8x8_r50.json"
    assert by_name == config.load(by_path)
    # A file goes first, and may have a shipped one as its base.
    put({"base": "kinetics400/slowfast_8x8_r50", "name": "mine"}, "demo")
    mine = config.load("demo")
    assert mine.name == "mine" and mine.model_copy(update={"name": by_name.name}) == by_name
    (tmp_path / "charades").mkdir()
    assert config.load("charades").data.dataset == "charades"  # a directory of that name hides nothing


@pytest.mark.parametrize(
    "name, near",
    [("dmeo", "demo"), ("configs/demo.jsn", "demo"), ("slowfast_8x8_r50_nl", "kinetics400/slowfast_8x8_r50_nl")],
)
def test_a_name_that_is_not_shipped(name, near, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = mistake(name)
    assert name in message and near in message.partition("nearest: ")[2].split(", ")


def test_a_name_that_no_file_can_have():
    assert "no such file" in mistake("x" * 5000)


@pytest.mark.parametrize("text", ["", "{", "{'name': 1}", "[1, 2]", "3", "null", '{"name": "n",}'])
def test_no_json_object(put, text):
    path = put(text)
    assert str(path) in mistake(path)


def test_no_text(tmp_path):
    (tmp_path / "c.json").write_bytes(b"\xff\xfe\x00\x80")
    assert str(tmp_path / "c.json") in mistake(tmp_path / "c.json")
    assert str(tmp_path) in mistake(tmp_path)
    assert "no.json" in mistake(tmp_path / "no.json")


@pytest.mark.parametrize("path", sorted(ROOT.glob("configs/**/*.json")), ids=lambda p: str(p.relative_to(ROOT)))
def test_configurations_of_the_repository(path, tmp_path):
    settings = config.load(path)
    assert settings.spec(["only one"]).num_classes == 1
    settings.save(tmp_path / "config.json")
    again = config.load(tmp_path / "config.json")
    assert again == settings and again.spec() == settings.spec()


def test_saved_and_loaded_again(put, tmp_path):
    put({**MINIMAL, "model": {"preset": "slow_8x8_r50", "mean": [0.1, 0.2, 0.3], "dropout": 0}}, "base.json")
    settings = config.load(put({"base": "base.json", "seed": 2}), ["train.warmup_epochs=1", "train.weight_decay=1e-7"])
    settings.save(tmp_path / "deep" / "config.json")
    again = config.load(tmp_path / "deep" / "config.json")
    assert again == settings and again.spec() == settings.spec()
    assert again.spec().mean == (0.1, 0.2, 0.3) and again.train.weight_decay == 1e-7
    assert "base" not in json.loads((tmp_path / "deep" / "config.json").read_text())


def command(*arguments, directory):
    """Runs `python -m slowfast_tf.train`, which must refuse: its one line, and the large libraries that it imported."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "slowfast_tf.train", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=directory,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    lines, modules = [], set()
    for line in done.stderr.splitlines():
        if line.startswith("import time:"):
            modules.add(line.split("|")[-1].strip().split(".")[0])
        else:
            lines.append(line)
    assert done.returncode == 2 and len(lines) == 1 and lines[0].startswith("error: "), lines
    assert "pydantic" in modules
    return lines[0], sorted(modules & {"tensorflow", "keras"})


def test_a_mistyped_command_is_answered_without_tensorflow(put, tmp_path):
    line, modules = command("--config", "configs/nothing.json", directory=tmp_path)
    assert "configs/nothing.json" in line and modules == []
    path = put({**MINIMAL, "train": {**MINIMAL["train"], "leaning_rate": 0.1}})
    line, modules = command("--config", path, directory=tmp_path)
    assert "did you mean 'learning_rate'?" in line and modules == []
    line, modules = command("--config", ROOT / "configs/demo.json", "--set", "model.alpha=3", directory=tmp_path)
    assert "alpha 3" in line and modules == []
    assert [p.name for p in tmp_path.iterdir()] == ["c.json"]  # nothing was begun


def test_charades_that_is_not_there(tmp_path, monkeypatch):
    line, _ = command("--config", ROOT / "configs/charades.json", directory=tmp_path)
    for text in (
        "data/charades/Charades_v1_train.csv",
        "data/charades/Charades_v1_test.csv",
        "data/charades/Charades_v1_classes.txt",
        "data/charades/Charades_v1_480",
        "https://prior.allenai.org/projects/charades",
        "data.root",
    ):
        assert text in line
    # What the message advises can be done: no run was begun that another configuration would clash with.
    from slowfast_tf import train

    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="Charades is not in elsewhere"):
        train.main(["--config", str(ROOT / "configs/charades.json"), "--set", "data.root=elsewhere"])
