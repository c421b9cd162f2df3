"""Tracks: which boxes of different key frames are the same person, and where the person is between them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from ...data.boxes import iou
from .person import Corners, Person, key_times

OVERLAP = 0.3  # least intersection over union of a box and the last box of its track
PATIENCE = 2  # key frames in which a track may be missing


def track(people: Sequence[Person]) -> list[Person]:
    """Number tracks: boxes of neighboring key frames that overlap are one person.

    Pairs are chosen so that the sum of their overlaps is largest.

    Args:
        people: by time.

    Returns:
        The same people with `track` set.

    Example:
        >>> [person.track for person in track([Person(0.5, (0, 0, 0.5, 1)), Person(1.5, (0.1, 0, 0.6, 1))])]
        [0, 0]
    """
    from scipy.optimize import linear_sum_assignment

    last: dict[int, tuple[Corners, int]] = {}  # from track to its last box and key frame
    found = []
    for number, time in enumerate(key_times(people)):
        here = [person for person in people if person.time == time]
        tracks = [t for t, (_, seen) in last.items() if number - seen <= PATIENCE + 1]
        boxes = np.array([person.corners for person in here]).reshape(-1, 1, 4)
        overlaps = iou(boxes, np.array([last[t][0] for t in tracks]).reshape(1, -1, 4))
        overlaps = np.where(overlaps >= OVERLAP, overlaps, 0)
        numbers = {i: tracks[j] for i, j in zip(*linear_sum_assignment(-overlaps)) if overlaps[i, j]}
        for i, person in enumerate(here):
            # `last` has an entry for each track so far.
            person = dataclasses.replace(person, track=numbers.get(i, len(last)))
            last[person.track] = person.corners, number
            found.append(person)
    return found


def shown(people: Sequence[Person], time: float, hold: float) -> list[Person]:
    """Return who is to be drawn at a time, by track.

    Between two key frames of a track that are at most `PATIENCE` + 1 times 2 `hold` apart, its box moves straight from
    one to the other; elsewhere it stands for `hold` seconds. Actions are those of the nearer key frame.

    Args:
        people: with tracks.
        time: in seconds.
        hold: in seconds, half the distance of key frames.

    Example:
        >>> people = track([Person(0.5, (0, 0, 0.5, 1)), Person(1.5, (0.1, 0, 0.6, 1))])
        >>> shown(people, 1.0, 0.5)[0].corners
        (0.05, 0.0, 0.55, 1.0)
    """
    found = []
    for number in sorted({person.track for person in people}):
        mine = [person for person in people if person.track == number]
        before = max((p for p in mine if p.time <= time), key=lambda p: p.time, default=None)
        after = min((p for p in mine if p.time >= time), key=lambda p: p.time, default=None)
        nearest = min((p for p in (before, after) if p), key=lambda p: abs(p.time - time))
        if before and after and before is not after and after.time - before.time <= 2 * hold * (PATIENCE + 1) + 1e-6:
            share = (time - before.time) / (after.time - before.time)
            corners = np.array(before.corners) * (1 - share) + np.array(after.corners) * share
            found.append(dataclasses.replace(nearest, corners=tuple(corners.tolist())))
        elif abs(nearest.time - time) <= hold:
            found.append(nearest)
    return found
