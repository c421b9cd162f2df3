"""References to videos: what the lists of a data set say, and what is found on disk."""

import dataclasses
import os
import typing

import numpy as np

from ..errors import OutsideError
from ..video.images import list_images
from ..video.probe import frame_times, probe

# Charades' annotators marked steps of a video: a third of the official spans end after it, by up to 1.54 s.
SLACK = 2.0


@dataclasses.dataclass(frozen=True)
class Box:
    """A person in a key frame.

    Attributes:
        corners: (x1, y1, x2, y2), as shares of the frame's width and height.
        labels: a tuple of class indices; empty where they are not known, as for a box that a detector predicted.
        score: the detector's; 1 for an annotated box.
    """

    corners: tuple
    labels: tuple = ()
    score: float = 1.0


@dataclasses.dataclass(frozen=True)
class Video:
    """A video, or a part of one, and what happens in it. Times are in seconds from the start of the file.

    Attributes:
        path: of a video file, or of a directory of JPEG frames in the order of their numbers.
        labels: a tuple of (class index, start, end).
        id: what the data set calls it, unique in its split; its path where empty.
        rate: frames a second of a directory of frames; None for a file, which says so itself.
        span: (start, end) of the part that clips are taken from; None for all of it.
        key: the key frame's time, which a clip is centred on; None where clips lie anywhere.
        boxes: a tuple of `Box`, of the key frame.
        origin: "FILE:LINE" of the list that names it; empty where none does.
    """

    path: str
    labels: tuple
    id: str = ""
    rate: float | None = None
    span: tuple | None = None
    key: float | None = None
    boxes: tuple = ()
    origin: str = dataclasses.field(default="", repr=False)  # where the list lies is nothing of the video's


class ResolvedVideo(typing.NamedTuple):
    """What there is of a `reference.Video`.

    Attributes:
        images: paths of the JPEG images of a directory; None for a file.
        rate: mean frames a second.
        times: when each frame of the file is shown, in seconds from its start, rising, float64 `[N]`.
        first, last: of the frames in the video's span, the index of the first and that after the last.
        key: index of the key frame, in the span; -1 without one.
        labels: those that do not lie past the end.
        problems: lines on the other ones, and on images that are missing.
    """

    images: list | None
    rate: float
    times: np.ndarray
    first: int
    last: int
    key: int
    labels: tuple
    problems: tuple


def resolve(source):
    """Looks a `reference.Video` up on disk.

    Raises:
        VideoError: for one that cannot be read.
        OutsideError: where its span or key frame is past the end.
    """
    problems = []
    if os.path.isdir(source.path):
        images, numbers = list_images(source.path)
        rate, times = source.rate, numbers / source.rate
        missing = numbers[-1] + 1 - len(images)
        if missing:
            after = os.path.basename(images[np.diff(numbers).argmax()])
            problems.append(f"{source.path}: images are missing ({missing}), such as those after {after}")
    else:
        info = probe(source.path)
        images, rate, times = None, info.rate, frame_times(info)
    end, origin = times[-1] + 1 / rate, source.origin or source.path
    lasts = f"{source.path if source.origin else 'it'} lasts {end:.2f} s"
    if source.key is not None and source.key > end:
        raise OutsideError(f"{origin}: the key frame at {source.key:g} s is past the end; {lasts}")
    start, stop = source.span or (-np.inf, np.inf)
    first, last = np.searchsorted(times, [start - 1e-6, stop - 1e-6]).tolist()
    if first == last:
        raise OutsideError(f"{origin}: no frame between {start:g} and {stop:g} s; {lasts}")
    key = -1 if source.key is None else int(np.abs(times[first:last] - source.key).argmin())
    outside = [(i, a, b) for i, a, b in source.labels if a >= end or end + SLACK < b < np.inf]
    problems += [f"{origin}: a label from {a:g} to {b:g} s is not within the video; {lasts}" for _, a, b in outside]
    labels = [label for label in source.labels if label not in outside]
    return ResolvedVideo(images, rate, times, first, last, key, tuple(labels), tuple(problems))
