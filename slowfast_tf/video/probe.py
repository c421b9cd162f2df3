"""Probe a video file without decoding it, with PyAV (FFmpeg's libraries)."""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

import av
import av.error
import av.logging
import av.stream
import numpy as np
import numpy.typing as npt

from ..errors import VideoError
from .log import log_once

# Stop FFmpeg from logging damaged files to stderr: exceptions report them.
av.logging.set_level(av.logging.PANIC)

MAX_PIXELS = 7680 * 4320
MAX_ASPECT = 16  # resizing longer frames to a shorter side of 256 would take too much memory
MAX_GAP = 10.0  # seconds between two frames; longer gaps are reported if they are also 100 times the median
RATES = 1e-4, 1000.0  # lowest and highest plausible frame rate


@dataclasses.dataclass(frozen=True, eq=False)
class VideoInfo:
    """Frame count, rate and times of a video file.

    Attributes:
        frames: number of frames.
        rate: mean frame rate, in frames per second.
        times: display time of each frame in the stream's time base, ascending, int64 `[frames]`; None if the container
            does not store display times (the file is then read from its start).
        keys: indices of the frames at which decoding can start, int64.
    """

    frames: int
    rate: float
    times: np.ndarray | None
    keys: np.ndarray


def _cached(read: Callable[[str | os.PathLike], VideoInfo]) -> Callable[[str | os.PathLike], VideoInfo]:
    """Cache results for one place, size and modification time of a file, and log `gap_message` once.

    `__wrapped__` is the function itself.
    """

    @functools.lru_cache(maxsize=1000)
    def known(path: str | os.PathLike, *_: Any) -> VideoInfo:  # the path as given, because messages name it
        info = read(path)
        if message := gap_message(path, info):
            log_once(message, message)
        return info

    @functools.wraps(read)
    def probe(path: str | os.PathLike) -> VideoInfo:
        try:
            about = os.stat(path)
        except (OSError, ValueError):  # a missing file, or a null character in its name
            return read(path)  # raises the error
        return known(path, os.path.abspath(path), about.st_size, about.st_mtime_ns)

    probe.cache_clear = known.cache_clear  # pyright: ignore[reportAttributeAccessIssue]
    return probe


@_cached
def probe(path: str | os.PathLike) -> VideoInfo:
    """Count the packets of a video and read their times, because headers are often wrong.

    Args:
        path: a file that FFmpeg can open.

    Raises:
        VideoError: if the file is missing or unreadable, if it has no video stream or no frame, or if its frames have
            more than 7680 x 4320 pixels or an aspect ratio above 16.

    Example:
        >>> probe("a.mp4").frames
        300
    """
    with open_video(path) as (container, stream):
        check_size(path, stream.codec_context.width, stream.codec_context.height)
        codec = stream.codec_context.name
        packets = [
            (p.pts, p.is_keyframe)
            for p in demux(container, stream)
            # A bit of the first byte marks VP8 frames that are never shown.
            if p.size and not p.is_discard and not (codec == "vp8" and not bytes(p)[0] & 16)
        ]
        count = len(packets)
        if not count:
            raise VideoError(f"{path}: holds no frame")
        rates = stream.average_rate, stream.guessed_rate
        times = [time for time, _ in packets]
        # AVI stores no display times, and FFmpeg's guesses are wrong with B-frames. Files remuxed from AVI, mostly
        # MPEG-4 Part 2, keep these guesses.
        guessed = container.format.name == "avi" or codec == "mpeg4" and stream.codec_context.has_b_frames
        if guessed or None in times or len(set(times)) < count:
            return VideoInfo(count, believable_rate(*rates), None, np.zeros(1, np.int64))
        times = np.sort(times)
        if count > 1:
            rates = (count - 1) / ((times[-1] - times[0]) * stream.time_base), *rates
        keys = np.searchsorted(times, sorted(t for t, key in packets if key))
        if container.format.name == "mpeg":
            # After a seek in an MPEG program stream, FFmpeg may give the first frames times of up to 3 frames later, so
            # these files are decoded from the start.
            keys = np.zeros(0, np.int64)
        # A damaged file may lack a key frame at its start.
        return VideoInfo(count, believable_rate(*rates), times, np.union1d(0, keys))


