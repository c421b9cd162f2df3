"""Scores of a camera or a stream, as it happens."""

import collections
import dataclasses
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ..data import sampling, transforms
from ..models.spec import SlowFastSpec
from ..video.stream import open_stream
from .labels import best_as_json, best_in_words, class_names
from .predictor import Predictor


@dataclasses.dataclass(frozen=True, eq=False)
class Moment:
    """The scores of the latest clip.

    Attributes:
        source: of the stream.
        labels: a name for each class.
        time: of the clip's last frame, in seconds of the stream from its first frame on.
        delay: seconds from the arrival of that frame to its scores.
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

    One thread reads and another scores, so a network slower than the stream leaves clips out and does not fall
    behind. If decoding is slower than the stream, frames are left out until a key frame. Memory holds one clip.

    Args:
        predictor: a `slowfast_tf.inference.Predictor` of a network with head "pool".
        source: the number of a camera (Linux), or an address or a file that FFmpeg can open.
        labels: a name for each class; by default the model's.

    Yields:
        A `Moment` for each scored clip, until the stream ends; the first when there are frames for one clip.

    Raises:
        VideoError: if the source cannot be opened or holds no frame, and after 10 seconds of silence.

    Example:
        >>> for moment in watch(Predictor(model), "rtsp://192.168.1.20/stream"):
        ...     print(moment.line(3))
    """
    spec = predictor.spec
    labels = labels or class_names(spec)
    score = tf.function(lambda crops: predictor.score_crops(crops[None])[0], jit_compile=False, autograph=False)
    # Before the stream is opened: a network's first call takes seconds.
    score(tf.zeros([spec.clip_frames, spec.crop_size, spec.crop_size, 3]))
    reader = _Reader(source, spec)
    reader.start()
    try:
        while (clip := reader.wait_for_clip()) is not None:
            scores = score(tf.stack(clip.crops)).numpy()
            yield Moment(source, labels, clip.time, time.monotonic() - clip.arrival, scores)
    finally:
        reader.stopped = True
    if reader.error:
        raise reader.error


class _Clip(NamedTuple):
    crops: list[tf.Tensor]
    time: float  # of the last frame
    arrival: float  # of the last frame


class _Reader(threading.Thread):
    """Read a stream and keep the frames of the latest clip.

    Attributes:
        stopped: set it to end the thread.
        error: what the thread ended with, or None.
    """

    def __init__(self, source: str, spec: SlowFastSpec):
        super().__init__(daemon=True)
        self.stopped = False
        self.error: Exception | None = None
        self._source, self._spec = source, spec
        self._offsets = np.zeros(1, int)  # of the frames of a clip, from its first
        self._changed = threading.Condition()  # guards what follows
        self._held: collections.deque[tuple[float, tf.Tensor]] = collections.deque()  # (time, crop)
        self._rate = 25.0
        self._arrival = 0.0  # of the last frame
        self._given: float | None = None  # the time of the last clip that was handed out
        self._ended = False

    def wait_for_clip(self) -> _Clip | None:
        """Return the latest clip, once it has a new frame; None at the end of the stream."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._ready())
            # At the end of a stream shorter than a clip, the frames that there are.
            if not self._held or self._held[-1][0] == self._given:
                return None
            times = np.array([seconds for seconds, _ in self._held])
            crops = [crop for _, crop in self._held]
            last = self._given = self._held[-1][0]
            arrival = self._arrival
        # By time, not by number: frames may be missing, and rates change.
        wanted = last - (self._offsets[-1] - self._offsets) / self._rate
        places = np.searchsorted(times, wanted + 0.5 / self._rate, "right") - 1
        return _Clip([crops[max(place, 0)] for place in places], last, arrival)

    def _ready(self) -> bool:
        if not self._held or self._held[-1][0] == self._given:
            return False
        return self._held[-1][0] - self._held[0][0] >= (self._offsets[-1] - 0.5) / self._rate

    def run(self) -> None:
        try:
            self._read()
        except Exception as error:  # raised where the clips are taken
            self.error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _read(self) -> None:
        with open_stream(self._source) as stream:
            self._rate = stream.rate
            offsets = sampling.window_offsets(self._spec, stream.rate)
            self._offsets = offsets - offsets[0]
            stride = max(int(np.diff(self._offsets).min(initial=offsets[-1])), 1)
            most = int(self._offsets[-1]) // stride + 2
            for frame in stream.frames(stride):
                if self.stopped:
                    return
                crop = transforms.test_crops(frame.image[None], self._spec.crop_size, 1)[0, 0]
                with self._changed:
                    if frame.restarted:
                        self._held.clear()  # a clip does not mix two takes
                    self._held.append((frame.time, crop))
                    while len(self._held) > most:
                        self._held.popleft()
                    self._arrival = frame.arrival
                    self._changed.notify_all()
