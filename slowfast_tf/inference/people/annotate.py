"""Write the people in a video file and their actions as video, JSON and csv, as `predict` does."""

import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tqdm

from ...data import ava_csv
from ...errors import InputError, VideoError
from ...files.atomic import write_text
from ...files.journal import Journal
from ...models.spec import SlowFastSpec
from ...video.probe import VideoInfo, duration, probe
from ..detectors import DEFAULT, Boxes, Detector, load_detector
from .boxes_file import read_boxes
from .detect import Sighting
from .finding import Found, find_people
from .output import as_ava, as_json, write_video
from .person import Person, in_words, key_times
from .scoring import Scorer
from .tracking import check_tracking, follow

SUFFIXES = (".mp4", ".json", ".csv")


def check_outputs(
    videos: Sequence[str | os.PathLike],
    directory: str | os.PathLike,
    overwrite: bool = False,
    boxes: str | os.PathLike | None = None,
) -> list[pathlib.Path]:
    """Return the output path of each video; refuse paths that two videos share, that are inputs, or that exist.

    Args:
        videos: video files to read.
        directory: where to write.
        overwrite: whether existing files may be replaced.
        boxes: a file of boxes to read, if there is one.

    Returns:
        A path for each video, without a suffix: `annotate` adds each of `SUFFIXES`.

    Raises:
        InputError: one line that says what is wrong, with `argument` "videos", "directory" or "output".

    Example:
        >>> check_outputs(["films/street.mp4"], "out")
        [PosixPath('out/street')]
    """
    places = [pathlib.Path(directory, pathlib.Path(path).stem) for path in videos]
    sources = {pathlib.Path(path).resolve() for path in videos}
    for place in places:
        for path in (f"{place}{suffix}" for suffix in SUFFIXES):
            if places.count(place) > 1:
                raise InputError(f"two videos would be written to {path}", argument="videos")
            if pathlib.Path(path).resolve() in sources:
                raise InputError(f"{path} is a video to read", argument="directory")
            if boxes and pathlib.Path(path).resolve() == pathlib.Path(boxes).resolve():
                raise InputError(f"{path} is the file of boxes to read", argument="directory")
            if pathlib.Path(path).exists() and not overwrite:
                raise InputError(f"{path} exists", argument="output")
    return places


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The people in a video, their actions, and the files that show them.

    Attributes:
        video: path of the video.
        labels: a name for each class.
        people: people with tracks and actions, ordered by time.
        place: path of the written files, without the suffix.
        person_score: lowest score of a box that counts as a person.
        left_out: number of boxes in the given file with a lower score.
        best: the highest score of any box of a person; 0 without a box.
        seconds: run time in seconds by part, "detector" and "network".
    """

    video: str
    labels: Sequence[str]
    people: Sequence[Person]
    place: pathlib.Path
    person_score: float
    left_out: int
    best: float
    seconds: Mapping[str, float]

    def found(self) -> str:
        """Return text that says how many people were found."""
        scored = [person for person in self.people if person.actions is not None]
        tracks, frames = {person.track for person in scored}, key_times(scored)
        left_out = f" ({self.left_out} of the boxes left out for a low score)" if self.left_out else ""
        if self.people:
            return f"{in_words(len(tracks))} in {len(frames)} key frame{'s' if len(frames) > 1 else ''}{left_out}"
        words = f"nobody with a person score of at least {self.person_score:g}"
        return f"{words}; the best is {self.best:.2f}: lower --person-score to include it" if self.best else words

    def line(self, count: int) -> str:
        """Return a line that says how many people were found and where the files are."""
        files = ", ".join(f"{self.place}{suffix}" for suffix in SUFFIXES)
        seconds = ", ".join(f"{name} {value:.1f} s" for name, value in self.seconds.items())
        return f"{self.video}: {self.found()}; {files}; {seconds}"

    def as_json(self, count: int) -> dict[str, Any]:
        """Return the content of the JSON file, with the `count` best actions of each person."""
        return {"video": self.video, "people": as_json(self.people, self.labels, count)}


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
    """Annotate videos one after the other; an unreadable video does not stop the others.

    Args:
        model: a `SlowFast` with head "roi".
        paths: video files.
        labels: a name for each class.
        directory: where to write a video, a JSON and a csv file for each video, under the name of the video.
        overwrite: whether existing files may be replaced.
        boxes, person_score, top: as for `annotate`.
        detector: a path or name for `load_detector`, used without `boxes`; `detectors.DEFAULT` if None.

    Yields:
        For each path an `Annotation`, or a `VideoError` that says why the video cannot be read.

    Raises:
        InputError: if the output files may not be written (see `check_outputs`), or if the boxes or the detector
            cannot be used.

    Example:
        >>> labels = class_names(model.spec)  # doctest: +SKIP
        >>> for found in annotate_files(model, ["street.mp4"], labels, "out", boxes="people.csv"):  # doctest: +SKIP
        ...     print(found if isinstance(found, VideoError) else found.line(5))
    """
    check_tracking()
    places = check_outputs(paths, directory, overwrite, boxes)
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
    """Write the people in a video and their actions: a video with boxes, a JSON file and a csv file in AVA's format.

    The results of the detector and the network are kept in `PLACE.partial.jsonl` until the end. After an interruption
    the same call resumes from this file.

    Args:
        path: path of the video.
        scorer: a `Scorer` of a detection network.
        labels: a name for each class.
        place: path of the files to write, without the suffix.
        source: a file of boxes for `read_boxes`, or a detector that finds the people.
        person_score: lowest score of a box in the file that counts as a person; the network's own by default.
        top: number of actions to write for each person; the video shows at most three.

    Raises:
        InputError: if the boxes or the detector cannot be used.
        VideoError: if the video cannot be read.

    Example:
        >>> place = pathlib.Path("out/street")
        >>> annotate("street.mp4", Scorer(model), class_names(model.spec), place, "people.csv")  # doctest: +SKIP
    """
    info = probe(path)
    given = None if isinstance(source, Detector) else _given(source, info, scorer.spec, person_score)
    about = {"video": os.path.abspath(path), "changed": os.stat(path).st_mtime_ns, "network": scorer.fingerprint}
    if isinstance(source, Detector):
        about |= {"detector": source.name, "person_score": source.person_score}
    else:
        about["boxes"] = hashlib.sha256(repr(given).encode()).hexdigest()
    seconds = {}
    with Journal(f"{place}.partial.jsonl", about) as journal:
        if isinstance(source, Detector):
            before = source.seconds
            given = find_people(path, info, source, journal)
            seconds["detector"] = source.seconds - before
        assert given, "boxes are given or detected"
        started = time.perf_counter()
        people = _score(path, given, scorer, journal)
        seconds["network"] = time.perf_counter() - started
        write_video(path, people, labels, f"{place}.mp4", 0.5 / given.rate, min(top, 3))
        found = Annotation(str(path), labels, people, place, given.least, given.left_out, given.best, seconds)
        ava_csv.write_csv(f"{place}.csv", as_ava(place.name, people, len(labels)))
        write_text(f"{place}.json", json.dumps(found.as_json(top), indent=1) + "\n")
    return found


def _given(boxes: str | os.PathLike, info: VideoInfo, spec: SlowFastSpec, person_score: float | None = None) -> Found:
    """Return the people in a file of boxes; each time in the file is a key frame."""
    least = spec.person_score if person_score is None else person_score
    given = read_boxes(boxes, duration(info))
    people = [person for person in given if person.score >= least]
    left_out, best = len(given) - len(people), max(person.score for person in given)
    times = key_times(people)
    rate = 1 / float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    if any(person.track < 0 for person in people):
        together = [list(here) for _, here in itertools.groupby(people, lambda person: person.time)]
        corners, scores = ([[getattr(p, name) for p in here] for here in together] for name in ("corners", "score"))
        people = follow(map(Sighting, times, map(Boxes, map(np.array, corners), map(np.array, scores))), least, rate)
    return Found(people, set(times), rate, least, left_out, best)


def _score(path: str | os.PathLike, given: Found, scorer: Scorer, journal: Journal) -> list[Person]:
    """Return all people, with actions for those in key frames; actions in the journal are not computed again."""
    here = [person for person in given.people if person.time in given.keys]
    rows = [np.array(row, np.float32) for entry in journal.entries if "actions" in entry for row in entry["actions"]]
    rest = scorer.score(path, here[len(rows) :])
    done, total = len(key_times(here[: len(rows)])), len(key_times(here))
    for scored in tqdm.tqdm(rest, "actions", total, initial=done, unit="key frame", disable=None):
        rows.extend(scored)
        journal.add({"actions": scored.tolist()})
    actions = iter(rows)
    return [
        dataclasses.replace(person, actions=next(actions)) if person.time in given.keys else person
        for person in given.people
    ]