def believable_rate(*told: Any) -> float:
    """Return the first plausible frame rate, in frames per second; 25 if none is plausible."""
    return next((float(rate) for rate in told if rate and RATES[0] <= rate <= RATES[1]), 25.0)


def is_sane(width: int, height: int) -> bool:
    """Return whether frames of this size are supported."""
    return width * height <= MAX_PIXELS and max(width, height) <= MAX_ASPECT * min(width, height)


def check_size(path: str | os.PathLike, width: int, height: int) -> None:
    """Raise a `VideoError` if frames of this size are not supported."""
    if not is_sane(width, height):
        raise VideoError(
            f"{path}: frames of {width} x {height} pixels; at most 7680 x 4320 pixels and an aspect ratio"
            f" of {MAX_ASPECT} are supported; scale the video down or crop it"
        )


def frame_times(info: VideoInfo) -> np.ndarray:
    """Return the display time of each frame, in seconds from the first frame, float64 `[frames]`."""
    even = np.arange(info.frames) / info.rate
    if info.times is None or info.frames < 2:
        return even
    return (info.times - info.times[0]) / (info.times[-1] - info.times[0]) * even[-1]


def gap_message(path: str | os.PathLike, info: VideoInfo) -> str:
    """Return a message if a long gap between two frames makes the frame rate of a video useless; else an empty string.

    The mean rate of two recordings of 3 s that are 10 minutes apart is 0.3 frames per second. A clip at the frame rate
    of a network then repeats one frame. A clock that goes back in MPEG-TS looks like a gap of 26 hours.
    """
    times = frame_times(info)
    steps = np.diff(times)
    longest = steps.max(initial=0.0)
    if longest <= MAX_GAP or longest <= 100 * np.median(steps):
        return ""
    return (
        f"{path}: {longest:.0f} s between two frames, after {times[steps.argmax()]:.1f} s, make its frame rate"
        f" ({info.rate:.3g} per second) uncertain; cut the video there"
    )


def nearest_frames(times: np.ndarray, seconds: npt.ArrayLike) -> np.ndarray:
    """Return the indices of the frames nearest to given times, as in a test.

    Args:
        times: times of the frames, in seconds, ascending, `[frames]`.
        seconds: the given times in seconds, of any shape.

    Returns:
        int64, with the shape of `seconds`. For a time halfway between two frames it is the earlier frame, which is
        displayed at that time.

    Example:
        >>> nearest_frames(frame_times(probe("a.mp4")), [0.0, 0.5])
        array([ 0, 15])
    """
    return np.searchsorted((times[1:] + times[:-1]) / 2, np.asarray(seconds) - 1e-6)


def duration(info: VideoInfo) -> float:
    """Return the duration of a video, in seconds."""
    return frame_times(info)[-1] + 1 / info.rate


@contextlib.contextmanager
def open_video(path: str | os.PathLike) -> Iterator[tuple[Any, Any]]:
    """Open a video; yield its container and its best video stream.

    Raises:
        VideoError: if the file cannot be read as a video; also for errors of FFmpeg inside the block.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # opening a named pipe would block
        raise VideoError(f"{path}: is not a file")
    try:
        with av.open(
            f"file:{path}", metadata_errors="replace"
        ) as container:  # "file:" stops FFmpeg from parsing a colon in the name as a protocol
            stream = container.streams.best("video")
            if stream is None or stream.disposition & av.stream.Disposition.attached_pic:  # cover art
                raise VideoError(f"{path}: holds no video stream")
            if stream.codec_context is None:
                raise VideoError(f"{path}: is of an unknown codec")
            # Videos are read in parallel, so more threads per video would only compete.
            stream.codec_context.thread_count = 1
            yield container, stream
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path}: cannot be read as a video: {getattr(error, 'strerror', None) or error}") from error


def demux(container: Any, stream: Any) -> Iterator[Any]:
    """Yield the packets of a stream."""
    with contextlib.suppress(IndexError):  # PyAV raises it at the end of a file with damage that looks like a stream
        yield from container.demux(stream)
