"""Data sets: a class for each, and a dictionary of all. Needs no TensorFlow: the configuration reads the dictionary."""

import dataclasses
import math
import os
from collections.abc import Collection, Iterable

import numpy as np

from ...errors import InputError, OutsideError, VideoError
from ...video.probe_index import probe_index
from ..reference import Video, resolve
from .ava import Ava
from .base import Annotations, DataSet, Split
from .charades import Charades
from .egogestar import EgoGestAR
from .folder import Folder
from .kinetics import Kinetics
from .lists import Lists
from .people import People
from .something import SomethingSomething
from .synthetic.people import DemoDetection
from .synthetic.shapes import Demo
from .synthetic.strokes import Strokes

__all__ = [
    "DATASETS",
    "Annotations",
    "DataSet",
    "Split",
    "annotation_texts",
    "annotations",
    "check",
    "check_single_labels",
    "load_split",
    "own_metrics",
]

DATASETS: dict[str, type[DataSet]] = {
    "demo": Demo,
    "demo_detection": DemoDetection,
    "strokes": Strokes,
    "folder": Folder,
    "lists": Lists,
    "kinetics": Kinetics,
    "charades": Charades,
    "ssv2": SomethingSomething,
    "egogestar": EgoGestAR,
    "ava": Ava,
    "people": People,
}


def load_split(name: str, root: str | os.PathLike, split: str, strict: bool = False) -> Split:
    """Return the videos of a split of a data set.

    Args:
        name: a key of `DATASETS`.
        root: directory of the data set.
        split: "train" or "val".
        strict: raise an error if an entry of the lists is wrong.

    Raises:
        InputError: if the data set is unknown or not found (the message lists the expected files), if no video is
            left, or if `strict` is set and there is a problem.

    Example:
        >>> load_split("folder", "data/mine", "train").labels
        ('jump', 'run')
    """
    if name not in DATASETS:
        raise InputError(f"no data set {name!r}; there are {', '.join(DATASETS)}")
    try:
        found = _in_utf8(DATASETS[name](root).read(split))
    except OSError as error:
        if error.filename is None:
            raise
        raise InputError(f"cannot read or write {error.filename}: {error.strerror}") from error
    if strict:
        check(found.videos, found.problems, root)
    return found


def check(videos: Iterable[Video], problems: Iterable[str], root: str | os.PathLike) -> None:
    """Raise an error for any problem, or for a label or a key frame past the end of its video.

    Args:
        videos: videos of a `Split`; videos whose lists have times are opened.
        problems: problems of a `Split`.
        root: directory of the data set.

    Raises:
        InputError: with the first problem.
    """
    problems, probe = list(problems), probe_index(root).probe
    for video in videos:
        # Open only videos with times to check, and directories of images, which may be incomplete.
        times = video.key is not None or any(math.isfinite(end) for _, _, end in video.labels)
        if times or video.rate is not None:
            try:
                problems += resolve(video, probe).problems
            except OutsideError as error:
                problems.append(str(error))
            except VideoError:
                pass  # an unreadable video is skipped and listed when it is read
    problems = list(dict.fromkeys(problems))  # the hundreds of key frames of a film may have the same problem
    if problems:
        raise InputError(f"{problems[0]} (the first of {len(problems)} problems)", argument="strict")


def check_single_labels(names: Iterable[str], classes: Iterable[Collection[int]]) -> None:
    """Raise an error if a video has several classes, for a network with activation "softmax".

    Args:
        names: ids of the videos.
        classes: different class indices of each video.

    Raises:
        InputError: with the first such video.

    Example:
        >>> check_single_labels(["a.mp4", "b.mp4"], [[0], []])
    """
    for name, some in zip(names, classes):
        if len(some) > 1:
            raise InputError(f"{name} has several labels; set model.activation to sigmoid")


def own_metrics(name: str, truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return the metrics that are specific to a data set, by name; most data sets have none.

    Args:
        name: name of the data set; an unknown data set has no such metrics.
        truth: class indices, int `[N]`.
        predicted: class indices, int `[N]`.
    """
    return DATASETS.get(name, DataSet).own_metrics(truth, predicted)


def annotations(name: str, root: str | os.PathLike) -> Annotations | None:
    """Return the annotations of "val" for the detection metric; None for data sets without boxes.

    Args:
        name: name of the data set; an unknown data set has no annotations.
        root: directory of the data set, or of records that were made from it. Records may be at an address such as
            `s3://bucket/records`.

    Raises:
        InputError: if the annotations are missing, or if their format is wrong.
        RunError: if the annotations cannot be downloaded.

    Example:
        >>> annotations("ava", "data/ava").names[1]
        'bend/bow (at the waist)'
    """
    return DATASETS.get(name, DataSet).annotations(root)


def annotation_texts(name: str, root: str | os.PathLike) -> dict[str, bytes]:
    """Return the files that records need in their directory `annotations`, by name; none for data sets without boxes.

    Args:
        name: name of the data set; an unknown data set has no such files.
        root: directory of the data set.

    Raises:
        InputError: as `annotations`.
    """
    return DATASETS.get(name, DataSet).annotation_texts(root)


def _in_utf8(found: Split) -> Split:
    """Drop the videos whose names are not UTF-8: TensorFlow and records cannot store such names."""
    videos, problems = [], list(found.problems)
    for video in found.videos:
        try:
            video.path.encode()
            video.id.encode()
        except UnicodeEncodeError:
            problems.append(f"{_legible(video.path)}: a name that is not in UTF-8; rename it")
        else:
            videos.append(video)
    for label in found.labels:
        if label != _legible(label):
            raise InputError(f"class {_legible(label)!r}: a name that is not in UTF-8; rename it")
    if not videos:
        raise InputError(f"no video is left; the first of {len(problems)} problems: {problems[0]}")
    return dataclasses.replace(found, videos=tuple(videos), problems=tuple(problems))


def _legible(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="replace")
