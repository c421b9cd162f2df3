"""Boxes of people from a csv or a JSON file."""

import csv
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from ...data.boxes import check_corners
from ...errors import InputError
from .person import Person


def read_boxes(path: str | os.PathLike, duration: float) -> list[Person]:
    """Read people from a csv or a JSON file.

    Args:
        path: a csv or a `.json` file. The csv columns are second, x1, y1, x2, y2 and optionally score; the first line
            may name them. The JSON is a list of `{"time": ..., "box": [x1, y1, x2, y2], "score": ..., "track": ...}`,
            or an object with this list as "people", as `predict` writes it. Score and track are optional; the track is
            in all boxes or in none. Corners are fractions of width and height.
        duration: duration of the video, in seconds.

    Returns:
        The people, ordered by time.

    Raises:
        InputError: if corners are NaN, negative, above 1, swapped or without area; if a time is outside the video; if
            only some boxes have a track; or if the format differs. The message names the file and the row.

    Example:
        >>> _ = pathlib.Path("people.csv").write_text("0.5,0.1,0.2,0.3,0.9")
        >>> read_boxes("people.csv", 10.0)[0].corners
        (0.1, 0.2, 0.3, 0.9)
    """
    path = pathlib.Path(path)
    try:
        rows = _json_rows(path) if path.suffix == ".json" else _csv_rows(path)
        people = [_person(where, values, track, duration) for where, values, track in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the boxes {path}: {error}") from error
    if not people:
        raise InputError(f"{path} holds no box")
    numbered = sum(person.track >= 0 for person in people)
    if 0 < numbered < len(people):
        raise InputError(f"{path}: {numbered} of {len(people)} boxes have a track; give all of them one, or none")
    return sorted(people, key=lambda person: person.time)


def _person(where: str, values: Any, track: Any, duration: float) -> Person:
    try:
        time, x1, y1, x2, y2, score = (float(value) for value in values)
    except (TypeError, ValueError):
        raise InputError(
            f"{where}: expected second,x1,y1,x2,y2 and, if there is one, score; received {values}"
        ) from None
    check_corners((x1, y1, x2, y2), where)
    if x1 == x2 or y1 == y2:
        raise InputError(f"{where}: the box has no area; received {values}")
    if not 0 <= time <= duration:
        raise InputError(f"{where}: second {time:g} is not in the video, which lasts {duration:.2f} s")
    if not 0 <= score <= 1:
        raise InputError(f"{where}: score {score:g} is not from 0 to 1")
    if track is not None and (type(track) is not int or track < 0):
        raise InputError(f"{where}: track {track!r} is not a whole number of at least 0")
    return Person(time, (x1, y1, x2, y2), score, -1 if track is None else track)


def _csv_rows(path: pathlib.Path) -> Iterator[tuple[str, Any, None]]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        for row in reader:
            if row and not (reader.line_num == 1 and row[0].strip() in ("time", "second")):
                yield f"{path}:{reader.line_num}", [*row, *([1.0] * (len(row) == 5))], None


def _json_rows(path: pathlib.Path) -> Iterator[tuple[str, Any, Any]]:
    try:
        entries = json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if isinstance(entries, dict):
        entries = entries.get("people", entries)
    if not isinstance(entries, list):
        raise InputError(f"{path} holds a {type(entries).__name__}; expected a list of boxes")
    for i, entry in enumerate(entries):
        try:
            values, track = [entry["time"], *entry["box"], entry.get("score", 1.0)], entry.get("track")
        except (TypeError, KeyError, AttributeError):
            values, track = entry, None
        yield f"{path}, box {i} (from 0)", values, track
