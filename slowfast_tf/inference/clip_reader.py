"""A thread that reads a camera or a stream and keeps the latest clip."""

import collections
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..data import sampling
from ..models.spec import SlowFastSpec
from ..video.stream import open_stream


class StreamedFrame(NamedTuple):
    """A frame that the reader keeps in memory.

    Attributes:
        time: seconds since the first frame of the stream.
        arrival: time of decoding, in seconds of `time.monotonic`.
        value: the prepared frame.
    """

    time: float
    arrival: float
    value: Any


class ClipReader(threading.Thread):
    """Read a stream and keep the frames of the latest clip; as a context manager it starts and ends the thread.

    Args:
        source: see `video.stream.open_stream`.
        spec: spec of the network.
        prepare: function of each frame, uint8 `[H, W, 3]`; the reader keeps its result.
        hold: seconds of frames to keep for `take`.

    Example:
        >>> with ClipReader("0", model.spec, np.asarray) as reader:
        ...     while clip := reader.wait_for_clip():
        ...         print(clip[-1].time)
    """

    def __init__(self, source: str, spec: SlowFastSpec, prepare: Callable[[np.ndarray], Any], hold: float = 0.0):
        super().__init__(daemon=True)
        self._stopped = False
        self._error: Exception | None = None
        self._source, self._spec, self._prepare, self._hold = source, spec, prepare, hold
        self._offsets = np.zeros(1, int)  # frame numbers of a clip, relative to its first frame
        self._changed = threading.Condition()  # guards the attributes below
        self._held: collections.deque[StreamedFrame] = collections.deque()
        self._waiting: collections.deque[StreamedFrame] = collections.deque()  # for `take`
        self.rate = 25.0
        self._given: float | None = None  # time of the last clip that `wait_for_clip` returned
        self._ended = False

    def __enter__(self) -> "ClipReader":
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stopped = True

    def wait_for_clip(self) -> list[StreamedFrame] | None:
        """Return the frames of the latest clip, once it has a new frame; None at the end of the stream.

        Raises:
            VideoError: as `video.stream.Stream.frames`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._ready())
            # A stream shorter than a clip gives all its frames at its end.
            if not self._held or self._held[-1].time == self._given:
                if self._error:
                    raise self._error
                return None
            frames = list(self._held)
            last = self._given = frames[-1].time
        # Select frames by time, not by number: frames may be missing, and the frame rate may change.
        wanted = last - (self._offsets[-1] - self._offsets) / self.rate
        places = np.searchsorted([frame.time for frame in frames], wanted + 0.5 / self.rate, "right") - 1
        return [frames[max(place, 0)] for place in places]

    def take(self, until: float) -> list[StreamedFrame]:
        """Return the frames up to a time in seconds, each frame once; frames older than `hold` seconds are dropped."""
        taken = []
        with self._changed:
            while self._waiting and self._waiting[0].time <= until:
                taken.append(self._waiting.popleft())
        return taken

    def _ready(self) -> bool:
        if not self._held or self._held[-1].time == self._given:
            return False
        return self._held[-1].time - self._held[0].time >= (self._offsets[-1] - 0.5) / self.rate

    def run(self) -> None:
        try:
            self._read()
        except Exception as error:  # `wait_for_clip` raises it in the thread that takes the clips
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _read(self) -> None:
        with open_stream(self._source) as stream:
            self.rate = stream.rate
            offsets = sampling.window_offsets(self._spec, stream.rate)
            self._offsets = offsets - offsets[0]
            stride = max(int(np.diff(self._offsets).min(initial=offsets[-1])), 1)
            span = (self._offsets[-1] + 1) / self.rate
            for frame in stream.frames(stride):
                if self._stopped:
                    return
                held = StreamedFrame(frame.time, frame.arrival, self._prepare(frame.image))
                with self._changed:
                    if frame.restarted:
                        self._held.clear()  # a clip must not mix frames from before and after a restart
                    self._held.append(held)
                    # By time, not by number: a camera may send more frames a second than it announced.
                    while len(self._held) > 2 and held.time - self._held[1].time >= span:
                        self._held.popleft()
                    if self._hold:
                        self._waiting.append(held)
                        while held.time - self._waiting[0].time > self._hold:
                            self._waiting.popleft()
                    self._changed.notify_all()
