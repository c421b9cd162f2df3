"""The train command answers a mistake in one line, before it begins a run."""

import json
import pathlib
import subprocess
import sys

import pytest
from helpers.configurations import MINIMAL
from helpers.pictures import CLASSES

from slowfast_tf.errors import InputError

ROOT = pathlib.Path(__file__).parents[2]


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
    line, modules = command("--config", ROOT / "configs/demo.json", "--workdir", path, directory=tmp_path)
    assert "cannot write to the work directory" in line and "give another --workdir" in line and modules == []
    assert [p.name for p in tmp_path.iterdir()] == ["c.json"]  # nothing was begun


def test_charades_is_missing(tmp_path, monkeypatch):
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


def test_no_video_that_can_be_read(values, tmp_path):
    """The command ends, and with one line: an iterator that is alive at its end has held it up forever."""
    root = tmp_path / "bad"
    for split in ("train", "val"):
        for name in CLASSES:
            (root / split / name).mkdir(parents=True)
            (root / split / name / "a.mp4").write_text("no video")
    (tmp_path / "c.json").write_text(json.dumps({**values, "data": {**values["data"], "root": str(root)}}))
    done = subprocess.run(
        [sys.executable, "-m", "slowfast_tf.train", "--config", "c.json", "--workdir", "run"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2 and len(errors) == 1, done.stderr
    assert "none of the 4 training videos can be read" in errors[0] and str(root) in errors[0]
    assert "Traceback" not in done.stderr
