"""The page of configuration keys."""

import dataclasses
import json
import pathlib
import re

import pytest

from slowfast_tf import config, describe
from slowfast_tf.config import reference

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "configuration.md"


def flat(values, prefix=""):
    found = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def test_the_page_is_current(tmp_path):
    describe.main(["--keys", str(tmp_path / "keys.md")])
    assert (tmp_path / "keys.md").read_text() == PAGE.read_text()


def test_keys_and_defaults_are_those_of_a_configuration(tmp_path):
    """The defaults of a configuration with only the required keys. Its `model` is the preset alone."""
    page = dict(re.findall(r"^\| `([\w.]+)` \|[^|]*\| `([^`]*)` \|", PAGE.read_text(), re.MULTILINE))
    required = {"name": "x", "model": {"preset": "slow_4x16_r50"}, "data": {"dataset": "demo", "root": "x"}}
    required["train"] = {"epochs": 40, "batch_size": 1, "learning_rate": 0.1}
    assert {key for key, default in page.items() if default == "required"} == set(flat(required))
    (tmp_path / "x.json").write_text(json.dumps(required))
    values = flat(config.load(tmp_path / "x.json").model_dump(mode="json"))
    optional = {key: value for key, value in values.items() if key not in flat(required)}
    ours = {key: json.loads(default) for key, default in page.items() if default != "required"}
    assert {key: value for key, value in ours.items() if not key.startswith("model.")} == optional


def test_examples_load():
    """Examples of keys without a telling default come from configurations that do."""
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    examples = {row[0].strip("| `"): row[4].strip(" |`") for row in rows if len(row) == 5 and row[4].strip(" |`")}
    assert {"data.fold", "train.init", "train.step_epochs"} <= examples.keys()
    loaded = [flat(config.load(name).model_dump(mode="json")) for name in config.loading.shipped()]
    for key, example in examples.items():
        assert json.loads(example) in [values[key] for values in loaded], key


@dataclasses.dataclass
class Described:
    """A class.

    A group:
        one: the first value, which
            takes two lines (None: off).
        two, three: values.

    four: not a field.
    """

    one: int
    two: int
    three: int
    five: int


def test_meanings():
    first = "The first value, which takes two lines (null: off)."
    assert reference.meanings(Described) == {"one": first, "two": "Values.", "three": "Values."}


def test_a_key_without_a_description_is_an_error(monkeypatch):
    monkeypatch.setitem(reference.SECTIONS, "x", (Described, Described))
    with pytest.raises(LookupError, match="describes x lacks five"):
        reference.keys()
