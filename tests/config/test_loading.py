"""How files, bases and overrides are merged into a configuration, and the messages for mistakes."""

import pathlib

import pytest
from helpers.configurations import MINIMAL, mistake

from slowfast_tf import config
from slowfast_tf.errors import InputError

ROOT = pathlib.Path(__file__).parents[2]


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


def test_a_key_of_an_earlier_version(put):
    data = {**MINIMAL["data"], "frame_rate": 25}
    assert config.load(put({**MINIMAL, "data": data})).spec().frame_rate == 25
    message = mistake(put({**MINIMAL, "model": "slowfast_8x8_r50", "data": data}))
    assert "model: " in message and "received 'slowfast_8x8_r50'" in message
    assert "data: " in mistake(put({**MINIMAL, "data": "videos"}))


def test_a_key_that_was_removed(put):
    """Earlier versions saved it as null. A value is a mistake, wherever it is given."""
    without, null = put(MINIMAL, "without.json"), put({**MINIMAL, "data": {**MINIMAL["data"], "service": None}})
    served = put({**MINIMAL, "data": {**MINIMAL["data"], "service": "grpc://host:5000"}}, "served.json")
    assert config.load(null) == config.load(without) == config.load(without, ["data.service=null"])
    assert config.load(put({"base": "served.json", "data": {"service": None}}, "child.json")) == config.load(without)
    message = mistake(served)
    assert message.startswith(f"{served}: data.service: a tf.data service is no longer supported; remove the key")
    assert "received 'grpc://host:5000'" in message
    with pytest.raises(InputError, match="data.service: .* received 'grpc://host:1'"):
        config.load(null, ["data.service=grpc://host:1"])


def test_a_cycle_of_bases(put, tmp_path):
    path = put({**MINIMAL, "base": "c.json"})
    assert "base" in mistake(path) and str(path) in mistake(path)
    put({"base": "two.json"}, "one.json")
    put({"base": "deeper/../three.json"}, "two.json")
    put({}, "deeper/x.json")
    put({"base": "one.json"}, "three.json")
    assert "is its own base" in mistake(tmp_path / "one.json")


@pytest.mark.parametrize("base", [3, None, ["c.json"], {"file": "c.json"}])
def test_a_base_that_is_not_a_name(put, base):
    assert f"received {base!r}" in mistake(put({**MINIMAL, "base": base}))


def test_a_file_with_a_byte_order_mark(put):
    path = put(MINIMAL)
    path.write_text("\ufeff" + path.read_text("utf-8"), "utf-8")
    assert config.load(path).name == MINIMAL["name"]


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
def test_an_optimizer_inherits_only_the_config_of_its_class(put, child, expected):
    put({**MINIMAL, "train": {**MINIMAL["train"], "optimizer": LION}}, "base.json")
    path = put({"base": "base.json", "train": {"optimizer": child}})
    assert config.load(path).train.optimizer == expected
    if child == {"class_name": "Lamb"}:
        base = path.parent / "base.json"
        assert config.load(base, ["train.optimizer.class_name=Lamb"]).train.optimizer == child


def test_an_override_that_cannot_be_applied_is_reported_separately(put):
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


def test_a_name_that_is_no_valid_file_name():
    assert "no such file" in mistake("x" * 5000)


@pytest.mark.parametrize("text", ["", "{", "{'name': 1}", "[1, 2]", "3", "null", '{"name": "n",}'])
def test_a_file_that_is_not_a_json_object(put, text):
    path = put(text)
    assert str(path) in mistake(path)


def test_a_key_that_is_given_twice(put):
    path = put('{"name": "n", "train": {"epochs": 1}, "train": {"batch_size": 4}}')
    assert mistake(path) == f"{path}: key 'train' is given twice in an object; merge both"


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "c.json").write_bytes(b"\xff\xfe\x00\x80")
    assert str(tmp_path / "c.json") in mistake(tmp_path / "c.json")
    assert str(tmp_path) in mistake(tmp_path)
    assert "no.json" in mistake(tmp_path / "no.json")
