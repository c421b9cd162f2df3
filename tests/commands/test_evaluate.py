"""The evaluate command."""

import dataclasses

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
