"""Actions of people around key frames."""

import tracemalloc

import numpy as np
from helpers.coded_video import write

from slowfast_tf import SlowFast
from slowfast_tf.inference import Predictor
from slowfast_tf.inference.people import Person, Scorer
from slowfast_tf.video.decode import read_frames


def test_memory_is_that_of_a_frame(tmp_path):
    """8 frames of 2.8 MB, in a list and stacked, would take 44 MB. Frames are reduced when they are decoded."""
    spec = {"depth": 10, "width": 8, "frames": 2, "stride": 8, "alpha": 4, "beta_inv": 4, "crop_size": 48}
    model = SlowFast("slowfast_4x16_r50_ava", **spec, num_classes=5)
    random = np.random.default_rng(0)
    weights = [random.uniform(0.5, 1.5, w.shape) if w.ndim < 2 else w for w in model.get_weights()]
    weights[-2], weights[-1] = random.normal(0, 0.02, weights[-2].shape), np.zeros(5)
    model.set_weights(weights)
    texture = random.integers(0, 256, (9, 16, 3), np.uint8).repeat(80, 0).repeat(80, 1)
    path = write(tmp_path / "large.mp4", [np.roll(texture, 20 * t, 1) for t in range(40)], rate=20, qp=10, bf=2)
    people = [Person(0.05, (0.1, 0.2, 0.5, 0.9)), Person(1.0, (0.3, 0.0, 1.0, 0.7)), Person(1.0, (0.0, 0.0, 0.2, 0.2))]
    scorer = Scorer(model)
    list(scorer.score(path, people[:1]))  # the graph is traced
    tracemalloc.start()
    found = np.concatenate(list(scorer.score(path, people)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15e6, peak
    raw = read_frames(path, range(40), short_side=48)
    for person, scores in zip(people, found, strict=True):
        clip = raw[np.clip(round(20 * person.time) - 8 + 2 * np.arange(8), 0, 39)]
        boxes = np.array([[person.corners]], np.float32)
        expected = Predictor(model).score_boxes(clip[None], boxes)[0, 0].numpy()
        np.testing.assert_allclose(scores, expected, atol=1e-5)
