"""The built-in data set "movers", harder and for ablations: which of several objects moves?

The objects of a video have different shapes. One of them goes round a small circle in 16 frames, and its shape is the
class. At the Slow pathway's stride of 16 frames it stands still: the shapes are seen, but not which of them moves. At
the Fast pathway's stride of 2 the motion is seen, and the shapes as far as its few channels tell them apart. Only both
together, at the same place, tell what moves; lateral connections are for this.
"""

import os

import numpy as np

from ..base import DataSet, Split
from ..folder import read_folders
from . import shapes

CLASSES = ("bar", "cross", "disk", "ring", "tee", "triangle")
OBJECTS, CIRCLE, PERIOD = 2, 3.0, 16  # how many, radius in pixels, frames
TILT = 0.3  # radians at most; like a camera that moves, shapes at any angle take more videos to learn than these
MARGINS, APART = (13, 22), 27  # pixels from the middle of an object to the edges of a frame, and to another object


class Movers(DataSet):
    """The data set of movers; its videos are made on first use."""

    def read(self, split: str) -> Split:
        """See `DataSet.read`."""
        make(self.root)
        return read_folders(self.root, split)


def make(root: str | os.PathLike, train: int = 960, validation: int = 240, seed: int = 0) -> None:
    """Write the data set, unless `root` exists; the arguments and the videos' form are those of `shapes.make`."""
    shapes.write(root, CLASSES, render, shapes.Form(), train, validation, seed)


def render(name: str, random: np.random.Generator) -> np.ndarray:
    """Return one video in which the object of class `name` moves, uint8 `[48, 64, 80, 3]`."""
    height, width, frames = shapes.HEIGHT, shapes.WIDTH, shapes.FRAMES
    names = [name, *random.choice([other for other in CLASSES if other != name], OBJECTS - 1, replace=False)]
    while True:
        centers = random.uniform(MARGINS, np.subtract((height, width), MARGINS), (OBJECTS, 2))
        gaps = centers[:, None] - centers
        if np.hypot(gaps[..., 0], gaps[..., 1])[np.triu_indices(OBJECTS, 1)].min() > APART:
            break
    background = shapes.window(shapes.texture(random, height, width), np.array([32, 32]), height, width)
    background = background.mean() + 0.3 * (background - background.mean())  # faint
    colors = random.uniform(150, 255, (OBJECTS, 3))
    radii, angles = random.uniform(10, 13, OBJECTS), random.uniform(-TILT, TILT, OBJECTS)
    turn = random.uniform(0, 2 * np.pi) + random.choice([-1, 1]) * 2 * np.pi / PERIOD * np.arange(frames)

    images = np.empty((frames, height, width, 3), np.uint8)
    rows, columns = np.mgrid[:height, :width].astype(float)
    for t in range(frames):
        image = background
        for i, shape in enumerate(names):
            place = centers[i]
            if i == 0:
                place = place + CIRCLE * np.array([np.sin(turn[t]), np.cos(turn[t])])
            y, x = rows - place[0], columns - place[1]
            u = (x * np.cos(angles[i]) - y * np.sin(angles[i])) / radii[i]
            v = (x * np.sin(angles[i]) + y * np.cos(angles[i])) / radii[i]
            cover = np.clip(0.5 - radii[i] * _distance(shape, u, v), 0, 1)[..., None]
            image = image * (1 - cover) + colors[i] * cover
        images[t] = np.clip(image + random.normal(0, 4, image.shape), 0, 255)
    return images


def _distance(shape, u, v):
    """How far outside the shape, which fits a circle of radius 1, a point is; below 0 inside."""
    if shape == "cross":
        return np.minimum(_box(u, v, 1.0, 0.25), _box(u, v, 0.25, 1.0))
    if shape == "disk":
        return np.hypot(u, v) - 0.8
    if shape == "tee":
        return np.minimum(_box(u + 0.7, v, 0.25, 0.9), _box(u, v, 0.95, 0.22))
    if shape == "triangle":
        return np.maximum.reduce([-u, 0.5 * u + 0.866 * v, 0.5 * u - 0.866 * v]) - 0.5
    return shapes.distance(shape, u, v)


def _box(u, v, width, height):
    return np.maximum(np.abs(u) - width, np.abs(v) - height)
