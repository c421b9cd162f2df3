"""Track people: match the boxes of a person in different frames, and interpolate between the frames."""

import bisect
import collections
import dataclasses
import importlib.util
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...data.boxes import iou
from ...errors import InputError
from ..detectors import Boxes
from .detect import Sighting
from .person import Person
from .shots import is_cut, is_same_view

LOST = 2.0  # seconds without a detection after which a track ends
AWAY = 30.0  # seconds after a cut in which the view of the earlier shot can return
WEAK = 0.5  # fraction of the person score that is enough for a box to continue a track
SCALE = 1000.0  # pixels: ByteTrack takes boxes in pixels, so corners are scaled to a frame of this size


def check_tracking() -> None:
    """Check that the library for tracking, trackers, is installed.

    Raises:
        InputError: if it is not installed.

    Example:
        >>> check_tracking()
    """
    if not importlib.util.find_spec("trackers"):
        raise InputError("tracking people needs the package trackers: pip install 'slowfast_tf[people]'")


class Tracker:
    """Track people from frame to frame with ByteTrack (arXiv 2110.06864).

    A box with a score of at least `person_score` starts a track. A box with at least half that score can continue a
    track. A cut ends all tracks. If the video returns to a shot of the last 30 seconds, the tracks of that shot
    continue.

    Args:
        person_score: lowest score of a box that starts a track.
        rate: approximate number of frames per second.
    """

    def __init__(self, person_score: float, rate: float):
        self._person_score, self._rate = person_score, rate
        self._shots: list[_Shot] = []  # the last one is the current shot
        self._count = itertools.count()
        self._numbers: dict[tuple[int, int], int] = {}  # from (shot, number of the shot's tracker) to track number

    def update(self, sighting: Sighting) -> tuple[Boxes, list[int]]:
        """Add the next frame.

        Args:
            sighting: the boxes in the frame.

        Returns:
            The boxes of people and the track number of each; -1 for a box that may start a track.
        """
        corners, scores = sighting.boxes
        kept = scores >= WEAK * self._person_score
        corners, scores = corners[kept], scores[kept]
        shot = self._shot(sighting)
        found = shot.follow(sighting.time, corners, scores)
        known = [i for i in range(len(scores)) if found[i] >= 0 or scores[i] >= self._person_score]
        numbers = [-1 if found[i] < 0 else self._number(shot.number, found[i]) for i in known]
        return Boxes(corners[known], scores[known]), numbers

    def _number(self, shot: int, number: int) -> int:
        return self._numbers.setdefault((shot, number), len(self._numbers))

    def _shot(self, sighting: Sighting) -> "_Shot":
        """Return the shot of a frame: the current shot, an earlier shot of the same view, or a new shot."""
        time, picture, last = sighting.time, sighting.picture, self._shots[-1] if self._shots else None
        if last is None:
            self._shots.append(self._new_shot())
        elif picture is not None and is_cut(last.picture, picture):
            self._shots = [shot for shot in self._shots if time - shot.end <= AWAY]
            views = [shot for shot in self._shots if shot is not last and is_same_view(shot.picture, picture)]
            if views:
                self._shots.remove(views[-1])
                views[-1].away += time - views[-1].end - 1 / self._rate
            self._shots.append(views[-1] if views else self._new_shot())
        shot = self._shots[-1]
        shot.end, shot.picture = time, picture
        return shot

    def _new_shot(self) -> "_Shot":
        return _Shot(next(self._count), _byte_track(self._person_score, self._rate))


