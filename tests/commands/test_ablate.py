"""`python -m slowfast_tf.ablate`: mistakes, the files it writes, and how it resumes."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from slowfast_tf import ablate, config, runtime
from slowfast_tf.data.datasets.synthetic import movers
from slowfast_tf.errors import InputError

ROOT = pathlib.Path(__file__).parents[2]
BASE = ROOT / "configs/ablations/demo.json"


@pytest.mark.parametrize(
    "words, message",
    [
        (["--rows", "Slow-onyl"], "table 5a has no row 'Slow-onyl'; it has 'Slow-only', "),
        (["--seeds", "0"], "--seeds must be at least 1; got 0"),
        (["--output", "table.txt"], "--output must end in .md; got table.txt"),
        (["--config", "none.json"], "cannot read the configuration none.json"),
        (["--config", str(ROOT / "configs/charades.json")], "the table is of top-1"),
    ],
)
def test_mistakes(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        ablate.main(["--table", "5a", *words])
    assert not os.listdir(tmp_path)


@pytest.mark.slow
def test_the_command_goes_on(tmp_path, capsys):
    """A row that is done is not trained again; the table has it all the same."""
    movers.make(tmp_path / "movers", train=12, validation=6)
    changes = ["data.root=" + str(tmp_path / "movers"), "train.epochs=1", "train.batch_size=6", "model.width=8"]
    changes += ["train.warmup_epochs=0", "test.clips=1", "data.crop_size=48", "data.short_sides=[48, 48]"]
    changes.append("model.crop_size=48")
    words = ["--table", "5a", "--config", str(BASE), "--workdir", str(tmp_path / "runs"), "--seeds", "1"]
    words += [word for change in changes for word in ("--set", change)]
    ablate.main([*words, "--rows", "Slow-only"])
    done = tmp_path / "runs/table5a_slow_only/seed0/metrics.json"
    before = done.stat().st_mtime_ns
    output = tmp_path / "docs/table.md"
    ablate.main([*words, "--rows", "Fast-only", "Slow-only", "--output", str(output)])
    assert done.stat().st_mtime_ns == before
    found = json.loads(output.with_suffix(".json").read_text())
    assert [row["row"] for row in found] == ["Slow-only", "Fast-only"]
    for row, place in zip(found, ("table5a_slow_only", "table5a_fast_only")):
        run = tmp_path / "runs" / place / "seed0"
        assert row["top1"] == [100 * json.loads((run / "metrics.json").read_text())["top1"]]
    settings = json.loads((tmp_path / "runs/table5a_slow_only/seed0/config.json").read_text())
    assert settings["model"]["pathways"] == ["slow"]
    text = output.read_text()
    assert "| Slow-only | 27.3 | 72.6 |" in text and "| Fast-only | 6.9 | 51.7 |" in text and "(table.png)" in text
    assert output.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    assert "on 6 videos (" in capsys.readouterr().out  # each run's own summary
    with pytest.raises(SystemExit) as end:
        changed = [*words, "--set", "train.learning_rate=0.2", "--rows", "Slow-only"]
        runtime.run(lambda: ablate.main(changed), ablate.ADVICE)
    assert end.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "seed0 holds a run of another configuration (train" in error
    assert error.endswith("; choose another --workdir or remove it")


def test_another_run_is_told_before_tensorflow_is_imported(tmp_path):
    """The work directory holds a run of another configuration."""
    place = tmp_path / "table5a_slow_only/seed0"
    place.mkdir(parents=True)
    config.load("demo").save(place / "config.json")
    words = ["--table", "5a", "--rows", "Slow-only", "--seeds", "1", "--workdir", str(tmp_path)]
    code = (
        "import sys; sys.argv = ['slowfast_tf']\n"
        "from slowfast_tf import ablate\n"
        f"try: ablate.main({words!r})\n"
        "except ValueError as error: print(error, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"{place} holds a run of another configuration" in done.stdout, done.stderr
    assert done.stdout.endswith(" False\n") and not (tmp_path / "records").exists()
