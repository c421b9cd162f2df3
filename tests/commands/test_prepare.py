"""The command that prepares a data set: its options, its advice and what it prints."""

import subprocess
import sys

import pytest
from helpers.preparing import configuration

from slowfast_tf import prepare as prepare_command


def test_a_mistyped_option(tmp_path, capsys):
    (tmp_path / "config.json").write_text(configuration(tmp_path).model_dump_json())
    with pytest.raises(SystemExit) as stop:
        prepare_command.main(["--config", str(tmp_path / "config.json"), "--output", str(tmp_path / "x"), "--strikt"])
    assert stop.value.code == 2
    assert "unrecognized arguments: --strikt" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["", "/"])
def test_an_output_that_cannot_be_used(tmp_path, capsys, output):
    with pytest.raises(SystemExit):
        prepare_command.main(["--config", str(tmp_path / "config.json"), "--output", output])
    assert "cannot be used" in capsys.readouterr().err


def test_advice_names_the_option(folder, tmp_path):
    (tmp_path / "config.json").write_text(configuration(folder).model_dump_json())
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "other.txt").touch()
    command = [sys.executable, "-m", "slowfast_tf.prepare", "--config", str(tmp_path / "config.json"), "--output"]
    done = subprocess.run([*command, str(tmp_path / "there")], capture_output=True, text=True)
    assert done.returncode == 2
    line = f"error: {tmp_path}/there is not empty; give another directory as --output, or remove this one"
    assert done.stderr.splitlines()[-1] == line


def test_what_it_prints(folder, tmp_path, capsys):
    (tmp_path / "config.json").write_text(configuration(folder, shards=2).model_dump_json())
    output = tmp_path / "records"
    arguments = ["--config", str(tmp_path / "config.json"), "--output", str(output)]
    prepare_command.main(arguments)
    sizes = [sum(path.stat().st_size for path in output.glob(f"{split}-*")) / 1e6 for split in ("train", "val")]
    whole = [
        f"train: 8 videos, {4 * 34 + 4 * 37} frames, {sizes[0]:.1f} MB in 2 files of {output}",
        f"val: 4 videos, {2 * 34 + 2 * 37} frames, {sizes[1]:.1f} MB in 2 files of {output}",
    ]
    assert capsys.readouterr().out.splitlines() == whole
    prepare_command.main(arguments)
    assert capsys.readouterr().out.splitlines() == [f"{output} is already prepared; nothing to do"]
    next(output.glob("val-*")).unlink()
    prepare_command.main(arguments)
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{output} was already prepared; 1 missing or changed files") and others == whole
