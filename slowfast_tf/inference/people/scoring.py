"""Score the actions of people in key frames with a detection network."""

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...data.sampling import key_frames, rate_ratio
from ...video.probe import VideoInfo, frame_times, nearest_frames, probe
from ...video.windows import iterate_windows
from ..predictor import Predictor
from ..views import checked_scores
from .person import Person


class Scorer:
    """A detection network with its preprocessing and activation.

    Args:
        model: a `SlowFast` with head "roi".

    Attributes:
        spec: spec of the network.
        fingerprint: SHA-256 of the spec and the weights, hexadecimal.

    Example:
        >>> people = read_boxes("people.csv", 2.0)  # doctest: +SKIP
        >>> [scores.shape for scores in Scorer(model).score("street.mp4", people)]  # doctest: +SKIP
        [(3, 80), (2, 80)]
    """

    def __init__(self, model: Any):
        predictor = Predictor(model)
        self.spec = predictor.spec
        digest = hashlib.sha256(repr(self.spec).encode())
        for weight in model.get_weights():
            digest.update(weight.tobytes())
        self.fingerprint = digest.hexdigest()
        clips = tf.TensorSpec([None, self.spec.clip_frames, None, None, 3], tf.uint8)
        boxes = tf.TensorSpec([None, None, 4], tf.float32)
        self._score = tf.function(predictor.score_boxes, [clips, boxes], autograph=False, jit_compile=False)

    def score(self, path: str | os.PathLike, people: Sequence[Person]) -> Iterator[np.ndarray]:
        """Score the actions of people in key frames, from a clip around each.

        The video is decoded once, and only the frames of one clip are in memory.

        Args:
            path: path of the video.
            people: people ordered by time; each time is a key frame.

        Yields:
            For each key frame the scores of its people, float32 `[N, classes]`.

        Raises:
            VideoError: if the video cannot be read.
            RunError: if scores are not finite.
        """
        together = [list(here) for _, here in itertools.groupby(people, lambda person: person.time)]
        if not together:
            return
        windows = self._windows(probe(path), [here[0].time for here in together])
        for here, frames in zip(together, iterate_windows(path, windows, self.spec.crop_size)):
            yield checked_scores(self.score_clip(np.stack(frames), here), path)

    def score_clip(self, frames: np.ndarray, people: Sequence[Person]) -> np.ndarray:
        """Score the actions of the people in a clip's middle frame, all in one call.

        Args:
            frames: uint8 `[F, H, W, 3]`.
            people: the people in frame `F // 2`.

        Returns:
            Their scores, float32 `[N, classes]`.
        """
        boxes = np.array([[person.corners for person in people]], np.float32)
        return self._score(frames[None], boxes)[0].numpy()

    def _windows(self, info: VideoInfo, times: Sequence[float]) -> np.ndarray:
        """Return the frame numbers of the clip around each time in seconds, as in a test, int `[len(times), F]`."""
        ratio = rate_ratio(self.spec, info.rate)
        keys = nearest_frames(frame_times(info), times)
        return np.concatenate([key_frames(key, info.frames, self.spec, ratio).numpy() for key in keys])
