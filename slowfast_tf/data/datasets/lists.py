"""Videos in one list for each split, in PySlowFast's format: `root/train.csv`, `root/val.csv`.

A line is a path and its labels. If the first line has a comma, the file is a csv file with these two columns; otherwise
the last space of a line separates them. A path is relative to `root`. It is a video file, or a directory of JPEG frames
at 30 frames per second. Labels are separated by semicolons; a video may have none. A first line that names the columns,
such as `path,labels`, is skipped.

Labels are names or numbers. With a file `root/classes.txt` (one name per line), a number is a line of this file,
counted from 0. Without the file, the first label of the training list decides. If it is a number, all labels are
numbers, and the classes are 0 to the highest number. Otherwise all labels are names, and the classes are in
alphabetical order.
"""

import os
import re

from ...errors import InputError
from ...files import csv_files
from ..reference import Video
from . import files
from .base import DataSet, Split

LISTS = {"train": ("train.csv",), "val": ("val.csv", "test.csv")}
# Without classes.txt, a number of at least this, and of at least 10 times the number of distinct labels, is an error.
MANY_CLASSES = 1000
RATE = 30.0  # assumed frame rate of directories of frames, which do not store it
# Common names of the two columns.
PATHS = "path|file|filename|file_name|filepath|file_path|video|video_path|video_name|video_id|clip|name|id"
LABELS = "labels?|class|classes|class_id|label_id|category|target|action|actions"
ADVICE = "a line of it is a path and its labels, such as 'videos/a.mp4,3' or 'videos/a.mp4,run;jump'"


class Lists(DataSet):
    """Videos in lists. "val" is `val.csv`, or `test.csv` if there is no `val.csv`."""

    def read(self, split: str) -> Split:
        """See `DataSet.read`."""
        root = self.root
        problems = []
        path = _list(root, split)
        rows = _rows(root, path, problems)
        classes, index = _classes(root, rows if split == "train" else _rows(root, _list(root, "train"), []))
        real = root.resolve()  # ".." applies to the target of a symbolic link, as in the file system
        paths = {line: os.path.normpath((real if ".." in name.split("/") else root) / name) for line, name, _ in rows}
        there = files.present(paths.values())
        videos, missing, seen = [], [], set()
        for line, name, names in rows:
            labels = [index.get(name) for name in names]
            if None in labels:
                unknown = names[labels.index(None)]
                known = f"{len(classes)} classes, {classes[0]!r} to {classes[-1]!r}"
                problems.append(f"{path}:{line}: {unknown!r} is none of the {known}")
            elif len(set(labels)) < len(labels):
                problems.append(f"{path}:{line}: a label twice: {';'.join(names)}")
            elif paths[line] in seen:
                problems.append(f"{path}:{line}: {name} is listed again")
            else:
                seen.add(paths[line])
                if paths[line] in there:
                    during = tuple((index[name], *files.ALWAYS) for name in names)
                    videos.append(Video(paths[line], during, name, RATE if there[paths[line]] else None))
                else:
                    missing.append(name)
        return files.make_split(path, root, videos, classes, problems, missing)


def _list(root, split):
    for name in LISTS[split]:
        if (root / name).is_file():
            return root / name
    raise InputError(f"no {' or '.join(LISTS[split])} in {root}; {ADVICE}")


def _rows(root, path, problems):
    """Return (line number, path, labels) of each line."""
    with csv_files.open_text(path) as file:
        text = file.read().splitlines()
    # In a file with spaces as separators, a path may contain a comma.
    if text and "," in text[0] and not os.path.exists(root / text[0].rsplit(None, 1)[0]):
        split = csv_files.lines(path)
    else:
        split = [(i, line.rsplit(None, 1)) for i, line in enumerate(text, 1) if line.strip()]
    rows = []
    for line, row in split:
        if len(row) == 2 and "\n" not in "".join(row):  # not a quoted field over several lines
            rows.append((line, row[0].strip(), [label.strip() for label in row[1].split(";") if label.strip()]))
        else:
            problems.append(f"{path}:{line}: {' '.join(row)!r} is not a path and its labels")
    return rows[1:] if _has_header(root, path, rows, problems) else rows


def _has_header(root, path, rows, problems):
    """Return whether the first line is a header: known column names, or no video and labels that no other line has."""
    if not rows or rows[0][0] != 1:
        return False
    _, name, labels = rows[0]
    second = ";".join(labels)
    if name.lower().endswith(files.SUFFIXES) or os.path.exists(root / name):
        return False
    if re.fullmatch(LABELS, name.lower()) or re.fullmatch(PATHS, second.lower()):
        raise InputError(f"{path}:1: columns {name},{second}; {ADVICE}, in this order")
    if not labels or _is_number(labels[0]) or any(set(labels) & set(others) for _, _, others in rows[1:]):
        return False
    if re.fullmatch(PATHS, name.lower()) or re.fullmatch(LABELS, second.lower()):
        return True
    problems.append(f"{path}:1: {name!r} is no video, and no other line has label {second!r}: treated as the header")
    return True


def _is_number(label):
    return label.removeprefix("-").isdecimal()


def _classes(root, rows):
    """Return the class names, and the class index of each valid label."""
    path = root / "classes.txt"
    if path.is_file():
        with csv_files.open_text(path) as file:
            classes = [name.strip() for name in file.read().rstrip().splitlines()]
        numbers = {str(i): i for i in range(len(classes))}
        for i, name in enumerate(classes):
            if not name or classes.index(name) < i or _is_number(name) and name != str(i):
                raise InputError(f"{path}:{i + 1}: expected a new name, or the number {i}; received {name!r}")
    else:
        labels = [label for _, _, labels in rows for label in labels]
        numbers = {}
        classes = sorted(set(labels))
        if labels and _is_number(labels[0]):
            most = max(MANY_CLASSES, 10 * len(classes))
            used = [int(label) for label in classes if label.isdecimal() and int(label) < most]
            classes = [str(i) for i in range(max(used, default=-1) + 1)]
    if not classes:
        raise InputError(f"{path if path.is_file() else root / 'train.csv'}: names no class; {ADVICE}")
    return classes, {**numbers, **{name: i for i, name in enumerate(classes)}}
