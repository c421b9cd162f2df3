"""Synthetic strokes: the fingertip draws the figure of the class, and a single picture does not show which."""

import numpy as np
import pytest

from slowfast_tf.data import datasets
from slowfast_tf.data.datasets.synthetic import strokes
from slowfast_tf.video.decode import read_frames
from slowfast_tf.video.probe import probe

# Directions of the stretches of each figure: x to the right, y downwards.
DIRECTIONS = {
    "left": [(-1, 0)],
    "right": [(1, 0)],
    "up": [(0, -1)],
    "down": [(0, 1)],
    "carret": [(1, -1), (1, 1)],
    "tick": [(1, 1), (1, -1)],
    "del": [(1, 1), (-1, 0), (1, -1)],
    "square": [(1, 0), (0, 1), (-1, 0), (0, -1)],
    "star": [(1, -1), (1, 1), (-1, -1), (1, 0), (-1, 1)],
}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_the_figure_is_drawn(name):
    """Without noise a figure has its directions; with it, its trace stays close to them."""
    corners = np.array(strokes.FIGURES[name], float)
    signs = np.sign(np.round(np.diff(corners, axis=0) * (np.abs(np.diff(corners, axis=0)) > 0.1), 6))
    assert [tuple(row) for row in signs] == DIRECTIONS[name]
    traces = [strokes.trace(name, np.random.default_rng(seed)) for seed in range(40)]
    moved = np.mean([trace[-1] - trace[0] for trace in traces], 0)
    np.testing.assert_allclose(moved, (corners[-1] - corners[0]) * (0.7, 0.625), atol=0.12)


def test_the_circle_runs_counterclockwise():
    """Its signed area is positive, with y upwards."""
    for seed in range(10):
        x, y = strokes.trace("circlecc", np.random.default_rng(seed)).T
        y = -y
        assert (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() > 0


def test_opposite_figures_are_the_same_pictures():
    """left and right, up and down: the same mean place of the finger, another order."""
    for one, two in (("left", "right"), ("up", "down")):
        places = [
            np.mean([strokes.trace(name, np.random.default_rng(seed)).mean(0) for seed in range(60)], 0)
            for name in (one, two)
        ]
        np.testing.assert_allclose(*places, atol=0.06)


def test_the_arm_is_where_the_finger_is():
    """The moving pixels before a still background cover the fingertip in nearly every frame."""
    random = np.random.default_rng(0)
    tips = strokes.trace("square", random) * (strokes.FORM.width, strokes.FORM.height)
    cover, _ = strokes.arm(tips, random)
    inside = [(t, int(x), int(y)) for t, (x, y) in enumerate(tips) if 1 < x < 94 and 1 < y < 70]
    assert len(inside) > 20 and np.mean([cover[t, y, x, 0] > 0.4 for t, x, y in inside]) > 0.9


def test_data_set(tmp_path):
    strokes.make(tmp_path / "data", train=10, validation=10)
    data = datasets.load_split("strokes", tmp_path / "data", "train")
    assert data.labels == tuple(strokes.FIGURES) and [v.labels[0][0] for v in data.videos] == list(range(10))
    info = probe(data.videos[0].path)
    assert (info.frames, info.rate) == (48, 16)
    assert read_frames(data.videos[0].path, np.arange(2)).shape == (2, 72, 96, 3)
