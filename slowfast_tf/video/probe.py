"""What a video file holds, without decoding it (PyAV, FFmpeg's libraries)."""

import contextlib
import dataclasses
import functools
import os

import av
import av.error
import av.logging
import av.stream
import numpy as np

from ..errors import VideoError

# FFmpeg's remarks on damaged files would go to stderr; what matters comes back as an exception.
av.logging.set_level(av.logging.PANIC)

MAX_PIXELS = 7680 * 4320
MAX_ASPECT = 16  # a strip, resized to a shorter side of 256, would take all memory
RATES = 1e-4, 1000.0  # what a file may say of its frames a second and be believed


@dataclasses.dataclass(frozen=True, eq=False)
class VideoInfo:
    """What a video file holds.

    Attributes:
        frames: number of frames.
        rate: mean frames a second.
        times: display time of each frame in the stream's time base, rising, int64 `[frames]`; None where
            the container does not tell (then a file is read from its start).
        keys: indices of the frames where decoding can start, int64.
    """

    frames: int
    rate: float
    times: np.ndarray | None
    keys: np.ndarray


@functools.lru_cache(maxsize=10_000)
def probe(path):
    """Counts the frames of a video and notes their times, without decoding them: headers are often wrong.

    Args:
        path: a file that FFmpeg can open.

    Returns:
        A `VideoInfo`.

    Raises:
        VideoError: for a missing or unreadable file, one without a video stream or frames, and one whose
            frames have more than 7680 x 4320 pixels or sides beyond 16 to 1.
    """
    with open_video(path) as (container, stream):
        width, height = stream.codec_context.width, stream.codec_context.height
        if not is_sane(width, height):
            raise VideoError(
                f"{path}: frames of {width} x {height} pixels; at most 7680 x 4320, and sides up to"
                f" {MAX_ASPECT} to 1, are read"
            )
        codec = stream.codec_context.name
        packets = [
            (p.pts, p.is_keyframe)
            for p in demux(container, stream)
            # VP8 has packets of frames that are never shown; a bit of the first byte tells.
            if p.size and not p.is_discard and not (codec == "vp8" and not bytes(p)[0] & 16)
        ]
        count = len(packets)
        if not count:
            raise VideoError(f"{path}: holds no frame")
        rates = stream.average_rate, stream.guessed_rate
        times = [time for time, _ in packets]
        # AVI knows no display times, and what FFmpeg guesses is wrong where there are B-frames; what was made of AVI
        # without decoding it, MPEG-4's first coding most of all, has these guesses for its times.
        if container.format.name == "avi" or codec == "mpeg4" or None in times or len(set(times)) < count:
            return VideoInfo(count, believable_rate(*rates), None, np.zeros(1, np.int64))
        times = np.sort(times)
        if count > 1:
            rates = (count - 1) / ((times[-1] - times[0]) * stream.time_base), *rates
        keys = np.searchsorted(times, sorted(t for t, key in packets if key))
        # A damaged file may begin without one, or have none.
        return VideoInfo(count, believable_rate(*rates), times, np.union1d(0, keys))


def believable_rate(*told):
    """The first rate that can be believed."""
    return next((float(rate) for rate in told if rate and RATES[0] <= rate <= RATES[1]), 25.0)


def is_sane(width, height):
    """Whether frames of so many pixels can be worked with."""
    return width * height <= MAX_PIXELS and max(width, height) <= MAX_ASPECT * min(width, height)


def frame_times(info):
    """When each frame of a video is shown, from 0: float64 `[frames]`."""
    even = np.arange(info.frames) / info.rate
    if info.times is None or info.frames < 2:
        return even
    return (info.times - info.times[0]) / (info.times[-1] - info.times[0]) * even[-1]


def duration(info):
    """Of a video, in seconds."""
    return frame_times(info)[-1] + 1 / info.rate


@contextlib.contextmanager
def open_video(path):
    if os.path.exists(path) and not os.path.isfile(path):  # a named pipe, which would be waited for
        raise VideoError(f"{path}: is not a file")
    try:
        with av.open(
            f"file:{path}", metadata_errors="replace"
        ) as container:  # what comes before a colon in a name is no protocol
            stream = container.streams.best("video")
            if stream is None or stream.disposition & av.stream.Disposition.attached_pic:  # the cover of a song
                raise VideoError(f"{path}: holds no video stream")
            if stream.codec_context is None:
                raise VideoError(f"{path}: is of an unknown codec")
            # Videos are read side by side; threads within one would only compete.
            stream.codec_context.thread_count = 1
            yield container, stream
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path}: cannot be read as a video: {getattr(error, 'strerror', None) or error}") from error


def demux(container, stream):
    with contextlib.suppress(IndexError):  # PyAV's, at the end of a file where damage looked like a stream more
        yield from container.demux(stream)
