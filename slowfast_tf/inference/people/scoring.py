"""Actions of people: scores of a detection network around key frames."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...data import transforms
from ...video.decode import iterate_frames
from ...video.probe import probe
from ..labels import best_classes
from ..predictor import Predictor
from .person import Person, key_times, nearest_frames


class Scorer:
    """A detection network with everything before and after it.

    Args:
        model: a `SlowFast` with head "roi".

    Example:
        >>> people = Scorer(model).score("street.mp4", read_boxes("people.csv", 10.0), class_names(model.spec), 3)
        >>> people[0].actions[0]
        ('walk', 0.91)
    """

    def __init__(self, model: Any):
        self.predictor = Predictor(model)
        self.spec = model.spec

    def score(self, path: str | os.PathLike, people: Sequence[Person], labels: Sequence[str], top: int) -> list[Person]:
        """Find the `top` best actions of people, from a clip around each key frame.

        One frame at full size is held at a time: each is resized for the network as it is decoded.

        Args:
            path: of the video.
            people: with the key frames' times.
            labels: class names.
            top: how many actions.

        Returns:
            The same people, by time, with `actions` set.

        Raises:
            VideoError: if the video cannot be read.
        """
        scored = []
        for time in key_times(people):
            here = [person for person in people if person.time == time]
            corners = np.array([person.corners for person in here], np.float32)
            scores = self._scores(self._read_clip(path, time), corners).numpy()
            for person, row in zip(here, scores):
                actions = tuple(best_classes(row, labels, top))
                scored.append(dataclasses.replace(person, actions=actions))
        return scored

    def _read_clip(self, path: str | os.PathLike, time: float) -> Any:
        """Return the clip around a time in seconds, resized for the network, float32 `[F, H, W, 3]`, 0 to 255."""
        info, spec = probe(path), self.spec
        start = nearest_frames(info, [time])[0] - spec.clip_span // 2
        frames = np.clip(start + np.arange(spec.clip_frames) * spec.clip_stride, 0, info.frames - 1)
        wanted, inverse = np.unique(frames, return_inverse=True)
        images = [transforms.resize(image[None], spec.crop_size)[0] for image in iterate_frames(path, wanted)]
        return tf.stack([images[i] for i in inverse])

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.float32, "clip"),
            tf.TensorSpec([None, 4], tf.float32, "boxes"),
        ],
        jit_compile=False,
        autograph=False,
    )
    def _scores(self, clip: Any, boxes: Any) -> Any:
        """Return the scores `[N, classes]` of boxes (shares of width and height) in a resized clip `[F, H, W, 3]`."""
        return self.predictor.score_resized(clip[None], boxes[None])[0]
