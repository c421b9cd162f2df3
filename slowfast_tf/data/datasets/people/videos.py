"""The videos that belong to annotations."""

import os
import pathlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ....errors import InputError, VideoError
from ....video.decode import read_frames
from ....video.probe import frame_times, nearest_frames
from ....video.probe_index import probe_index
from .. import files


class Videos:
    """The videos of a data set, by file name.

    Args:
        root: directory of the data set, with its videos in `videos`; if None or missing, there are no videos.

    Attributes:
        directory: directory of the videos.
        unreadable: the error of each video that could not be read so far, by name.
    """

    def __init__(self, root: pathlib.Path | None):
        place = root or pathlib.Path()
        self.directory, self._probe = place / "videos", probe_index(place).probe
        self.unreadable: dict[str, str] = {}
        self._times: dict[str, np.ndarray | None] = {}
        self._sizes: dict[str, tuple[int, int] | None] = {}
        self._paths: dict[str, str] = {}
        self._others: dict[str, str] = {}  # a second video of the same name
        if root is not None and self.directory.is_dir():
            for path in files.walk(self.directory):
                name = os.path.basename(path)
                first = self._paths.setdefault(name, path)
                if os.path.realpath(first) != os.path.realpath(path):
                    self._others[name] = path
        self._by_stem: dict[str, list[str]] = {}
        for name in self._paths:
            self._by_stem.setdefault(os.path.splitext(name)[0], []).append(name)

    def name(self, given: str) -> str:
        """Return the file name of a video, given with or without directories and with or without suffix.

        A name that matches no video, or several videos if it has no suffix, is returned unchanged.

        Raises:
            InputError: if two videos in different directories have this name.
        """
        name = re.split(r"[/\\]", given.strip())[-1]
        if name not in self._paths and len(there := self._by_stem.get(name, [])) == 1:
            name = there[0]
        if name in self._others:  # boxes refer to a video by its name alone
            raise InputError(f"{self._paths[name]} and {self._others[name]} have the same name; rename one of them")
        return name

    def path(self, name: str) -> str | None:
        """Return the path of a video; None if it is missing."""
        return self._paths.get(name)

    def times(self, name: str) -> np.ndarray | None:
        """Return the time of each frame in seconds; None if the video is missing or cannot be read."""
        return self._read(name, self._times, lambda path: frame_times(self._probe(path)))

    def size(self, name: str) -> tuple[int, int] | None:
        """Return the width and height of a video; None if it is missing or cannot be read."""
        return self._read(name, self._sizes, lambda path: read_frames(path, [0], info=self._probe(path)).shape[2:0:-1])

    def _read(self, name: str, known: dict[str, Any], read: Callable[[str], Any]) -> Any:
        if name not in known:
            known[name] = None
            try:
                known[name] = read(self._paths[name]) if name in self._paths else None
            except VideoError as error:
                self.unreadable[name] = str(error)
        return known[name]


def key_time(times: np.ndarray, second: float) -> float:
    """Return the time of a key frame: the middle of its second if the nearest frame is the same, else its own time.

    Detected boxes are at the middle of each second, so annotated and detected boxes have equal times.

    Args:
        times: times of the video's frames, in seconds.
        second: time of the key frame, in seconds.

    Example:
        >>> key_time(np.arange(100) / 29.97, 15 / 29.97)
        0.5
    """
    middle = np.floor(second) + 0.5
    of_middle, of_second = nearest_frames(times, [middle, second])
    return float(middle) if of_middle == of_second else round(float(second), 6)
