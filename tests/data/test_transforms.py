"""The transforms of frames and boxes, against SciPy, Pillow and PySlowFast."""

import numpy as np
import tensorflow as tf

from slowfast_tf.data import transforms


def test_boxes_follow_the_middle_crop():
    """A white rectangle is where its box is after `test_crops`; one that is cut off on the left, too."""
    for box in ((0.3, 0.25, 0.7, 0.75), (0.0, 0.5, 0.2, 1.0)):
        x1, y1, x2, y2 = (round(share * side) for share, side in zip(box, (100, 80, 100, 80)))
        image = np.zeros((1, 80, 100, 3), np.uint8)
        image[:, y1:y2, x1:x2] = 255
        crop = transforms.test_crops(image, 32, 1)[0, 0, ..., 0].numpy() > 127
        shape, window = transforms.middle_window(tf.constant([80, 100]), 32)
        left, top, right, bottom = transforms.crop_boxes(tf.constant([box]), shape, window, 32)[0].numpy()
        rows, columns = np.flatnonzero(crop.any(1)), np.flatnonzero(crop.any(0))
        np.testing.assert_allclose(
            [left, right, top, bottom], [columns[0], columns[-1] + 1, rows[0], rows[-1] + 1], atol=0.8
        )
