"""Videos that show a prediction over time."""

import numpy as np
import pytest
from helpers.coded_video import decode, write
from helpers.pictures import CLASSES

from slowfast_tf.inference import sliding, videos
from slowfast_tf.models.presets import get_spec


def line(**changes):
    """A timeline worked by hand: two windows, nearest until 0.95 s and from then on."""
    times = np.stack([np.linspace(0, 1, 16), np.linspace(1, 2, 16)])
    values = {"edges": np.array([0.0, 0.95, 2.0]), "times": times, "scores": np.eye(2, 4, dtype=np.float32), "heat": {}}
    return sliding.Timeline(**{**values, **changes})


@pytest.fixture
def gray(tmp_path):
    """20 gray frames of 128 x 320 pixels in 2 seconds."""
    return write(tmp_path / "gray.mp4", [np.full((128, 320, 3), 160, np.uint8)] * 20, rate=10)


def test_labels_change_where_windows_do(gray, tmp_path):
    """The dark background of the text is as wide as the label at this time."""
    videos.write_labels(gray, line(), ["ant", "a label of many words", "c", "d"], tmp_path / "out.mp4", 1)
    frames = decode(tmp_path / "out.mp4")
    assert frames.shape == (20, 256, 640, 3)
    wide = (frames[..., 0] < 100).any(1).sum(1)
    assert np.ptp(wide[:10]) <= 2 and np.ptp(wide[10:]) <= 2 and wide[10] > 2.5 * wide[9]
    assert np.abs(frames[:, 40:].astype(int) - 160).max() < 8


def test_heat_is_where_the_features_are(gray, tmp_path):
    """One warm cell in each pathway: top right of the crop at 0 s, bottom left from 1.87 s on."""
    spec = get_spec("slowfast_2x16_demo", width=8, crop_size=32, num_classes=4)
    heat = {"slow": np.zeros((2, 2, 4, 4), np.float32), "fast": np.zeros((2, 16, 4, 4), np.float32)}
    heat["slow"][0, 0, 0, 3], heat["fast"][1, 13:, 3, 0] = 2e-3, 5.0
    videos.write_heat(gray, line(heat=heat), CLASSES, tmp_path / "out.mp4", spec)
    frames = decode(tmp_path / "out.mp4").astype(int)
    assert frames.shape == (20, 320, 1600, 3)
    slow, fast = frames[:, :, :800], frames[:, :, 800:]

    def warm(image):
        """The center of the pixels with more red than blue, as fractions of height and width; text is gray."""
        return np.argwhere(image[..., 0] - image[..., 2] > 60).mean(0) / image.shape[:2]

    # The crop is the middle 320 of 800 columns: its last quarter is at 0.65, its first at 0.35.
    np.testing.assert_allclose(warm(slow[0]), [0.125, 0.65], atol=0.05)
    np.testing.assert_allclose(warm(fast[19]), [0.875, 0.35], atol=0.05)
    for image in (slow[19], fast[0]):
        assert not (image[..., 0] - image[..., 2] > 60).any()
    # The heat decreases linearly from one frame of the Slow pathway (0 s) to the next (8 / 15 s).
    strength = [frame[10:70, 490:550, 0].mean() - frame[10:70, 490:550, 2].mean() for frame in slow]
    assert strength[0] > strength[1] > strength[3] and strength[6] < 0.1 * strength[0]
    outside = frames[:, 60:, 20:220]
    assert np.abs(outside - 0.35 * 160).max() < 10
