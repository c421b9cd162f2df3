"""A person in a frame of a video."""

import dataclasses
from collections.abc import Iterable

import numpy as np

Corners = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Person:
    """A person in a frame.

    Attributes:
        time: of the frame, in seconds.
        corners: x1, y1, x2, y2 as shares of the frame's width and height.
        score: the detector's; 1 if none was given.
        track: a number, the same for the same person in all frames; -1 if it is not known.
        actions: score of each class, float32 `[classes]`; None outside key frames.

    Example:
        >>> Person(0.5, (0.1, 0.2, 0.3, 0.9), track=0, actions=np.array([0.9, 0.1])).corners
        (0.1, 0.2, 0.3, 0.9)
    """

    time: float
    corners: Corners
    score: float = 1.0
    track: int = -1
    actions: np.ndarray | None = dataclasses.field(default=None, compare=False)


def key_times(people: Iterable[Person]) -> list[float]:
    """Return the times of the frames of people in seconds, rising.

    Example:
        >>> key_times([Person(1.5, (0, 0, 1, 1)), Person(0.5, (0, 0, 1, 1))])
        [0.5, 1.5]
    """
    return sorted({person.time for person in people})


def in_words(count: int) -> str:
    """Return a number of people in words, such as "1 person" and "2 people".

    Example:
        >>> in_words(2)
        '2 people'
    """
    return "1 person" if count == 1 else f"{count} people"
