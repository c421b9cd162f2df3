"""Each step of a clip separately, on cases computed by hand."""

import numpy as np
import tensorflow as tf

from slowfast_tf.data import clips
from slowfast_tf.data.clips import Clip


def clip(**changes):
    values = {
        "id": "a",
        "frames": (),
        "spans": [[2.0, 4.0]],
        "labels": tf.constant([0, 2, 2, 1], tf.int64),
        "starts": tf.constant([0.0, 3.0, 3.5, 4.0]),
        "ends": tf.constant([2.0, 9.0, 3.9, 9.0]),
        "boxes": tf.zeros([0, 4]),
        "box_labels": tf.zeros([0, 0], tf.int64),
        "box_scores": tf.zeros([0]),
    }
    return Clip(**{**values, **changes})


def test_labels_happen_during_a_span():
    """Of 2 to 4 s: class 0 ends at 2 and class 1 begins at 4, which is outside; class 2 counts once."""
    assert clips.labels_during(clip(), (2.0, 4.0), 4).numpy().tolist() == [0, 0, 1, 0]
    assert clips.labels_during(clip(), clips.ALWAYS, 4).numpy().tolist() == [1, 1, 1, 0]


def test_boxes_outside_the_crop_are_left_out():
    boxes = tf.constant([[1.0, 2, 3, 4], [0, 0, 0, 0], [5, 6, 7, 8]])
    labels = tf.constant([[0, 2], [1, -1], [-1, -1]], tf.int64)
    boxes, found, weights = clips.with_boxes(boxes, labels, 3)
    assert boxes.numpy().tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert found.numpy().tolist() == [[1, 0, 1], [0, 0, 0]] and weights.numpy().tolist() == [1, 1]


def test_a_crop_without_boxes_has_one_row_of_padding():
    boxes, found, weights = clips.with_boxes(tf.zeros([2, 4]), tf.zeros([2, 1], tf.int64), 3)
    assert boxes.numpy().tolist() == [[0, 0, 0, 0]]
    assert found.numpy().tolist() == [[0, 0, 0]] and weights.numpy().tolist() == [0]


def test_decoded_frames_of_images_are_those_of_the_images():
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 16, 24, 3), np.uint8)
    encoded = [[tf.io.encode_jpeg(image).numpy() for image in row] for row in images]
    expected = [[tf.io.decode_jpeg(image, dct_method="INTEGER_ACCURATE").numpy() for image in row] for row in encoded]
    found = clips.test_frames(clip(frames=tf.constant(encoded)))
    np.testing.assert_array_equal(found.frames, expected)
    np.testing.assert_array_equal(clips.first_test_frames(clip(frames=tf.constant(encoded))).frames, expected[0])
