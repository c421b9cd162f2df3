"""The losses and metrics of a configuration, on cases worked by hand."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.training import train_section

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
