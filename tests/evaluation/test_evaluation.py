"""Metrics against hand-worked cases, Keras and definitions; views against one forward pass at a time."""

import dataclasses
import json
import pathlib
import shutil

import keras
import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import decode, write
from helpers.pictures import CLASSES, picture
from sklearn.metrics import average_precision_score

from slowfast_tf import SlowFast, load
from slowfast_tf.data import Clips, datasets
from slowfast_tf.data.sources import Files
from slowfast_tf.errors import InputError, RunError
from slowfast_tf.evaluation import metrics, views
from slowfast_tf.evaluation.report import plots
from slowfast_tf.evaluation.run import Outputs, evaluate
from slowfast_tf.video.decode import read_frames


@pytest.mark.legacy
def test_classification_by_hand():
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]])
    figures = metrics.classification(np.array([0, 0, 1, 2]), scores)
    # Right: all but the second. By class: a half, one, one.
    assert figures == {"top1": 0.75, "mean_class_accuracy": pytest.approx(2.5 / 3)}
    # A class without videos does not count.
    figures = metrics.classification(np.array([0, 0, 1, 1]), scores)
    assert figures == {"top1": 0.5, "mean_class_accuracy": 0.5}


@pytest.mark.legacy
def test_classification_of_two_classes_and_of_one():
    scores = np.array([[0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    figures = metrics.classification(np.array([0, 1, 0]), scores)
    assert figures == {"top1": pytest.approx(2 / 3), "mean_class_accuracy": 0.75}
    assert metrics.classification(np.array([1, 1, 1]), scores)["top1"] == pytest.approx(2 / 3)
    assert metrics.classification(np.array([0, 0]), np.ones((2, 1)))["top1"] == 1


@pytest.mark.legacy
@pytest.mark.parametrize("classes", [6, 20])
def test_classification_is_what_keras_has(classes):
    random = np.random.default_rng(classes)
    truth, scores = random.integers(0, classes, 200), random.random((200, classes), np.float32)
    scores[np.arange(0, 200, 3), truth[::3]] = 1.5
    figures = metrics.classification(truth, scores)
    one_hot = np.eye(classes)[truth]
    for name, metric in (
        ("top1", keras.metrics.CategoricalAccuracy()),
        ("top5", keras.metrics.TopKCategoricalAccuracy(5)),
    ):
        metric.update_state(one_hot, scores)
        assert figures[name] == pytest.approx(float(metric.result()), abs=1e-6)
    recalls = [(scores[truth == c].argmax(1) == c).mean() for c in range(classes)]
    assert figures["mean_class_accuracy"] == pytest.approx(np.mean(recalls))


@pytest.mark.legacy
def test_few_classes_have_no_top5():
    scores = np.eye(5)
    assert "top5" not in metrics.classification(np.arange(5), scores)
    assert metrics.classification(np.arange(6), np.eye(6))["top5"] == 1


@pytest.mark.legacy
def test_mean_average_precision_by_hand():
    scores = np.array([[0.9, 0.1, 0.5], [0.8, 0.2, 0.5], [0.7, 0.3, 0.5], [0.6, 0.4, 0.5]])
    truth = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0]])
    # First: positives at ranks 1 and 3. Second: one, at rank 2. The third never happens.
    assert metrics.multi_label(truth, scores)["mAP"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)
    assert metrics.multi_label(truth[:, :1], scores[:, :1])["mAP"] == pytest.approx(5 / 6)
    assert metrics.multi_label(np.array([[1, 1]]), np.array([[0.3, 0.2]]))["mAP"] == 1


