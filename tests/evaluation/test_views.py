"""The scores of views, against one forward pass at a time."""

import numpy as np
import tensorflow as tf

from slowfast_tf.inference.predictor import Predictor
from slowfast_tf.video.decode import read_frames


def test_scores_are_those_of_the_frames(tested_detection, detection_model, films):
    """Of frames read by number, 16 before the key frame and on it, as small as tests have them."""
    _, _, found = tested_detection
    clip = read_frames(films / "videos_15min" / "demo_val_01.mp4", [120 - 16, 120], detection_model.spec.crop_size)
    here = [i for i, name in enumerate(found.ids) if name == "demo_val_01,0903"]
    assert len(here) in (3, 4)
    expected = Predictor(detection_model).score_boxes(tf.constant(clip[None]), tf.constant(found.boxes[None, here]))[0]
    np.testing.assert_allclose(found.scores[here], expected, atol=1e-5)
