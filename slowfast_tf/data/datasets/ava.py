"""AVA v2.2 and v2.1 (Gu et al., CVPR 2018): people and their actions in every second of 15 minutes of a film.

Each key frame is a `Video`. The module reads the official lists, the predicted boxes that PySlowFast and MMAction2
publish, and frames, films or parts of films in the directory layouts of PySlowFast and MMAction2.
"""

import dataclasses
import functools
import os
import pathlib
import re
import typing
from collections.abc import Iterable

import numpy as np

from ...errors import InputError
from ...files import csv_files, remote, unpickle
from ...labels import dataset_labels
from ..ava_csv import read_csv, read_exclusions
from ..reference import Box, Video
from . import files
from .base import Annotations, DataSet, Split
from .key_frames import MARGIN, Boxes, Corners, take_labels

CLASSES = 80  # ids 1 to 80; networks score all classes, but the benchmark evaluates only 60 of them
SECONDS = range(902, 1799)
# Directories of frames and of films, with the second of the original film at which their content starts.
FRAMES, RATE = {"frames": 900, "rawframes": 900}, 30.0
FILMS = {"videos_15min": 900, "videos": 0}
VERSIONS = {"v2.2": 2019, "v2.1": 2018}
_IOU90 = "person_box_67091280_iou90/ava_detection_{split}_boxes_and_labels"
_NEGATIVE = (f"{_IOU90}_include_negative_{{version}}.csv", f"{_IOU90}_include_negative.csv")
_OTHERS = ("ava_{split}_predicted_boxes.csv", "ava_dense_proposals_{split}.FAIR.recall_93.9.pkl")
# In PySlowFast's order of preference.
PREDICTED = {"train": (*_NEGATIVE, f"{_IOU90}.csv", *_OTHERS), "val": (f"{_IOU90}.csv", *_NEGATIVE, *_OTHERS)}
ADVICE = "unpack ava_v2.2.zip from https://research.google.com/ava/download.html there, without folders"

Key: typing.TypeAlias = tuple[str, int]  # a film and a second of it
KeyFrames: typing.TypeAlias = dict[Key, Boxes]


class AnnotationFiles(typing.NamedTuple):
    """The files of "val" that the detection metric is computed from.

    Attributes:
        annotations: the csv file of boxes and their actions.
        label_map: the `.pbtxt` file of the classes that count.
        exclusions: the csv file of excluded time stamps.
    """

    annotations: pathlib.Path
    label_map: pathlib.Path
    exclusions: pathlib.Path