@pytest.mark.legacy
def test_mean_average_precision_by_its_definition():
    random = np.random.default_rng(0)
    truth, scores = random.integers(0, 2, (60, 7)), random.random((60, 7))
    truth[:, 4] = 0
    precisions = []
    for column, score in zip(truth.T, scores.T):
        ranked = column[np.argsort(-score)]
        if ranked.any():
            precisions.append((np.cumsum(ranked) / np.arange(1, 61))[ranked == 1].mean())
    assert len(precisions) == 6
    assert metrics.multi_label(truth, scores)["mAP"] == pytest.approx(np.mean(precisions))
    rows = [average_precision_score(truth[:, i], scores[:, i]) for i in (0, 1, 2, 3, 5, 6)]
    assert metrics.multi_label(truth, scores)["mAP"] == pytest.approx(np.mean(rows))


@pytest.mark.legacy
def test_no_labels_no_average_precision():
    with pytest.raises(InputError, match="none of the 3 videos has a label"):
        metrics.multi_label(np.zeros((3, 2)), np.ones((3, 2)))


@pytest.mark.legacy
def test_average_precisions_by_class():
    truth = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 0]])
    scores = np.array([[0.9, 0.1, 0.3], [0.8, 0.2, 0.2], [0.7, 0.3, 0.4]])
    found = metrics.average_precisions(truth, scores)
    # Positives at ranks 1 and 3; none; at ranks 2 and 3.
    np.testing.assert_allclose(found, [(1 + 2 / 3) / 2, np.nan, (1 / 2 + 2 / 3) / 2])
    assert metrics.multi_label(truth, scores)["mAP"] == pytest.approx((found[0] + found[2]) / 2)


@pytest.mark.legacy
def test_classes_and_pairs_by_hand():
    truth = np.array([0, 0, 0, 1, 1, 2, 2])
    predicted = np.array([0, 1, 1, 1, 0, 1, 1])
    recall, precision = metrics.by_class(truth, predicted, 4)
    np.testing.assert_allclose(recall, [1 / 3, 1 / 2, 0, np.nan])
    np.testing.assert_allclose(precision, [1 / 2, 1 / 5, np.nan, np.nan])
    # 2 as 1 twice, which is all of them; 0 as 1 twice of three; 1 as 0 once.
    assert metrics.confused_pairs(truth, predicted) == [
        (2, 1, 2, 1.0),
        (0, 1, 2, pytest.approx(2 / 3)),
        (1, 0, 1, 0.5),
    ]
    assert metrics.confused_pairs(truth, predicted, most=1) == [(2, 1, 2, 1.0)]
    assert metrics.confused_pairs(truth, truth) == []


