"""The scores of a test, and their file: to resume an interrupted test and to combine the shards of a test."""

import dataclasses
import json
import math
import os
import pathlib
import typing
import zipfile
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..files.atomic import atomic, is_writable

UNFINISHED = ".partial.npz"  # suffix of the scores of an unfinished test
# The fields that must be equal in all shards of a test, and the message if they are not.
SHARED = {
    "weights": "was scored with other weights",
    "classes": "has other classes",
    "test": "has other views",
    "protocol": "was scored by another protocol",
    "videos": "has another number of videos",
    "source": "has the videos of another data set or fold",
}


@dataclasses.dataclass(frozen=True)
class About:
    """A description of a test.

    Attributes:
        weights: SHA-256 of the model's weights.
        activation: "softmax" or "sigmoid".
        dataset: name of the data set; for records, the name of the original data set.
        classes: names of the classes.
        config: the whole configuration, as stored in JSON.
        test: the views, see `slowfast_tf.models.views.Views`.
        shard: number of the shard, from 0, and the number of shards.
        videos: number of videos in all shards together.
        protocol: the fields of the spec that affect the scores; empty in files of earlier versions.
    """

    weights: str
    activation: str
    dataset: str
    classes: tuple[str, ...]
    config: dict[str, typing.Any]
    test: dict[str, typing.Any]
    shard: tuple[int, int]
    videos: int
    protocol: dict[str, typing.Any] = dataclasses.field(default_factory=dict)

    @property
    def source(self) -> tuple[typing.Any, ...]:
        """The data set and its fold. The directory may differ between machines."""
        data = self.config.get("data", {})
        return self.dataset, data.get("fold"), data.get("groups")

    def to_json(self) -> str:
        """Return the JSON text for a file of scores. The key of the shard is "part", as in files of all versions."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.dumps({"part" if name == "shard" else name: value for name, value in fields.items()})

    @classmethod
    def from_json(cls, text: str) -> "About":
        """Return the description from the text of `to_json`.

        Raises:
            ValueError, KeyError, TypeError: if the text is not from `to_json`.
        """
        fields = {"protocol": {}, **json.loads(text)}
        first, count = fields["part"]
        values = {field.name: fields[field.name] for field in dataclasses.fields(cls) if field.name != "shard"}
        return cls(**{**values, "classes": tuple(values["classes"]), "shard": (first, count)})


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """The scores of a test or of one of its shards. Each of the N rows is a video or, for a detection model, a box.

    Attributes:
        ids: N ids of the videos (or of the boxes' key frames) that could be read.
        labels: 1 for each class of the video, uint8 `[N, classes]`.
        scores: scores fused over the views of a video, float32 `[N, classes]`.
        skipped: the error for each video that could not be read, by id.
        about: description of the test.
        boxes: x1, y1, x2, y2 as fractions of width and height, float32 `[N, 4]`; None for a classification model.
    """

    ids: list[str]
    labels: np.ndarray
    scores: np.ndarray
    skipped: dict[str, str]
    about: About
    boxes: np.ndarray | None = None

    @property
    def videos(self) -> int:
        """The number of videos, or key frames, that could be read."""
        return len(set(self.ids))

    @property
    def views(self) -> str:
        """Number of clips and crops per video, such as "10x3"."""
        test = self.about.test
        return f"{test['clips']}x{test['crops'] or 'whole'}"

    def save(self, path: str | os.PathLike) -> None:
        """Write a `.npz` file with `ids`, `labels`, `scores`, `classes`, `views` and, for a detection model, `boxes`;
        `skipped` and `about` are JSON text.

        Example:
            >>> _, scores = evaluate(model, clips)
            >>> scores.save("scores.npz")
        """
        with atomic(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file,
                ids=np.array(self.ids, str),
                labels=self.labels,
                scores=self.scores,
                classes=np.array(self.about.classes, str),
                views=np.array(self.views),
                skipped=np.array(json.dumps(self.skipped)),
                about=np.array(self.about.to_json()),
                **({} if self.boxes is None else {"boxes": self.boxes}),  # pyright: ignore[reportArgumentType]
            )


def load_scores(path: str | os.PathLike) -> Scores:
    """Read a file that `Scores.save` wrote.

    Raises:
        InputError: if the file is missing or has another format.

    Example:
        >>> load_scores("scores.npz").views
        '10x3'
    """
    try:
        with np.load(path) as file:
            skipped, about = json.loads(str(file["skipped"])), About.from_json(str(file["about"]))
            boxes = file["boxes"] if "boxes" in file.files else None
            return Scores(file["ids"].tolist(), file["labels"], file["scores"], skipped, about, boxes)
    except OSError as error:
        raise InputError(f"cannot read the scores {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} holds no scores of a test", argument="paths") from error


def fuse_scores(paths: Sequence[str | os.PathLike]) -> Scores:
    """Return the scores of a whole test from the files of its shards.

    Args:
        paths: paths of the files, in any order. A single file of a whole test is returned unchanged.

    Raises:
        InputError: if a file has no scores, or is of an unfinished or another test, or if a shard is missing or given
            twice.

    Example:
        >>> fuse_scores(["part1.npz", "part0.npz"]).about.shard
        (0, 1)
    """
    for path in paths:
        if os.fspath(path).endswith(UNFINISHED):
            raise InputError(f"{path} is of an unfinished test; resume it with the command that began it")
    shards = [load_scores(path) for path in paths]
    _check_shards(paths, shards)
    shards.sort(key=lambda scores: scores.about.shard)
    whole = concatenate(shards)
    return dataclasses.replace(whole, about=dataclasses.replace(whole.about, shard=(0, 1)))


def concatenate(parts: Sequence[Scores]) -> Scores:
    """Return the rows of several tests as one test, with the `about` of the first."""
    boxes = [scores.boxes for scores in parts if scores.boxes is not None]
    return Scores(
        [name for scores in parts for name in scores.ids],
        np.concatenate([scores.labels for scores in parts]),
        np.concatenate([scores.scores for scores in parts]),
        {name: why for scores in parts for name, why in scores.skipped.items()},
        parts[0].about,
        np.concatenate(boxes) if boxes else None,
    )


def _check_shards(paths: Sequence[str | os.PathLike], shards: list[Scores]) -> None:
    """Raise an InputError unless the files are all the shards of one test, once each."""
    first, count = shards[0].about, shards[0].about.shard[1]
    owners, videos = {}, {}
    for path, scores in zip(paths, shards):
        for key, difference in SHARED.items():
            if getattr(scores.about, key) != getattr(first, key):
                raise InputError(f"{path} {difference} than {paths[0]}; fuse the shards of one test")
        number, its_count = scores.about.shard
        if its_count != count:
            raise InputError(
                f"{path} is one of {its_count} shards, {paths[0]} one of {count}; fuse the shards of one test"
            )
        if number in owners:
            raise InputError(f"{owners[number]} and {path} are both shard {number}/{count}; give each shard once")
        owners[number] = path
        for name in {*scores.ids, *scores.skipped}:
            if name in videos:
                raise InputError(
                    f"{videos[name]} and {path} both hold the video {name}; test all shards on the same data set"
                )
            videos[name] = path
    missing = [f"{number}/{count}" for number in range(count) if number not in owners]
    if missing:
        raise InputError(f"missing: shard {', '.join(missing)}; give the files of all {count} shards")


def partial_file(*files: str | os.PathLike | None) -> pathlib.Path | None:
    """Return the path of the file for the scores of an unfinished test, beside the first output file.

    Args:
        files: output files of the test; None for a file that is not written.

    Example:
        >>> partial_file(None, "metrics.json")
        PosixPath('metrics.json.partial.npz')
    """
    first = next((file for file in files if file), None)
    return pathlib.Path(f"{first}{UNFINISHED}") if first else None


def check_outputs(files: Sequence[str | os.PathLike | None], overwrite: bool) -> None:
    """Check the output files before a test, which may take hours.

    Args:
        files: as for `partial_file`.
        overwrite: whether files may be replaced.

    Raises:
        InputError: if a file is given twice, exists or cannot be written. A file that the interrupted test wrote, which
            this test resumes, may exist.

    Example:
        >>> check_outputs(["metrics.json", None], overwrite=False)
    """
    partial = partial_file(*files)
    started = partial.stat().st_mtime if partial is not None and partial.exists() else math.inf
    paths = [pathlib.Path(file) for file in files if file]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            raise InputError(f"{path} is given for two files; give different ones")
        if path.exists() and not overwrite and path.stat().st_mtime < started:
            raise InputError(f"{path} exists", argument="existing")
        if not is_writable(path):
            raise InputError(f"cannot write {path}; choose another place")
