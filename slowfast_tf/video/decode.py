"""Frames out of a video file, with PyAV (FFmpeg's libraries)."""

import contextlib
import dataclasses
import functools
import logging
import os
import re
import typing

import av
import numpy as np

from ..errors import OutsideError, VideoError

# FFmpeg's remarks on damaged files would go to stderr; what matters comes back as an exception.
av.logging.set_level(av.logging.PANIC)

MAX_PIXELS = 7680 * 4320
MAX_ASPECT = 16  # a strip, resized to a shorter side of 256, would take all memory
# Charades' annotators marked steps of a video: a third of the official spans end after it, by up to 1.54 s.
SLACK = 2.0
RATES = 1e-4, 1000.0  # what a file may say of its frames a second and be believed
_log = logging.getLogger("slowfast_tf")
_told = set()


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
    with _open(path) as (container, stream):
        width, height = stream.codec_context.width, stream.codec_context.height
        if not is_sane(width, height):
            raise VideoError(
                f"{path}: frames of {width} x {height} pixels; at most 7680 x 4320, and sides up to"
                f" {MAX_ASPECT} to 1, are read"
            )
        codec = stream.codec_context.name
        packets = [
            (p.pts, p.is_keyframe)
            for p in _packets(container, stream)
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
            return VideoInfo(count, _rate(*rates), None, np.zeros(1, np.int64))
        times = np.sort(times)
        if count > 1:
            rates = (count - 1) / ((times[-1] - times[0]) * stream.time_base), *rates
        keys = np.searchsorted(times, sorted(t for t, key in packets if key))
        # A damaged file may begin without one, or have none.
        return VideoInfo(count, _rate(*rates), times, np.union1d(0, keys))


def _rate(*told):
    """The first rate that can be believed."""
    return next((float(rate) for rate in told if rate and RATES[0] <= rate <= RATES[1]), 25.0)


def is_sane(width, height):
    """Whether frames of so many pixels can be worked with."""
    return width * height <= MAX_PIXELS and max(width, height) <= MAX_ASPECT * min(width, height)


def reduction(height, width, short_side):
    """By how much a frame is made smaller as it is decoded, so that clips of large frames fit into memory.

    Args:
        height, width: of the frame.
        short_side: pixels that the shorter side has to keep; None: all.

    Returns:
        The largest power of two that leaves as many.
    """
    shorter = min(height, width)
    return 1 << (shorter // min(short_side or shorter, shorter)).bit_length() - 1


def read(path, frames, short_side=None):
    """Decodes some frames of a video, from the last key frame before them on.

    Args:
        path: a file that FFmpeg can open.
        frames: indices in display order; repeats are allowed. One outside the video gives its nearest frame.
        short_side: see `reduction`.

    Returns:
        uint8 `[len(frames), height, width, 3]`, RGB, upright. For a damaged frame the last one before it
        that can be decoded stands in (the first one, at the start); the log tells of it, once for each file.

    Raises:
        VideoError: as `probe`, and where no frame can be decoded.
    """
    frames = np.clip(np.asarray(frames, np.int64), 0, probe(path).frames - 1)
    wanted, inverse = np.unique(frames, return_inverse=True)
    decoded = list(images(path, wanted, short_side))
    return np.stack([decoded[i] for i in inverse])


def images(path, frames, short_side=None):
    """As `read`, an image at a time: a video of any length in the memory of one frame.

    Args:
        path: a file that FFmpeg can open.
        frames: rising indices in display order, within the video; repeats are allowed.
        short_side: see `reduction`.

    Yields:
        uint8 `[height, width, 3]`, RGB, upright, all of the size of the first.

    Raises:
        VideoError: as `read`.
    """
    # One converter for all frames: setting it up costs as much as converting a small frame.
    converter, shape = av.video.reformatter.VideoReformatter(), []

    def convert(frame):
        image = upright(frame, converter, shape, reduction(frame.height, frame.width, short_side))
        shape[:] = image.shape
        return image

    damaged = 0
    for i, (image, exact) in enumerate(stream(path, frames, convert), 1):
        damaged += not exact
        if i == len(frames):  # not after: who has all of them does not ask again
            tell_damage(path, damaged, i)
        yield image


def stream(path, frames, convert):
    """As `read`, but a frame at a time.

    Args:
        path: a file that FFmpeg can open.
        frames: rising indices in display order, within the video; repeats are allowed.
        convert: makes of an `av.VideoFrame` what is yielded.

    Yields:
        What `convert` makes of each frame, and whether it is that frame; or else another one stands in.

    Raises:
        VideoError: as `probe`, and where no frame can be decoded.
    """
    info = probe(path)
    key = info.keys[max(np.searchsorted(info.keys, frames[0], "right") - 1, 0)]
    yield from _stream(path, info, frames, convert, key)


def damage(path, damaged, count):
    """A line on so many frames of all that others stand in for."""
    return f"{path}: {damaged} of {count} frames cannot be decoded; others stand in"


def tell_damage(path, damaged, count):
    """Logs the line of `damage`, if there is any, once for each path."""
    if damaged:
        tell(path, damage(path, damaged, count))


def tell(key, line):
    """Logs a line, once for each key, however often a video is read."""
    if key not in _told:
        _told.add(key)
        _log.warning("%s", line)


def seconds(info):
    """When each frame of a video is shown, from 0: float64 `[frames]`."""
    even = np.arange(info.frames) / info.rate
    if info.times is None or info.frames < 2:
        return even
    return (info.times - info.times[0]) / (info.times[-1] - info.times[0]) * even[-1]


def duration(info):
    """Of a video, in seconds."""
    return seconds(info)[-1] + 1 / info.rate


class Footage(typing.NamedTuple):
    """What there is of a `datasets.Video`.

    Attributes:
        images: paths of the JPEG images of a directory; None for a file.
        rate: mean frames a second.
        times: when each frame of the file is shown, in seconds from its start, rising, float64 `[N]`.
        first, last: of the frames in the video's span, the index of the first and that after the last.
        key: index of the key frame, in the span; -1 without one.
        labels: those that do not lie past the end.
        problems: lines on the other ones, and on images that are missing.
    """

    images: list | None
    rate: float
    times: np.ndarray
    first: int
    last: int
    key: int
    labels: tuple
    problems: tuple


def footage(source):
    """Looks a `datasets.Video` up on disk.

    Raises:
        VideoError: for one that cannot be read.
        OutsideError: where its span or key frame is past the end.
    """
    problems = []
    if os.path.isdir(source.path):
        images, numbers = list_images(source.path)
        rate, times = source.rate, numbers / source.rate
        missing = numbers[-1] + 1 - len(images)
        if missing:
            after = os.path.basename(images[np.diff(numbers).argmax()])
            problems.append(f"{source.path}: images are missing ({missing}), such as those after {after}")
    else:
        info = probe(source.path)
        images, rate, times = None, info.rate, seconds(info)
    end, origin = times[-1] + 1 / rate, source.origin or source.path
    lasts = f"{source.path if source.origin else 'it'} lasts {end:.2f} s"
    if source.key is not None and source.key > end:
        raise OutsideError(f"{origin}: the key frame at {source.key:g} s is past the end; {lasts}")
    start, stop = source.span or (-np.inf, np.inf)
    first, last = np.searchsorted(times, [start - 1e-6, stop - 1e-6]).tolist()
    if first == last:
        raise OutsideError(f"{origin}: no frame between {start:g} and {stop:g} s; {lasts}")
    key = -1 if source.key is None else int(np.abs(times[first:last] - source.key).argmin())
    outside = [(i, a, b) for i, a, b in source.labels if a >= end or end + SLACK < b < np.inf]
    problems += [f"{origin}: a label from {a:g} to {b:g} s is not within the video; {lasts}" for _, a, b in outside]
    labels = [label for label in source.labels if label not in outside]
    return Footage(images, rate, times, first, last, key, tuple(labels), tuple(problems))


def list_images(directory):
    """The JPEG images in a directory, without MMAction2's optical flow.

    Returns:
        Their paths in the order of the numbers in their names, and the place of each in time, int64 `[N]`: 0, 1, 2 and
        so on, but for images that are missing from names that end in consecutive numbers.

    Raises:
        VideoError: where there is none.
    """
    try:
        images, numbers = _list_images(directory, os.stat(directory).st_mtime_ns)
    except OSError as error:
        raise VideoError(f"{directory}: cannot be read: {error.strerror}") from error
    if not images:
        raise VideoError(f"{directory}: holds no JPEG image")
    return images, numbers


@functools.lru_cache(maxsize=8)  # the key frames of a film follow each other
def _list_images(directory, _):
    names = sorted(
        name
        for name in os.listdir(directory)
        if name.lower().endswith((".jpg", ".jpeg")) and not name.startswith((".", "flow_x_", "flow_y_"))
    )
    if len(set(map(len, names))) > 1:  # a film has thousands, almost always of one length
        names.sort(key=lambda name: [int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]+)", name))])
    order = np.arange(len(names))
    ends = [_number(name) for name in names[:1] + names[-1:]]
    # Numbers of another step are not those of consecutive frames, nor are a few that lie far apart.
    if names and None not in ends and len(names) <= ends[1] - ends[0] < 2 * len(names):
        steps = np.diff(np.array([_number(name) for name in names], float))  # NaN where a name ends with none
        if (steps > 0).all() and (steps == 1).sum() >= len(steps) / 2:
            order = np.concatenate([[0], steps.cumsum()]).astype(int)
    return [os.path.join(directory, name) for name in names], order


def _number(name):
    """The number that the name of an image ends with."""
    found = re.search(r"([0-9]{1,9})\.[^.]*$", name)
    return int(found[1]) if found else None


@contextlib.contextmanager
def _open(path):
    if os.path.exists(path) and not os.path.isfile(path):  # a named pipe, which would be waited for
        raise VideoError(f"{path}: is not a file")
    try:
        with av.open(f"file:{path}") as container:  # what comes before a colon in a name is no protocol
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


def _packets(container, stream):
    with contextlib.suppress(IndexError):  # PyAV's, at the end of a file where damage looked like a stream more
        yield from container.demux(stream)


def _stream(path, info, wanted, convert, key):
    """`stream`, decoding from the key frame at index `key` on."""
    count, previous = 0, None
    with _open(path) as (container, stream):
        if key > 0:
            container.seek(int(info.times[key]), stream=stream)
        for position, frame in _decode(container, stream, info, wanted):
            # MPEG-TS and MPEG-PS have no index, and a key frame may be damaged: the seek led elsewhere.
            if key > 0 and previous is None and (position > wanted[0] or frame.pts != info.times[position]):
                break
            # Those that this frame went past are damaged, or are this one.
            while count < len(wanted) and position >= wanted[count]:
                exact = position == wanted[count]
                yield convert(frame if exact or previous is None else previous), exact
                count += 1
            if count == len(wanted):
                return
            previous = frame
        if previous is None and key == 0:
            raise VideoError(f"{path}: no frame can be decoded; the file is damaged or of an unknown codec")
        while previous is not None and count < len(wanted):
            yield convert(previous), False
            count += 1
    if previous is None:
        yield from _stream(path, info, wanted, convert, 0)


def _decode(container, stream, info, wanted):
    """Yields (index, frame) in display order, from where the container stands. Frames may be missing that are not
    wanted, and that no other frame is decoded from."""
    position, context = 0, stream.codec_context
    # With one thread a packet is decoded as it comes. Other codecs mean less by it than that nothing refers to a frame.
    skips = context.name == "h264" and info.times is not None
    times = set(info.times[wanted].tolist()) if skips else ()
    for packet in _packets(container, stream):
        if skips:
            context.skip_frame = "DEFAULT" if packet.pts in times else "NONREF"
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


def upright(frame, converter, shape=None, smaller=1):
    """A decoded frame as RGB, uint8 `[H, W, 3]`.

    Args:
        frame: an `av.VideoFrame`.
        converter: an `av.video.reformatter.VideoReformatter`, the same for all frames of a video.
        shape: of the image, where it has to be that of others (a stream may change its size midway).
        smaller: by how much to divide height and width where no shape is given; a pixel is then the mean of several.
    """
    quarter_turns = round(frame.rotation / 90)
    height, width = shape[:2] if shape else (frame.height // smaller, frame.width // smaller)
    if shape and quarter_turns % 2:
        height, width = width, height
    scaling = "AREA" if smaller > 1 else "BILINEAR"
    image = converter.reformat(frame, width, height, "rgb24", interpolation=scaling, threads=1).to_ndarray()
    return np.rot90(image, quarter_turns)
