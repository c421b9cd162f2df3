"""The videos that annotations are about."""

import os
import pathlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ....errors import VideoError
from ....video.decode import read_frames
from ....video.probe import frame_times, nearest_frames, probe
from .. import files


class Videos:
    """The videos of a directory, by file name.

    Args:
        directory: directory of the videos; None or a missing one has none.

    Attributes:
        unreadable: the reason, by name, of each video that could not be read so far.
    """

    def __init__(self, directory: pathlib.Path | None):
        self.directory = directory or pathlib.Path("videos")
        self.unreadable: dict[str, str] = {}
        self._times: dict[str, np.ndarray | None] = {}
        self._sizes: dict[str, tuple[int, int] | None] = {}
        self._paths: dict[str, str] = {}
        if directory is not None and directory.is_dir():
            for path in files.walk(directory):
                self._paths.setdefault(os.path.basename(path), path)
        self._by_stem: dict[str, list[str]] = {}
        for name in self._paths:
            self._by_stem.setdefault(os.path.splitext(name)[0], []).append(name)

    def name(self, given: str) -> str:
        """Return the file name of a video that is given with or without directories or suffix.

        A name that fits no video, or several without a suffix, stays as it is.
        """
        name = re.split(r"[/\\]", given.strip())[-1]
        if name not in self._paths and len(there := self._by_stem.get(name, [])) == 1:
            return there[0]
        return name

    def path(self, name: str) -> str | None:
        """Return the path of a video; None if it is missing."""
        return self._paths.get(name)

    def times(self, name: str) -> np.ndarray | None:
        """Return the time of each frame in seconds; None if the video is missing or cannot be read."""
        return self._read(name, self._times, lambda path: frame_times(probe(path)))

    def size(self, name: str) -> tuple[int, int] | None:
        """Return the width and height of a video; None if it is missing or cannot be read."""
        return self._read(name, self._sizes, lambda path: read_frames(path, [0]).shape[2:0:-1])

    def _read(self, name: str, known: dict[str, Any], read: Callable[[str], Any]) -> Any:
        if name not in known:
            known[name] = None
            try:
                known[name] = read(self._paths[name]) if name in self._paths else None
            except VideoError as error:
                self.unreadable[name] = str(error)
        return known[name]


def key_time(times: np.ndarray, second: float) -> float:
    """Return the time that names a key frame: the middle of the second, if that has the same nearest frame.

    Detectors look for people in the middle of each second, so the times of both agree.

    Args:
        times: times of the video's frames.
        second: second of the key frame.

    Example:
        >>> key_time(np.arange(100) / 29.97, 15 / 29.97)
        0.5
    """
    middle = np.floor(second) + 0.5
    of_middle, of_second = nearest_frames(times, [middle, second])
    return float(middle) if of_middle == of_second else round(float(second), 6)
