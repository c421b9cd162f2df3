"""The losses and metrics of a configuration, on cases worked by hand."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.training import train_section
from sklearn.metrics import accuracy_score, f1_score, top_k_accuracy_score

from slowfast_tf import SlowFast, SlowFastSpec
from slowfast_tf.data import Clips
from slowfast_tf.data.clips import with_boxes
from slowfast_tf.training import losses


def test_a_batch_without_boxes_has_no_loss(configure_detection):
    """A crop without people has one row of padding, with weight 0."""
    clips = Clips(configure_detection(), "val")
    boxes, labels, weights = with_boxes(tf.zeros([2, 4]), tf.zeros([2, 1], tf.int64), 80)
    assert boxes.shape == (1, 4) and labels.shape == (1, 80) and weights.numpy().tolist() == [0]
    loss, _, _ = losses.from_config(clips.config.train, clips.spec)
    assert float(loss(labels[None], tf.ones([1, 1, 80]), weights[None])) == 0


@pytest.mark.legacy
def test_padded_boxes_do_not_count():
    """Logits 0, log 3 and -log 3 are probabilities 1/2, 3/4 and 1/4."""
    logits = np.log([[[1.0, 3.0], [3.0, 1 / 3]], [[1.0, 1.0], [9e9, 9e9]]]).astype(np.float32)
    truth = np.array([[[1, 1], [0, 0]], [[0, 1], [0, 0]]], np.float32)
    weights = np.array([[1, 1], [1, 0]], np.float32)
    boxes = [(math.log(2) + math.log(4 / 3)) / 2, (math.log(4) + math.log(4 / 3)) / 2, math.log(2)]
    loss = losses.BinaryCrossentropy(from_logits=True)
    assert float(loss(truth, logits, weights)) == pytest.approx(np.mean(boxes), rel=1e-5)
    assert float(loss(truth, logits, 0 * weights)) == 0
    # Of clips it is Keras' own, smoothed labels and all.
    smooth = {"from_logits": True, "label_smoothing": 0.2}
    assert float(losses.BinaryCrossentropy(**smooth)(truth[0], logits[0])) == pytest.approx(
        float(keras.losses.BinaryCrossentropy(**smooth)(truth[0], logits[0]))
    )
    area = {"curve": "PR", "multi_label": True, "num_labels": 2, "from_logits": True}
    ours, keras_own = losses.AUC(**area), keras.metrics.AUC(**area)
    ours.update_state(truth, logits, weights)
    keras_own.update_state(truth.reshape(4, 2)[:3], logits.reshape(4, 2)[:3])
    assert float(ours.result()) == pytest.approx(float(keras_own.result()))


@pytest.mark.legacy
def test_mixed_and_smoothed_labels():
    """A clip that is 0.7 of class 0 and 0.3 of class 2, smoothed by 0.1: 0.7 * 0.9 + 0.1 / 3, and so on."""
    loss, _, _ = losses.from_config(train_section(label_smoothing=0.1), SlowFast("slowfast_2x16_demo", width=8).spec)
    logits = np.array([[2.0, 1.0, -1.0]])
    shares = np.array([0.7, 0.0, 0.3]) * 0.9 + 0.1 / 3
    expected = -(shares * (logits[0] - np.log(np.exp(logits[0]).sum()))).sum()
    assert float(loss(np.array([[0.7, 0.0, 0.3]]), logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("classes, names", [(2, ["top1"]), (5, ["top1"]), (6, ["top1", "top5"])])
def test_top5_needs_more_than_five_classes(classes, names):
    spec = SlowFastSpec(num_classes=classes)
    assert [metric.name for metric in losses.from_config(train_section(), spec)[1]] == names


@pytest.mark.legacy
def test_metrics_of_a_validation_are_those_of_a_test():
    """As scikit-learn on the clips with a label: macro F1 is over the classes that have clips, here 0, 2, 3 and 6."""
    metrics = losses.from_config(train_section(keep="macro_f1"), SlowFastSpec(num_classes=7))[1]
    random = np.random.default_rng(0)
    truth = np.array([0, 2, 2, 6, 3, 3, 3, 0, 6, 2, 2, 0])
    logits = random.normal(size=(12, 7)).astype(np.float32)
    logits[np.arange(0, 12, 2), truth[::2]] += 4
    labels, known = np.eye(7, dtype=np.float32)[truth], np.arange(12) % 5 > 0
    labels[~known] = 0
    again = [keras.metrics.deserialize(keras.metrics.serialize(metric)) for metric in metrics]
    for metric in (*metrics, *again):
        metric.update_state(np.zeros([3, 7], np.float32), logits[:3])
        assert float(metric.result()) == 0
        for part in (slice(0, 5), slice(5, 12)):
            metric.update_state(labels[part], logits[part])
    truth, scores, classes = truth[known], logits[known], range(7)
    expected = {
        "top1": accuracy_score(truth, scores.argmax(1)),
        "top5": top_k_accuracy_score(truth, scores, k=5, labels=classes),
        "macro_f1": f1_score(truth, scores.argmax(1), labels=np.unique(truth), average="macro"),
    }
    for found in (metrics, again):
        assert {metric.name: float(metric.result()) for metric in found} == pytest.approx(expected)
    assert 0 < min(expected.values()) < max(expected.values()) < 1 and len(set(expected.values())) == 3


@pytest.mark.legacy
def test_mixed_labels_are_labels():
    """A mixed clip counts as a clip of its larger class: 2 of 3 are right. F1 of class 0 is 2/3, of class 1 2/3."""
    metrics = losses.from_config(train_section(keep="macro_f1"), SlowFastSpec(num_classes=3))[1]
    labels = np.array([[0.6, 0.4, 0.0], [0.0, 0.7, 0.3], [0.0, 0.9, 0.1]], np.float32)
    logits = np.array([[2.0, 1.0, 0.0], [3.0, 1.0, 0.0], [0.0, 1.0, 0.0]], np.float32)
    for metric in metrics:
        metric.update_state(labels, logits)
        assert float(metric.result()) == pytest.approx(2 / 3)


@pytest.mark.legacy
def test_class_weights():
    """scikit-learn's rule by hand, N / (classes * N of the class); Keras' own alpha-weighted loss without focus."""
    classes = [[0], [0], [0], [1]]
    assert losses.balanced_weights(classes, 3) == pytest.approx([4 / 6, 4 / 2, 1])
    spec = SlowFast("slowfast_2x16_demo", width=8, num_classes=3).spec
    weighted, _, _ = losses.from_config(train_section(class_weights="balanced"), spec, classes)
    logits = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]
    focal = keras.losses.CategoricalFocalCrossentropy(alpha=[4 / 6, 2.0, 1.0], gamma=0.0, from_logits=True)
    assert float(weighted(labels, logits)) == pytest.approx(float(focal(labels, logits)), rel=1e-5)
    again = keras.losses.deserialize(keras.losses.serialize(weighted))
    assert float(again(labels, logits)) == pytest.approx(float(weighted(labels, logits)))


@pytest.mark.parametrize(
    "keep, activation, column",
    [(None, "softmax", "val_top1"), ("loss", "softmax", "val_loss"), ("last", "softmax", "epoch")]
    + [("macro_f1", "softmax", "val_macro_f1"), (None, "sigmoid", "val_pr_auc")],
)
def test_the_metric_of_keep_is_logged(keep, activation, column):
    train, spec = train_section(keep=keep), SlowFastSpec(num_classes=4, activation=activation)
    assert losses.monitored(train, spec) == column
    logged = {"epoch", "val_loss", *(f"val_{metric.name}" for metric in losses.from_config(train, spec)[1])}
    assert column in logged
