"""People that a detector finds."""

import tracemalloc

import numpy as np
from helpers.coded_video import decode, write
from helpers.detector import save_detector

from slowfast_tf.inference.detectors import load_detector
from slowfast_tf.inference.people.detect import detect


def test_memory_is_that_of_a_frame(tmp_path):
    """Two minutes of frames of 0.9 MB: 110 MB if all were held."""
    images = []
    for t in range(120):
        image = np.full((480, 640, 3), 40, np.uint8)
        image[100 : 200 + t, 2 * t : 2 * t + 80] = 220
        images.append(image)
    path = write(tmp_path / "long.mp4", images, rate=1, qp=4)
    save_detector(tmp_path / "detector")
    del images
    detector = load_detector(tmp_path / "detector")
    tracemalloc.start()
    people, best = detect(path, detector, 120.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15e6, peak
    assert best == np.float32(0.95)
    assert [person.time for person in people] == [t + 0.5 for t in range(120)]
    for person, frame in zip(people, decode(path), strict=True):  # that shown from t to t + 1 s
        rows, columns = np.nonzero(frame[..., 0] > 130)
        expected = columns.min() / 640, rows.min() / 480, (columns.max() + 1) / 640, (rows.max() + 1) / 480
        np.testing.assert_allclose(person.corners, expected, atol=1e-6)
