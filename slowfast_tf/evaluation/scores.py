"""Scores of a test as a file: what an interrupted test goes on from, and what the parts of several machines share."""

import dataclasses
import json
import zipfile

import numpy as np

from ..errors import InputError
from ..files.atomic import atomic

# What has to be the same in all parts of a test, and what to say where it is not.
SHARED = {
    "weights": "is of other weights",
    "classes": "has other classes",
    "test": "has other views",
    "videos": "is of another number of videos",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """What a test, or a part of one, gave. Of a detection network each of the N is a box.

    Attributes:
        ids: of the videos (or of the boxes' key frames) that could be read, a list of N.
        labels: 1 for each class that happens in the video, uint8 `[N, classes]`.
        scores: float32 `[N, classes]`, of all views of a video together.
        skipped: for each video that could not be read, why.
        about: what was tested, as JSON holds it: "weights" (their SHA-256), "activation", "dataset", "classes" (names),
            "config", "test" (its section of that name), "part" (number and how many) and "videos" (of all parts).
        boxes: x1, y1, x2, y2 as shares of width and height, float32 `[N, 4]`; None of a classification network.
    """

    ids: list
    labels: np.ndarray
    scores: np.ndarray
    skipped: dict
    about: dict
    boxes: np.ndarray | None = None

    @property
    def videos(self):
        """How many videos, or key frames, could be read."""
        return len(set(self.ids))

    @property
    def views(self):
        """Clips and crops of a video, such as "10x3"."""
        test = self.about["test"]
        return f"{test['clips']}x{test['crops'] or 'whole'}"

    def save(self, path):
        """Writes a `.npz` of `ids`, `labels`, `scores`, `classes` and `views` (and `boxes`), and of `skipped` and
        `about` as JSON."""
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file,
                ids=np.array(self.ids, str),
                labels=self.labels,
                scores=self.scores,
                classes=np.array(self.about["classes"], str),
                views=self.views,
                skipped=json.dumps(self.skipped),
                about=json.dumps(self.about),
                **({} if self.boxes is None else {"boxes": self.boxes}),
            )


def load(path):
    """Reads what `Scores.save` wrote.

    Raises:
        InputError: for a missing file, or another kind of file.
    """
    try:
        with np.load(path) as file:
            skipped, about = (json.loads(str(file[name])) for name in ("skipped", "about"))
            boxes = file["boxes"] if "boxes" in file.files else None
            return Scores(file["ids"].tolist(), file["labels"], file["scores"], skipped, about, boxes)
    except OSError as error:
        raise InputError(f"cannot read the scores {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} holds no scores; give a file that evaluate --scores wrote") from error


def fuse(paths):
    """One `Scores` of the parts of a test.

    Args:
        paths: of their files, in any order. A single file of a whole test is taken as it is.

    Raises:
        InputError: for a file that is none of scores or of another test, and where a part is missing or there twice.
    """
    parts = [load(path) for path in paths]
    count, owners, videos = parts[0].about["part"][1], {}, {}
    for path, part in zip(paths, parts):
        for key, what in SHARED.items():
            if part.about[key] != parts[0].about[key]:
                raise InputError(f"{path} {what} than {paths[0]}; fuse the parts of one test")
        number, parts_of_it = part.about["part"]
        if parts_of_it != count:
            raise InputError(
                f"{path} is one of {parts_of_it} parts, {paths[0]} one of {count}; fuse the parts of one test"
            )
        if number in owners:
            raise InputError(f"{owners[number]} and {path} are both part {number}/{count}; give each part once")
        owners[number] = path
        for name in {*part.ids, *part.skipped}:
            if name in videos:
                raise InputError(
                    f"{videos[name]} and {path} both hold the video {name}; test all parts on the same data set"
                )
            videos[name] = path
    missing = [f"{number}/{count}" for number in range(count) if number not in owners]
    if missing:
        raise InputError(f"missing: part {', '.join(missing)}; give the files of all {count} parts")
    parts.sort(key=lambda part: part.about["part"][0])
    return Scores(
        [name for part in parts for name in part.ids],
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.scores for part in parts]),
        {name: why for part in parts for name, why in part.skipped.items()},
        {**parts[0].about, "part": [0, 1]},
        None if parts[0].boxes is None else np.concatenate([part.boxes for part in parts]),
    )
