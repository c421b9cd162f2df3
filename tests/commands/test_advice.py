"""Commands add the option to change to the library's message."""

import importlib
import json

import pytest
from helpers.published import kinetics

from slowfast_tf import runtime


@pytest.fixture
def error_of(capfd):
    """Runs a command in this process, which must refuse: its last line of error."""

    def run(name, *arguments):
        command = importlib.import_module(f"slowfast_tf.{name}")
        with pytest.raises(SystemExit) as end:
            runtime.run(lambda: command.main([str(a) for a in arguments]), command.ADVICE)
        assert end.value.code == 2
        return capfd.readouterr().err.splitlines()[-1]

    return run


@pytest.mark.parametrize("name", ["train", "evaluate", "prepare"])
def test_an_override_without_a_value(name, error_of, tmp_path):
    more = {"train": (), "evaluate": ("--checkpoint", "runs/demo"), "prepare": ("--output", tmp_path / "records")}
    line = error_of(name, "--config", "demo", *more[name], "--set", "test.clips")
    said = "error: an override is KEY=VALUE, such as train.epochs=3; got 'test.clips'; --set takes KEY=VALUE, such as"
    assert line.startswith(said)


@pytest.mark.parametrize("name", ["train", "prepare"])
def test_strict(name, error_of, values, tmp_path):
    root = kinetics(tmp_path / "data")
    content = {**values, "data": {**values["data"], "dataset": "kinetics", "root": str(root)}}
    (tmp_path / "c.json").write_text(json.dumps(content))
    option = "--workdir" if name == "train" else "--output"
    line = error_of(name, "--config", tmp_path / "c.json", option, tmp_path / "out", "--strict")
    assert line.startswith("error: ") and line.endswith("problems); fix them, or leave out --strict")