class Ava(DataSet):
    """AVA. If both versions exist, version 2.2 is read.

    - "train" has every key frame with an annotated or predicted box, and all its boxes.
    - "val" has every key frame with a predicted box, and its predicted boxes. Without a file of predicted boxes, it
      has the annotated boxes.
    - Excluded time stamps are left out.
    - A predicted box has the labels in its file. If the file has none, the box takes the labels of the annotated box
      of the same person: the one with an IoU above 0.9.

    Boxes of any score are read. `data.Clips` applies the threshold `SlowFastSpec.person_score` in training and in
    testing, as PySlowFast does. (Section 5 of the paper uses 0.9 in training and 0.8 in testing.)

    The `labels` of a video are empty, because labels belong to boxes. The `id` is "FILM,SECOND", such as
    "-5KQ66BBWC4,0902".
    """

    has_boxes = True

    def read(self, split: str) -> Split:
        """See `DataSet.read`."""
        lists = self.root / "annotations"
        version = _version(lists, split)
        annotations, exclusions = f"ava_{split}_{version}.csv", f"ava_{split}_excluded_timestamps_{version}.csv"
        files.need("AVA", lists, (annotations, exclusions), ADVICE)
        found = _Lists(lists / exclusions)
        annotated = _annotated(lists / annotations, found)
        source, predicted = lists / annotations, {}
        names = (name.format(split=split, version=version) for name in PREDICTED[split])
        path = next((lists / name for name in names if (lists / name).is_file()), None)
        if path:
            read = _predicted_pickle if path.suffix == ".pkl" else _predicted
            predicted = read(path, found)
            if not predicted and split == "val":
                reason = f"; {found.problems[-1]}" if found.problems else ""
                raise InputError(f"{path}: no box in any key frame{reason}")
            source = path if split == "val" else source
        for key, boxes in predicted.items():
            take_labels(boxes, annotated.get(key, {}))
        frames = predicted
        if split == "train" or not predicted:
            frames = {key: {**predicted.get(key, {}), **annotated.get(key, {})} for key in {**annotated, **predicted}}

        pictures = _pictures(self.root)
        videos = [pictures.video(key, boxes, found.origins[key]) for key, boxes in frames.items()]
        missing = list(dict.fromkeys(film for (film, _), video in zip(frames, videos) if video is None))
        videos = filter(None, videos)
        return files.make_split(source, pictures.place, videos, _labels(lists, version), found.problems, missing)

    @classmethod
    def annotations(cls, root: str | os.PathLike) -> Annotations:
        """See `DataSet.annotations`. With the label map of the benchmark's 60 classes, only these are evaluated."""
        paths = annotation_files(root)
        names = read_label_map(paths.label_map)
        return Annotations(read_csv(paths.annotations, scored=False), names, read_exclusions(paths.exclusions))

    @classmethod
    def annotation_texts(cls, root: str | os.PathLike) -> dict[str, bytes]:
        """See `DataSet.annotation_texts`."""
        return {path.name: path.read_bytes() for path in annotation_files(root)}


def annotation_files(root: str | os.PathLike) -> AnnotationFiles:
    """Return the files for the detection metric, with the benchmark's label map if it exists.

    Args:
        root: directory of the data set, or of records that were made from it. Records may be at an address such as
            `s3://bucket/records`; the returned files are then local copies.

    Raises:
        InputError: if the files are missing.
        RunError: if the files cannot be downloaded.

    Example:
        >>> annotation_files("data/ava").label_map.name
        'ava_action_list_v2.2_for_activitynet_2019.pbtxt'
    """
    if remote.is_remote(root):
        return _fetched(str(root))
    lists = pathlib.Path(root) / "annotations"
    version = _version(lists, "val")
    names = [f"ava_val_{version}.csv", f"ava_val_excluded_timestamps_{version}.csv"]
    files.need("AVA", lists, names, ADVICE)
    return AnnotationFiles(lists / names[0], _label_map(lists, version, first=1), lists / names[1])


def _fetched(root: str) -> AnnotationFiles:
    """Return local copies of the annotation files of records at an address.

    Raises:
        InputError, RunError: as `remote.fetch_file`.
    """

    def first(names: Iterable[str]) -> pathlib.Path:
        failures = []
        for name in names:
            try:
                return remote.fetch_file(f"{root.rstrip('/')}/annotations/{name}")
            except InputError as error:
                failures.append(error)
        raise failures[0]

    annotations = first(f"ava_val_{version}.csv" for version in VERSIONS)
    version = annotations.stem.removeprefix("ava_val_")
    label_map = first(reversed(_label_maps(version)))
    return AnnotationFiles(annotations, label_map, first([f"ava_val_excluded_timestamps_{version}.csv"]))


def read_label_map(path: str | os.PathLike) -> dict[int, str]:
    """Return the class names of a label map of AVA (`.pbtxt`), by class id.

    Raises:
        InputError: if the file cannot be read, or if it is not a label map.
    """
    try:
        text = pathlib.Path(path).read_text("utf-8", "replace")
    except OSError as error:
        raise InputError(f"cannot read the label map {path}: {error.strerror}") from error
    quoted = r'"[^"]*"'
    # item { name: "dance" id: 4 }, or label { name: "dance" label_id: 4 label_type: PERSON_MOVEMENT }
    names = {}
    for block in re.findall(rf'\b(?:item|label)\s*\{{((?:[^{{}}"]|{quoted})*)\}}', text):
        fields = dict(re.findall(rf"(\w+)\s*:\s*({quoted}|[^\s\"]+)", block))
        name, number = fields.get("name", "").strip('"'), fields.get("id", fields.get("label_id", ""))
        if not name or not number.isdecimal() or not 1 <= int(number) <= CLASSES or int(number) in names:
            raise InputError(f"{path}: expected a name and a new id from 1 to {CLASSES}; received {block.split()}")
        names[int(number)] = name
    if not names:
        raise InputError(f"{path}: no class; expected item {{ name: ... id: ... }}, as in AVA's label maps")
    return names


