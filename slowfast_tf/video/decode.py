"""Decode frames of a video file, with PyAV (FFmpeg's libraries)."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import av
import av.error
import av.video.reformatter
import numpy as np

from ..errors import VideoError
from .log import log_damage
from .probe import VideoInfo, demux, open_video, probe

T = TypeVar("T")


def reduction(height: int, width: int, short_side: int | None) -> int:
    """Return the factor by which to downscale a frame while decoding, so that clips of large frames fit into memory.

    Args:
        height, width: size of the frame, in pixels.
        short_side: minimum shorter side after downscaling, in pixels; None for no downscaling.

    Returns:
        The largest power of two that leaves a shorter side of at least `short_side`.

    Example:
        >>> reduction(1080, 1920, 256)
        4
    """
    shorter = min(height, width)
    return 1 << (shorter // min(short_side or shorter, shorter)).bit_length() - 1


def read_frames(
    path: str | os.PathLike,
    frames: Sequence[int] | np.ndarray,
    short_side: int | None = None,
    info: VideoInfo | None = None,
) -> np.ndarray:
    """Decode frames of a video, starting from the last key frame before them.

    Args:
        path: a file that FFmpeg can open.
        frames: indices in display order; repeats are allowed. Indices outside the video are clipped to it.
        short_side: see `reduction`.
        info: the result of `probe`, if it is known.

    Returns:
        uint8 `[len(frames), height, width, 3]`, RGB, upright. A damaged frame is replaced by the last intact frame
        before it, or at the start by the first intact frame. The log reports this once for each file.

    Raises:
        VideoError: as `probe`, or if no frame can be decoded.

    Example:
        >>> read_frames("a.mp4", [0, 15, 30]).shape  # doctest: +SKIP
        (3, 256, 340, 3)
    """
    info = info or probe(path)
    frames = np.clip(np.asarray(frames, np.int64), 0, info.frames - 1)
    wanted, inverse = np.unique(frames, return_inverse=True)
    decoded = list(iterate_frames(path, wanted, short_side, info))
    return np.stack([decoded[i] for i in inverse])


def iterate_frames(
    path: str | os.PathLike, frames: np.ndarray, short_side: int | None = None, info: VideoInfo | None = None
) -> Iterator[np.ndarray]:
    """Decode like `read_frames`, but yield one image at a time, so that memory does not depend on the length.

    Args:
        path: a file that FFmpeg can open.
        frames: ascending indices in display order, within the video; repeats are allowed.
        short_side: see `reduction`.
        info: see `read_frames`.

    Yields:
        uint8 `[height, width, 3]`, RGB, upright; all images have the size of the first.

    Raises:
        VideoError: as `read_frames`.

    Example:
        >>> for image in iterate_frames("a.mp4", np.arange(0, 300, 10)):  # doctest: +SKIP
        ...     print(image.shape)
    """
    # Use one converter for all frames: creating it takes as long as converting a small frame.
    converter, shape = av.video.reformatter.VideoReformatter(), []

    def convert(frame: av.VideoFrame) -> np.ndarray:
        image = to_rgb(frame, converter, shape, reduction(frame.height, frame.width, short_side))
        shape[:] = image.shape
        return image

    damaged = 0
    for i, (image, exact) in enumerate(decode_frames(path, frames, convert, info), 1):
        damaged += not exact
        if i == len(frames):  # not after the loop, because a caller may stop iterating after the last frame
            log_damage(path, damaged, i)
        yield image


def decode_frames(
    path: str | os.PathLike,
    frames: Sequence[int] | np.ndarray,
    convert: Callable[[Any], T],
    info: VideoInfo | None = None,
) -> Iterator[tuple[T, bool]]:
    """Decode and convert frames, and yield for each whether it is intact.

    Args:
        path: a file that FFmpeg can open.
        frames: ascending indices in display order, within the video; repeats are allowed.
        convert: function from an `av.VideoFrame` to the value to yield.
        info: see `read_frames`.

    Yields:
        The converted frame and True; for a damaged frame, its converted replacement and False.

    Raises:
        VideoError: as `probe`, or if no frame can be decoded.

    Example:
        >>> for kind, intact in decode_frames("a.mp4", [0, 15], lambda frame: frame.pict_type):  # doctest: +SKIP
        ...     print(kind, intact)
    """
    info = info or probe(path)
    key = info.keys[max(np.searchsorted(info.keys, frames[0], "right") - 1, 0)]
    yield from _stream(path, info, frames, convert, key)


def _stream(path, info, wanted, convert, key):
    """Decode as `decode_frames`, starting at the key frame with index `key`."""
    count, previous = 0, None
    with open_video(path) as (container, stream):
        if key > 0:
            container.seek(int(info.times[key]), stream=stream)
        for position, frame in _decode(container, stream, info, wanted):
            # The seek may fail: MPEG-TS and MPEG-PS have no index, and a key frame may be damaged.
            if key > 0 and previous is None and (position > wanted[0] or frame.pts != info.times[position]):
                break
            # Wanted frames before the decoded frame are damaged.
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
    """Yield (index, frame) in display order from the container's position; may skip non-reference frames."""
    position, context = 0, stream.codec_context
    # With one thread, each packet is decoded immediately. Only for H.264, no frame depends on skipped NONREF frames.
    skips = context.name == "h264" and info.times is not None
    times = set(info.times[wanted].tolist()) if skips else ()  # pyright: ignore[reportOptionalSubscript]
    for packet in demux(container, stream):
        if skips:
            context.skip_frame = "DEFAULT" if packet.pts in times else "NONREF"
        try:
            decoded = packet.decode()
        except av.error.InvalidDataError:
            position += 1  # a damaged packet loses one frame; the next packet may be intact
            continue
        for frame in decoded:
            if info.times is not None and frame.pts is not None:
                position = int(np.searchsorted(info.times, frame.pts))
            yield position, frame
            position += 1


def to_rgb(frame: av.VideoFrame, converter: Any, shape: Sequence[int] | None = None, smaller: int = 1) -> np.ndarray:
    """Convert a decoded frame to upright RGB, uint8 `[H, W, 3]`.

    Args:
        frame: the decoded frame.
        converter: an `av.video.reformatter.VideoReformatter`, the same for all frames of a video.
        shape: height and width of the image, if it must match other frames (a stream may change its size); None for the
            size of the frame.
        smaller: divisor of height and width if `shape` is None; pixels are averaged.

    Example:
        >>> frame = av.VideoFrame.from_ndarray(np.zeros([48, 64, 3], np.uint8), "rgb24")
        >>> to_rgb(frame, av.video.reformatter.VideoReformatter()).shape
        (48, 64, 3)
    """
    quarter_turns = round(frame.rotation / 90)
    height, width = shape[:2] if shape else (frame.height // smaller, frame.width // smaller)
    if shape and quarter_turns % 2:
        height, width = width, height
    scaling = "AREA" if smaller > 1 else "BILINEAR"
    image = converter.reformat(frame, width, height, "rgb24", interpolation=scaling, threads=1).to_ndarray()
    return np.rot90(image, quarter_turns)
