"""Frames out of a video file, with PyAV (FFmpeg's libraries)."""

import contextlib
import dataclasses
import functools

import av
import numpy as np

# FFmpeg's remarks on damaged files would go to stderr; what matters comes back as an exception.
av.logging.set_level(av.logging.PANIC)

MAX_PIXELS = 7680 * 4320


class VideoError(Exception):
    """A video that cannot be read; the message is one line with the path and the cause."""


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
            frames have more than 7680 x 4320 pixels.
    """
    with _open(path) as (container, stream):
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > MAX_PIXELS:
            raise VideoError(f"{path}: frames of {width} x {height} pixels; at most 7680 x 4320 are read")
        packets = [(p.pts, p.is_keyframe) for p in container.demux(stream) if p.size and not p.is_discard]
        count = len(packets)
        if not count:
            raise VideoError(f"{path}: holds no frame")
        rate = float(stream.average_rate or stream.guessed_rate or 25)
        times = [time for time, _ in packets]
        # AVI knows no display times, and what FFmpeg guesses is wrong where there are B-frames.
        if container.format.name == "avi" or None in times or len(set(times)) < count:
            return VideoInfo(count, rate, None, np.zeros(1, np.int64))
        times = np.sort(times)
        if count > 1:
            rate = (count - 1) / float((times[-1] - times[0]) * stream.time_base)
        return VideoInfo(count, rate, times, np.searchsorted(times, sorted(t for t, key in packets if key)))


def read(path, frames):
    """Decodes some frames of a video, from the last key frame before them on.

    Args:
        path: a file that FFmpeg can open.
        frames: indices in display order; repeats are allowed. One outside the video gives its nearest frame.

    Returns:
        uint8 `[len(frames), height, width, 3]`, RGB, upright. For a damaged frame the last one before it
        that can be decoded stands in (the first one, at the start).

    Raises:
        VideoError: as `probe`, and where no frame can be decoded.
    """
    info = probe(path)
    frames = np.clip(np.asarray(frames, np.int64), 0, info.frames - 1)
    wanted, inverse = np.unique(frames, return_inverse=True)
    key = info.keys[max(np.searchsorted(info.keys, wanted[0], "right") - 1, 0)]
    images = _images(path, info, wanted, key)
    if images is None:
        images = _images(path, info, wanted, 0)
    return np.stack(images)[inverse]


@contextlib.contextmanager
def _open(path):
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError(f"{path}: holds no video stream")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise VideoError(f"{path}: is of an unknown codec")
            # Videos are read side by side; threads within one would only compete.
            stream.codec_context.thread_count = 1
            yield container, stream
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path}: cannot be read as a video: {getattr(error, 'strerror', None) or error}") from error


def _images(path, info, wanted, key):
    """Images of the frames at `wanted`, rising indices, decoding from the key frame at index `key` on.

    None where seeking to `key` led elsewhere: MPEG-TS and MPEG-PS have no index, and a key frame may be damaged.
    """
    images, previous = [], None
    # One converter for all frames: setting it up costs as much as converting a small frame.
    converter = av.video.reformatter.VideoReformatter()
    with _open(path) as (container, stream):
        if key > 0:
            container.seek(int(info.times[key]), stream=stream)
        for position, frame in _decode(container, stream, info):
            if key > 0 and previous is None and (position > wanted[0] or frame.pts != info.times[position]):
                return None
            # Those that this frame went past are damaged, or are this one.
            while len(images) < len(wanted) and position >= wanted[len(images)]:
                exact = position == wanted[len(images)]
                images.append(_image(frame if exact or previous is None else previous, converter, images))
            if len(images) == len(wanted):
                return images
            previous = frame
        if previous is None:
            if key > 0:
                return None
            raise VideoError(f"{path}: no frame can be decoded; the file is damaged or of an unknown codec")
        while len(images) < len(wanted):
            images.append(_image(previous, converter, images))
    return images


def _decode(container, stream, info):
    """Yields (index, frame) in display order, from where the container stands."""
    position = 0
    for packet in container.demux(stream):
        try:
            decoded = packet.decode()
        except av.error.InvalidDataError:
            position += 1  # a damaged packet, a frame the less; the next may be whole
            continue
        for frame in decoded:
            if info.times is not None and frame.pts is not None:
                position = int(np.searchsorted(info.times, frame.pts))
            yield position, frame
            position += 1


def _image(frame, converter, others):
    """An upright RGB array, of the size of the others (a stream may change its size midway)."""
    quarter_turns = round(frame.rotation / 90)
    height, width = others[0].shape[:2] if others else (None, None)
    if quarter_turns % 2:
        height, width = width, height
    image = converter.reformat(frame, width, height, "rgb24").to_ndarray()
    return np.rot90(image, quarter_turns)
