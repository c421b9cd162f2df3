"""What is written of people: a JSON file and the video with people drawn in."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...video.write import rewrite
from .draw import draw
from .person import Person, key_times
from .tracking import shown


def as_json(path: str | os.PathLike, people: Sequence[Person], count: int | None = None) -> dict[str, Any]:
    """Return times, boxes and scores as a dictionary that JSON can hold.

    Args:
        path: of the video.
        people: with tracks and actions.
        count: how many actions of each person; None: all.

    Returns:
        `{"video": ..., "frames": [{"time": ..., "boxes": [{"track", "box", "score", "actions"}, ...]}, ...]}`.

    Example:
        >>> as_json("street.mp4", [Person(0.5, (0, 0, 1, 1), track=0)])["frames"][0]["time"]
        0.5
    """
    frames = []
    for time in key_times(people):
        boxes = [
            {
                "track": person.track,
                "box": list(person.corners),
                "score": person.score,
                "actions": [{"label": label, "score": score} for label, score in person.actions[:count]],
            }
            for person in people
            if person.time == time
        ]
        frames.append({"time": time, "boxes": boxes})
    return {"video": str(path), "frames": frames}


def write_video(path: str | os.PathLike, people: Sequence[Person], output: str | os.PathLike, lines: int = 3) -> None:
    """Write a video again, as H.264 in MP4, with people drawn in; times of frames and the sound stay.

    Args:
        path: of the video.
        people: by time, with tracks.
        output: the file to write.
        lines: how many actions of each person.

    Raises:
        VideoError: if the video cannot be read.

    Example:
        >>> write_video("street.mp4", track(read_boxes("people.csv", 10.0)), "boxes.mp4")
    """
    keys = key_times(people)
    hold = float(np.median(np.diff(keys))) / 2 if len(keys) > 1 else 0.5
    rewrite(path, output, lambda image, time: draw(image, shown(people, time, hold), lines))
