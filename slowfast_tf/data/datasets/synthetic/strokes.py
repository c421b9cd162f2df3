"""The built-in data set "strokes": an arm draws one of ten figures in the air, in front of an unrelated background.

The classes are those of the real gestures of `egogestar`, in the same order, so that a network can be pre-trained here.
Everything except the figure is random: its position, size and speed, the arm, the colors, the background, the light and
the shake of the camera.
"""

import os

import numpy as np

from ..base import DataSet, Split
from ..folder import read_folders
from . import shapes

# Corners of each figure in the order in which it is drawn: x to the right and y downwards, 0 to 1.
_STAR = [(0.15, 1.0), (0.5, 0.0), (0.85, 1.0), (0.0, 0.38), (1.0, 0.38), (0.15, 1.0)]
_TURN = np.linspace(-0.9, -0.9 - 2 * np.pi, 25)
FIGURES: dict[str, list[tuple[float, float]]] = {
    "carret": [(0, 1), (0.5, 0), (1, 1)],
    "circlecc": [(0.5 + 0.5 * float(np.cos(a)), 0.5 + 0.5 * float(np.sin(a))) for a in _TURN],
    "del": [(0, 0), (1, 1), (0, 1), (1, 0)],
    "down": [(0.5, 0), (0.5, 1)],
    "left": [(1, 0.5), (0, 0.5)],
    "right": [(0, 0.5), (1, 0.5)],
    "square": [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)],
    "star": _STAR,
    "tick": [(0, 0.3), (0.4, 1), (1, 0)],
    "up": [(0.5, 1), (0.5, 0)],
}
FORM = shapes.Form(height=72, width=96, frames=48, rate=16)


class Strokes(DataSet):
    """The data set of strokes; its videos are written on first use."""

    def read(self, split: str) -> Split:
        """See `DataSet.read`."""
        make(self.root)
        return read_folders(self.root, split)


def make(root: str | os.PathLike, train: int = 3000, validation: int = 200, seed: int = 0) -> None:
    """Write the data set, unless `root` exists; the arguments are those of `shapes.make`.

    The videos are H.264, 96 x 72 pixels, 48 frames at 16 frames per second.
    """
    shapes.write(root, tuple(FIGURES), render, train, validation, seed, FORM)


def render(name: str, random: np.random.Generator) -> np.ndarray:
    """Return one video of the figure `name`, uint8 `[48, 72, 96, 3]`."""
    sides = np.array([FORM.width, FORM.height])
    tips = trace(name, random) * sides
    shake = random.uniform(0, 1) * shapes.walk(random, FORM.frames) + np.outer(
        np.linspace(0, 1, FORM.frames), random.uniform(-6, 6, 2)
    )
    ground = background(random)
    images = np.stack([shapes.window(ground, 48 + offset, FORM.height, FORM.width) for offset in shake])
    cover, shade = arm(tips, random)
    skin = random.uniform(20, 250, 3) if random.random() < 0.5 else random.uniform(0.25, 1) * np.array([235, 180, 145])
    images = images * (1 - cover) + np.clip(skin * shade, 0, 255) * cover
    light = 1 + random.uniform(0, 0.15) * np.sin(np.linspace(0, random.uniform(1, 8), FORM.frames))
    images = images * light[:, None, None, None] + random.normal(0, random.uniform(1, 6), images.shape)
    return np.clip(images, 0, 255).astype(np.uint8)


def trace(name: str, random: np.random.Generator) -> np.ndarray:
    """Return the fingertip in each frame, `[48, 2]`: x and y as fractions of width and height, mostly 0 to 1."""
    corners = np.array(FIGURES[name], float) - 0.5
    corners += random.normal(0, 0.3 / len(corners) ** 0.9, corners.shape)
    corners *= random.uniform((0.5, 0.45), (0.9, 0.8))  # width and height as fractions of the frame
    angle = random.normal(0, 0.12)
    corners = corners @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners += (0.52, 0.5) + random.normal(0, 0.07, 2)
    # The speed on each segment is random, and the hand rests before the first and after the last segment.
    lengths = np.hypot(*np.diff(corners, axis=0).T) * random.uniform(0.7, 1.4, len(corners) - 1)
    ends = np.concatenate([[0.0], np.cumsum(lengths) / lengths.sum()])
    time = np.linspace(-random.uniform(0, 0.15), 1 + random.uniform(0, 0.15), FORM.frames).clip(0, 1)
    if len(corners) < 10:  # a hand slows down at corners
        stretch = np.clip(np.searchsorted(ends, time, "right") - 1, 0, len(lengths) - 1)
        within = (time - ends[stretch]) / np.diff(ends)[stretch]
        eased = within * within * (3 - 2 * within)
        time = time + random.uniform(0, 1) * (eased - within) * np.diff(ends)[stretch]
    path = np.stack([np.interp(time, ends, corners[:, axis]) for axis in (0, 1)], 1)
    return path + random.uniform(0, 0.006) * shapes.walk(random, FORM.frames)


