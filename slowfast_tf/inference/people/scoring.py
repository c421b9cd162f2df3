"""Actions of people: scores of a detection network around key frames."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tqdm

from ...data import clips
from ...data.reference import Box, Video
from ...data.sampling import Sampling, test_starts
from ...data.sources import Files
from ...models.spec import SlowFastSpec
from ..labels import best_classes
from ..predictor import Predictor
from .person import Person, key_times


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
        predictor = Predictor(model)
        self.spec = predictor.spec
        self._score = tf.function(predictor.score_inputs, reduce_retracing=True, autograph=False, jit_compile=False)

    def score(self, path: str | os.PathLike, people: Sequence[Person], labels: Sequence[str], top: int) -> list[Person]:
        """Find the `top` best actions of people, from a clip around each key frame.

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
        for time in tqdm.tqdm(key_times(people), desc="actions", unit="key frame", disable=None):
            here = [person for person in people if person.time == time]
            scores = self._score(read_key_frame(path, time, here, self.spec))[0].numpy()
            for person, row in zip(here, scores):
                actions = tuple(best_classes(row, labels, top))
                scored.append(dataclasses.replace(person, actions=actions))
        return scored


def read_key_frame(path: str | os.PathLike, time: float, people: Sequence[Person], spec: SlowFastSpec) -> clips.Inputs:
    """Return the network's inputs for the clip around a key frame, as a test on key frames has them.

    Args:
        path: of the video.
        time: of the key frame, in seconds.
        people: N of them, whose boxes become the input "boxes".
        spec: of the network.

    Returns:
        By pathway float32 `[1, T, H, W, C]`, and "boxes" `[1, N, 4]`.

    Raises:
        VideoError: if the video cannot be read.
    """
    starts = np.array(test_starts(spec))
    video = Video(os.fspath(path), (), key=time, boxes=tuple(Box(person.corners) for person in people))
    clip = Files([video]).reader(Sampling(spec, starts, short_side=spec.crop_size))(0, starts, 1.0)
    boxes = tf.constant(clip.boxes, tf.float32)
    return clips.key_frame_inputs(clip._replace(frames=tf.constant(clip.frames), boxes=boxes), spec)
