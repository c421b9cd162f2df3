"""Actions of the people in front of a camera or in a stream, in real time."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import VideoError
from ...video.write import open_writer
from ..clip_reader import ClipReader, StreamedFrame
from ..detectors import Detector
from ..drawing import resized
from ..labels import best_in_words
from ..views import checked_scores
from .detect import Sighting
from .draw import draw
from .output import as_json
from .person import Person
from .scoring import Scorer
from .shots import thumbnail
from .tracking import Tracker, Tracks, check_tracking

SHORT_SIDE = 480  # pixels: larger frames are downscaled, so that a clip fits into memory
HOLD = 10.0  # seconds of frames that wait to be drawn
RATE = 1.0  # approximate number of clips per second, for the tracker


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """The people and their actions in the key frame of the latest clip, which is its middle frame.

    Attributes:
        source: the camera or stream, as given to `watch_people`.
        labels: a name for each class.
        people: people with tracks and actions; the track is -1 for a person without a track.
        time: time of the key frame, in seconds since the first frame of the stream.
        delay: seconds from the arrival of the key frame to the scores.
    """

    source: str
    labels: Sequence[str]
    people: Sequence[Person]
    time: float
    delay: float

    def line(self, count: int) -> str:
        """Return a line with the `count` best actions of each person."""
        people = [
            f"{_name(person.track)} {best_in_words(person.actions, self.labels, count)}"
            for person in self.people
            if person.actions is not None
        ]
        return f"{self.time:.2f} s (delay {self.delay:.2f} s): {'; '.join(people) or 'nobody'}"

    def as_json(self, count: int) -> dict[str, Any]:
        """Return a dictionary that JSON can hold, with the `count` best actions of each person."""
        people = as_json(self.people, self.labels, count)
        return {"camera": self.source, "time": self.time, "delay": self.delay, "people": people}


def _name(track: int) -> str:
    return f"#{track}" if track >= 0 else "new"


def watch_people(
    scorer: Scorer,
    detector: Detector,
    source: str,
    labels: Sequence[str],
    output: str | os.PathLike | None = None,
    lines: int = 3,
) -> Iterator[Scene]:
    """Score the people in the latest clip of a camera or a stream, again and again.

    One thread reads and another scores. If the detector and the network are slower than the stream, clips are skipped,
    and the results do not fall behind. The delay is half a clip, because the middle frame is scored, plus the run time
    of the detector and the network.

    Args:
        scorer: a `Scorer` of a detection network.
        detector: detector of people.
        source: the number of a camera (Linux), or an address or a file that FFmpeg can open.
        labels: a name for each class.
        output: an MP4 file (H.264) to write, with the tracked people drawn in. It is completed when the stream ends or
            on Ctrl-C.
        lines: number of actions of each person that `output` shows.

    Yields:
        A `Scene` for each scored clip, until the stream ends.

    Raises:
        VideoError: if the source cannot be opened or holds no frame, or if no frame arrives for 10 seconds.

    Example:
        >>> for scene in watch_people(Scorer(model), load_detector("efficientdet_d0"), "0", class_names(model.spec)):
        ...     print(scene.line(3))
    """
    check_tracking()
    tracker = Tracker(detector.person_score, RATE)
    ended: BaseException | None = None
    # Call the detector and the network once before opening the stream: their first calls take seconds.
    image = np.zeros((SHORT_SIDE, SHORT_SIDE * 4 // 3, 3), np.uint8)
    detector.find(image[None])
    scorer.score_clip(np.stack([image] * scorer.spec.clip_frames), [Person(0.0, (0.0, 0.0, 1.0, 1.0))])
    hold = HOLD if output else 0.0
    with ClipReader(source, scorer.spec, _smaller, hold) as reader, contextlib.ExitStack() as stack:
        film = _Film(stack.enter_context(open_writer(output, 25.0)), labels, lines) if output else None
        try:
            while clip := reader.wait_for_clip():
                scene = _scene(clip, scorer, detector, tracker, source, labels)
                if film:
                    film.write(reader.take(scene.time), scene.people, scene.time)
                yield scene
        except (KeyboardInterrupt, GeneratorExit, VideoError) as error:  # finish the output file before raising
            ended = error
        if film:
            film.write(reader.take(float("inf")), (), None)
            if ended and not film.frames:
                raise ended
    if ended:
        raise ended


def _smaller(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    scale = SHORT_SIDE / min(height, width)
    return resized(image, round(height * scale), round(width * scale)) if scale < 1 else image


def _scene(
    clip: Sequence[StreamedFrame],
    scorer: Scorer,
    detector: Detector,
    tracker: Tracker,
    source: str,
    labels: Sequence[str],
) -> Scene:
    key = clip[len(clip) // 2]
    (boxes,) = detector.find(key.value[None])
    (corners, scores), numbers = tracker.update(Sighting(key.time, boxes, thumbnail(key.value)))
    people = [
        Person(key.time, tuple(place), float(score), number)
        for place, score, number in zip(corners.tolist(), scores, numbers)
    ]
    if people:
        actions = checked_scores(scorer.score_clip(np.stack([frame.value for frame in clip]), people), source)
        people = [dataclasses.replace(person, actions=row) for person, row in zip(people, actions)]
    return Scene(source, labels, people, key.time, time.monotonic() - key.arrival)


class _Film:
    """Draw the people of two key frames on the frames between them, and write the drawn frames."""

    def __init__(self, write: Callable[[np.ndarray, float], None], labels: Sequence[str], lines: int):
        self._write, self._labels, self._lines = write, labels, lines
        self.frames = 0  # number of written frames
        self._people: Sequence[Person] = ()
        self._time: float | None = None  # of the last key frame

    def write(self, frames: Sequence[StreamedFrame], people: Sequence[Person], time: float | None) -> None:
        """Write the frames up to a key frame at `time` seconds; if None, those after the last key frame."""
        between = 1.0 if time is None or self._time is None else time - self._time
        followed = [person for person in (*self._people, *people) if person.track >= 0]
        tracks = Tracks(followed, between / 2)
        for frame in frames:
            self._write(draw(frame.value, tracks.at(frame.time), self._labels, self._lines), frame.time)
            self.frames += 1
        self._people, self._time = people, time
