"""The ablations as a command: what each row changes and costs, what is found of it, and going on."""

import json
import os
import pathlib

import numpy as np
import pytest
from test_datasets import difference

from slowfast_tf import ablate
from slowfast_tf.data import datasets
from slowfast_tf.data.datasets.synthetic import movers
from slowfast_tf.errors import InputError
from slowfast_tf.training import ablations

ROOT = pathlib.Path(__file__).parents[1]
BASE = ROOT / "configs/ablations/demo.json"

# Table 5 of the paper: GFLOPs of each row, in its order.
GFLOPS = {
    "5a": [27.3, 6.4, 34.2, 34.2, 39.8, 34.9, 36.1],
    "5b": [54.5, 41.8, 36.1, 32.8, 30.6, 28.6],
    "5c": [36.1, 34.4, 34.1, 34.2, 35.1],
}


@pytest.mark.parametrize("table", GFLOPS)
def test_rows_cost_what_the_paper_says(table):
    """To 3%, but for two rows whose published figures do not follow from Table 1 (docs/costs.md)."""
    found = ablations.results(BASE, {row: [50.0] for row in ablations.chosen(table, None)})
    assert len(found) == len(GFLOPS[table])
    for row, published in zip(found, GFLOPS[table]):
        tolerance = {"Fast-only": 0.08, "half resolution, beta 1/4": 0.05}.get(row["row"], 0.03)
        assert row["multiply_adds"] / 1e9 == pytest.approx(published, rel=tolerance), row["row"]
        assert row["spread"] is None and row["mean"] == 50


def test_a_row_changes_the_small_network_as_the_large_one():
    for table in GFLOPS:
        plain = ablations.change(BASE, ablations.Row("", ablations.REFERENCE, 0), ["train.epochs=3"], 0).spec()
        for row in ablations.chosen(table, None):
            run = ablations.change(BASE, row, ["train.epochs=3"], 2)
            assert run.seed == 2 and run.train.epochs == 3
            there, here = ablations.full_size(BASE, row), run.spec()
            for name in ("pathways", "lateral", "beta_inv", "fast_input", "alpha"):
                assert getattr(there, name) == getattr(here, name), (row.name, name)
            assert here.width == plain.width and here.frames == plain.frames


def test_what_is_in_another_order():
    """Means 60, 50 and 55 with a spread of 4 against 70, 60 and 50 published: the last two have changed places."""
    found = [
        {"row": name, "published": published, "mean": mean, "spread": 4.0}
        for name, published, mean in (("a", 70, 60), ("b", 60, 50), ("c", 50, 55))
    ]
    said = "- c is 5.0 above b, published 10.0 below"
    assert ablations.otherwise(found) == [f"{said}; within the spread of the seeds"]  # of the difference: 5.7
    for row in found:
        row["spread"] = 3.0
    assert ablations.otherwise(found) == [said]
    found[1]["spread"] = None
    assert ablations.otherwise(found) == [said]
    assert ablations.otherwise(found[:2]) == []


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
    config = json.loads((tmp_path / "runs/table5a_slow_only/seed0/config.json").read_text())
    assert config["model"]["pathways"] == ["slow"]
    text = output.read_text()
    assert "| Slow-only | 27.3 | 72.6 |" in text and "| Fast-only | 6.9 | 51.7 |" in text and "(table.png)" in text
    assert output.with_suffix(".png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(InputError, match=r"seed0 holds a run of another configuration \(train"):
        ablate.main([*words, "--set", "train.learning_rate=0.2", "--rows", "Slow-only"])


def test_movers(tmp_path):
    movers.make(tmp_path / "data", train=6, validation=6)
    data = datasets.load_split("movers", tmp_path / "data", "val")
    assert data.labels == movers.CLASSES and [video.labels[0][0] for video in data.videos] == list(range(6))


@pytest.mark.parametrize("name", movers.CLASSES)
def test_movers_stand_still_at_the_slow_stride(name):
    """16 frames apart all objects look the same, in the same places; half of that apart, they do not."""
    slow, fast = [], []
    for seed in range(3):
        masks = movers.render(name, np.random.default_rng(seed)).min(-1) > 135
        slow += [difference(masks[t], masks[t + 16]) for t in (0, 9, 18, 27)]
        fast += [difference(masks[t], masks[t + 8]) for t in (0, 9, 18, 27)]
    assert np.median(slow) < 0.2 and np.median(fast) > 2 * np.median(slow), (slow, fast)
