"""Write tables of the people in videos with empty actions, for the command `find_people`."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from ...data.datasets.files import SUFFIXES
from ...data.datasets.people.table import HEADER, write_table
from ...errors import InputError, VideoError
from ...files.atomic import atomic
from ...files.journal import Journal
from ...video.probe import probe
from ..detectors import Detector
from .finding import find_people
from .person import in_words
from .tracking import check_tracking

PREDICTED = (*HEADER[:6], "score")  # the columns of predicted boxes


@dataclasses.dataclass(frozen=True)
class Listed:
    """The people in a video, as rows of a table.

    Attributes:
        video: path of the video.
        rows: video, second, x1, y1, x2, y2, action, person and score for each person and second.
        table: the file that the rows are written to at the end.
        best: the highest score of any box; 0 without a box.
    """

    video: str
    rows: list[list[Any]]
    table: pathlib.Path
    best: float

    def line(self) -> str:
        """Return a line that says how many people were found."""
        if not self.rows:
            return f"{self.video}: nobody; the best score is {self.best:.2f}: lower --person-score to include it"
        people, seconds = {row[7] for row in self.rows}, {row[1] for row in self.rows}
        counts = f"{in_words(len(people))}; boxes: {len(self.rows)}, seconds: {len(seconds)}"
        return f"{self.video}: {counts}; {self.table}"


def list_people(
    videos: Sequence[str | os.PathLike],
    directory: str | os.PathLike,
    detector: Detector,
    val: Sequence[str | os.PathLike] = (),
    overwrite: bool = False,
) -> Iterator[Listed | VideoError]:
    """Write tables of the people in videos, for a data set with the format "people".

    An unreadable video does not stop the others. Videos outside `DIRECTORY/videos` are linked there. At the end,
    `DIRECTORY/annotations` has `train.csv`: a row for each person and second, with an empty action. With `val` it also
    has `val.csv`, and `val_boxes.csv`: the same boxes with the scores of the detector. After an interruption the same
    call resumes where it stopped.

    Args:
        videos: video files.
        directory: the root of the data set.
        detector: detector of people.
        val: video files for validation; they may also be in `videos`.
        overwrite: whether existing tables may be replaced.

    Yields:
        For each video a `Listed`, or a `VideoError` that says why the video cannot be read.

    Raises:
        InputError: if a table exists (with `argument` "output"), if different videos have the same name, or if data
            sets do not read videos with this suffix.

    Example:
        >>> videos = ["street.mp4", "park.mp4"]
        >>> for found in list_people(videos, "data/mine", detector, val=["park.mp4"]):  # doctest: +SKIP
        ...     print(found if isinstance(found, VideoError) else found.line())
    """
    check_tracking()
    root = pathlib.Path(directory)
    lists, validation = root / "annotations", {_absolute(path) for path in val}
    paths = {_absolute(path): os.fspath(path) for path in (*videos, *val)}
    _check(paths, lists, validation, overwrite)
    about = {"detector": detector.name, "person_score": detector.person_score}
    found, failed = [], 0
    with Journal(lists / "find_people.partial.jsonl", about) as journal:
        done = {entry["video"]: entry for entry in journal.entries}
        for path, given in paths.items():
            table = lists / ("val.csv" if path in validation else "train.csv")
            try:
                known = done.get(str(path))
                if known is None or known["changed"] != path.stat().st_mtime_ns:
                    known = _find(path, lists, detector)
                    journal.add(known)
                _link(path, root / "videos")
            except (VideoError, FileNotFoundError) as error:
                failed += 1
                yield error if isinstance(error, VideoError) else VideoError(f"{given}: {error.strerror}")
                continue
            found.append(Listed(given, known["rows"], table, known["best"]))
            yield found[-1]
        _write(lists, found)


def _absolute(path: str | os.PathLike) -> pathlib.Path:
    return pathlib.Path(os.path.abspath(path))  # not `resolve`, which would replace the name of a link


def _check(paths: dict[pathlib.Path, str], lists: pathlib.Path, validation: set[pathlib.Path], overwrite: bool) -> None:
    names = [
        *(["train.csv"] if paths.keys() - validation else []),
        *(["val.csv", "val_boxes.csv"] if validation else []),
    ]
    for name in names:
        if (lists / name).exists() and not overwrite:
            raise InputError(f"{lists / name} exists", argument="output")
    seen: dict[str, str] = {}
    for path, given in paths.items():
        if path.suffix.lower() not in SUFFIXES:
            allowed = ", ".join(SUFFIXES)
            raise InputError(f"{given}: a data set reads videos with the suffixes {allowed}; rename", argument="videos")
        if path.name in seen:
            raise InputError(f"{seen[path.name]} and {given} have the same name; rename one", argument="videos")
        seen[path.name] = given
        place = lists.parent / "videos" / path.name
        if place.exists() and path.exists() and not place.samefile(path):
            raise InputError(f"{place} is not the same video as {given}; rename one", argument="videos")


def _find(path: pathlib.Path, lists: pathlib.Path, detector: Detector) -> dict[str, Any]:
    """Return the journal entry of a video: the rows, the best score, and the modification time of the file."""
    about = {"video": str(path), "changed": path.stat().st_mtime_ns}
    info = probe(path)
    with Journal(
        lists / f"{path.name}.partial.jsonl",
        {**about, "detector": detector.name, "person_score": detector.person_score},
    ) as journal:
        found = find_people(path, info, detector, journal)
    rows = []
    for person in sorted(found.people, key=lambda person: (person.time, person.track)):
        x1, y1, x2, y2 = (round(min(max(x, 0.0), 1.0), 4) for x in person.corners)
        if person.time in found.keys and x1 < x2 and y1 < y2:
            rows.append([path.name, person.time, x1, y1, x2, y2, "", person.track, round(person.score, 4)])
    return {**about, "rows": rows, "best": found.best}


def _link(path: pathlib.Path, folder: pathlib.Path) -> None:
    """Link a video into the data set, unless the data set already has it."""
    if (folder / path.name).exists():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).unlink(missing_ok=True)  # a link to where the video was before
        (folder / path.name).symlink_to(path)
    except OSError as error:
        raise InputError(f"cannot link {path} in {folder}: {error.strerror}; copy it there") from error


def _write(lists: pathlib.Path, found: Sequence[Listed]) -> None:
    for table in dict.fromkeys(listed.table for listed in found):
        rows = [row for listed in found if listed.table == table for row in listed.rows]
        with atomic(table) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
            write_table(file, (row[:8] for row in rows))
        if table.name == "val.csv":
            with (
                atomic(lists / "val_boxes.csv") as temporary,
                open(temporary, "w", encoding="utf-8", newline="") as file,
            ):
                write_table(file, ([*row[:6], row[8]] for row in rows), PREDICTED)
