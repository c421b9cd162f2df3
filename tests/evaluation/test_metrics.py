"""Metrics against hand-worked cases, Keras and definitions."""

import numpy as np
import pytest
import tensorflow as tf

from slowfast_tf.data import Clips
from slowfast_tf.data.datasets.synthetic import people as demo_detection
from slowfast_tf.evaluation import ava, metrics, scores
from slowfast_tf.inference.predictor import Predictor


def test_swapped_is_what_the_network_says_of_the_next_box(
    tested_detection, detection_model, configure_detection, films
):
    _, figures, found = tested_detection
    swapped = []
    for inputs, _, _, _ in Clips(configure_detection(), "val").key_frames():
        inputs["boxes"] = tf.roll(inputs["boxes"], -1, axis=1)
        swapped.append(Predictor(detection_model).score_inputs(inputs)[0].numpy())
    films_, times = zip(*(name.split(",") for name in found.ids))
    names = dict(enumerate(demo_detection.ACTIONS, 1))
    boxes = ava.detections(films_, np.array(times, float), found.boxes, np.concatenate(swapped), names)
    truth = ava.read_csv(films / "annotations" / "ava_val_v2.2.csv", scored=False)
    assert ava.average_precision(truth, boxes, names)["mAP"] == pytest.approx(figures["mAP_swapped"], abs=0.02)
    assert metrics._next_in_frame(["a", "a", "a", "b", "c", "c"]).tolist() == [1, 2, 0, 3, 5, 4]


def test_perfect_scores_and_swapped_ones(tested_detection):
    """With the truth for scores mAP is 1; what is left of it with the scores of others is about chance."""
    _, _, found = tested_detection
    known = found.labels.any(1)
    assert known.mean() > 0.5  # predicted boxes close to annotated ones have their labels
    truth = np.where(known[:, None], found.labels, 0.5).astype(np.float32)
    perfect = scores.Scores(found.ids, found.labels, truth, {}, found.about, found.boxes)
    figures = metrics.detection(perfect)
    assert figures["mAP"] > 0.8 and figures["mAP_swapped"] < 0.6
