"""An evaluation from videos to the files that it writes."""

import csv
import dataclasses
import json
import shutil

import matplotlib.image
import numpy as np
import pytest
from helpers.expected import single_views
from helpers.pictures import CLASSES
from sklearn.metrics import average_precision_score

from slowfast_tf import SlowFast
from slowfast_tf.data import Clips, datasets
from slowfast_tf.data.datasets import ava as ava_lists
from slowfast_tf.data.datasets.synthetic import people as demo_detection
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.errors import InputError
from slowfast_tf.evaluation import ava, scores, views
from slowfast_tf.evaluation.report import ava_figure
from slowfast_tf.evaluation.run import Outputs, evaluate


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
    """They are read from the paths of `annotation_files`, such as local copies of files at an address."""
    clips, paths = Clips(configure_detection(), "val"), ava_lists.annotation_files(films)
    monkeypatch.setattr(views, "score_videos", lambda *arguments: pytest.fail("scored before the check"))
    asked = []

    def moved(root):
        asked.append(root)
        return paths._replace(annotations=tmp_path / "gone.csv")

    monkeypatch.setattr(ava_lists, "annotation_files", moved)
    with pytest.raises(InputError, match="cannot read .*gone.csv: No such file") as error:
        evaluate(detection_model, clips, outputs=Outputs(scores=tmp_path / "scores.npz"))
    assert asked == [str(films)] and "\n" not in str(error.value)
    monkeypatch.setattr(datasets, "annotations", lambda name, root: None)
    with pytest.raises(InputError, match="'demo_detection' has no annotations of boxes"):
        evaluate(detection_model, clips)


def test_no_box_that_counts(detection_model, configure_detection):
    """The predicted boxes of the demo have scores below 1."""
    spec = dataclasses.replace(detection_model.spec, person_score=1.0)
    with pytest.raises(InputError, match="no box has a score of at least 1.0; lower model.person_score") as error:
        evaluate(detection_model, Clips(configure_detection(), "val"), spec=spec)
    assert "\n" not in str(error.value)


def test_no_box_counts_in_records_of_an_earlier_version(detection_model, configure_detection):
    """Their index has no scores, so this is found only when they are read."""
    clips = Clips(configure_detection(), "val")
    clips.source.box_scores = [1.0] * clips.count
    spec = dataclasses.replace(detection_model.spec, person_score=1.0)
    with pytest.raises(InputError, match=r"none of the 6 videos can be read: no box has a score of at least 1\.0"):
        evaluate(detection_model, clips, spec=spec)


@pytest.mark.legacy
def test_several_labels_end_to_end(configure, model, tmp_path):
    sigmoid = SlowFast(dataclasses.replace(model.spec, activation="sigmoid"))
    sigmoid.set_weights(model.get_weights())
    clips = Clips(configure("test.fuse=max", "test.clips=1"), "val")
    outputs = Outputs(report=tmp_path / "report.html", scores=tmp_path / "scores.npz")
    spec = dataclasses.replace(sigmoid.spec, views=clips.spec.views)
    figures, _ = evaluate(sigmoid, clips, outputs=outputs, spec=spec)
    with np.load(tmp_path / "scores.npz") as file:
        expected = average_precision_score(file["labels"], file["scores"], average="macro")
        assert not np.allclose(file["scores"].sum(1), 1)
    assert figures == {"mAP": pytest.approx(expected), "videos": 4, "skipped": 0, "views": "1x3"}
    assert "Average precision by class" in (tmp_path / "report.html").read_text()


@pytest.mark.legacy
def test_evaluate(configure, model, infer, folder, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(folder, root)
    (root / "val" / "ant" / "broken.mp4").write_text("no video")
    clips = Clips(configure(f"data.root={root}"), "val")
    out = tmp_path / "out"
    outputs = Outputs(
        metrics=out / "figures.json",
        report=out / "report.html",
        scores=out / "scores.npz",
        confusion=out / "confusion.png",
    )
    figures, tested = evaluate(model, clips, outputs=outputs, spec=clips.spec)
    expected = [
        single_views(infer, folder / "val" / CLASSES[n % 4] / f"{n:02d}.mp4", 2, 3).mean(0) for n in range(8, 12)
    ]
    np.testing.assert_allclose(tested.scores, expected, atol=1e-4)
    top1 = np.mean(np.argmax(expected, 1) == np.arange(4))
    assert 0 <= figures.pop("macro_f1") <= 1  # tested by hand in test_metrics.py
    assert figures == {"top1": top1, "mean_class_accuracy": top1, "videos": 4, "skipped": 1, "views": "2x3"}
    assert figures.items() <= json.loads((out / "figures.json").read_text()).items()
    assert matplotlib.image.imread(out / "confusion.png").ndim == 3
    with np.load(out / "scores.npz") as file:
        np.testing.assert_array_equal(file["scores"], tested.scores)
        assert file["ids"].tolist() == tested.ids and file["classes"].tolist() == list(CLASSES)
        assert file["labels"].tolist() == np.eye(4).tolist() and file["views"] == "2x3"
    assert "broken.mp4" in (out / "report.html").read_text()
    assert sorted(path.name for path in out.iterdir()) == [
        "confusion.png",
        "figures.json",
        "report.html",
        "scores.npz",
    ]


def test_evaluate_mistakes(configure, model, tmp_path):
    for name in ("ant", "bee"):
        for split in ("train", "val"):
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "broken.mp4").write_text("no video")
    with pytest.raises(InputError, match="4 classes and the data set 2"):
        evaluate(model, Clips(configure(f"data.root={tmp_path}"), "val"))
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir()
    with pytest.raises(InputError, match="none of the 2 videos can be read: .*broken.mp4"):
        evaluate(model, Clips(configure(f"data.root={tmp_path}"), "val"))