def _labels(lists: pathlib.Path, version: str) -> list[str]:
    """Return the 80 class names. Missing names are AVA's for the benchmark's label map, "action N" for another map."""
    path = _label_map(lists, version, first=0)
    names, benchmark = read_label_map(path), path.name == _label_maps(version)[1]
    known = dataset_labels("ava") if benchmark else [f"action {i}" for i in range(1, CLASSES + 1)]
    return [names.get(i, name) for i, name in enumerate(known, 1)]


def _label_maps(version: str) -> list[str]:
    """Return the names of the label maps of all 80 classes and of the benchmark's 60."""
    return [f"ava_action_list_{version}.pbtxt", f"ava_action_list_{version}_for_activitynet_{VERSIONS[version]}.pbtxt"]


def _label_map(lists: pathlib.Path, version: str, first: int) -> pathlib.Path:
    """Return an existing label map: of all 80 classes (0) or of the benchmark's 60 (1), with `first` preferred."""
    maps = _label_maps(version)
    maps = [name for name in (maps[first], maps[1 - first]) if (lists / name).is_file()] or maps[1:]
    files.need("AVA", lists, maps[:1], ADVICE)
    return lists / maps[0]


def _version(lists: pathlib.Path, split: str) -> str:
    return next((v for v in VERSIONS if (lists / f"ava_{split}_{v}.csv").is_file()), "v2.2")


class _Pictures(typing.NamedTuple):
    """The frames or films of a data set.

    Attributes:
        place: directory of the frames or films.
        first: second of the original film at which they start.
        rate: frames per second of directories of frames; None for films.
        films: paths, by the name of the film.
    """

    place: pathlib.Path
    first: int
    rate: float | None
    films: dict[str, str]

    def video(self, key: Key, boxes: Boxes, origin: str) -> Video | None:
        """Return the reference to a key frame, or None if its film is missing."""
        film, second = key
        if film not in self.films:
            return None
        time = float(second - self.first)
        span = (max(time - MARGIN, 0.0), time + MARGIN)
        found = tuple(boxes.values())
        return Video(self.films[film], (), f"{film},{second:04d}", self.rate, span, time, found, origin)


def _pictures(root: pathlib.Path) -> _Pictures:
    """Return the first existing directory of frames or films."""
    for name, first in FRAMES.items():
        if (root / name).is_dir():
            return _Pictures(root / name, first, RATE, files.find_folders(root / name))
    for name, first in FILMS.items():
        if (root / name).is_dir():
            return _Pictures(root / name, first, None, files.find_videos(root / name))
    names = ", ".join((*FRAMES, *FILMS))
    raise InputError(f"none of the directories {names} is in {root}; docs/published_datasets.md describes each")


