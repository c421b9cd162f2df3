"""What the data sets share: csv lists, and videos found on disk."""

import codecs
import contextlib
import csv
import os

from ...errors import InputError
from . import Dataset

SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".3gp")
ALWAYS = (0.0, float("inf"))


def need(dataset, root, names, advice):
    """Raises a InputError that names those of some files and directories of `root` that are not there."""
    missing = [str(root / name) for name in names if not (root / name).exists()]
    if missing:
        raise InputError(
            f"{dataset} is not in {root}: no {', '.join(missing)}; {advice}, or name another place with"
            f" --set data.root=DIR"
        )


@contextlib.contextmanager
def opened(path):
    """A text file in UTF-8; spreadsheets begin it with a byte order mark.

    Raises:
        InputError: where it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                raise InputError(f"{path}: is text in UTF-16; save it as UTF-8")
        with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
            yield file
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def lines(path):
    """Yields (line number, values) of each line of a csv file that is not blank."""
    last, number, quotes = 0, 1, 0

    def counted(file):
        nonlocal quotes
        for line in file:
            quotes += line.count('"')
            yield line

    try:
        with opened(path) as file:
            reader = csv.reader(counted(file))
            for row in reader:
                if len(row) > 1 or "".join(row).strip():
                    yield number, row
                last, number = number, reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path}:{number}: not a line of a csv file: {error}") from error
    if quotes % 2 and number - last > 1:
        raise InputError(f"{path}:{last}: a quote that nothing ends takes the {number - last - 1} lines after it too")


def table(path, columns, problems):
    """Yields (line number, values of some columns) of a csv file whose first line names its columns.

    Args:
        path: of the file.
        columns: names of those that are wanted.
        problems: a list, which a line for each row of a wrong length is added to.
    """
    rows = lines(path)
    _, header = next(rows, (1, []))
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(f"{path}:1: no column {', '.join(missing)}; received {','.join(header)[:100] or 'nothing'!r}")
    places = [header.index(name) for name in columns]
    for number, row in rows:
        if len(row) == len(header):
            yield number, [row[i] for i in places]
        else:
            problems.append(f"{path}:{number}: {len(row)} columns in place of {len(header)}")


def find_videos(directory):
    """Paths of the videos anywhere in a directory, by name without suffix; the first in the alphabet of several."""
    found = {}
    for path in walk(directory):
        found.setdefault(os.path.splitext(os.path.basename(path))[0], path)
    return found


def walk(directory):
    """Yields the paths of all videos in a directory and those below it, also where symbolic links lead.

    Raises:
        OSError: where a directory cannot be read.
    """

    def fail(error):
        raise error

    seen = set()
    for folder, folders, names in os.walk(directory, onerror=fail, followlinks=True):
        about = os.stat(folder)
        if (about.st_dev, about.st_ino) in seen:  # links may lead in circles
            folders.clear()
            continue
        seen.add((about.st_dev, about.st_ino))
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not is_hidden(name):
                yield os.path.join(folder, name)


def find_folders(directory):
    """Paths of the directories in a directory, by name."""
    with os.scandir(directory) as entries:
        return {entry.name: entry.path for entry in entries if entry.is_dir() and not is_hidden(entry.name)}


def is_hidden(name):
    """Whether a file or directory is some program's own: `.ipynb_checkpoints`, or macOS's `._a.mp4` beside `a.mp4`."""
    return name.startswith(".") or name == "lost+found"


def present(paths):
    """Those paths that are there, and whether each is a directory. A list of their directories is far cheaper than a
    look at each file."""
    names = {}
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


def dataset(source, place, videos, labels, problems, missing):
    """A `Dataset`, with a last problem that counts the missing videos: thousands are normal for Kinetics.

    Args:
        source: the file that names the videos.
        place: where they were looked for.
        videos, labels, problems: as `Dataset` has them.
        missing: names of the videos that are not there.

    Raises:
        InputError: where no video is left.
    """
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        problems = [*problems, f"{source}: {len(missing)} of its videos not found in {place}: {shown}"]
    if not videos:
        # Of all problems missing videos are the likeliest to leave none.
        reason = problems[-1 if missing else 0] if problems else f"{source}: names none"
        raise InputError(f"no video is left of {source}; one of {max(len(problems), 1)} problems: {reason}")
    return Dataset(tuple(videos), tuple(labels), tuple(problems))
