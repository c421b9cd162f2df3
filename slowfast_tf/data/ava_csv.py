"""AVA's csv files: rows of video, second, box and action; rows of predictions also have a score."""

import dataclasses
import math
import os
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..files import csv_files
from ..files.atomic import atomic
from .boxes import check_corners

File = str | os.PathLike
# Maximum length of a video name in the fast reader, in bytes; files with longer names are read row by row.
_NAME = 32


@dataclasses.dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes with one action each, as rows of AVA's csv files. A frame without boxes has a row with action 0.

    Attributes:
        videos: names of the videos, `[N]`.
        times: times of the key frames, in seconds, float64 `[N]`.
        corners: x1, y1, x2, y2 as fractions of width and height, float64 `[N, 4]`.
        actions: class ids, from 1, int64 `[N]`; 0 in the row of a frame without boxes.
        scores: scores of the boxes, float64 `[N]`; 1 for annotated boxes.
    """

    videos: np.ndarray
    times: np.ndarray
    corners: np.ndarray
    actions: np.ndarray
    scores: np.ndarray


def read_csv(path: File, classes: int = 80, scored: bool = True) -> Boxes:
    """Read a csv file of AVA's format.

    Args:
        path: path of the file.
        classes: the highest class id.
        scored: whether the eighth column is a score; if not, it is the number of a person and is not read.

    Raises:
        InputError: as `mean_average_precision`.

    Example:
        >>> read_csv("ava_val_v2.2.csv", scored=False).videos[0]  # doctest: +SKIP
        '1j20qq1JyX4'
    """
    columns = [("video", f"S{_NAME}"), ("time", "f8"), ("corners", "f8", 4), ("action", "i8"), ("score", "f8")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # NumPy warns of an empty file, which is valid: no box
            rows = np.loadtxt(
                path,
                columns if scored else columns[:-1],
                delimiter=",",
                comments=None,
                quotechar='"',
                usecols=range(8 if scored else 7),
                encoding="latin1",  # keeps the bytes of a name, which are UTF-8
                ndmin=1,
            )
    except (OSError, ValueError):  # the file is missing or damaged, or has frames without boxes or rows without scores
        return _read_slowly(path, classes, scored)
    low, high = rows["corners"][:, :2], rows["corners"][:, 2:]
    fine = (low >= 0).all() and (high <= 1).all() and (low <= high).all() and (rows["time"] >= 0).all()
    fine = (
        fine and np.isfinite(rows["time"]).all() and (rows["action"] >= 1).all() and (rows["action"] <= classes).all()
    )
    fine = fine and (np.char.str_len(rows["video"][run_starts(rows["video"])]) < _NAME).all()
    if not fine or (scored and not np.isfinite(rows["score"]).all()):
        return _read_slowly(path, classes, scored)
    scores = rows["score"] if scored else np.ones(len(rows))
    # Decode each name once per run of equal names: the rows of a video are usually consecutive.
    starts = run_starts(rows["video"])
    videos = np.array([name.decode("utf-8-sig", "replace") for name in rows["video"][starts]], object)
    videos = np.repeat(videos, np.diff(np.append(starts, len(rows))))
    return Boxes(videos, rows["time"], rows["corners"], rows["action"], scores)


def _read_slowly(path: File, classes: int, scored: bool) -> Boxes:
    """Read a file row by row, to report the first invalid row with its line number."""
    videos, numbers = [], []
    for line, row in csv_files.lines(path):
        where = f"{path}:{line}"
        empty = len(row) == 2  # a frame without boxes
        if empty:
            row = [*row, *"00000"]
        if len(row) not in (7, 8):
            raise InputError(f"{where}: expected video,second,x1,y1,x2,y2,action and score or person; received {row}")
        try:
            time, *corners = (float(value) for value in row[1:6])
            action = int(row[6])
            score = float(row[7]) if scored and len(row) == 8 else 1.0
        except ValueError as error:
            raise InputError(f"{where}: {error}; received {','.join(row)}") from None
        if not 0 <= time < math.inf:
            raise InputError(f"{where}: second {row[1]} is not a time in a video; it must be at least 0")
        check_corners(corners, where)
        if not empty and not 1 <= action <= classes:
            raise InputError(f"{where}: unknown action {action}; the label map has 1 to {classes}")
        if not math.isfinite(score):
            raise InputError(f"{where}: score {row[7]} is not a number")
        videos.append(row[0])
        numbers.append((time, *corners, action, score))
    table = np.array(numbers, float).reshape(-1, 7)
    actions = table[:, 5].astype(np.int64)
    return Boxes(np.array(videos, object), table[:, 0], table[:, 1:5], actions, table[:, 6])


def read_exclusions(path: File) -> set[tuple[str, float]]:
    """Read the excluded frames, pairs of video and second, from a csv file.

    Example:
        >>> _ = pathlib.Path("excluded.csv").write_text("street,0902")
        >>> read_exclusions("excluded.csv")
        {('street', 902.0)}
    """
    excluded = set()
    for line, row in csv_files.lines(path):
        try:
            video, time = row
            excluded.add((video, float(time)))
        except ValueError:
            raise InputError(f"{path}:{line}: expected video,second; received {','.join(row)}") from None
    return excluded


def detections(
    videos: Sequence[str], times: npt.ArrayLike, corners: npt.ArrayLike, scores: npt.ArrayLike, ids: Iterable[int]
) -> Boxes:
    """Return the scores of a model as `Boxes`: a row for each person and class.

    Args:
        videos, times: video name and time, in seconds, of each person's key frame, `[N]`.
        corners: x1, y1, x2, y2 as fractions of width and height, `[N, 4]`.
        scores: scores of class ids 1, 2, ..., `[N, classes]`.
        ids: ids of the classes that count: the keys of the label map.

    Example:
        >>> detections(["street"], [902.0], [[0.1, 0.2, 0.3, 0.9]], [[0.9, 0.1]], [1, 2]).scores
        array([0.9, 0.1])
    """
    classes = np.array(sorted(ids))
    each = len(classes)
    return Boxes(
        np.repeat(np.asarray(videos, object), each),
        np.repeat(np.asarray(times, float), each),
        np.repeat(np.asarray(corners, float), each, axis=0),
        np.tile(classes, len(videos)),
        np.asarray(scores, float)[:, classes - 1].reshape(-1),
    )


def write_csv(path: File, boxes: Boxes) -> None:
    """Write `Boxes` in the official format: video, second, x1, y1, x2, y2, action, score.

    Example:
        >>> box = detections(["street"], [902.0], [[0.1, 0.2, 0.3, 0.9]], [[0.9]], [1])
        >>> write_csv("boxes.csv", box)
        >>> print(pathlib.Path("boxes.csv").read_text().strip())
        street,0902,0.100000,0.200000,0.300000,0.900000,1,0.900000
    """
    with atomic(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        columns = (boxes.videos, boxes.times, boxes.corners, boxes.actions, boxes.scores)
        for video, time, corners, action, score in zip(*(column.tolist() for column in columns)):
            video = f'"{video.replace(chr(34), chr(34) * 2)}"' if {*video} & {*',"'} else video
            second = f"{time:04.0f}" if time == int(time) else f"{time:.6f}"
            if not action:
                file.write(f"{video},{second}\n")
                continue
            place = ",".join(f"{value:.6f}" for value in corners)
            file.write(f"{video},{second},{place},{action},{score:.6f}\n")


def run_starts(x: np.ndarray) -> np.ndarray:
    """Return the indices at which runs of equal values start in an array `[N]`, int `[runs]`.

    Example:
        >>> run_starts(np.array([7, 7, 8, 7]))
        array([0, 2, 3])
    """
    return np.flatnonzero(changes(x))


def changes(x: np.ndarray) -> np.ndarray:
    """Return whether each of N values differs from the value before it, bool `[N]`; True for the first value.

    Example:
        >>> changes(np.array([1, 1, 2]))
        array([ True, False,  True])
    """
    return np.concatenate([np.ones(min(len(x), 1), bool), x[1:] != x[:-1]])
