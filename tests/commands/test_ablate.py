"""`python -m slowfast_tf.ablate` and `cross_validate`: mistakes, the files they write, and how they resume."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from slowfast_tf import ablate, benchmark, config, cross_validate, runtime
from slowfast_tf.benchmarks import exports
from slowfast_tf.errors import InputError
from slowfast_tf.evaluation.scores import load_scores

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    "words, message",
    [
        (["--rows", "Slow-onyl"], "table 5a has no row 'Slow-onyl'; it has 'Slow-only', "),
        (["--seeds", "0"], "--seeds must be at least 1; got 0"),
        (["--output", "table.txt"], "--output must end in .md; got table.txt"),
        (["--config", "none.json"], "cannot read the configuration none.json"),
        (["--config", "charades"], "the table is of top-1"),
    ],
)
def test_mistakes(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        ablate.main(["--table", "5a", "--config", "gestures", *words])
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--seeds", "0"], "--seeds must be at least 1; got 0"),
        (["--config", "demo"], "cross-validation needs folds; set data.fold"),
        (["--set", "train.keep=top1"], "the fold would choose the epoch that is tested on it; set train.keep to last"),
    ],
)
def test_mistakes_of_cross_validation(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        cross_validate.main(["--config", "gestures", *words])
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("command", [ablate, cross_validate])
def test_files_of_the_user_are_not_replaced(command, tmp_path, configure):
    """The results of `--output mine.md` would replace the configuration mine.json, and other text."""
    configure("data.fold=[0,2]", "train.keep=last").save(tmp_path / "mine.json")
    (tmp_path / "notes.md").write_text("# Notes\n")
    for name in ("mine", "notes"):
        words = ["--config", str(tmp_path / "mine.json"), "--output", str(tmp_path / f"{name}.md")]
        existing = "mine.json" if name == "mine" else "notes.md"
        with pytest.raises(InputError, match=f"{existing} exists and is not a result of this command"):
            command.main([*words, *(["--table", "5a"] if command is ablate else [])])
    assert sorted(os.listdir(tmp_path)) == ["mine.json", "notes.md"]


@pytest.mark.slow
def test_folds_and_rows(tmp_path, configure, eager, capsys, monkeypatch):
    """Two folds of two rows. Finished runs are not trained again, and the unchanged network is trained once.

    Of the exported forms, one: tests/exporting has them all.
    """
    monkeypatch.setattr(exports, "FORMATS", {"ONNX, int8": exports.FORMATS["ONNX, int8"]})
    configure("data.fold=[0,2]", "train.keep=last", "test.clips=1", "test.crops=1").save(tmp_path / "tiny.json")
    words = ["--config", str(tmp_path / "tiny.json"), "--seeds", "1"]
    output = tmp_path / "docs/folds.md"
    cross_validate.main([*words, "--workdir", str(tmp_path / "runs"), "--output", str(output)])
    found = json.loads(output.with_suffix(".json").read_text())
    assert found["videos"] == 8 and found["by_fold"]["videos"] == [4, 4] and found["seconds"] > 1
    scores = [load_scores(tmp_path / f"runs/fold{fold}_seed0/scores.npz") for fold in range(2)]
    assert not set(scores[0].ids) & set(scores[1].ids)
    right = sum(int((one.scores.argmax(1) == one.labels.argmax(1)).sum()) for one in scores)
    assert found["metrics"]["top1"]["mean"] == right / 8 and len(found["mistaken"]) == 8 - right
    assert sum(count for _, _, count in found["pairs"]) == 8 - right
    text = output.read_text()
    assert f"| top1 | {right / 8:.3f} (" in text and "8 videos in 2 folds, one seed" in text
    assert "<h2>Misclassified videos: " in output.with_suffix(".html").read_text()
    again = output.read_text()
    cross_validate.main([*words, "--workdir", str(tmp_path / "runs"), "--output", str(output)])
    assert output.read_text() == again

    page, file = tmp_path / "docs/benchmarks.md", tmp_path / "runs/fold1_seed0/exports/int8.onnx.npz"
    benchmark.main(["exports", *words, "--workdir", str(tmp_path / "runs"), "--output", str(page)])
    kept, before = load_scores(file), file.stat().st_mtime_ns
    benchmark.main(["exports", *words, "--workdir", str(tmp_path / "runs"), "--output", str(page)])
    assert file.stat().st_mtime_ns == before
    assert kept.ids == scores[1].ids and kept.about.weights != scores[1].about.weights
    assert 1e-6 < abs(kept.scores - scores[1].scores).max() < 0.1
    assert f"| the network, float32 | {100 * right / 8:.1f} | | |" in page.read_text()

    rows = ["--table", "5a", *words, "--workdir", str(tmp_path / "rows")]
    ablate.main([*rows, "--rows", "Slow-only"])
    done = tmp_path / "rows/table5a_slow_only/fold1_seed0/metrics.json"
    before = done.stat().st_mtime_ns
    table = tmp_path / "docs/table.md"
    ablate.main([*rows, "--rows", "Fast-only", "Slow-only", "--output", str(table)])
    assert done.stat().st_mtime_ns == before
    found = json.loads(table.with_suffix(".json").read_text())
    assert [row["row"] for row in found["rows"]] == ["Slow-only", "Fast-only"] and len(found["comparisons"]) == 1
    for row, place in zip(found["rows"], ("table5a_slow_only", "table5a_fast_only")):
        metrics = [json.loads((tmp_path / f"rows/{place}/fold{k}_seed0/metrics.json").read_text()) for k in (0, 1)]
        assert row["top1"] == [[100 * one["top1"]] for one in metrics]
    settings = json.loads((tmp_path / "rows/table5a_slow_only/fold0_seed0/config.json").read_text())
    assert settings["model"]["pathways"] == ["slow"]
    text = table.read_text()
    assert "| Slow-only | 27.3 | 72.6 |" in text and "| Fast-only | 6.9 | 51.7 |" in text and "(table.png)" in text
    assert table.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    assert "on 4 videos (" in capsys.readouterr().out  # each run's own summary
    with pytest.raises(SystemExit) as end:
        changed = [*rows, "--set", "train.learning_rate=0.2", "--rows", "Slow-only"]
        runtime.run(lambda: ablate.main(changed), ablate.ADVICE)
    assert end.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "fold0_seed0 holds a run of another configuration (train" in error
    assert error.endswith("; choose another --workdir or remove it")


@pytest.mark.parametrize(
    "command, place", [("ablate", "table5a_slow_only/fold0_seed0"), ("cross_validate", "fold0_seed0")]
)
def test_another_run_is_reported_before_tensorflow_is_imported(command, place, tmp_path):
    """The work directory contains a run of another configuration."""
    (tmp_path / place).mkdir(parents=True)
    config.load("demo").save(tmp_path / place / "config.json")
    words = ["--config", "gestures", "--seeds", "1", "--workdir", str(tmp_path)]
    words += ["--table", "5a", "--rows", "Slow-only"] if command == "ablate" else []
    code = (
        "import sys; sys.argv = ['slowfast_tf']\n"
        f"from slowfast_tf import {command}\n"
        f"try: {command}.main({words!r})\n"
        "except ValueError as error: print(error, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"{tmp_path / place} holds a run of another configuration" in done.stdout, done.stderr
    assert done.stdout.endswith(" False\n") and not (tmp_path / "records").exists()
