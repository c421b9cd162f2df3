"""Scores of a camera or a stream, in real time."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..data import transforms
from .clip_reader import ClipReader
from .labels import best_as_json, best_in_words, class_names
from .predictor import Predictor
from .views import checked_scores


@dataclasses.dataclass(frozen=True, eq=False)
class Moment:
    """The scores of the latest clip.

    Attributes:
        source: the camera or stream, as given to `watch`.
        labels: a name for each class.
        time: time of the clip's last frame, in seconds since the first frame of the stream.
        delay: seconds from the arrival of the last frame to the scores.
        scores: float32 `[classes]`.
    """

    source: str
    labels: Sequence[str]
    time: float
    delay: float
    scores: np.ndarray

    def line(self, count: int) -> str:
        """Return a line with the `count` best classes."""
        return f"{self.time:.2f} s (delay {self.delay:.2f} s): {best_in_words(self.scores, self.labels, count)}"

    def as_json(self, count: int) -> dict[str, Any]:
        """Return a dictionary that JSON can hold, with the `count` best classes."""
        found = {"camera": self.source, "time": self.time, "delay": self.delay}
        return {**found, "predictions": best_as_json(self.scores, self.labels, count)}


def watch(predictor: Predictor, source: str, labels: Sequence[str] | None = None) -> Iterator[Moment]:
    """Score the latest clip of a camera or a stream, again and again.

    One thread reads and another scores. A network that is slower than the stream skips clips and does not fall behind.
    If decoding is slower than a live stream, the reader skips frames up to the next key frame. Only one clip is in
    memory.

    Args:
        predictor: a `slowfast_tf.inference.Predictor` of a network with head "pool".
        source: the number of a camera (Linux), or an address or a file that FFmpeg can open.
        labels: a name for each class; by default the model's.

    Yields:
        A `Moment` for each scored clip, until the stream ends. The first follows when enough frames for a clip are
        read.

    Raises:
        VideoError: if the source cannot be opened or holds no frame, or if no frame arrives for 10 seconds.
        RunError: if scores are not finite.

    Example:
        >>> for moment in watch(Predictor(model), "rtsp://192.168.1.20/stream"):  # doctest: +SKIP
        ...     print(moment.line(3))
    """
    spec = predictor.spec
    labels = labels or class_names(spec)
    score = tf.function(lambda crops: predictor.score_crops(crops[None])[0], jit_compile=False, autograph=False)
    # Call the network once before opening the stream: the first call takes seconds.
    score(tf.zeros([spec.clip_frames, spec.crop_size, spec.crop_size, 3]))
    size = spec.crop_size
    with ClipReader(source, spec, lambda image: transforms.test_crops(image[None], size, 1)[0, 0]) as reader:
        while clip := reader.wait_for_clip():
            scores = checked_scores(score(tf.stack([frame.value for frame in clip])).numpy(), source)
            yield Moment(source, labels, clip[-1].time, time.monotonic() - clip[-1].arrival, scores)
