"""Check the paths that a prediction reads and writes before the model is loaded. Needs no TensorFlow."""

import os
import pathlib
import re
from collections.abc import Iterable, Mapping

from ..errors import InputError

SUFFIXES = {"video": ".mp4", "timeline": ".png", "explain": ".mp4"}


def check_videos(paths: Iterable[str | os.PathLike]) -> None:
    """Refuse a directory, a URL, or a name that no csv or JSON file can contain, where a video file is expected.

    A missing or damaged file passes this check: reading it reports the reason, and the other files are still read.

    Args:
        paths: paths of the videos, as the user gave them.

    Raises:
        InputError: one line about the first such path; for a URL, `argument` is "address".

    Example:
        >>> check_videos(["holiday.mp4", "dance.avi"])
    """
    for path in paths:
        if os.path.isdir(path):
            name = os.fspath(path)
            raise InputError(f"{name}: is a directory; give video files, such as {os.path.join(name, '*.mp4')}")
        try:
            os.fspath(path).encode()
        except UnicodeEncodeError as error:
            shown = os.fsencode(path).decode("utf-8", "backslashreplace")
            raise InputError(f"{shown}: the name is not UTF-8; rename the file") from error
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", os.fspath(path)) and not os.path.exists(path):
            raise InputError(f"{path}: is an address, not a file; download the file first", argument="address")


def check_outputs(
    source: str | os.PathLike | None, outputs: Mapping[str, str | os.PathLike], overwrite: bool = False
) -> None:
    """Refuse output files with the wrong suffix, that are given twice, or that exist.

    Args:
        source: path of the video to read; None for a camera.
        outputs: paths to write, by argument: "video", "timeline" or "explain".
        overwrite: whether existing files may be replaced.

    Raises:
        InputError: one line that says what is wrong; if the file exists, `argument` is the name of its argument.

    Example:
        >>> check_outputs("long.mp4", {"video": "labels.mp4", "timeline": "timeline.png"})
    """
    places = [pathlib.Path(path).resolve() for path in outputs.values()]
    for (argument, path), place in zip(outputs.items(), places):
        suffix = SUFFIXES[argument]
        if place.suffix.lower() != suffix:
            kind = suffix[1:].upper()
            raise InputError(f"{path} would hold a {kind} file; give a name that ends in {suffix}")
        if places.count(place) > 1 or (source and place == pathlib.Path(source).resolve()):
            raise InputError(f"{path} is given twice; each output needs a file of its own, and so does the video")
        if place.exists() and not overwrite:
            raise InputError(f"{path} exists", argument=argument)