class _Lists:
    """The state of reading the lists of a split.

    Attributes:
        excluded: key frames to leave out.
        problems: a message for each line that was left out.
        origins: for each key frame, "FILE:LINE" of the first line that names it.
    """

    def __init__(self, path: pathlib.Path):
        """Read the excluded time stamps."""
        self.problems: list[str] = []
        self.origins: dict[Key, str] = {}
        self.excluded: set[Key] = set()
        for line, row in csv_files.lines(path):
            try:
                film, second = row
                self.excluded.add((film, int(second)))
            except ValueError:
                self.problems.append(
                    f"{path}:{line}: expected a film and a second, such as -5KQ66BBWC4,0902; received {row}"
                )

    def add(self, frames: KeyFrames, key: Key, corners: Corners, score: float, action: int | None, place: str) -> None:
        """Add a box, or another label of a box, to a key frame; skip excluded and invalid boxes.

        Args:
            frames: the key frames to extend.
            key: film and second.
            corners: x1, y1, x2, y2, as fractions of width and height.
            score: score of the box, 0 to 1.
            action: class id, 1 to 80; None if unknown.
            place: "FILE:LINE".
        """
        if key in self.excluded:
            return
        x1, y1, x2, y2 = corners
        if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
            self.problems.append(f"{place}: corners {corners} must be ascending fractions, from 0 to 1")
        elif key[1] not in SECONDS:
            self.problems.append(f"{place}: second {key[1]} is not a key frame ({SECONDS[0]} to {SECONDS[-1]})")
        elif action is not None and not 1 <= action <= CLASSES:
            self.problems.append(f"{place}: action {action} is not from 1 to {CLASSES}")
        elif not 0 <= score <= 1:
            self.problems.append(f"{place}: score {score} is not from 0 to 1")
        else:
            boxes = frames.setdefault(key, {})
            self.origins.setdefault(key, place)
            box, labels = boxes.get(corners), () if action is None else (action - 1,)
            if box is None:
                boxes[corners] = Box(corners, labels, score)
            elif not labels or labels[0] in box.labels:
                self.problems.append(f"{place}: listed again")
            else:
                boxes[corners] = dataclasses.replace(box, labels=box.labels + labels)


_number = functools.lru_cache(10_000)(float)  # corners have three decimals: a million boxes share 1001 numbers


def _annotated(path: pathlib.Path, lists: _Lists) -> KeyFrames:
    """Read lines of film, second, x1, y1, x2, y2, action, person; all scores are 1."""
    frames: KeyFrames = {}
    for line, row in csv_files.lines(path):
        if len(row) == 2:  # a key frame without people
            continue
        try:
            key = row[0], int(row[1])
            corners = _number(row[2]), _number(row[3]), _number(row[4]), _number(row[5])
            action = int(row[6])
        except (ValueError, IndexError):
            lists.problems.append(
                f"{path}:{line}: expected film,second,x1,y1,x2,y2,action,person; received {','.join(row)!r}"
            )
            continue
        lists.add(frames, key, corners, 1.0, action, f"{path}:{line}")
    return frames


def _predicted(path: pathlib.Path, lists: _Lists) -> KeyFrames:
    """Read lines of film, second, x1, y1, x2, y2, action (-1 or empty if unknown), score."""
    frames: KeyFrames = {}
    for line, row in csv_files.lines(path):
        try:
            score = float(row[7])
            key = row[0], int(row[1])
            corners = _number(row[2]), _number(row[3]), _number(row[4]), _number(row[5])
            action = None if row[6] in ("", "-1") else int(row[6])
        except (ValueError, IndexError):
            lists.problems.append(
                f"{path}:{line}: expected film,second,x1,y1,x2,y2,action,score; received {','.join(row)!r}"
            )
            continue
        lists.add(frames, key, corners, score, action, f"{path}:{line}")
    return frames


def _predicted_pickle(path: pathlib.Path, lists: _Lists) -> KeyFrames:
    """Read a dictionary from "FILM,SECOND" to arrays `[N, 5]` of x1, y1, x2, y2, score."""
    content = unpickle.read_pickle(path, "file of boxes")
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}; expected a dictionary of boxes by 'FILM,SECOND'")
    frames: KeyFrames = {}
    for name, boxes in content.items():
        try:
            film, second = name.split(",")
            key = film, int(second)
            boxes = np.asarray(boxes, float)
            if boxes.shape[-1] != 5:
                raise ValueError
        except (AttributeError, ValueError, TypeError, IndexError):
            lists.problems.append(f"{path}:{name}: expected an array [N, 5] of x1, y1, x2, y2, score")
            continue
        for x1, y1, x2, y2, score in boxes.reshape(-1, 5).tolist():
            lists.add(frames, key, (x1, y1, x2, y2), score, None, f"{path}:{name}")
    return frames
