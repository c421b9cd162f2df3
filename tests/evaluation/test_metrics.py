"""Metrics against hand-worked cases, Keras and definitions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import average_precision_score

from slowfast_tf.data import Clips, ava_csv
from slowfast_tf.data.datasets.synthetic import people as demo_detection
from slowfast_tf.errors import InputError
from slowfast_tf.evaluation import ava, metrics, scores
from slowfast_tf.inference.predictor import Predictor


def test_swapped_uses_the_scores_of_the_next_box(tested_detection, detection_model, configure_detection, films):
    _, figures, found = tested_detection
    swapped = []
    for inputs, _, _, _ in Clips(configure_detection(), "val").key_frames():
        inputs["boxes"] = tf.roll(inputs["boxes"], -1, axis=1)
        swapped.append(Predictor(detection_model).score_inputs(inputs)[0].numpy())
    films_, times = zip(*(name.split(",") for name in found.ids))
    names = dict(enumerate(demo_detection.ACTIONS, 1))
    boxes = ava_csv.detections(films_, np.array(times, float), found.boxes, np.concatenate(swapped), names)
    truth = ava_csv.read_csv(films / "annotations" / "ava_val_v2.2.csv", scored=False)
    assert ava.average_precision(truth, boxes, names)["mAP"] == pytest.approx(figures["mAP_swapped"], abs=0.02)
    assert metrics._next_in_frame(["a", "a", "a", "b", "c", "c"]).tolist() == [1, 2, 0, 3, 5, 4]


def test_perfect_scores_and_swapped_scores(tested_detection):
    """If the scores are the ground truth, mAP is 1; with the scores of other boxes it is near chance."""
    _, _, found = tested_detection
    known = found.labels.any(1)
    assert known.mean() > 0.5  # predicted boxes close to annotated ones have their labels
    truth = np.where(known[:, None], found.labels, 0.5).astype(np.float32)
    perfect = scores.Scores(found.ids, found.labels, truth, {}, found.about, found.boxes)
    figures = metrics.detection(perfect)
    assert figures["mAP"] > 0.8 and figures["mAP_swapped"] < 0.6


@pytest.mark.legacy
def test_classification_by_hand():
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]])
    figures = metrics.classification(np.array([0, 0, 1, 2]), scores)
    # Right: all but the second. By class: a half, one, one; precision one, one, a half; F1 2/3, 1, 2/3.
    by_class = {"mean_class_accuracy": pytest.approx(2.5 / 3), "macro_f1": pytest.approx(7 / 9)}
    assert figures == {"top1": 0.75, **by_class}
    # A class without videos does not count.
    figures = metrics.classification(np.array([0, 0, 1, 1]), scores)
    assert figures == {"top1": 0.5, "mean_class_accuracy": 0.5, "macro_f1": pytest.approx(2 / 3)}


@pytest.mark.legacy
def test_classification_of_two_classes_and_of_one():
    scores = np.array([[0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    figures = metrics.classification(np.array([0, 1, 0]), scores)
    two_thirds = pytest.approx(2 / 3)
    of_class_1 = {"precision": 0.5, "recall": 1, "f1": two_thirds, "auc": 1}  # its video has the highest score
    assert figures == {"top1": two_thirds, "mean_class_accuracy": 0.75, "macro_f1": two_thirds, **of_class_1}
    figures = metrics.classification(np.array([1, 1, 1]), scores)
    assert figures["top1"] == two_thirds and figures["recall"] == two_thirds and "auc" not in figures
    figures = metrics.classification(np.array([0, 0, 0]), scores[::-1])  # nothing to recall
    assert set(figures) == {"top1", "mean_class_accuracy", "macro_f1"}
    assert metrics.classification(np.array([0, 0]), np.ones((2, 1)))["top1"] == 1


@pytest.mark.legacy
@pytest.mark.parametrize("classes", [6, 20])
def test_classification_equals_keras(classes):
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
