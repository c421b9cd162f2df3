"""A person in a key frame of a video."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ...video.probe import VideoInfo, frame_times

Corners = tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Person:
    """A person in a key frame.

    Attributes:
        time: of the key frame, in seconds.
        corners: x1, y1, x2, y2 as shares of the frame's width and height.
        score: the detector's; 1 if none was given.
        track: a number, the same for the same person in all key frames; -1 before `track`.
        actions: (label, score) pairs, the best first.

    Example:
        >>> Person(0.5, (0.1, 0.2, 0.3, 0.9), track=0, actions=(("walk", 0.9),))
    """

    time: float
    corners: Corners
    score: float = 1.0
    track: int = -1
    actions: tuple[tuple[str, float], ...] = ()


def key_times(people: Iterable[Person]) -> list[float]:
    """Return the times of the key frames in seconds, rising."""
    return sorted({person.time for person in people})


def nearest_frames(info: VideoInfo, times: Sequence[float] | npt.NDArray) -> np.ndarray:
    """Return the indices of the frames nearest to some times in seconds, int64 `[len(times)]`, as a test has them."""
    # Halfway between two frames the earlier one, which is still shown.
    return np.abs(frame_times(info) - np.reshape(times, (-1, 1)) + 1e-6).argmin(1)