@dataclasses.dataclass
class _Shot:
    """The state of a shot.

    Attributes:
        number: number of the shot.
        tracker: the ByteTrack tracker.
        away: total duration of other shots in between, in seconds.
        end: time of the last frame.
        picture: the thumbnail of the last frame.
    """

    number: int
    tracker: Any
    away: float = 0.0
    end: float = 0.0
    picture: Any = None

    def follow(self, time: float, corners: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Return the tracker's number for each box, int `[N]`; -1 for a box without a track."""
        import supervision

        numbers = np.arange(len(scores))
        boxes = (np.reshape(corners, (-1, 4)) * SCALE).astype(np.float32)
        detections = supervision.Detections(boxes, confidence=scores, data={"index": numbers})
        followed = self.tracker.update(detections, timestamp=time - self.away)
        found = np.full(len(scores), -1)
        if len(followed):
            found[followed.data["index"]] = followed.tracker_id
        return found


def _byte_track(person_score: float, rate: float) -> Any:
    import trackers

    return trackers.ByteTrackTracker(
        lost_track_buffer=round(30 * max(LOST, 3 / rate)),  # in frames, at 30 frames per second
        frame_rate=rate,
        track_activation_threshold=person_score,
        high_conf_det_threshold=person_score,
        minimum_consecutive_frames=1,
    )


def follow(sightings: Iterable[Sighting], person_score: float, rate: float) -> list[Person]:
    """Track the people in a video and number them from 0 in the order in which they appear.

    Args:
        sightings: the boxes of each frame, ordered by time.
        person_score, rate: as for `Tracker`.

    Returns:
        The people, ordered by time, with `track` set. A person who appears in only one frame also gets a number.

    Example:
        >>> boxes = [Boxes(np.array([[x, 0, x + 0.5, 1]]), np.array([0.9])) for x in (0.0, 0.1)]
        >>> [person.track for person in follow([Sighting(0.5, boxes[0]), Sighting(1.5, boxes[1])], 0.5, 1.0)]
        [0, 0]
    """
    tracker, found, seen = Tracker(person_score, rate), [], set()
    waiting: list[_Seen] = []  # people of the previous frame who may begin a track
    for sighting in sightings:
        (corners, scores), numbers = tracker.update(sighting)
        here = [_Seen(sighting.time, *values) for values in zip(corners, scores, numbers)]
        for person in here:
            if person.number >= 0 and person.number not in seen:
                seen.add(person.number)
                # ByteTrack numbers a track at its second box: its first box is the waiting box with the highest IoU.
                first = max(waiting, key=lambda other: iou(other.corners, person.corners), default=None)
                if first is not None:
                    first.number = person.number
                    waiting.remove(first)
        waiting = [person for person in here if person.number < 0]
        found += here
    order: dict[Any, int] = {}
    return [
        Person(
            person.time,
            tuple(person.corners.tolist()),
            float(person.score),
            order.setdefault(person.number if person.number >= 0 else ("alone", i), len(order)),
        )
        for i, person in enumerate(found)
    ]


@dataclasses.dataclass(eq=False)
class _Seen:
    time: float
    corners: np.ndarray
    score: float
    number: int


class Tracks:
    """The positions of people at any time.

    Between two boxes of a track that are at most 2 seconds or six times `hold` apart, the box is interpolated linearly.
    Elsewhere a box is shown for `hold` seconds before and after its frame. The actions of a person are those of the
    nearest key frame of the track.

    Args:
        people: people with tracks, ordered by time.
        hold: half the interval between frames, in seconds.

    Example:
        >>> people = [Person(0.5, (0, 0, 0.5, 1), track=0), Person(1.5, (0.1, 0, 0.6, 1), track=0)]
        >>> Tracks(people, 0.5).at(1.0)[0].corners
        (0.05, 0.0, 0.55, 1.0)
    """

    def __init__(self, people: Sequence[Person], hold: float):
        self._hold, self._gap = hold, max(LOST, 6 * hold) + 1e-6
        tracks = collections.defaultdict(list)
        for person in people:
            tracks[person.track].append(person)
        self._during = collections.defaultdict(list)  # from each whole second to the tracks that may be visible
        for track in (_Track(mine) for _, mine in sorted(tracks.items())):
            for second in range(int(track.times[0] - hold), int(track.times[-1] + hold) + 1):
                self._during[second].append(track)

    def at(self, time: float) -> list[Person]:
        """Return the people to draw at a time in seconds, by track."""
        return [person for track in self._during.get(int(time), ()) if (person := self._person(track, time))]

    def _person(self, track: "_Track", time: float) -> Person | None:
        before, after = _around(track.people, track.times, time)
        nearest = _nearest((before, after), time)
        keys = _around(track.scored, track.key_times, time)
        person = dataclasses.replace(nearest, actions=_nearest(keys, time).actions if any(keys) else None)
        if before and after and after.time - before.time <= self._gap:
            share = (time - before.time) / (after.time - before.time)
            corners = np.array(before.corners) * (1 - share) + np.array(after.corners) * share
            return dataclasses.replace(person, corners=tuple(corners.tolist()))
        return person if abs(nearest.time - time) <= self._hold else None


class _Track:
    def __init__(self, people: list[Person]):
        self.people, self.times = people, [person.time for person in people]
        self.scored = [person for person in people if person.actions is not None]
        self.key_times = [person.time for person in self.scored]


def _around(people: Sequence[Person], times: Sequence[float], time: float) -> tuple[Person | None, Person | None]:
    """Return the last person up to a time and the first person after it, given the time of each person."""
    i = bisect.bisect_right(times, time)
    return people[i - 1] if i else None, people[i] if i < len(people) else None


def _nearest(people: Iterable[Person | None], time: float) -> Person:
    return min((person for person in people if person), key=lambda person: abs(person.time - time))
