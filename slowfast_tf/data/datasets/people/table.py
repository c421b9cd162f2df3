"""Read and write boxes and actions as csv files."""

import csv
import math
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from ....errors import InputError
from ....files import csv_files
from ..key_frames import Corners
from .rows import Row, split_actions
from .videos import Videos

HEADER = ("video", "second", "x1", "y1", "x2", "y2", "action", "person")


def read_table(path: pathlib.Path, videos: Videos, problems: list[str]) -> Iterator[Row]:
    """Read rows of video, second, x1, y1, x2, y2, action and, optionally, person.

    Args:
        path: path of a csv file; a first line may name the columns.
        videos: videos of the data set.
        problems: list to extend with a line for each row that is left out.

    Raises:
        InputError: if the file cannot be read, or if its columns are not separated by commas.
    """
    for place, row in _rows(path):
        box = _box(place, row[:6], problems) if len(row) in (7, 8) else _refuse(place, row, "action[,person]", problems)
        if box:
            video, time, corners = box
            yield Row(videos.name(video), time, corners, split_actions(row[6]), place)


def read_predicted(
    path: pathlib.Path, videos: Videos, problems: list[str]
) -> Iterator[tuple[str, float, Corners, float]]:
    """Read rows of video, second, x1, y1, x2, y2 and, optionally, score; the default score is 1.

    Yields:
        The file name of a video, time in seconds, corners as fractions of width and height, and score.

    Raises:
        InputError: as `read_table`.
    """
    for place, row in _rows(path):
        box = _box(place, row[:6], problems) if len(row) >= 6 else _refuse(place, row, "score", problems)
        if not box:
            continue
        video, time, corners = box
        text = row[6] if len(row) > 6 and row[6].strip() else "1"
        try:
            score = float(text)
        except ValueError:
            score = math.nan
        if 0 <= score <= 1:
            yield videos.name(video), time, corners, score
        else:
            problems.append(f"{place}: score {text} is not from 0 to 1")


def write_table(file: TextIO, rows: Iterable[Sequence[Any]], header: Sequence[str] = HEADER) -> None:
    """Write rows with the columns of `header` in the format of `read_table`."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def _rows(path: pathlib.Path) -> Iterator[tuple[str, list[str]]]:
    """Yield "FILE:LINE" and the values of each row except a header."""
    for line, row in csv_files.lines(path):
        names = [value.strip().lower() for value in row[:2]]
        if line == 1 and any(other in row[0] and ",".join(row).count(other) > 4 for other in ";\t"):
            raise InputError(f"{path}:1: commas must divide the columns; received {','.join(row)[:60]!r}")
        if names != list(HEADER[:2]):
            yield f"{path}:{line}", row


def _box(place: str, row: Sequence[str], problems: list[str]) -> tuple[str, float, Corners] | None:
    """Return video, time and corners; for a wrong row, add a problem and return None."""
    video = row[0].strip()
    try:
        time, x1, y1, x2, y2 = (float(value) for value in row[1:6])
    except ValueError:
        return _refuse(place, row, "...", problems)
    if not video:
        problems.append(f"{place}: no video; received {','.join(row)}")
    elif not 0 <= time < math.inf:
        problems.append(f"{place}: second {row[1]} is not a time in a video; it must be at least 0")
    elif not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
        problems.append(f"{place}: corners {(x1, y1, x2, y2)} must be ascending fractions, from 0 to 1")
    else:
        return video, round(time, 6), (x1, y1, x2, y2)


def _refuse(place: str, row: Sequence[str], last: str, problems: list[str]) -> None:
    problems.append(f"{place}: expected video,second,x1,y1,x2,y2,{last}; received {','.join(row)!r}")
