"""Helpers of the data sets: find files and videos on disk."""

import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

from ...errors import InputError
from ..reference import Video
from .base import Split

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".avi", ".mkv", ".webm", ".wmv", ".asf", ".flv", ".f4v"),
    *(".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".vob", ".ogv", ".mxf"),
)
ALWAYS = (0.0, float("inf"))


def need(dataset: str, root: pathlib.Path, names: Iterable[str], advice: str) -> None:
    """Check that files and directories exist.

    Args:
        dataset: name of the data set, for the message.
        root: the directory that should contain the files.
        names: names of the files and directories.
        advice: where to get the files, for the message.

    Raises:
        InputError: if a file or directory is missing.
    """
    missing = [str(root / name) for name in names if not (root / name).exists()]
    if missing:
        raise InputError(
            f"{dataset} is not in {root}: no {', '.join(missing)}; {advice}, or set data.root to another directory"
        )


def find_videos(directory: str | os.PathLike) -> dict[str, str]:
    """Return the paths of all videos in a directory and below it, by name without suffix.

    If several videos have the same name, the first in alphabetical order is used.
    """
    found: dict[str, str] = {}
    for path in walk(directory):
        found.setdefault(os.path.splitext(os.path.basename(path))[0], path)
    return found


def walk(directory: str | os.PathLike) -> Iterator[str]:
    """Yield the paths of all videos in a directory and below it; follow symbolic links.

    Raises:
        OSError: if a directory cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    seen = set()
    for folder, folders, names in os.walk(directory, onerror=fail, followlinks=True):
        about = os.stat(folder)
        if (about.st_dev, about.st_ino) in seen:  # links may form a loop
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not is_hidden(name):
                yield os.path.join(folder, name)


def find_folders(directory: str | os.PathLike) -> dict[str, str]:
    """Return the paths of the directories in a directory, by name."""
    with os.scandir(directory) as entries:
        return {entry.name: entry.path for entry in entries if entry.is_dir() and not is_hidden(entry.name)}


def is_hidden(name: str) -> bool:
    """Return whether a name is that of a system file, such as `.ipynb_checkpoints` or macOS's `._a.mp4`."""
    return name.startswith(".") or name == "lost+found"


def present(paths: Iterable[str]) -> dict[str, bool]:
    """Return the paths that exist, with whether each is a directory.

    Listing the directories is much faster than looking up each file.
    """
    names: dict[str, dict[str, bool]] = {}
    there = {}
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in names:
            try:
                with os.scandir(folder) as entries:
                    names[folder] = {entry.name: entry.is_dir() for entry in entries}
            except OSError:
                names[folder] = {}
        if name in names[folder]:
            there[path] = names[folder][name]
    return there


def make_split(
    source: pathlib.Path,
    place: pathlib.Path,
    videos: Iterable[Video],
    labels: Iterable[str],
    problems: Sequence[str],
    missing: Sequence[str],
) -> Split:
    """Return a `Split` with one problem for all missing videos: for Kinetics, thousands of them are normal.

    Args:
        source: the file that lists the videos.
        place: the directory that should contain the videos.
        videos: references to the videos that exist.
        labels: the class names.
        problems: one line for each entry that was dropped.
        missing: names of the missing videos.

    Raises:
        InputError: if no video is left.
    """
    videos = tuple(videos)
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        problems = [*problems, f"{source}: {len(missing)} of its videos not found in {place}: {shown}"]
    if not videos:
        # If videos are missing, this is the likeliest reason.
        reason = problems[-1 if missing else 0] if problems else f"{source}: lists no video"
        raise InputError(f"no video is left of {source}; one of {max(len(problems), 1)} problems: {reason}")
    return Split(videos, tuple(labels), tuple(problems))