def single_views(infer, path, clips, crops):
    """Scores of every view of a video, one forward pass each; frames, starts and pixels worked out plainly."""
    frames = decode(path)
    height, width = frames.shape[1:3]
    shape = (32, width * 32 // height) if height <= width else (height * 32 // width, 32)
    room = [side - 32 for side in shape]
    scores = []
    for clip in range(clips):
        start = int((len(frames) - 32) * clip / clips)
        resized = tf.image.resize(frames[start : start + 32 : 2], shape).numpy() / 255
        for crop in range(crops):
            top, left = (int(np.ceil(r * crop / (crops - 1))) for r in room)
            view = (resized[None, :, top : top + 32, left : left + 32] - 0.45) / 0.225
            scores.append(infer(view.astype(np.float32))[0])
    return np.array(scores)


@pytest.mark.legacy
@pytest.mark.parametrize("fuse, clips, crops", [("max", 2, 3), ("mean", 5, 3)])
def test_fused_views_are_those_of_single_ones(configure, model, infer, folder, fuse, clips, crops):
    data = Clips(configure(f"test.clips={clips}", f"test.crops={crops}", f"test.fuse={fuse}"), "val")
    tested = views.score_videos(model, data)
    assert tested.ids == [f"{CLASSES[n % 4]}/{n:02d}.mp4" for n in range(8, 12)]
    np.testing.assert_array_equal(tested.labels, np.eye(4))
    assert tested.scores.shape == (4, 4) and tested.scores.dtype == np.float32
    assert tested.views == f"{clips}x{crops}" and not tested.skipped
    single = [single_views(infer, folder / "val" / name, clips, crops) for name in tested.ids]
    assert max(np.ptp(s, 0).max() for s in single) > 0.01  # the views do differ
    expected = [{"mean": np.mean, "max": np.max}[fuse](s, 0) for s in single]
    np.testing.assert_allclose(tested.scores, expected, atol=1e-4)


@pytest.mark.legacy
def test_a_video_is_decoded_once_for_30_views(configure, folder):
    read, calls = read_frames, []

    def counted(path, indices, short_side):
        calls.append(pathlib.Path(path).name)
        return read(path, indices, short_side)

    source = Files(datasets.load_split("folder", folder, "val").videos, None, decode=counted)
    clips = Clips(configure("test.clips=10"), "val", source=source)
    shapes = [inputs["fast"].shape for inputs, _, _ in clips.views()]
    assert shapes == [(3, 16, 32, 32, 3)] * 40
    assert sorted(calls) == ["08.mp4", "09.mp4", "10.mp4", "11.mp4"]


@pytest.mark.legacy
def test_many_labels_end_to_end(configure, model, tmp_path):
    sigmoid = SlowFast(dataclasses.replace(model.spec, activation="sigmoid"))
    sigmoid.set_weights(model.get_weights())
    clips = Clips(configure("test.fuse=max", "test.clips=1"), "val")
    outputs = Outputs(report=tmp_path / "report.html", scores=tmp_path / "scores.npz")
    figures, _ = evaluate(sigmoid, clips, outputs=outputs)
    with np.load(tmp_path / "scores.npz") as file:
        expected = average_precision_score(file["labels"], file["scores"], average="macro")
        assert not np.allclose(file["scores"].sum(1), 1)
    assert figures == {"mAP": pytest.approx(expected), "videos": 4, "skipped": 0, "views": "1x3"}
    assert "Average precision by class" in (tmp_path / "report.html").read_text()


@pytest.mark.legacy
@pytest.mark.parametrize("fuse", ["mean", "max"])
def test_the_whole_width_in_one_pass(configure, model, folder, fuse):
    tested = views.score_videos(model, Clips(configure("test.clips=1", "test.crops=0", f"test.fuse={fuse}"), "val"))
    assert tested.views == "1xwhole"
    head = model.get_layer("head")
    kernel, bias = head.get_weights()
    features = keras.Model(model.inputs, head.input)
    positions = []
    for name, scores in zip(tested.ids, tested.scores):
        frames = decode(folder / "val" / name)
        height, width = frames.shape[1:3]
        shape = (32, width * 32 // height) if height <= width else (height * 32 // width, 32)
        start = (len(frames) - 32) // 2
        clip = tf.image.resize(frames[start : start + 32 : 2], shape).numpy()[None] / 255
        clip = ((clip - 0.45) / 0.225).astype(np.float32)
        # A crop of 32 pixels is one pixel of the features, so each of these is a crop's worth.
        pixels = np.concatenate([x.numpy().mean((0, 1)) for x in features({"slow": clip[:, ::8], "fast": clip})], -1)
        logits = pixels.reshape(-1, len(kernel)) @ kernel + bias
        expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        np.testing.assert_allclose(scores, {"mean": np.mean, "max": np.max}[fuse](expected, 0), atol=1e-4)
        positions.append(len(expected))
    assert positions == [2, 2, 2, 2]


@pytest.mark.legacy
def test_the_whole_of_a_square_video_is_its_crop(configure, model, tmp_path):
    for split in ("train", "val"):
        for number, name in enumerate(CLASSES):
            (tmp_path / split / name).mkdir(parents=True)
            images = [picture(number, time, 44, 44) for time in range(36)]
            write(tmp_path / split / name / "square.mp4", images, pix_fmt="yuv444p", qp=1)
    whole, crop = (
        views.score_videos(model, Clips(configure(f"data.root={tmp_path}", f"test.crops={crops}"), "val")).scores
        for crops in (0, 1)
    )
    assert np.ptp(crop, 0).max() > 0.01
    np.testing.assert_allclose(whole, crop, atol=1e-5)


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
    figures, tested = evaluate(model, clips, outputs=outputs)
    expected = [
        single_views(infer, folder / "val" / CLASSES[n % 4] / f"{n:02d}.mp4", 2, 3).mean(0) for n in range(8, 12)
    ]
    np.testing.assert_allclose(tested.scores, expected, atol=1e-4)
    top1 = np.mean(np.argmax(expected, 1) == np.arange(4))
    assert figures == {"top1": top1, "mean_class_accuracy": top1, "videos": 4, "skipped": 1, "views": "2x3"}
    assert json.loads((out / "figures.json").read_text()) == figures
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


def test_scores_that_are_no_numbers_stop_a_test(configure, saved):
    broken = load(saved)
    broken.set_weights([np.full_like(w, np.nan) for w in broken.get_weights()])
    with pytest.raises(RunError, match="the scores of ant/08.mp4 are not finite"):
        evaluate(broken, Clips(configure(), "val"))


@pytest.fixture
def drawn(monkeypatch):
    """The Matplotlib figures that a test saves."""
    figures = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: figures.append(figure))
    return figures


def test_curves_count_epochs_from_1(drawn):
    plots.save_curves([{"epoch": 1 + i, "loss": 2.0, "val_loss": 2.0} for i in range(3)], "curves.png")
    lines = drawn[0].axes[0].lines
    assert [list(line.get_xdata()) for line in lines] == [[1, 2, 3]] * 2


def test_curves_of_rows_without_top5(drawn):
    """Two classes have no top5; a run of an earlier version, once resumed, has it in its first rows only."""
    row = {"loss": 1.0, "val_loss": 1.0, "top1": 0.5, "val_top1": 0.5}
    five = {"top5": 1.0, "val_top5": 1.0}
    plots.save_curves([{"epoch": 1, **row}], "curves.png")
    assert [axis.get_title() for axis in drawn[0].axes] == ["loss", "top1"]
    plots.save_curves([{"epoch": 1, **row, **five}, {"epoch": 2, **row}], "curves.png")
    assert [axis.get_title() for axis in drawn[1].axes] == ["loss", "top1", "top5"]
    np.testing.assert_array_equal(drawn[1].axes[2].lines[0].get_ydata(), [1, np.nan])


@pytest.mark.legacy
def test_curves(tmp_path):
    history = [
        {"epoch": i, "learning_rate": 0.1, "loss": 2 / (i + 1), "top1": i / 4, "val_loss": 2.0, "val_top1": 0.5}
        for i in range(3)
    ]
    plots.save_curves(history, tmp_path / "new" / "curves.png")
    image = matplotlib.image.imread(tmp_path / "new" / "curves.png")
    assert image.shape[:2] == (4 * 120, 2 * 5 * 120)  # loss and top1, 5 x 4 inches each
    assert image.min() < 0.2 and image.std() > 0.05
    plots.save_curves(history[:1], tmp_path / "one.png")
    assert matplotlib.image.imread(tmp_path / "one.png").shape == image.shape


@pytest.mark.legacy
def test_confusion(tmp_path):
    truth, predicted = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    plots.save_confusion(truth, predicted, ["still", "moving left", "moving right", "never"], tmp_path / "c.png")
    image = matplotlib.image.imread(tmp_path / "c.png")
    inches = 3 + 0.42 * 4
    assert image.shape[:2] == (int(inches * 120), int((inches + 1) * 120))
    # Three of the four rows hold a dark cell or two halves; white and the darkest blue are both there.
    blue = np.array([8, 48, 107]) / 255
    assert (np.abs(image[..., :3] - blue).max(-1) < 0.05).sum() > 1000
    many = [f"class {i}" for i in range(157)]
    plots.save_confusion(np.arange(157), np.arange(157), many, tmp_path / "many.png")
    assert matplotlib.image.imread(tmp_path / "many.png").shape[:2] == (960, 1080)
