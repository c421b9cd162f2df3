"""What a command does around its call, the imports of the package, and the console command."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from slowfast_tf import __main__, runtime
from slowfast_tf.errors import InputError, RunError

ROOT = pathlib.Path(__file__).parents[1]
LOADS = "import keras; print(type(keras.models.load_model(sys.argv[1])).__name__)"


def python(*arguments, directory, path=()):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *path)))}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=200)


def raising(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    "error, code, said",
    [
        (InputError("a.npz exists", "output"), 2, "error: a.npz exists; or --overwrite"),
        (InputError("a.npz exists", "scores"), 2, "error: a.npz exists"),
        (InputError("a.npz exists"), 2, "error: a.npz exists"),
        (RunError("no network"), 1, "error: no network"),
        (KeyboardInterrupt(), 1, "interrupted"),
    ],
)
def test_one_line_for_a_mistake(error, code, said, capsys):
    with pytest.raises(SystemExit) as end:
        runtime.run(raising(error), {"output": "or --overwrite"})
    assert end.value.code == code and capsys.readouterr().err == said + "\n"


def test_other_exceptions_have_a_traceback(capsys):
    with pytest.raises(SystemExit) as end:
        runtime.run(raising(ZeroDivisionError("x")), {"": "never told"})
    said = capsys.readouterr().err
    assert end.value.code == 1 and said.startswith("Traceback") and "never told" not in said


@pytest.mark.parametrize("how", ["script", "module", "imports_inside"])
def test_another_program_loads_a_saved_model(how, saved, tmp_path):
    """`import slowfast_tf` is all that Keras needs, also in a package that is run with -m."""
    package = tmp_path / "their_package"
    package.mkdir()
    (package / "__init__.py").write_text("" if how == "script" else "import slowfast_tf\n")
    (package / "run.py").write_text(f"import sys, slowfast_tf; {LOADS}\n")
    command = {
        "script": [package / "run.py", saved],
        "module": ["-m", "their_package.run", saved],
        # Arguments that look like our own command.
        "imports_inside": ["-m", "their_package.run", saved, "-m", "slowfast_tf.train"],
    }[how]
    done = python(*command, directory=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["Functional"] or done.stdout.split() == ["SlowFast"]


def test_a_pytest_plugin_loads_a_saved_model(saved, tmp_path):
    (tmp_path / "their_plugin.py").write_text("import slowfast_tf\n")
    (tmp_path / "test_it.py").write_text(f"import keras\ndef test_it():\n    keras.models.load_model({str(saved)!r})\n")
    done = python("-m", "pytest", "-q", "-p", "their_plugin", directory=tmp_path, path=[tmp_path])
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("start", [["-m", "slowfast_tf"], ["-mslowfast_tf"]])
@pytest.mark.parametrize("rest", [["--help"], ["train", "--help"], ["describe", "slow_4x16_r50"], ["nothing"]])
def test_our_own_command_is_quick(start, rest, tmp_path):
    done = python("-X", "importtime", *start, *rest, directory=tmp_path)
    assert done.returncode == (2 if rest == ["nothing"] else 0)
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "slowfast_tf" in imported and not imported & {"tensorflow", "keras"}


def test_the_one_command_lists_all(tmp_path):
    words = python("-m", "slowfast_tf", "--help", directory=tmp_path).stdout
    for path in ROOT.glob("slowfast_tf/*.py"):
        if "argparse.ArgumentParser(" in path.read_text():
            assert f"\n  {path.stem} " in words
            assert path.stem in __main__.COMMANDS
    done = python("-m", "slowfast_tf", "trian", directory=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: no command 'trian'") and done.stderr.count("\n") == 1


def test_the_one_command_passes_arguments_and_exit_codes(tmp_path):
    one = python("-m", "slowfast_tf", "describe", "slow_4x16_r50", "--json", directory=tmp_path)
    other = python("-m", "slowfast_tf.describe", "slow_4x16_r50", "--json", directory=tmp_path)
    assert json.loads(one.stdout) == json.loads(other.stdout)
    one = python("-m", "slowfast_tf", "describe", "slow_4x16_r50", "--size", "0", directory=tmp_path)
    assert one.returncode == 2 and one.stderr.startswith("error: --size 0")
