"""The rows of the ablations: changes, costs, and the comparison of results with the published ones."""

import json
import os

import numpy as np
import pytest

from slowfast_tf.errors import InputError
from slowfast_tf.training import ablations, repeats

# Table 5 of the paper: GFLOPs of each row, in its order.
GFLOPS = {
    "5a": [27.3, 6.4, 34.2, 34.2, 39.8, 34.9, 36.1],
    "5b": [54.5, 41.8, 36.1, 32.8, 30.6, 28.6],
    "5c": [36.1, 34.4, 34.1, 34.2, 35.1],
}


@pytest.mark.parametrize("table", GFLOPS)
def test_rows_cost_what_the_paper_says(table):
    """To 3%, but for two rows whose published figures do not follow from Table 1 (docs/costs.md)."""
    found = ablations.summarize({row: np.full((1, 1), 50.0) for row in ablations.choose_rows(table, None)})
    assert len(found) == len(GFLOPS[table])
    for row, published in zip(found, GFLOPS[table]):
        tolerance = {"Fast-only": 0.08, "half resolution, beta 1/4": 0.05}.get(row.row, 0.03)
        assert row.multiply_adds / 1e9 == pytest.approx(published, rel=tolerance), row.row
        assert row.estimate == repeats.Estimate(50, None, None)


def test_a_row_changes_small_and_large_networks_alike():
    for table in GFLOPS:
        for row in ablations.choose_rows(table, None):
            run = ablations.change("gestures", table, row, ["train.epochs=6", "model.beta_inv=8", "model.width=24"])
            assert run.train.epochs == 6
            there, here = ablations.full_size(row), run.spec()
            for name in ("pathways", "lateral", "beta_inv", "fast_input", "alpha"):
                assert getattr(there, name) == getattr(here, name), (row.name, name)
            assert here.width == 24 and here.depth == 18


def test_every_row_changes_the_shipped_small_network():
    """Such as "TtoC, sum", which needs alpha equal to 1 / beta."""
    for table in GFLOPS:
        for row in ablations.choose_rows(table, None):
            assert ablations.change("ablations/gestures", table, row, []).spec().crop_size == 56


def test_a_table_sets_only_its_own_fields():
    """For a network with beta 1/4, the rows of 5a keep it; the rows of 5b have their own, including 1/8."""
    for table, found in (("5a", {4}), ("5b", {4, 6, 8, 12, 16, 32})):
        rows = [row for row in ablations.choose_rows(table, None) if row.name != "TtoC, sum"]
        changes = ["model.beta_inv=4", "model.lateral_kernel=5"]
        specs = [ablations.change("gestures", table, row, changes).spec() for row in rows]
        assert {spec.beta_inv for spec in specs} == found and {spec.lateral_kernel for spec in specs} == {5}


def result(name, published, top1):
    return ablations.RowResult(name, "", {}, 0, published, top1, repeats.estimate(np.array(top1)))


def test_the_interval_of_an_accuracy_ends_at_1():
    """Student's t of 0.9 and 1.0: 0.95 and 12.706 * 0.05 to either side."""
    found = repeats.estimate(np.array([[0.9], [1.0]]))
    assert found.low == pytest.approx(0.95 - 12.706 * 0.05, abs=1e-4)
    assert found.high == pytest.approx(0.95 + 12.706 * 0.05, abs=1e-4)
    assert found.clipped() == repeats.Estimate(found.mean, found.low, 1.0)


