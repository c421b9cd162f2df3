"""References to videos in the lists of a data set, and their resolution on disk."""

import dataclasses
import os
import typing
from collections.abc import Callable

import numpy as np

from ..errors import OutsideError
from ..video.images import list_images
from ..video.probe import VideoInfo, frame_times, gap_message, probe

# Seconds that a label may end after its video: a third of Charades' official labels do so, by up to 1.54 s.
SLACK = 2.0

Label: typing.TypeAlias = tuple[int, float, float]  # class index, start and end in seconds
Probe: typing.TypeAlias = Callable[[str], VideoInfo]  # `video.probe.probe`, or `ProbeIndex.probe`


@dataclasses.dataclass(frozen=True, slots=True)  # slots: AVA has a million predicted boxes
class Box:
    """A person in a key frame.

    Attributes:
        corners: (x1, y1, x2, y2), as fractions of the frame's width and height.
        labels: class indices; empty if unknown, as for a detected box.
        score: score of the detector, 0 to 1; 1 for an annotated box.
    """

    corners: tuple[float, float, float, float]
    labels: tuple[int, ...] = ()
    score: float = 1.0


@dataclasses.dataclass(frozen=True)
class Video:
    """A video, or a part of a video, and its labels. Times are in seconds from the start of the file.

    Attributes:
        path: path of a video file, or of a directory of JPEG frames in the order of their numbers.
        labels: (class index, start, end) of each label.
        id: name of the video in the data set, unique in its split; empty to use the path.
        rate: frames per second of a directory of frames; None for a file, which stores its frame rate.
        span: (start, end) of the part from which clips are taken; None for the whole video.
        key: time of the key frame, the center of the clip; None if clips may be anywhere.
        boxes: boxes of the key frame.
        origin: "FILE:LINE" of the list entry of the video; empty without a list.
    """

    path: str
    labels: tuple[Label, ...]
    id: str = ""
    rate: float | None = None
    span: tuple[float, float] | None = None
    key: float | None = None
    boxes: tuple[Box, ...] = ()
    origin: str = dataclasses.field(
        default="", repr=False
    )  # not in the repr, from which records compute a digest that must not depend on the path of the list

    @property
    def box_score(self) -> float:
        """Highest score of the boxes; 1 without boxes."""
        return max((box.score for box in self.boxes), default=1.0)


class ResolvedVideo(typing.NamedTuple):
    """The frames and labels of a `Video` on disk.

    Attributes:
        images: paths of the JPEG images of a directory; None for a file.
        info: what `probe` found; None for a directory.
        rate: mean frame rate, in frames per second.
        times: display time of each frame of the file, in seconds from the start, ascending, float64 `[N]`.
        first, last: indices of the first frame in the video's span, and of the first frame after it.
        key: index of the key frame, counted from `first`; -1 without a key frame.
        labels: (class index, start, end) of each label within the video.
        problems: one line for each label that is not within the video, and one line if images are missing or if a long
            gap between two frames makes the frame rate uncertain.
    """

    images: list[str] | None
    info: VideoInfo | None
    rate: float
    times: np.ndarray
    first: int
    last: int
    key: int
    labels: tuple[Label, ...]
    problems: tuple[str, ...]


def resolve(source: Video, probe: Probe = probe) -> ResolvedVideo:
    """Find the frames of a video on disk.

    Args:
        source: the reference.
        probe: function that probes a file.

    Raises:
        VideoError: if the video cannot be read.
        OutsideError: if no frame is in the span, or if the key frame is past the end of the video.

    Example:
        >>> resolve(Video("a.mp4", ())).rate
        30.0
    """
    problems, images, info = [], None, None
    if os.path.isdir(source.path):
        assert source.rate is not None, "a directory of frames has a rate"
        images, numbers = list_images(source.path)
        rate, times = source.rate, numbers / source.rate
        missing = numbers[-1] + 1 - len(images)
        if missing:
            after = os.path.basename(images[np.diff(numbers).argmax()])
            problems.append(f"{source.path}: images are missing ({missing}), such as those after {after}")
    else:
        info = probe(source.path)
        rate, times = info.rate, frame_times(info)
        problems += filter(None, [gap_message(source.path, info)])
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
    return ResolvedVideo(images, info, rate, times, first, last, key, tuple(labels), tuple(problems))
