"""Find the people in frames of a video with a detector."""

import base64
import itertools
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ...video.decode import iterate_frames
from ...video.probe import VideoInfo, duration, frame_times, nearest_frames
from ..detectors import Boxes, Detector
from .shots import SIZE, thumbnail

RATE = 5  # frames per second, at most, that are searched for people
BATCH = 8  # frames in memory at a time


class Sighting(NamedTuple):
    """The people in a frame, before tracking.

    Attributes:
        time: time of the frame, in seconds.
        boxes: boxes of the people.
        picture: thumbnail of the frame, see `shots.thumbnail`; None to detect no cuts.
    """

    time: float
    boxes: Boxes
    picture: np.ndarray | None = None

    def as_json(self) -> dict[str, Any]:
        """Return a dictionary that JSON can hold."""
        boxes = np.c_[self.boxes.corners, self.boxes.scores].tolist()
        picture = None if self.picture is None else base64.b64encode(self.picture.tobytes()).decode()
        return {"time": self.time, "boxes": boxes, "picture": picture}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> "Sighting":
        """Return the object that `as_json` describes."""
        boxes = np.reshape(np.array(entry["boxes"], np.float32), (-1, 5))
        width, height = SIZE
        picture = entry["picture"] and np.frombuffer(base64.b64decode(entry["picture"]), np.uint8)
        picture = None if picture is None else picture.reshape(height, width, 3)
        return cls(entry["time"], Boxes(boxes[:, :4], boxes[:, 4]), picture)


class Times(NamedTuple):
    """The times of a video to search for people.

    Attributes:
        all: all times, in seconds, float64 `[N]`.
        keys: the times at which actions are scored: the middle of each second, float64 `[K]`.
        rate: number of times in `all` per second.
    """

    all: np.ndarray
    keys: np.ndarray
    rate: float


def detection_times(info: VideoInfo) -> Times:
    """Return the times of a video to search for people: `RATE` per second, or fewer if the video has fewer frames.

    Example:
        >>> detection_times(probe("street.mp4")).all[:4]  # doctest: +SKIP
        array([0.1, 0.3, 0.5, 0.7])
    """
    length = duration(info)
    if length <= 0.5:
        middle = np.array([length / 2])
        return Times(middle, middle, 1.0)
    each = int(np.clip(np.floor(info.rate + 1e-3), 1, RATE))
    first = 0.5 - (each // 2) / each
    times = np.round(first + np.arange(int(np.ceil((length - first) * each))) / each, 6)
    return Times(times, times[each // 2 :: each], float(each))


def detect(path: str | os.PathLike, info: VideoInfo, times: np.ndarray, detector: Detector) -> Iterator[Sighting]:
    """Find people in frames of a video.

    A few frames are held at a time, so memory does not depend on the length of the video.

    Args:
        path: path of the video.
        info: properties of the video.
        times: times of the frames, in seconds, ascending.
        detector: detector of people.

    Yields:
        A `Sighting` for each time, with boxes of any score.

    Raises:
        InputError: if the detector returns boxes that are not finite.
        VideoError: if the video cannot be read.

    Example:
        >>> info, detector = probe("street.mp4"), load_detector("efficientdet_d0")  # doctest: +SKIP
        >>> for sighting in detect("street.mp4", info, detection_times(info).all, detector):  # doctest: +SKIP
        ...     print(sighting.time, sighting.boxes.scores.max(initial=0))
    """
    frames = nearest_frames(frame_times(info), times)
    images = iter(zip(times, iterate_frames(path, frames) if len(times) else ()))
    while some := list(itertools.islice(images, BATCH)):
        for (time, image), boxes in zip(some, detector.find(np.stack([image for _, image in some]))):
            yield Sighting(float(time), boxes, thumbnail(image))