def arm(tips: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the fraction of each pixel that an arm covers (0 to 1), and its brightness, `[48, 72, 96, 1]` each.

    Args:
        tips: tips of the finger in each frame, `[48, 2]`, x and y in pixels.
        random: random generator for the form of the arm.
    """
    size = random.uniform(0.7, 1.5)
    finger, fist, forearm = (size * random.uniform(*limits) for limits in ((1.2, 2.4), (4, 6.5), (4, 7)))
    middle = tips.mean(0)
    elbow = np.array([FORM.width * random.uniform(0.75, 1.5), FORM.height * random.uniform(1.1, 1.6)])
    elbow = elbow + random.uniform(0.3, 0.8) * (tips - middle)  # the elbow follows the fingertip in part
    point = random.uniform(-0.9, 0.3)  # angle of the finger from vertical, in radians
    reach = size * random.uniform(7, 13) * np.array([np.sin(point), -np.cos(point)])
    knuckle = tips - reach
    wrist = knuckle + 0.9 * fist * (elbow - knuckle) / np.linalg.norm(elbow - knuckle, axis=1, keepdims=True)
    parts = [
        _capsule(tips, knuckle, finger, 1.3 * finger),
        _capsule(knuckle, wrist, 0.8 * fist, fist),
        _capsule(wrist, elbow, 0.8 * forearm, 1.5 * forearm),
    ]
    if random.random() < 0.15:  # draw only a spot without an arm, which shows the motion alone
        parts = [_capsule(tips, tips + 0.1, fist, fist)]
    distance = np.minimum.reduce(parts)
    cover = np.clip(0.5 - distance, 0, 1)
    return cover[..., None], (1 - 0.35 * np.clip(1 + distance / 5, 0, 1))[..., None]  # darker at the edge


def _capsule(first: np.ndarray, second: np.ndarray, start: float, end: float) -> np.ndarray:
    """Return the distance of pixels to a capsule in each frame, in pixels, `[48, 72, 96]`; negative inside.

    Args:
        first, second: ends of the capsule in each frame, `[48, 2]`, x and y in pixels.
        start, end: radius at these ends, in pixels.
    """
    y, x = np.mgrid[: FORM.height, : FORM.width].astype(float)
    along = second - first
    dx, dy = x - first[:, 0, None, None], y - first[:, 1, None, None]
    share = (dx * along[:, 0, None, None] + dy * along[:, 1, None, None]) / (along**2).sum(1)[:, None, None]
    share = share.clip(0, 1)
    away = np.hypot(dx - share * along[:, 0, None, None], dy - share * along[:, 1, None, None])
    return away - (start + share * (end - start))


def background(random: np.random.Generator) -> np.ndarray:
    """Return a background of color noise, stripes and patches, `[168, 192, 3]`; see `shapes.window`."""
    height, width = FORM.height + 96, FORM.width + 96
    texture = shapes.texture(random, FORM.height, FORM.width)
    ground = random.uniform(20, 235) + random.normal(0, 25, 3)
    ground = ground + random.uniform(0, 2.5) * (texture - texture.mean((0, 1)))
    y, x = np.mgrid[:height, :width]
    if random.random() < 0.5:
        angle, period = random.uniform(0, np.pi), random.uniform(5, 40)
        wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
        ground += np.clip(random.uniform(1, 4) * wave, -1, 1)[..., None] * random.uniform(-60, 60, 3)
    for _ in range(random.integers(0, 10)):
        top, left = random.integers(0, height), random.integers(0, width)
        down, across = random.integers(6, 80, 2)
        ground[top : top + down, left : left + across] += random.uniform(-90, 90, 3)
    return np.clip(ground, 0, 255)
