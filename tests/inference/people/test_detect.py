"""People that a detector finds."""

import json
import tracemalloc

import numpy as np
import pytest
from helpers.coded_video import decode, write
from helpers.detector import save_detector

from slowfast_tf.inference.detectors import Boxes, load_detector
from slowfast_tf.inference.people.detect import Sighting, detect, detection_times
from slowfast_tf.video.probe import VideoInfo, probe


def test_memory_is_that_of_a_frame(tmp_path):
    """Two minutes of frames of 0.9 MB each would take 110 MB if all were in memory."""
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
    times = detection_times(probe(path))
    sightings = list(detect(path, probe(path), times.all, detector))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15e6, peak
    assert times.rate == 1 and times.all.tolist() == times.keys.tolist() == [t + 0.5 for t in range(120)]
    for sighting, time, frame in zip(sightings, times.all, decode(path), strict=True):  # that shown from t to t + 1 s
        rows, columns = np.nonzero(frame[..., 0] > 130)
        expected = columns.min() / 640, rows.min() / 480, (columns.max() + 1) / 640, (rows.max() + 1) / 480
        assert sighting.time == time and sighting.boxes.scores.max() == np.float32(0.95)
        np.testing.assert_allclose(sighting.boxes.corners[0], expected, atol=1e-6)


def test_times():
    """At most five frames per second; the middle of each second is one of them."""
    for rate, length, expected in (
        (25.0, 3.0, 5),
        (6.0, 9.5, 5),
        (29.97, 2.2, 5),
        (3.0, 4.0, 3),
        (2.0, 4.0, 2),
        (0.5, 20, 1),
    ):
        frames = round(rate * length)
        times = detection_times(VideoInfo(frames, rate, None, np.zeros(1, int)))
        assert times.rate == expected
        np.testing.assert_allclose(np.diff(times.all), 1 / expected, atol=2e-6)
        assert 0 <= times.all[0] < 1 / expected and times.all[-1] < frames / rate <= times.all[-1] + 1 / expected + 1e-6
        np.testing.assert_allclose(times.keys, np.arange(0.5, frames / rate, 1.0))
        assert set(times.keys) <= set(times.all)
    (only,) = detection_times(VideoInfo(3, 10.0, None, np.zeros(1, int))).keys
    assert only == pytest.approx(0.15)


def test_a_sighting_survives_json():
    random = np.random.default_rng(0)
    for count in (0, 2):
        boxes = Boxes(random.random((count, 4), np.float32), random.random(count, np.float32))
        sighting = Sighting(0.3, boxes, random.integers(0, 256, (18, 32, 3), np.uint8))
        again = Sighting.from_json(json.loads(json.dumps(sighting.as_json())))
        assert again.time == 0.3 and (again.picture == sighting.picture).all()
        for found, expected in zip(again.boxes, boxes):
            np.testing.assert_array_equal(found, expected)
