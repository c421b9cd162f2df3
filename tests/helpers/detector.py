"""A detector of people, in the form of TensorFlow's object detectors."""

import tensorflow as tf


class Detector(tf.Module):
    """Returns a person with score 0.95 around all bright pixels, a dog at the same place, and a person with 0.45."""

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, "input_tensor")])
    def __call__(self, image):
        bright = tf.where(image[0, :, :, 0] > 130)
        size = tf.cast(tf.shape(image)[1:3], tf.float32)
        low = tf.cast(tf.reduce_min(bright, 0), tf.float32) / size
        high = tf.cast(tf.reduce_max(bright, 0) + 1, tf.float32) / size
        box = tf.concat([low, high], 0)
        boxes = tf.stack([box, box, box * 0.5])  # the last one is above and to the left
        return {
            "detection_boxes": boxes[None],
            "detection_scores": tf.constant([[0.95, 0.9, 0.45]]),
            "detection_classes": tf.constant([[1.0, 18.0, 1.0]]),
            "num_detections": tf.constant([3.0]),
        }


def save_detector(path):
    """Save a `Detector` as a SavedModel."""
    tf.saved_model.save(Detector(), str(path))
