"""An evaluation from videos to the files that it writes."""

import csv
import json

import numpy as np
import pytest

from slowfast_tf.data import Clips, datasets
from slowfast_tf.data.datasets.synthetic import people as demo_detection
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.errors import InputError
from slowfast_tf.evaluation import ava, scores, views
from slowfast_tf.evaluation.report import ava_figure
from slowfast_tf.evaluation.run import evaluate


def test_figures_and_files(tested_detection, films):
    folder, figures, found = tested_detection
    assert json.loads((folder / "figures.json").read_text()) == figures
    assert figures["videos"] == 6 and figures["boxes"] == len(found.ids) == len(found.boxes) and not figures["skipped"]
    assert set(figures["AP"]) == set(demo_detection.ACTIONS)
    lists = films / "annotations"
    again = ava.mean_average_precision(
        lists / "ava_val_v2.2.csv", folder / "detections.csv", lists / "ava_action_list_v2.2.pbtxt"
    )
    assert again == pytest.approx({"mAP": figures["mAP"], **figures["AP"]}, abs=1e-4)
    rows = list(csv.reader(open(folder / "detections.csv", newline="")))
    assert len(rows) == 6 * figures["boxes"] and rows[0][:2] == ["demo_val_00", "0902"]
    page = (folder / "report.html").read_text()
    assert "mAP swapped" in page and "blinks_slowly" in page and "action 37" not in page
    back = scores.load_scores(folder / "scores.npz")
    np.testing.assert_array_equal(back.boxes, found.boxes)
    # Figure 3 reads these figures.
    assert len(ava_figure.compare(folder / "figures.json", figures)) == 6


def test_records_give_the_same(detection_model, configure_detection, tested_detection, tmp_path):
    _, figures, _ = tested_detection
    prepare(configure_detection("prepare.quality=100"), str(tmp_path / "records"))
    settings = configure_detection("data.dataset=records", f"data.root={tmp_path / 'records'}")
    again, _ = evaluate(detection_model, Clips(settings, "val"))
    assert again["boxes"] == figures["boxes"] and again["mAP"] == pytest.approx(figures["mAP"], abs=0.1)


def test_annotations_are_checked_before_scoring(detection_model, configure_detection, films, tmp_path, monkeypatch):
    """And read from where `annotation_files` says, such as local copies of files at an address."""
    clips, paths = Clips(configure_detection(), "val"), datasets.annotation_files("demo_detection", films)
    monkeypatch.setattr(views, "score_videos", lambda *arguments: pytest.fail("scored before the check"))
    asked = []

    def moved(name, root):
        asked.append((name, root))
        return (tmp_path / "gone.csv", *list(paths)[1:])

    monkeypatch.setattr(datasets, "annotation_files", moved)
    with pytest.raises(InputError, match="cannot read .*gone.csv: No such file") as error:
        evaluate(detection_model, clips, scores=tmp_path / "scores.npz")
    assert asked == [("demo_detection", str(films))] and "\n" not in str(error.value)
    monkeypatch.setattr(datasets, "annotation_files", lambda name, root: ())
    with pytest.raises(InputError, match="'demo_detection' has no annotation files of boxes"):
        evaluate(detection_model, clips)
