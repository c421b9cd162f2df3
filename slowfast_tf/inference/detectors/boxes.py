"""Boxes of people in images, in the format that all detectors return."""

import typing
from collections.abc import Callable

import numpy as np

from ...errors import InputError

# A function from images, uint8 `[B, H, W, 3]`, RGB, to the people in each.
Find: typing.TypeAlias = Callable[[np.ndarray], "list[Boxes]"]

FORMS = "a published name, a SavedModel, a .tflite or an .onnx file"

SAME_PERSON = 0.5  # IoU above which two boxes show the same person


class Boxes(typing.NamedTuple):
    """The people in an image.

    Attributes:
        corners: x1, y1, x2, y2 as fractions of width and height, 0 to 1, float `[N, 4]`.
        scores: 0 to 1, float `[N]`.
    """

    corners: np.ndarray
    scores: np.ndarray


def people(name: str, corners: np.ndarray, scores: np.ndarray, chosen: np.ndarray) -> Boxes:
    """Return those boxes of a detector that show people, clipped to the image.

    Boxes without area are removed. If two boxes have an IoU above 0.5, the one with the lower score is removed, because
    some detectors return several boxes for one person.

    Args:
        name: name of the detector, for errors.
        corners: x1, y1, x2, y2 as fractions of width and height, `[N, 4]`.
        scores: `[N]`.
        chosen: whether each box shows a person, bool `[N]`.

    Raises:
        InputError: if a corner or a score of a person is not finite.
    """
    import tensorflow as tf  # commands read `FORMS` before TensorFlow is imported

    corners, scores = corners[chosen], scores[chosen]
    if not (np.isfinite(corners).all() and np.isfinite(scores).all()):
        raise InputError(f"the detector {name} gives boxes or scores that are not finite")
    corners = corners.clip(0, 1)
    area = (corners[:, 2:] > corners[:, :2]).all(1)
    corners, scores = corners[area], scores[area]
    best = tf.image.non_max_suppression(corners, scores, len(scores), SAME_PERSON).numpy()
    return Boxes(corners[best], scores[best])


def swapped(corners: np.ndarray) -> np.ndarray:
    """Swap x and y of corners `[N, 4]`: TensorFlow's detectors return y1, x1, y2, x2."""
    return corners[:, [1, 0, 3, 2]]
