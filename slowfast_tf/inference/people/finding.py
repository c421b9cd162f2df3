"""Find the people in a video with a detector, before their actions are scored."""

import os
from typing import NamedTuple

import tqdm

from ...files.journal import Journal
from ...video.probe import VideoInfo
from ..detectors import Boxes, Detector
from .detect import Sighting, detect, detection_times
from .person import Person
from .tracking import WEAK, follow


class Found(NamedTuple):
    """The people in a video, before their actions are scored.

    Attributes:
        people: people with tracks, ordered by time.
        keys: times of the key frames, in seconds.
        rate: number of frames per second that were searched for people.
        least, left_out, best: see `Annotation`.
    """

    people: list[Person]
    keys: set[float]
    rate: float
    least: float
    left_out: int
    best: float


def find_people(path: str | os.PathLike, info: VideoInfo, detector: Detector, journal: Journal) -> Found:
    """Find and track the people in a video; frames in the journal are not searched again.

    Args:
        path: path of the video.
        info: properties of the video.
        detector: detector of people.
        journal: keeps the boxes of the detector, so that an interrupted call can be resumed.

    Raises:
        InputError: if the detector returns boxes that are not finite.
        VideoError: if the video cannot be read.

    Example:
        >>> with Journal("street.partial.jsonl", {"video": "street.mp4"}) as journal:
        ...     found = find_people("street.mp4", probe("street.mp4"), load_detector("efficientdet_d0"), journal)
    """
    times, done = detection_times(info), sum("boxes" in entry for entry in journal.entries)
    rest = detect(path, info, times.all[done:], detector)
    for sighting in tqdm.tqdm(rest, "people", len(times.all), initial=done, unit="frame", disable=None):
        corners, scores = sighting.boxes
        kept = scores >= min(WEAK * detector.person_score, scores.max(initial=0))
        journal.add(sighting._replace(boxes=Boxes(corners[kept], scores[kept])).as_json())
    # Rebuild the arrays from JSON after decoding: small arrays between those of frames would fragment the memory.
    found = [Sighting.from_json(entry) for entry in journal.entries if "boxes" in entry]
    best = max((float(sighting.boxes.scores.max(initial=0)) for sighting in found), default=0.0)
    people = follow(found, detector.person_score, times.rate)
    return Found(people, set(times.keys.tolist()), times.rate, detector.person_score, 0, best)
