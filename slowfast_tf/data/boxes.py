"""Compare and check boxes (x1, y1, x2, y2)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import InputError


def iou(boxes: npt.ArrayLike, others: npt.ArrayLike) -> np.ndarray:
    """Return the intersection over union of boxes, with NumPy's broadcasting.

    Args:
        boxes: float `[..., 4]`, x1, y1, x2, y2 in any unit.
        others: float `[..., 4]`, in the same unit.

    Returns:
        float64 `[...]`, 0 to 1; 0 where both boxes are empty.

    Example:
        >>> iou([0, 0, 2, 1], [[1, 0, 3, 1], [0, 0, 2, 1]])
        array([0.33333333, 1.        ])
    """
    boxes, others = np.asarray(boxes, float), np.asarray(others, float)
    sides = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(boxes[..., :2], others[..., :2])
    shared = np.clip(sides, 0, None).prod(-1)
    union = area(boxes) + area(others) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def area(boxes: np.ndarray) -> np.ndarray:
    """Return the area of boxes, float `[..., 4]`, as float `[...]`."""
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)


def check_corners(corners: Sequence[float], where: str) -> None:
    """Check that corners are fractions of a frame's width and height, with x1 <= x2 and y1 <= y2.

    Args:
        corners: x1, y1, x2, y2.
        where: file and line of the box, for the error.

    Raises:
        InputError: if a value is NaN or outside 0 to 1, if x1 > x2, or if y1 > y2.

    Example:
        >>> check_corners((0.1, 0.2, 0.5, 0.9), "boxes.csv:1")
    """
    x1, y1, x2, y2 = corners
    text = ", ".join(f"{value:g}" for value in corners)
    if not all(0 <= value <= 1 for value in corners):
        raise InputError(f"{where}: corners {text} are not fractions of width and height, from 0 to 1")
    if x1 > x2 or y1 > y2:
        raise InputError(f"{where}: corners {text} are swapped; give x1,y1,x2,y2 with x1 < x2 and y1 < y2")
