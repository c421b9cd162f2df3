"""The work of `predict` with a detection model: who does what in a video file, written as a video and as JSON."""

import dataclasses
import json
import os
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...errors import InputError, VideoError
from ...files.atomic import write_text
from ...video.probe import duration, probe
from ..detectors import DEFAULT, Detector, load_detector
from .boxes_file import read_boxes
from .detect import detect
from .output import as_json, write_video
from .person import Person, key_times
from .scoring import Scorer
from .tracking import track


def check_outputs(
    videos: Sequence[str | os.PathLike], directory: str | os.PathLike, overwrite: bool = False
) -> list[pathlib.Path]:
    """Return where the annotations of videos are written; refuse what would be written twice, or over something.

    Args:
        videos: files to read.
        directory: where to write.
        overwrite: whether existing files may be replaced.

    Returns:
        A path for each video, without the suffix: `annotate` adds ".mp4" and ".json".

    Raises:
        InputError: one line on what is wrong, with `argument` "videos", "directory" or "output".

    Example:
        >>> check_outputs(["films/street.mp4"], "out")
        [PosixPath('out/street')]
    """
    places = [pathlib.Path(directory, pathlib.Path(path).stem) for path in videos]
    sources = {pathlib.Path(path).resolve() for path in videos}
    for place in places:
        for path in (f"{place}.mp4", f"{place}.json"):
            if places.count(place) > 1:
                raise InputError(f"two videos would be written to {path}", argument="videos")
            if pathlib.Path(path).resolve() in sources:
                raise InputError(f"{path} is a video to read", argument="directory")
            if pathlib.Path(path).exists() and not overwrite:
                raise InputError(f"{path} exists", argument="output")
    return places


@dataclasses.dataclass(frozen=True)
class Annotation:
    """Who does what in a video, and the files that show it.

    Attributes:
        video: path of the video.
        people: by time, with tracks and actions.
        place: the files that were written, without their suffixes ".mp4" and ".json".
        person_score: least score of a box that counts.
        left_out: number of the given boxes with a lower score.
        best: the highest score of any box of a person; 0 without a box.
        seconds: that the detector and the network took, by name.
    """

    video: str
    people: Sequence[Person]
    place: pathlib.Path
    person_score: float
    left_out: int
    best: float
    seconds: Mapping[str, float]

    def line(self, count: int) -> str:
        """Return a line on how many people were found, and where the files are."""
        tracks, frames = {person.track for person in self.people}, key_times(self.people)
        left_out = f" ({self.left_out} of the boxes left out for a low score)" if self.left_out else ""
        found = f"{len(tracks)} people in {len(frames)} key frames{left_out}"
        if not self.people:
            found = f"nobody with a person score of at least {self.person_score:g}"
            if self.best:
                found += f"; the best is {self.best:.2f}: a lower --person-score would count it"
        seconds = ", ".join(f"{name} {value:.1f} s" for name, value in self.seconds.items())
        return f"{self.video}: {found}; {self.place}.mp4, {self.place}.json; {seconds}"

    def as_json(self, count: int) -> dict[str, Any]:
        """Return the content of the JSON file, with the `count` best actions of each person."""
        return as_json(self.video, self.people, count)


def annotate_files(
    model: Any,
    paths: Sequence[str | os.PathLike],
    labels: Sequence[str],
    directory: str | os.PathLike,
    overwrite: bool = False,
    boxes: str | os.PathLike | None = None,
    detector: str | os.PathLike | None = None,
    person_score: float | None = None,
    top: int = 5,
) -> Iterator[Annotation | VideoError]:
    """Annotate videos one after the other; one that cannot be read does not stop the others.

    Args:
        model: a `SlowFast` with head "roi".
        paths: video files.
        labels: a name for each class.
        directory: where to write a video and a JSON file for each, with the name of the video.
        overwrite: whether existing files may be replaced.
        boxes, person_score, top: as for `annotate`.
        detector: a path or name for `load_detector`, used without `boxes`; `detectors.DEFAULT` if None.

    Yields:
        For each path its annotation, or the error with the reason why it cannot be read.

    Raises:
        InputError: for files that may not be written (see `check_outputs`), and for boxes or a detector that cannot be
            used.

    Example:
        >>> for found in annotate_files(model, ["street.mp4"], class_names(model.spec), "out", boxes="people.csv"):
        ...     print(found if isinstance(found, VideoError) else found.line(5))
    """
    places = check_outputs(paths, directory, overwrite)
    source = boxes or load_detector(detector or DEFAULT, person_score)
    scorer = Scorer(model)
    for path, place in zip(paths, places):
        try:
            yield annotate(path, scorer, labels, place, source, person_score, top)
        except VideoError as error:
            yield error


def annotate(
    path: str | os.PathLike,
    scorer: Scorer,
    labels: Sequence[str],
    place: pathlib.Path,
    source: str | os.PathLike | Detector,
    person_score: float | None = None,
    top: int = 5,
) -> Annotation:
    """Write who does what in a video: the video with boxes drawn in, and a JSON file.

    Args:
        path: of the video.
        scorer: of a detection network.
        labels: a name for each class.
        place: the files to write, without their suffixes ".mp4" and ".json".
        source: of the people: a file for `read_boxes`, or a detector.
        person_score: least score of a box of that file; the network's own by default.
        top: how many actions of each person; the video shows three at most.

    Raises:
        InputError: for boxes or a detector that cannot be used.
        VideoError: if the video cannot be read.

    Example:
        >>> place = pathlib.Path("out/street")
        >>> annotate("street.mp4", Scorer(model), class_names(model.spec), place, "people.csv")
    """
    length, left_out, seconds = duration(probe(path)), 0, {}
    if isinstance(source, Detector):
        least, started = source.person_score, source.seconds
        people, best = detect(path, source, length)
        seconds["detector"] = source.seconds - started
    else:
        least = scorer.spec.person_score if person_score is None else person_score
        given = read_boxes(source, length)
        people = [person for person in given if person.score >= least]
        left_out, best = len(given) - len(people), max(person.score for person in given)
    started = time.perf_counter()
    people = scorer.score(path, track(people), labels, top)
    seconds["network"] = time.perf_counter() - started
    write_video(path, people, f"{place}.mp4", min(top, 3))
    found = Annotation(str(path), people, place, least, left_out, best, seconds)
    write_text(f"{place}.json", json.dumps(found.as_json(top), indent=1) + "\n")
    return found
