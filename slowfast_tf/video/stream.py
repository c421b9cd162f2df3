"""Read frames of a camera, a network stream or a file as they arrive, with PyAV (FFmpeg's libraries)."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import av
import numpy as np
from av.error import ExitError, FFmpegError, InvalidDataError
from av.video.reformatter import VideoReformatter

from ..errors import VideoError
from .decode import to_rgb
from .probe import believable_rate, check_size, demux

PATIENCE = 10.0  # seconds without a frame after which a stream counts as ended
DELAY = 1.0  # seconds behind a live stream after which frames are skipped until the next key frame
JITTER = 0.1  # seconds: if the clock goes back by less, the stream has not restarted, and the late frames are dropped


class StreamFrame(NamedTuple):
    """A frame of a stream.

    Attributes:
        image: uint8 `[H, W, 3]`, RGB, upright; all frames have the size of the first.
        time: seconds since the first frame of the stream, ascending.
        arrival: time of decoding, in seconds of `time.monotonic`.
        restarted: whether the stream's clock went back before this frame, as at the start of another recording.
    """

    image: np.ndarray
    time: float
    arrival: float
    restarted: bool


class Stream:
    """An open camera or stream; made by `open_stream`.

    Attributes:
        source: the source that was given to `open_stream`.
        live: whether frames arrive in real time: true for a device and a stream without a duration, false for a file.
        rate: frame rate that the stream announces, in frames per second; 25 if it is missing or implausible.
    """

    def __init__(self, source: str, container: Any, live: bool):
        self.source = source
        self.live = live
        self._container = container
        self._stream = container.streams.video[0]
        self.rate = believable_rate(self._stream.average_rate, self._stream.guessed_rate)

    def frames(self, stride: float = 1.0) -> Iterator[StreamFrame]:
        """Yield frames as they arrive; for a file, yield all frames.

        If decoding falls a second behind a live stream, frames are skipped until the next key frame. If the stream's
        clock goes back (a file that starts over, concatenated MPEG-TS), the time continues after the last frame.

        Args:
            stride: interval between yielded frames, in frames at `rate`. Frames in between are decoded, but not
                converted.

        Raises:
            VideoError: if the stream has no frame, if its frames are too large (see `probe.probe`), if it ends with an
                error, or if no data arrives for 10 seconds.
        """
        least = max((stride - 0.5) / self.rate, 0.0)
        converter = VideoReformatter()
        # AVI stores no display times, and FFmpeg's guesses are wrong with B-frames.
        timed = self._container.format.name != "avi"
        clock, shape, given, restarted = _Clock(self.rate, self.live), None, None, False
        for frame in self._decode(clock):
            now = time.monotonic()
            back = clock.advance(frame.time if timed else None, now)
            restarted |= back
            if given is not None and not back and clock.time - given < least:
                continue
            if shape is None:
                check_size(self.source, frame.width, frame.height)
            image = to_rgb(frame, converter, shape)
            shape, given = image.shape, clock.time
            yield StreamFrame(image, clock.time, now, restarted)
            restarted = False
        if given is None:
            raise VideoError(f"{self.source}: no frame can be decoded")

    def _decode(self, clock: "_Clock") -> Iterator[Any]:
        """Yield decoded frames. While the clock of a live stream is late, skip to the next key frame."""
        with _video_errors(self.source):
            for packet in demux(self._container, self._stream):
                if clock.late and packet.size and not packet.is_keyframe:
                    continue
                with contextlib.suppress(InvalidDataError):  # the packet is damaged; the next may be intact
                    yield from packet.decode()


class _Clock:
    """The time of a stream, which increases even if the stream's own clock goes back.

    Attributes:
        time: time of the latest frame, in seconds since the first frame.
        late: whether the latest frame of a live stream arrived more than `DELAY` seconds after it was due.
    """

    def __init__(self, rate: float, live: bool):
        self.time = 0.0
        self.late = False
        self._rate = rate
        self._live = live
        self._latest = 0.0  # the highest time so far
        self._arrival: float | None = None  # arrival of the latest frame; None before the first
        self._zero: float | None = None  # value of the stream's clock at time 0; None until a frame has a time
        self._start = 0.0  # arrival of time 0, assuming that the fastest frame so far had no delay

    def advance(self, seconds: float | None, now: float) -> bool:
        """Advance to the next frame.

        Args:
            seconds: the stream's clock; None for a frame without a time. The time since the previous frame is then the
                time between their arrivals (for a live stream), or one frame at `rate` (for a file).
            now: arrival of the frame, in seconds of `time.monotonic`.

        Returns:
            Whether the stream's clock has gone back.
        """
        if self._arrival is None:
            step, self._start = 0.0, now
        else:
            step = now - self._arrival if self._live else 1 / self._rate
        self._arrival = now
        back = False
        if seconds is None:
            self.time = self._latest + step
        else:
            if self._zero is None:
                self._zero = seconds - self._latest - step
            back = seconds - self._zero < self._latest - JITTER
            if back:
                self._zero = seconds - self._latest - 1 / self._rate
            self.time = seconds - self._zero
        self._latest = max(self._latest, self.time)
        self._start = min(self._start, now - self.time)
        self.late = self._live and now - self._start - self.time > DELAY
        return back


@contextlib.contextmanager
def open_stream(source: str) -> Iterator[Stream]:
    """Open a camera, a stream or a file.

    Args:
        source: the number of a camera (Linux), or an address or a file that FFmpeg can open.

    Yields:
        A `Stream`.

    Raises:
        VideoError: if the source cannot be opened or has no video.

    Example:
        >>> with open_stream("rtsp://192.168.1.20/stream") as stream:
        ...     for frame in stream.frames():
        ...         print(frame.time, frame.image.shape)
    """
    path, form, is_file = source, None, os.path.isfile(source)
    if path.isdecimal():
        if sys.platform != "linux":
            raise VideoError(f"{path}: cameras have numbers on Linux only; give the address of a stream")
        path, form, is_file = f"/dev/video{path}", "v4l2", False
        source = f"camera {source} ({path})"
    elif is_file:
        path = f"file:{path}"  # "file:" stops FFmpeg from parsing a colon in the name as a protocol
    recording = is_file or path.startswith(("http://", "https://"))
    # FFmpeg reads up to 5 seconds to find the codec. With "nobuffer" it drops these frames, so that a camera starts at
    # the newest frame. A recording would lose its start.
    options = {} if recording else {"fflags": "nobuffer"}
    with _video_errors(source):
        container = av.open(path, format=form, timeout=PATIENCE, options=options, metadata_errors="replace")
    with container:
        if not container.streams.video:
            raise VideoError(f"{source}: holds no video stream")
        yield Stream(source, container, live=not (is_file or (recording and container.duration)))


@contextlib.contextmanager
def _video_errors(source: str) -> Iterator[None]:
    """Turn errors of FFmpeg and of the system inside the block into a `VideoError`."""
    try:
        yield
    except (FFmpegError, OSError, ValueError) as error:
        if isinstance(error, ExitError):
            reason = f"no frame for {PATIENCE:g} seconds"
        else:
            reason = getattr(error, "strerror", None) or error
        raise VideoError(f"{source}: {reason}") from error
