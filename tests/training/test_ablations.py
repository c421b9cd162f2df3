"""The rows of the ablations: what each one changes and costs, and how results compare with the published ones."""

import dataclasses
import json
import os
import pathlib

import pytest

from slowfast_tf import config
from slowfast_tf.training import ablations

ROOT = pathlib.Path(__file__).parents[2]
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
    found = ablations.summarize(BASE, {row: [50.0] for row in ablations.choose_rows(table, None)})
    assert len(found) == len(GFLOPS[table])
    for row, published in zip(found, GFLOPS[table]):
        tolerance = {"Fast-only": 0.08, "half resolution, beta 1/4": 0.05}.get(row.row, 0.03)
        assert row.multiply_adds / 1e9 == pytest.approx(published, rel=tolerance), row.row
        assert row.spread is None and row.mean == 50


def test_a_row_changes_the_small_network_as_the_large_one():
    for table in GFLOPS:
        plain = ablations.change(BASE, ablations.Row("", ablations.REFERENCE, 0), ["train.epochs=3"], 0).spec()
        for row in ablations.choose_rows(table, None):
            run = ablations.change(BASE, row, ["train.epochs=3"], 2)
            assert run.seed == 2 and run.train.epochs == 3
            there, here = ablations.full_size(BASE, row), run.spec()
            for name in ("pathways", "lateral", "beta_inv", "fast_input", "alpha"):
                assert getattr(there, name) == getattr(here, name), (row.name, name)
            assert here.width == plain.width and here.frames == plain.frames


def result(name, published, mean, spread):
    return ablations.RowResult(name, "", {}, 0, published, (), mean, spread)


def test_what_is_in_another_order():
    """Means 60, 50 and 55 with a spread of 4 against 70, 60 and 50 published: the last two have changed places."""
    rows = [("a", 70, 60), ("b", 60, 50), ("c", 50, 55)]
    said = "- c is 5.0 above b, published 10.0 below"
    wide, narrow = ([result(*row, spread) for row in rows] for spread in (4.0, 3.0))
    assert ablations.otherwise_ordered(wide) == [f"{said}; within the spread of the seeds"]  # of the difference: 5.7
    assert ablations.otherwise_ordered(narrow) == [said]
    assert ablations.otherwise_ordered([narrow[0], result(*rows[1], None), narrow[2]]) == [said]
    assert ablations.otherwise_ordered(narrow[:2]) == []


def test_the_shipped_configuration_is_the_default(tmp_path, monkeypatch):
    """Its rows lie beside it, wherever the package is installed. Only a run that sees optical flow reads it."""
    monkeypatch.chdir(tmp_path)
    plan = ablations.plan("5c", None, 2, ablations.DEFAULT, [], tmp_path / "runs")
    assert plan.base == config.find("ablations/demo") and plan.name == "ablations/demo"
    assert [(run.row.name, run.settings.seed) for run in plan.runs[:3]] == [
        ("RGB", 0),
        ("RGB", 1),
        ("half resolution, beta 1/4", 0),
    ]
    assert {run.row.name for run in plan.runs if run.records.name == "records_flow"} == {"optical flow"}
    assert plan.runs[0].from_records.data.root == str(tmp_path / "runs/records")
    assert not os.listdir(tmp_path)


def test_json_is_as_it_was():
    """The files in docs/ablations were written by earlier versions."""
    (row,) = ablations.choose_rows("5a", ["Slow-only"])
    (result,) = ablations.summarize(BASE, {row: [50.0, 52.0]})
    written = json.loads(json.dumps(dataclasses.asdict(result)))
    (before,) = (r for r in json.loads((ROOT / "docs/ablations/5a.json").read_text()) if r["row"] == "Slow-only")
    assert list(written) == list(before)
    measured = {"top1": [50.0, 52.0], "mean": 51.0, "spread": 2**0.5}
    assert written == {**before, **measured}
