"""The people in the key frames of a video, by a detector."""

import itertools
import os

import numpy as np
import tqdm

from ...video.decode import iterate_frames
from ...video.probe import probe
from ..detectors import Detector
from .person import Person, nearest_frames

BATCH = 8  # key frames that are held at a time


def detect(path: str | os.PathLike, detector: Detector, duration: float) -> tuple[list[Person], float]:
    """Find people in one frame of each second of a video.

    A few frames are held at a time, so memory does not depend on the length of the video.

    Args:
        path: of the video.
        detector: whose `person_score` decides which boxes count.
        duration: of the video, in seconds.

    Returns:
        The people, by time, and the best score of any box of a person, also of those that do not count; 0 without one.

    Raises:
        InputError: for boxes that are not finite.
        VideoError: if the video cannot be read.

    Example:
        >>> people, best = detect("street.mp4", load_detector("efficientdet_d0"), duration(probe("street.mp4")))
    """
    times = np.arange(0.5, duration, 1.0) if duration > 0.5 else np.array([duration / 2])
    images = iterate_frames(path, nearest_frames(probe(path), times))
    found, best = [], 0.0
    key_frames = iter(tqdm.tqdm(zip(times, images), desc="people", unit="key frame", total=len(times), disable=None))
    while some := list(itertools.islice(key_frames, BATCH)):
        for (time, _), (corners, scores) in zip(some, detector.find(np.stack([image for _, image in some]))):
            best = max(best, float(scores.max(initial=0)))
            for i in np.flatnonzero(scores >= detector.person_score):
                found.append(Person(float(time), tuple(corners[i].tolist()), float(scores[i])))
    return found, best
