"""Base class of the sources: read the clips of one video by its number."""

import abc
import atexit
import copy
import logging
import threading
import time
import typing
from collections.abc import Collection, Sequence

import numpy as np
import tensorflow as tf

from ...errors import VideoError
from ...machine import core_count
from ..clips import Clip
from ..sampling import Sampling

MAX_FAILURES = 3  # a disk or a network may fail temporarily; a video is not tried again after this many failures
_log = logging.getLogger("slowfast_tf")


class Reader(typing.Protocol):
    """Read clips of one video, outside of TensorFlow's graph."""

    def __call__(self, number: int, starts: np.ndarray, rate_ratio: float) -> Clip:
        """Return the clips, with arrays in place of tensors.

        Args:
            number: number of the video.
            starts: starts of the clips, float64 `[K]`, see `sampling.clip_frames`.
            rate_ratio: see `Sampling`.

        Raises:
            VideoError: if the video cannot be read.
        """
        ...


class Source(abc.ABC):
    """The videos of a split.

    Args:
        names: ids of the videos.
        box_scores: highest score of the boxes of each video; 1 without boxes, or if unknown.
        at_once: number of videos to read in parallel; None for the number of cores.

    Attributes:
        names, box_scores: the given values.
        count: number of videos.
        at_once: the given value, or the number of cores.
        skipped: the error of each video that could not be read, by id; updated while reading. A video is tried again
            when its turn comes again, until it has failed `MAX_FAILURES` times.
    """

    def __init__(self, names: Sequence[str], box_scores: Sequence[float], at_once: int | None = None):
        self.names, self.box_scores, self.count = names, box_scores, len(names)
        self.at_once = at_once or core_count()
        self.skipped: dict[str, str] = {}
        self._failures: dict[str, int] = {}

    @abc.abstractmethod
    def signature(self, frames: int) -> Clip:
        """Return the `tf.TensorSpec`s of clips with this number of frames."""

    @abc.abstractmethod
    def classes(self) -> list[list[int]]:
        """Return the class indices of each video."""

    def select(self, numbers: Sequence[int]) -> "Source":
        """Return a source with some of the videos, given by their numbers in this source."""
        other = copy.copy(self)
        other.names, other.box_scores = ([values[i] for i in numbers] for values in (self.names, self.box_scores))
        other.count, other.skipped, other._failures = len(numbers), {}, {}
        return other

    @abc.abstractmethod
    def reader(self, sampling: Sampling) -> Reader:
        """Return a reader of the clips that `sampling` selects. Starts and rate ratio are arguments of each call."""

    def shard(self, shard: tuple[int, int], done: Collection[str] = (), score: float = 0.0) -> list[int]:
        """Return the numbers of a shard's videos.

        Args:
            shard: number of the shard, and the number of shards.
            done: ids of videos to leave out.
            score: leave out videos whose boxes all have a lower score.
        """
        done = set(done)
        return [
            number
            for number in range(shard[0], self.count, shard[1])
            if self.box_scores[number] >= score and self.names[number] not in done
        ]

    def read(self, number: tf.Tensor, sampling: Sampling, stand_in: bool = False) -> Clip:
        """Read clips of a video, as a TensorFlow op.

        Args:
            number: number of the video, an integer scalar.
            sampling: the clips to read.
            stand_in: replace an unreadable video by the next readable one, so that batches stay full.

        Returns:
            The clips. An empty id means that the video cannot be read. With `stand_in`, the op raises an
            InvalidArgumentError if no video can be read.
        """
        signature = self.signature(sampling.spec.clip_frames)
        specs = tf.nest.flatten(signature)
        read = self.reader(sampling)

        def first_readable(number: np.ndarray, starts: np.ndarray, rate_ratio: np.ndarray) -> list[np.ndarray]:
            with _readers:
                clip = self._first_readable(read, int(number), starts, float(rate_ratio), stand_in)
            values = tf.nest.flatten(clip or _nothing(signature))
            return [np.asarray(value, spec.dtype.as_numpy_dtype) for value, spec in zip(values, specs)]

        starts, rate_ratio = (tf.convert_to_tensor(x, tf.float64) for x in (sampling.starts, sampling.rate_ratio))
        # Not `tf.py_function`: each of its calls creates and deletes an executor, while Keras' training loop waits for
        # all executors (TensorFlow 2.21). Sometimes it waits for a deleted one, and the process crashes.
        found = tf.numpy_function(first_readable, [number, starts, rate_ratio], [spec.dtype for spec in specs])
        found = [tf.ensure_shape(x, spec.shape) for x, spec in zip(found, specs)]
        if stand_in:
            readable = tf.debugging.assert_greater(
                tf.strings.length(found[0]), 0, "none of the training videos can be read"
            )
            with tf.control_dependencies([readable]):
                found[1] = tf.identity(found[1])  # attach the check to the frames, because the id may be unused
        return typing.cast(Clip, tf.nest.pack_sequence_as(signature, found))

    def _first_readable(
        self, read: Reader, number: int, starts: np.ndarray, rate_ratio: float, stand_in: bool
    ) -> Clip | None:
        for following in range(self.count if stand_in else 1):
            index = (number + following) % self.count
            name = self.names[index]
            # Do not retry unreadable videos as a stand-in: a short outage would use up the attempts of every video.
            if name in self.skipped and (following or self._failures.get(name, 0) >= MAX_FAILURES):
                continue
            try:
                clip = read(index, starts, rate_ratio)
            except VideoError as error:
                self._failures[name] = self._failures.get(name, 0) + 1
                if name not in self.skipped:
                    self.skipped[name] = str(error)
                    _log.warning("skipped: %s", error)
            else:
                self.skipped.pop(name, None)
                return clip
        return None


