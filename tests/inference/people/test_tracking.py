"""Tracks of people, and where they are between key frames."""

import dataclasses

import pytest

from slowfast_tf.inference.people import Person
from slowfast_tf.inference.people.tracking import shown, track


def box(x, y=0.0, size=0.2):
    return (x, y, x + size, y + size)


def tracks(*frames):
    """Tracks of boxes in frames a second apart."""
    people = [Person(float(t), corners) for t, frame in enumerate(frames) for corners in frame]
    people = track(people)
    return [[p.track for p in people if p.time == t] for t in range(len(frames))]


def test_tracks():
    assert tracks([box(0), box(0.5)], [box(0.53), box(0.04)]) == [[0, 1], [1, 0]]
    assert tracks([box(0)], [box(0.5)], [box(0.02)]) == [[0], [1], [0]]  # away for one key frame
    assert tracks([box(0)], [], [box(0.4)]) == [[0], [], [1]]
    # Each alone would take the same box; together they take two.
    assert tracks([box(0.1), box(0.2)], [box(0.14), box(0.23)]) == [[0, 1], [0, 1]]
    away = [[box(0)]] + [[box(0.7)]] * 3 + [[box(0)]]
    assert tracks(*away)[-1] == [2]  # too long


def test_between_key_frames():
    people = [Person(0.0, box(0.0), actions=(("a", 1.0),)), Person(1.0, box(0.1), actions=(("b", 1.0),))]
    people = track(people)
    (quarter,) = shown(people, 0.25, 0.5)
    assert quarter.corners == pytest.approx(box(0.025)) and quarter.actions == (("a", 1.0),)
    assert shown(people, 0.75, 0.5)[0].actions == (("b", 1.0),)
    assert shown(people, 1.4, 0.5)[0].corners == box(0.1) and not shown(people, 1.6, 0.5)
    people[1] = dataclasses.replace(people[1], time=3.1)  # no longer one after the other
    assert not shown(people, 1.5, 0.5)
