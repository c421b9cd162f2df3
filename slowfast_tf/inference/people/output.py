"""Write people as JSON, as a csv file in AVA's format, and as a video with people drawn in."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...data import ava_csv
from ...video.write import rewrite
from ..labels import best_as_json
from .draw import draw
from .person import Person
from .tracking import Tracks


def as_json(people: Sequence[Person], labels: Sequence[str], count: int) -> list[dict[str, Any]]:
    """Return a dictionary that JSON can hold for each person and key frame.

    Args:
        people: people ordered by time; people without actions are omitted.
        labels: a name for each class.
        count: number of actions for each person.

    Returns:
        Dictionaries with "time" (seconds), "track", "box" (x1, y1, x2, y2 as fractions of width and height), "score"
        (the detector's), and "actions", a list of {"label", "score"}, the best first.

    Example:
        >>> as_json([Person(0.5, (0, 0, 1, 1), track=0, actions=np.array([0.9, 0.1]))], ["walk", "sit"], 1)
        [{'time': 0.5, 'track': 0, 'box': [0, 0, 1, 1], 'score': 1.0, 'actions': [{'label': 'walk', 'score': 0.9}]}]
    """
    return [
        {
            "time": person.time,
            "track": person.track,
            "box": list(person.corners),
            "score": person.score,
            "actions": best_as_json(person.actions, labels, count),
        }
        for person in people
        if person.actions is not None
    ]


def as_ava(name: str, people: Sequence[Person], classes: int) -> ava_csv.Boxes:
    """Return the scores of people in the format of AVA's evaluation.

    Args:
        name: name of the video.
        people: people without actions are omitted.
        classes: number of classes; class ids start at 1.

    Example:
        >>> person = Person(0.5, (0.1, 0.2, 0.3, 0.9), actions=np.array([0.9, 0.1]))
        >>> as_ava("street", [person], 2).scores
        array([0.9, 0.1])
    """
    scored = [(person.time, person.corners, person.actions) for person in people if person.actions is not None]
    times, corners, scores = zip(*scored) if scored else ((), (), ())
    corners, scores = np.reshape(corners, (-1, 4)), np.reshape(scores, (-1, classes))
    return ava_csv.detections([name] * len(scored), times, corners, scores, range(1, classes + 1))


def write_video(
    path: str | os.PathLike,
    people: Sequence[Person],
    labels: Sequence[str],
    output: str | os.PathLike,
    hold: float = 0.5,
    lines: int = 3,
) -> None:
    """Write a copy of a video (H.264 in MP4) with people drawn in; frame times and sound are kept.

    Args:
        path: path of the video.
        people: people with tracks, ordered by time.
        labels: a name for each class.
        output: the file to write.
        hold: half the interval between frames with known people, in seconds.
        lines: number of actions to draw for each person.

    Raises:
        VideoError: if the video cannot be read.

    Example:
        >>> write_video("street.mp4", follow(sightings, 0.5, 5.0), labels, "boxes.mp4", hold=0.1)  # doctest: +SKIP
    """
    tracks = Tracks(people, hold)
    rewrite(path, output, lambda image, time: draw(image, tracks.at(time), labels, lines))