def clip_signature(frames: tf.TensorSpec, flow: tf.TensorSpec | tuple = ()) -> Clip:
    """Return the `tf.TensorSpec`s of clips, given the specs of the frames and of the optical flow."""
    return Clip(
        id=tf.TensorSpec([], tf.string),
        frames=frames,
        spans=tf.TensorSpec([None, 2], tf.float32),
        labels=tf.TensorSpec([None], tf.int64),
        starts=tf.TensorSpec([None], tf.float32),
        ends=tf.TensorSpec([None], tf.float32),
        boxes=tf.TensorSpec([None, 4], tf.float32),
        box_labels=tf.TensorSpec([None, None], tf.int64),
        box_scores=tf.TensorSpec([None], tf.float32),
        flow=flow,
    )


def _nothing(signature: Clip) -> Clip:
    """Return an empty clip: an empty id, and arrays without elements."""
    empty = [np.zeros([n or 0 for n in spec.shape], spec.dtype.as_numpy_dtype) for spec in tf.nest.flatten(signature)]
    return tf.nest.pack_sequence_as(signature, empty)._replace(id="")


class _Readers:
    """Count the active reads, and end them before the interpreter shuts down.

    A `numpy_function` that runs during interpreter shutdown deadlocks, and the iterator that waits for it hangs the
    process. At exit, this class therefore waits for active reads, and makes new reads fail immediately until TensorFlow
    starts no more of them.
    """

    def __init__(self):
        self._changed = threading.Condition()
        self._active = 0
        self._last = 0.0
        self._ending = False
        self._registered = False

    def __enter__(self):
        with self._changed:
            self._last = time.monotonic()
            if self._ending:
                raise RuntimeError("Python is shutting down")
            if not self._registered:
                atexit.register(self._end)
                self._registered = True
            self._active += 1

    def __exit__(self, *_):
        with self._changed:
            self._active -= 1
            self._last = time.monotonic()
            self._changed.notify_all()

    def _end(self, quiet: float = 0.2, patience: float = 10.0) -> None:
        """Stop reading; return after `quiet` seconds without a new read, or after `patience` seconds."""
        began = time.monotonic()
        with self._changed:
            self._ending = True
            self._changed.wait_for(lambda: not self._active, patience)
        while time.monotonic() - max(self._last, began) < quiet and time.monotonic() - began < patience:
            time.sleep(quiet / 4)


_readers = _Readers()
