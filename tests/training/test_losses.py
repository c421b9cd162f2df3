"""The losses and metrics of a configuration, on cases worked by hand."""

import tensorflow as tf

from slowfast_tf.data import Clips
from slowfast_tf.data.clips import with_boxes
from slowfast_tf.training import losses


def test_a_batch_without_boxes_has_no_loss(configure_detection):
    """What a crop shows that nobody is in: a row of padding, which counts for nothing."""
    clips = Clips(configure_detection(), "val")
    inputs, labels, weights = with_boxes({}, tf.zeros([2, 4]), tf.zeros([2, 1], tf.int64), 80)
    assert inputs["boxes"].shape == (1, 4) and labels.shape == (1, 80) and weights.numpy().tolist() == [0]
    loss, _, _ = losses.from_config(clips.config.train, clips.spec)
    assert float(loss(labels[None], tf.ones([1, 1, 80]), weights[None])) == 0