def test_pairs_by_hand():
    """Three folds: b is 9, 10 and 11 points above a, where 2 were published; c differs by -20, 0 and 20."""
    a, b, c = (
        result("a", 70, [[50.0], [60.0], [70.0]]),
        result("b", 72, [[59.0], [70.0], [81.0]]),
        result("c", 70, [[30.0], [60.0], [90.0]]),
    )
    pairs = {(pair.row, pair.other): pair for pair in ablations.compare([a, b, c])}
    assert list(pairs) == [("b", "a"), ("b", "c"), ("a", "c")]
    of_ab = pairs["b", "a"]
    # Student's t of 2 degrees of freedom is 4.3027; the standard error of 9, 10 and 11 is 1 / sqrt(3).
    assert (of_ab.published, of_ab.difference.mean) == (2, 10)
    assert of_ab.difference.high == pytest.approx(10 + 4.3027 / 3**0.5, abs=1e-3)
    assert [pair.verdict for pair in pairs.values()] == ["as published", "not resolved", "not resolved"]
    (turned,) = ablations.compare([result("a", 72, a.top1), result("b", 70, b.top1)])
    assert turned.verdict == "the other way round" and turned.difference.mean == -10
    (equal,) = ablations.compare([result("a", 70, a.top1), result("b", 70, b.top1)])
    assert equal.verdict == "published as equal"


def test_rows_train_on_the_same_folds_and_seeds(tmp_path, monkeypatch):
    """Only a run that sees optical flow reads it. Nothing is written before training."""
    monkeypatch.chdir(tmp_path)
    plan = ablations.plan("5c", None, 2, "gestures", ["data.fold=[0,3]"], tmp_path / "runs")
    assert [row.name for row in plan.runs] == [row.name for row in ablations.TABLES["5c"][1]]
    for runs in plan.runs.values():
        assert [(run.settings.data.fold, run.settings.seed) for run in runs] == [
            ([fold, 3], seed) for fold in range(3) for seed in range(2)
        ]
    with_flow = {run.records.name for row, runs in plan.runs.items() for run in runs if row.name == "optical flow"}
    assert with_flow == {"records_flow"} and not os.listdir(tmp_path)
    first = next(iter(plan.runs.values()))[0]
    assert first.from_records.data.root == str(tmp_path / "runs/records") and first.workdir.name == "fold0_seed0"


def test_tables_share_the_runs_of_the_unchanged_network(tmp_path):
    """Each table states other properties of this network, with the values that it has anyway."""
    for table in GFLOPS:
        for runs in ablations.plan(table, None, 1, "ablations/gestures", [], tmp_path).runs.values():
            runs[0].workdir.mkdir(parents=True, exist_ok=True)
            runs[0].from_records.save(runs[0].workdir / "config.json")
    with pytest.raises(InputError, match=r"another configuration \(model.beta_inv: 4 there, 8 here\)"):
        for beta in (4, 8):
            plan = ablations.plan("5a", ["T-conv"], 1, "gestures", [f"model.beta_inv={beta}"], tmp_path / "other")
            run = next(iter(plan.runs.values()))[0]
            run.workdir.mkdir(parents=True)
            run.from_records.save(run.workdir / "config.json")


def test_a_fold_that_chooses_its_epoch(tmp_path):
    with pytest.raises(InputError, match="would choose the epoch that is tested on it; set train.keep to last"):
        ablations.plan("5a", ["T-conv"], 1, "ablations/gestures", ["train.keep=top1"], tmp_path)


def test_without_folds_a_run_is_of_a_seed(configure, tmp_path):
    configure().save(tmp_path / "tiny.json")
    (runs,) = ablations.plan("5a", ["T-conv"], 2, tmp_path / "tiny.json", [], tmp_path / "runs").runs.values()
    assert [run.workdir.name for run in runs] == ["seed0", "seed1"] and runs[0].settings.data.fold is None


def test_page(tmp_path):
    rows = {row: np.array([[50.0 + 10 * i], [52.0 + 10 * i]]) for i, row in enumerate(ablations.TABLES["5b"][1][:2])}
    plan = ablations.plan("5b", [row.name for row in rows], 1, "gestures", ["data.fold=[0,2]"], tmp_path)
    results = ablations.summarize(rows)
    text = ablations.page(plan, "the command", results, ablations.compare(results), 1.25, "5b.png")
    assert "| beta 1/4 | 53.6 | 75.6 | 51.0 (38.3 to 63.7) |" in text
    # The same difference in both folds has no spread at all.
    assert "| beta 1/6 | beta 1/4 | 0.2 | 10.0 (10.0 to 10.0) | as published |" in text
    assert "1.2 hours of computing" in text and "2 folds and 1 seed," in text
    assert json.dumps([result.top1 for result in results])
