"""Score the videos of a test with several views each (section 4), fused into one score per class."""

import dataclasses
import hashlib
import json
import os
import pathlib
import time
import typing
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf
import tqdm

from ..errors import InputError, RunError
from ..inference.predictor import Predictor
from ..inference.views import checked_scores, fuse
from .protocol import OVERRIDABLE
from .scores import About, Scores, load_scores

if typing.TYPE_CHECKING:
    from ..data import Clips

SAVE_SECONDS = 60

Rows = np.ndarray | tuple[()]
# Id, labels, scores and boxes of a video or key frame.
Scored = tuple[str, np.ndarray, np.ndarray, Rows]


class _Progress:
    """The scores of a test so far.

    Args:
        about: description of the test.
        partial: file of an unfinished test, to resume from and to save to; None for no file.
        boxes: whether each row is a box.

    Raises:
        InputError: if `partial` is of another test.
    """

    def __init__(self, about: About, partial: pathlib.Path | None, boxes: bool):
        self.about, self.partial = about, partial
        self.ids: list[str] = []
        self.labels: list[np.ndarray] = []
        self.scores: list[np.ndarray] = []
        self.boxes: list[np.ndarray] | None = [] if boxes else None
        self.skipped: dict[str, str] = {}
        self.saved = time.monotonic()
        if partial and partial.exists():
            earlier = load_scores(partial)
            if earlier.about != about:
                raise InputError(
                    f"{partial} was left by an interrupted test of another model or configuration; finish that one with"
                    f" the command that began it, or remove the file"
                )
            self.add(earlier.ids, earlier.labels, earlier.scores, () if earlier.boxes is None else earlier.boxes)
            self.skipped.update(earlier.skipped)

    def add(self, ids: Iterable[str], labels: Rows, scores: Rows, boxes: Rows) -> None:
        """Append rows."""
        self.ids += ids
        self.labels += list(labels)
        self.scores += list(scores)
        if self.boxes is not None:
            self.boxes += list(boxes)

    def so_far(self) -> Scores:
        """Return the scores of all rows."""
        shape = (-1, len(self.about.classes))
        labels, scores = np.array(self.labels, np.uint8), np.array(self.scores, np.float32)
        boxes = None if self.boxes is None else np.array(self.boxes, np.float32).reshape(-1, 4)
        skipped = dict(self.skipped)
        return Scores(list(self.ids), labels.reshape(shape), scores.reshape(shape), skipped, self.about, boxes)

    def save(self, every: float = 0.0) -> None:
        """Write `partial`, unless it was written in the last `every` seconds."""
        if self.partial and time.monotonic() - self.saved > every:
            self.so_far().save(self.partial)
            self.saved = time.monotonic()


def score_videos(
    model: keras.Model,
    clips: "Clips",
    shard: tuple[int, int] = (0, 1),
    partial: str | os.PathLike | None = None,
) -> Scores:
    """Score the readable videos of a shard. Only the views of a few clips are in memory at a time.

    Args:
        model: a `SlowFast` with the classes of `clips`.
        clips: a `slowfast_tf.data.Clips`. `clips.spec` sets the views, how their scores are fused, and the activation.
        shard: number of the shard of the videos to test, and the number of shards.
        partial: a file for the scores so far, written once a minute. If it exists, the test resumes from it. The caller
            removes it after the scores are saved. None for no file.

    Raises:
        InputError: if `partial` is of another test, if the shard has no video, or if a video has several labels and the
            activation is softmax.
        RunError: if scores are not finite, or if the test was interrupted.

    Example:
        >>> score_videos(model, clips).scores.shape  # doctest: +SKIP
        (240, 6)
    """
    total = clips.size(shard)
    if not total:
        raise InputError(
            f"shard {shard[0]} of {shard[1]} holds no video: there are fewer videos than shards", argument="shard"
        )
    detects = clips.spec.head == "roi"
    predictor = Predictor(model, clips.spec)
    progress = _Progress(_about(model, clips, shard), pathlib.Path(partial) if partial else None, detects)
    clips.skipped.update(progress.skipped)
    progress.skipped = clips.skipped  # the same dictionary, which the clips update
    done = set(progress.ids)
    scored = _score_boxes if detects else _score_views
    try:
        with tqdm.tqdm(total=total, initial=len(done), desc="testing", unit="video", disable=None) as bar:
            for name, labels, scores, boxes in scored(predictor, clips, shard, done):
                checked_scores(scores, name)
                if clips.spec.activation == "softmax" and labels.sum() > 1:
                    raise InputError(f"{name} has several labels; train a model with model.activation sigmoid")
                progress.add([name] * len(labels), labels, scores, boxes)
                done.add(name)
                bar.update()
                progress.save(every=SAVE_SECONDS)
            bar.update(total - bar.n)  # unreadable videos, and key frames without a box of at least `person_score`
    except KeyboardInterrupt as error:
        if not partial:
            raise
        progress.save(every=-1)
        raise RunError(f"interrupted; the same command resumes after {len(done)} of {total} videos") from error
    return progress.so_far()


def _about(model: keras.Model, clips: "Clips", shard: tuple[int, int]) -> About:
    spec = clips.spec
    return About(
        _digest(model),
        spec.activation,
        clips.dataset,
        tuple(clips.labels),
        _as_json(clips.config.model_dump(mode="json")),
        dataclasses.asdict(spec.views),
        (shard[0], shard[1]),
        clips.count,
        _as_json({name: value for name, value in spec.as_dict().items() if name in OVERRIDABLE}),
    )


def _as_json(values: dict[str, typing.Any]) -> dict[str, typing.Any]:
    """Return values as they are read back from JSON, such as lists in place of tuples."""
    return json.loads(json.dumps(values))


def _score_views(predictor: Predictor, clips: "Clips", shard: tuple[int, int], done: set[str]) -> Iterator[Scored]:
    """Yield the id, labels `[1, classes]`, fused scores `[1, classes]` and no boxes for each video."""
    views, scores = clips.spec.views, []
    for inputs, truth, name in clips.views(shard, done):
        scores.append(predictor.score_views(inputs).numpy())
        if len(scores) == views.clips:
            yield name.numpy().decode(), truth.numpy()[None], fuse(np.concatenate(scores), views)[None], ()
            scores = []


def _score_boxes(predictor: Predictor, clips: "Clips", shard: tuple[int, int], done: set[str]) -> Iterator[Scored]:
    """Yield the id, labels `[N, classes]`, scores `[N, classes]` and boxes `[N, 4]` of each key frame."""
    box_scores = tf.function(predictor.score_inputs, reduce_retracing=True, autograph=False, jit_compile=False)
    for inputs, truth, boxes, name in clips.key_frames(shard, done):
        yield name.numpy().decode(), truth.numpy(), box_scores(inputs)[0].numpy(), boxes.numpy()


def _digest(model: keras.Model) -> str:
    """Return the SHA-256 of the weights."""
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    return digest.hexdigest()
