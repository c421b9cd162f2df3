"""People in your own videos and their actions: `root/videos/*.mp4`, and annotations as csv or from CVAT or VIA.

Each second of a video with boxes is a key frame.
"""

import collections
import dataclasses
import difflib
import io
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from ....errors import InputError
from ....files import csv_files, remote
from ... import ava_csv
from ...reference import Box, Video
from .. import files
from ..base import Annotations, DataSet, Split
from ..key_frames import MARGIN, Boxes, take_labels
from .cvat import read_cvat
from .rows import NONE, Row
from .table import read_predicted, read_table, write_table
from .via import read_via
from .videos import Videos

READERS = {".csv": read_table, ".xml": read_cvat, ".json": read_via}
ADVICE = "put videos there as videos/*.mp4, and list their people with python -m slowfast_tf.find_people"
PREDICTED, LABELS = "val_boxes.csv", "labels.txt"

KeyFrames = dict[tuple[str, float], Boxes]


class People(DataSet):
    """Your own videos with boxes of people and their actions.

    `root/annotations` has one file per split: `train.csv` and `val.csv`, or `.xml` files of CVAT ("CVAT for video
    1.1"), or `.json` files of VIA 3 (a project). Instead of a file, a split may have a directory `train` or `val` of
    such files. The classes are the lines of `labels.txt`; without this file, the actions of "train" in alphabetical
    order.

    "train" has the annotated boxes. "val" has the boxes of `val_boxes.csv`, with the labels of the annotated boxes of
    the same people, as in AVA. Without this file "val" has the annotated boxes.

    The `labels` of a video are empty, because labels belong to boxes. The `id` is "VIDEO,SECOND", such as
    "street.mp4,2.5".
    """

    has_boxes = True

    def read(self, split: str) -> Split:
        """See `DataSet.read`."""
        files.need("people", self.root, ("videos", "annotations"), ADVICE)
        videos = Videos(self.root)
        found = _annotated(self.root, split, videos)
        frames, source = found.frames, found.source
        path = self.root / "annotations" / PREDICTED
        if split == "val" and path.is_file():
            frames, source = _predicted(path, videos, found), path
        references, missing = [], dict.fromkeys(found.missing)
        for (name, time), boxes in frames.items():
            place = videos.path(name)
            if place is None:
                missing[name] = None
                continue
            span = (max(time - MARGIN, 0.0), time + MARGIN)
            origin = found.origins.get((name, time), str(source))
            references.append(Video(place, (), _id(name, time), None, span, time, tuple(boxes.values()), origin))
        return files.make_split(source, videos.directory, references, found.labels, found.problems, list(missing))

    @classmethod
    def annotations(cls, root: str | os.PathLike) -> Annotations:
        """See `DataSet.annotations`."""
        if remote.is_remote(root):
            place = f"{str(root).rstrip('/')}/annotations"
            found = _Annotated(pathlib.Path(remote.fetch_file(f"{place}/val.csv")))
            labels = pathlib.Path(remote.fetch_file(f"{place}/{LABELS}"))
            _fill(found, read_table(found.source, Videos(None), found.problems), _read_labels(labels))
        else:
            found = _annotated(pathlib.Path(root), "val", Videos(pathlib.Path(root)))
        rows = [
            (name, time, *((0.0,) * 4 if label < 0 else corners), label + 1)
            for (name, time), boxes in found.frames.items()
            for corners, box in boxes.items()
            for label in box.labels or (-1,)  # a box without an action: its frame is evaluated all the same
        ]
        if not rows:
            raise InputError(f"{found.source}: no annotated box; {(found.problems or [ADVICE])[0]}")
        numbers = np.array([row[1:] for row in rows], float)
        names, actions = np.array([row[0] for row in rows], object), numbers[:, 5].astype(np.int64)
        boxes = ava_csv.Boxes(names, numbers[:, 0], numbers[:, 1:5], actions, np.ones(len(rows)))
        return Annotations(boxes, dict(enumerate(found.labels, 1)), set())

    @classmethod
    def annotation_texts(cls, root: str | os.PathLike) -> dict[str, bytes]:
        """See `DataSet.annotation_texts`: the annotated boxes of "val" as `val.csv`, and the classes."""
        found = _annotated(pathlib.Path(root), "val", Videos(pathlib.Path(root)))
        table = io.StringIO(newline="")
        write_table(
            table,
            [
                (name, time, *corners, ";".join(found.labels[i] for i in box.labels) or NONE)
                for (name, time), boxes in found.frames.items()
                for corners, box in boxes.items()
            ],
        )
        return {"val.csv": table.getvalue().encode(), LABELS: "".join(f"{x}\n" for x in found.labels).encode()}


def _id(name: str, time: float) -> str:
    return f"{name},{time!r}"


@dataclasses.dataclass
class _Annotated:
    """The annotated boxes of a split.

    Attributes:
        source: file or directory of the annotations.
        frames: boxes by video and time.
        labels: the class names.
        problems: a message for each row that was left out.
        missing: names of missing videos whose boxes cannot be read without them.
        origins: for each key frame, "FILE:LINE" of the first box.
    """

    source: pathlib.Path
    frames: KeyFrames = dataclasses.field(default_factory=dict)
    labels: Sequence[str] = ()
    problems: list[str] = dataclasses.field(default_factory=list)
    missing: list[str] = dataclasses.field(default_factory=list)
    origins: dict[tuple[str, float], str] = dataclasses.field(default_factory=dict)


