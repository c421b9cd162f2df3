"""The result of a cross-validation, from made scores."""

import json

import numpy as np
import pytest

from slowfast_tf import config
from slowfast_tf.evaluation.scores import About, Scores
from slowfast_tf.training import cross_validation, repeats

SETTINGS = config.load("gestures")


def run(place, truth, bees):
    """A complete run: the scores of videos, given their classes (0: ant, 1: bee) and their scores of "bee"."""
    place.mkdir(parents=True)
    test = {"clips": 1, "crops": 1, "fuse": "mean"}
    values = json.loads(json.dumps(SETTINGS.model_dump(mode="json")))
    about = About("cd" * 32, "softmax", "folder", ("ant", "bee"), values, test, (0, 1), len(truth))
    scores = np.stack([1 - np.array(bees), bees], 1).astype(np.float32)
    ids = [f"{place.name.split('_')[0]}/{number}" for number in range(len(truth))]
    Scores(ids, np.eye(2, dtype=np.uint8)[truth], scores, {}, about).save(place / "scores.npz")
    (place / "metrics.json").write_text(json.dumps({"top1": 0.5}))
    return repeats.Run(SETTINGS, place, place)


@pytest.fixture
def plan(tmp_path):
    """Two folds, each with videos of one class, as when a class has one scene; two seeds."""
    runs = [
        run(tmp_path / "fold0_seed0", [0, 0], [0.1, 0.4]),
        run(tmp_path / "fold0_seed1", [0, 0], [0.2, 0.7]),
        run(tmp_path / "fold1_seed0", [1, 1], [0.3, 0.9]),
        run(tmp_path / "fold1_seed1", [1, 1], [0.8, 0.9]),
    ]
    return cross_validation.Plan("made", 2, 2, tuple(runs))


def test_a_metric_that_no_fold_has(plan):
    """The AUC needs both classes, which only the folds together have. Of the 4 pairs, 3 and 4 are in order."""
    result = cross_validation.summarize(plan)
    assert result.metrics["auc"] == repeats.Estimate(pytest.approx((3 / 4 + 4 / 4) / 2), None, None)
    assert result.by_fold["auc"] == [[None, None], [None, None]]
    assert result.metrics["top1"].mean == pytest.approx((3 / 4 + 3 / 4) / 2)
    assert result.by_fold["top1"] == [[1.0, 0.5], [0.5, 1.0]]
    assert result.mistaken == [("fold0/1", "ant", "bee", 1), ("fold1/0", "bee", "ant", 1)]


def test_the_report_is_of_the_first_seed(plan, tmp_path, monkeypatch):
    """Its videos are counted once. It states no weights, because each fold has its own."""
    monkeypatch.setattr(repeats, "prepare_videos", lambda runs: None)
    output = tmp_path / "docs/result.md"
    output.parent.mkdir()
    text = cross_validation.run_plan(plan, output, "the command")
    assert "| auc | 0.875 |" in text and "4 videos in 2 folds, 2 seeds" in text
    assert json.loads(output.with_suffix(".json").read_text())["by_fold"]["auc"][0] == [None, None]
    report = output.with_suffix(".html").read_text()
    assert "Test of the cross-validation of made, seed 0" in report and "Misclassified videos: 1<" in report
    assert "4 videos" in report and "SHA" not in report
