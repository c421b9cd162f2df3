"""Frames out of a video file, with PyAV (FFmpeg's libraries)."""

import av
import av.error
import av.video.reformatter
import numpy as np

from ..errors import VideoError
from .log import log_damage
from .probe import demux, open_video, probe


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


def read_frames(path, frames, short_side=None):
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
    decoded = list(iterate_frames(path, wanted, short_side))
    return np.stack([decoded[i] for i in inverse])


def iterate_frames(path, frames, short_side=None):
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
        image = to_rgb(frame, converter, shape, reduction(frame.height, frame.width, short_side))
        shape[:] = image.shape
        return image

    damaged = 0
    for i, (image, exact) in enumerate(decode_frames(path, frames, convert), 1):
        damaged += not exact
        if i == len(frames):  # not after: who has all of them does not ask again
            log_damage(path, damaged, i)
        yield image


def decode_frames(path, frames, convert):
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


def _stream(path, info, wanted, convert, key):
    """`stream`, decoding from the key frame at index `key` on."""
    count, previous = 0, None
    with open_video(path) as (container, stream):
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
    times = set(info.times[wanted].tolist()) if skips else ()  # pyright: ignore[reportOptionalSubscript]
    for packet in demux(container, stream):
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


def to_rgb(frame, converter, shape=None, smaller=1):
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
