"""The evaluate command."""

import dataclasses
import os

import pytest
from helpers.detection import DEMO

from slowfast_tf import evaluate as command
from slowfast_tf.errors import InputError
from slowfast_tf.evaluation import metrics, scores


def test_other_mistakes(tested_detection, tmp_path):
    _, _, found = tested_detection
    with pytest.raises(InputError, match="--detections is for a detection model"):
        command.main(["--config", str(DEMO.with_name("demo.json")), "--checkpoint", "x.keras", "--detections", "d.csv"])
    (tmp_path / "gone").mkdir()
    lost = dataclasses.replace(found.about, config={"data": {"root": str(tmp_path / "gone")}})
    with pytest.raises(InputError, match=r"AVA is not in .*gone.annotations: no .*ava_val_v2\.2\.csv"):
        metrics.compute_metrics(scores.Scores(found.ids, found.labels, found.scores, {}, lost, found.boxes))


def test_a_resumed_test_replaces_only_its_own_files(tmp_path):
    """A stopped test left `metrics.json.partial.npz`. Files that are older than it are not of this test."""
    metrics_file, report = str(tmp_path / "metrics.json"), str(tmp_path / "report.html")
    for time, path in ((1, report), (2, f"{metrics_file}.partial.npz"), (3, metrics_file)):
        open(path, "w").close()
        os.utime(path, (time, time))
    words = ["--config", str(DEMO.with_name("demo.json")), "--checkpoint", "x.keras", "--output", metrics_file]
    with pytest.raises(InputError, match="report.html exists"):
        command.main([*words, "--report", report])
    with pytest.raises(InputError, match="metrics.json is given for two files; give different ones"):
        command.main([*words, "--report", metrics_file])
    with pytest.raises(InputError, match="x.keras"):  # the next check
        command.main(words)
    os.remove(f"{metrics_file}.partial.npz")
    with pytest.raises(InputError, match="metrics.json exists"):
        command.main(words)
