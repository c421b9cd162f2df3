"""A person in a frame of a video."""

import dataclasses
from collections.abc import Iterable

import numpy as np

Corners = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Person:
    """A person in a frame.

    Attributes:
        time: time of the frame, in seconds.
        corners: x1, y1, x2, y2 as fractions of the frame's width and height.
        score: score of the detector; 1 if the boxes have no scores.
        track: a number, the same for the same person in all frames; -1 if unknown.
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
    """Return the times of the frames that show people, in seconds, ascending, each once.

    Example:
        >>> key_times([Person(1.5, (0, 0, 1, 1)), Person(0.5, (0, 0, 1, 1))])
        [0.5, 1.5]
    """
    return sorted({person.time for person in people})


def in_words(count: int) -> str:
    """Return a number of people as text, "1 person" or "2 people".

    Example:
        >>> in_words(2)
        '2 people'
    """
    return "1 person" if count == 1 else f"{count} people"
