"""Figures against hand-worked cases, Keras and definitions; views against one forward pass at a time."""

import shutil

import keras
import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf
from coded_video import decode
from conftest import CLASSES
from sklearn.metrics import average_precision_score

from slowfast_tf.cli import UserError
from slowfast_tf.data import Clips
from slowfast_tf.evaluate import evaluate
from slowfast_tf.evaluation import metrics, plots, views


def test_classification_by_hand():
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]])
    figures = metrics.classification(np.array([0, 0, 1, 2]), scores)
    # Right: all but the second. By class: a half, one, one.
    assert figures == {"top1": 0.75, "mean_class_accuracy": pytest.approx(2.5 / 3)}
    # A class without videos does not count.
    figures = metrics.classification(np.array([0, 0, 1, 1]), scores)
    assert figures == {"top1": 0.5, "mean_class_accuracy": 0.5}


def test_classification_of_two_classes_and_of_one():
    scores = np.array([[0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    figures = metrics.classification(np.array([0, 1, 0]), scores)
    assert figures == {"top1": pytest.approx(2 / 3), "mean_class_accuracy": 0.75}
    assert metrics.classification(np.array([1, 1, 1]), scores)["top1"] == pytest.approx(2 / 3)
    assert metrics.classification(np.array([0, 0]), np.ones((2, 1)))["top1"] == 1


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


def test_few_classes_have_no_top5():
    scores = np.eye(5)
    assert "top5" not in metrics.classification(np.arange(5), scores)
    assert metrics.classification(np.arange(6), np.eye(6))["top5"] == 1


def test_mean_average_precision_by_hand():
    scores = np.array([[0.9, 0.1, 0.5], [0.8, 0.2, 0.5], [0.7, 0.3, 0.5], [0.6, 0.4, 0.5]])
    truth = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0]])
    # First: positives at ranks 1 and 3. Second: one, at rank 2. The third never happens.
    assert metrics.multi_label(truth, scores)["mAP"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)
    assert metrics.multi_label(truth[:, :1], scores[:, :1])["mAP"] == pytest.approx(5 / 6)
    assert metrics.multi_label(np.array([[1, 1]]), np.array([[0.3, 0.2]]))["mAP"] == 1


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


def single_views(infer, path, clips, crops):
    """Scores of every view of a video, one forward pass each; frames, places and pixels worked out plainly."""
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


@pytest.mark.parametrize("fuse, clips, crops", [("max", 2, 3), ("mean", 5, 3)])
def test_fused_views_are_those_of_single_ones(configure, model, infer, fuse, clips, crops):
    data = Clips(configure(f"test.clips={clips}", f"test.crops={crops}"), "val")
    indices, scores = views.score_videos(model, data, fuse)
    assert indices.tolist() == [0, 1, 2, 3] and scores.shape == (4, 4) and scores.dtype == np.float32
    single = [single_views(infer, video.path, clips, crops) for video in data.videos]
    assert max(np.ptp(s, 0).max() for s in single) > 0.01  # the views do differ
    expected = [{"mean": np.mean, "max": np.max}[fuse](s, 0) for s in single]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_evaluate(configure, model, infer, folder, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(folder, root)
    (root / "val" / "ant" / "broken.mp4").write_text("no video")
    clips = Clips(configure(f"data.root={root}"), "val")
    figures, scores = evaluate(model, clips, tmp_path / "plots")
    expected = [
        single_views(infer, folder / "val" / CLASSES[n % 4] / f"{n:02d}.mp4", 2, 3).mean(0) for n in range(8, 12)
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    top1 = np.mean(np.argmax(expected, 1) == np.arange(4))
    assert figures == {"top1": top1, "mean_class_accuracy": top1, "videos": 4, "skipped": 1, "views": "2x3"}
    assert matplotlib.image.imread(tmp_path / "plots" / "confusion.png").ndim == 3


def test_evaluate_mistakes(configure, model, values, tmp_path):
    for name in ("ant", "bee"):
        for split in ("train", "val"):
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "broken.mp4").write_text("no video")
    with pytest.raises(UserError, match="4 classes and the data set 2"):
        evaluate(model, Clips(configure(f"data.root={tmp_path}"), "val"))
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir()
    with pytest.raises(UserError, match="none of the 2 videos can be read: .*broken.mp4"):
        evaluate(model, Clips(configure(f"data.root={tmp_path}"), "val"))


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
