"""Tracks of people, and where they are between the frames that a detector saw."""

import dataclasses

import numpy as np
import pytest

from slowfast_tf.inference.detectors import Boxes
from slowfast_tf.inference.people import Person, Sighting, Tracks, follow

RED, BLUE = np.zeros((18, 32, 3), np.uint8), np.zeros((18, 32, 3), np.uint8)
RED[:9, :, 0] = BLUE[9:, :, 2] = 255


def box(x, y=0.0, size=0.2):
    return (x, y, x + size, y + size)


def tracks(*frames, rate=1.0, scores=None, pictures=None):
    """The number of each box of frames, -1 for a box that does not count."""
    sightings = []
    for i, frame in enumerate(frames):
        some = scores[i] if scores else [0.9] * len(frame)
        boxes = Boxes(np.reshape(frame, (-1, 4)), np.array(some, float))
        sightings.append(Sighting(i / rate, boxes, pictures[i] if pictures else None))
    people = follow(sightings, 0.5, rate)
    number = {(p.time, tuple(np.round(p.corners, 6))): p.track for p in people}
    return [[number.get((i / rate, tuple(np.round(b, 6))), -1) for b in frame] for i, frame in enumerate(frames)]


def test_tracks_of_key_frames():
    """Key frames are one second apart, as in a file of boxes."""
    assert tracks([box(0), box(0.5)], [box(0.53), box(0.04)]) == [[0, 1], [1, 0]]
    assert tracks([box(0)], [box(0.5)], [box(0.7)]) == [[0], [1], [2]]  # each is seen once
    assert tracks([box(0)], [box(0.02)], [], [box(0.02)]) == [[0], [0], [], [0]]  # missing in one key frame
    # Each alone would take the same box; together they take two.
    assert tracks([box(0.1), box(0.2)], [box(0.14), box(0.23)]) == [[0, 1], [0, 1]]
    away = [[box(0)]] * 2 + [[box(0.7)]] * 5 + [[box(0)]] * 2
    assert tracks(*away)[-1] == [2]  # missing for too long


def test_two_people_pass_each_other():
    """Their boxes overlap in the middle; each keeps a number, by its speed."""
    frames = [[box(0.02 * t, 0.00), box(0.8 - 0.02 * t, 0.05)] for t in range(40)]
    assert tracks(*frames, rate=5.0) == [[0, 1]] * 40


def test_somebody_behind_a_tree():
    frames = [[box(0.02 * t)] if not 10 <= t < 17 else [] for t in range(30)]
    assert {number for numbers in tracks(*frames, rate=5.0) for number in numbers} == {0}


def test_a_low_score_continues_a_track_but_starts_none():
    scores = [[0.9, 0.3], [0.3, 0.3], [0.9, 0.3], [0.2, 0.3]]
    found = tracks(*[[box(0.01 * t), box(0.6)] for t in range(4)], rate=5.0, scores=scores)
    assert found == [[0, -1], [0, -1], [0, -1], [-1, -1]]


def test_cuts():
    """Another shot has other people. After a return to the first shot, its people get their numbers back."""
    frames = [[box(0.1), box(0.5)]] * 5 + [[box(0.1)]] * 20 + [[box(0.1), box(0.5)]] * 5
    pictures = [RED] * 5 + [BLUE] * 20 + [RED] * 5
    assert tracks(*frames, rate=5.0, pictures=pictures) == [[0, 1]] * 5 + [[2]] * 20 + [[0, 1]] * 5
    assert tracks(*frames, rate=5.0)[-1] == [0, 2]  # without pictures, the second person was missing for 4 s
    frames[5:25] = [[box(0.1)]] * 200
    pictures[5:25] = [BLUE] * 200
    assert tracks(*frames, rate=5.0, pictures=pictures)[-1] == [3, 4]  # after 40 s they are new people


def test_between_frames():
    first, second = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    people = [Person(0.0, box(0.0), 1.0, 0, first), Person(1.0, box(0.1), 1.0, 0, second)]
    tracks = Tracks(people, 0.5)
    (quarter,) = tracks.at(0.25)
    assert quarter.corners == pytest.approx(box(0.025)) and quarter.actions is first
    assert tracks.at(0.75)[0].actions is second
    assert tracks.at(1.4)[0].corners == box(0.1) and not tracks.at(1.6) and not tracks.at(9.0)
    # Frames between key frames have the actions of the nearest one.
    between = Person(0.8, box(0.5), 1.0, 0)
    (person,) = Tracks([people[0], between, people[1]], 0.5).at(0.8)
    assert person.corners == box(0.5) and person.actions is second
    assert Tracks([between], 0.5).at(0.8)[0].actions is None
    people[1] = dataclasses.replace(people[1], time=3.1)  # too far apart for interpolation
    assert not Tracks(people, 0.5).at(1.5)
