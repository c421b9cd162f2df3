"""A person in a key frame, as the readers of annotations return it."""

from collections.abc import Sequence
from typing import NamedTuple

from ..key_frames import Corners

NONE = "none"  # the action of a person who does none of the classes


class Row(NamedTuple):
    """A person in a key frame.

    Attributes:
        video: file name of the video.
        time: time in seconds from the first frame; None if the video is needed to compute it and is missing.
        corners: x1, y1, x2, y2 as fractions of width and height; None like `time`.
        actions: names of the actions; empty for a person with none of the classes, None if not filled in.
        place: "FILE:LINE".
    """

    video: str
    time: float | None
    corners: Corners | None
    actions: tuple[str, ...] | None
    place: str


def split_actions(text: str) -> tuple[str, ...] | None:
    """Return the actions of a text such as "walk;talk"; see `Row.actions`.

    Example:
        >>> split_actions("walk; talk"), split_actions("none"), split_actions(" ")
        (('walk', 'talk'), (), None)
    """
    names = [name for part in text.split(";") if (name := " ".join(part.split()))]
    if not names:
        return None
    return tuple(dict.fromkeys(name for name in names if name.lower() != NONE))


def shares(corners: Sequence[float], size: tuple[int, int]) -> Corners | None:
    """Convert corners from pixels to fractions of width and height, clipped to the frame; None without area.

    Args:
        corners: x1, y1, x2, y2, in pixels.
        size: width and height, in pixels.

    Example:
        >>> shares((-3, 10, 50, 40), (100, 50))
        (0.0, 0.2, 0.5, 0.8)
    """
    x1, y1, x2, y2 = (round(min(max(x / side, 0.0), 1.0), 6) for x, side in zip(corners, size * 2))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None