def _annotated(root: pathlib.Path, split: str, videos: Videos) -> _Annotated:
    """Read the annotated boxes of a split, and the classes."""
    lists = root / "annotations"
    source, paths = _sources(lists, split)
    found = _Annotated(source)
    rows = [row for path in paths for row in READERS[path.suffix.lower()](path, videos, found.problems)]
    if (lists / LABELS).is_file():
        labels = _read_labels(lists / LABELS)
    else:
        training, problems = rows, found.problems
        if split != "train":
            paths, problems = _sources(lists, "train")[1], []
            training = [row for path in paths for row in READERS[path.suffix.lower()](path, videos, problems)]
        labels = sorted({action for row in training for action in row.actions or ()})
        if not labels:
            place = _sources(lists, "train")[0]
            if not training:
                raise InputError(f"{place}: no box can be read; {(problems or [ADVICE])[0]}")
            raise InputError(f"{place}: its {len(training)} boxes have no action; fill in the column action")
    _fill(found, rows, labels)
    found.problems += videos.unreadable.values()
    found.missing = [name for name in found.missing if name not in videos.unreadable]
    return found


def _sources(lists: pathlib.Path, split: str) -> tuple[pathlib.Path, list[pathlib.Path]]:
    """Return the file or directory of a split's annotations, and the list of its files."""
    names = [f"{split}{suffix}" for suffix in READERS]
    here = [lists / name for name in (*names, split) if (lists / name).exists()]
    if not here:
        advice = ADVICE if split == "train" else "python -m slowfast_tf.find_people --val VIDEO lists some videos there"
        raise InputError(f"no {', '.join(names)} or directory {split} in {lists}; {advice}")
    if len(here) > 1:
        raise InputError(f"{lists} has {' and '.join(path.name for path in here)}; keep one of them")
    if not here[0].is_dir():
        return here[0], here
    inside = sorted(path for path in here[0].iterdir() if path.suffix.lower() in READERS and path.name[0] != ".")
    if not inside:
        raise InputError(f"{here[0]}: no file with the suffix {', '.join(READERS)}")
    return here[0], inside


def _read_labels(path: pathlib.Path) -> list[str]:
    with csv_files.open_text(path) as file:
        labels = [line.strip() for line in file if line.strip()]
    twice = [name for name, count in collections.Counter(labels).items() if count > 1]
    if twice or not labels:
        raise InputError(f"{path}: {f'class {twice[0]!r} is listed twice' if twice else 'no class; give one per line'}")
    return labels


def _fill(found: _Annotated, rows: Iterable[Row], labels: Sequence[str]) -> None:
    """Add rows to the key frames; skip rows without an action, and unknown actions."""
    found.labels, numbers = labels, {name: i for i, name in enumerate(labels)}
    empty: dict[str, list[str]] = {}
    for row in rows:
        if row.time is None or row.corners is None:
            found.missing.append(row.video)
            continue
        if row.actions is None:
            file, _, line = row.place.rpartition(":")
            empty.setdefault(file, []).append(line)
            continue
        unknown = [action for action in row.actions if action not in numbers]
        for action in unknown:
            close = difflib.get_close_matches(action, labels, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"the classes are {', '.join(labels[:10])}"
            found.problems.append(f"{row.place}: unknown action {action!r}; {hint}")
        if unknown and len(unknown) == len(row.actions):
            continue
        boxes = found.frames.setdefault((row.video, row.time), {})
        found.origins.setdefault((row.video, row.time), row.place)
        before = boxes.get(row.corners, Box(row.corners))
        new = tuple(numbers[action] for action in row.actions if action in numbers)
        if row.corners in boxes and not {*new} - {*before.labels}:
            found.problems.append(f"{row.place}: listed again")
        boxes[row.corners] = dataclasses.replace(before, labels=tuple(dict.fromkeys(before.labels + new)))
    for file, lines in empty.items():
        shown = ", ".join(lines[:5]) + (", ..." if len(lines) > 5 else "")
        found.problems.append(
            f"{file}: {len(lines)} boxes without an action, such as {shown}; fill it in, or give {NONE!r} for no action"
        )


def _predicted(path: pathlib.Path, videos: Videos, found: _Annotated) -> KeyFrames:
    """Read predicted boxes, with the labels of the annotated boxes of the same people."""
    frames: KeyFrames = {}
    for name, time, corners, score in read_predicted(path, videos, found.problems):
        frames.setdefault((name, time), {})[corners] = Box(corners, (), score)
    if found.frames and not frames.keys() & found.frames.keys():
        raise InputError(
            f"{path}: no box at a time that {found.source} has boxes at, such as"
            f" {_id(*next(iter(found.frames)))}; remove the file to test on the annotated boxes"
        )
    for key, boxes in frames.items():
        take_labels(boxes, found.frames.get(key, {}))
    return frames
