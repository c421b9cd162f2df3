"""The data set of moving objects that the ablations train on."""

import numpy as np
import pytest
from helpers.masks import difference

from slowfast_tf.data import datasets
from slowfast_tf.data.datasets.synthetic import movers


def test_movers(tmp_path):
    movers.make(tmp_path / "data", train=6, validation=6)
    data = datasets.load_split("movers", tmp_path / "data", "val")
    assert data.labels == movers.CLASSES and [video.labels[0][0] for video in data.videos] == list(range(6))


@pytest.mark.parametrize("name", movers.CLASSES)
def test_movers_stand_still_at_the_slow_stride(name):
    """16 frames apart all objects look the same, in the same places; half of that apart, they do not."""
    slow, fast = [], []
    for seed in range(3):
        masks = movers.render(name, np.random.default_rng(seed)).min(-1) > 135
        slow += [difference(masks[t], masks[t + 16]) for t in (0, 9, 18, 27)]
        fast += [difference(masks[t], masks[t + 8]) for t in (0, 9, 18, 27)]
    assert np.median(slow) < 0.2 and np.median(fast) > 2 * np.median(slow), (slow, fast)
