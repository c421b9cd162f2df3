"""Write H.264 videos in MP4, with PyAV (FFmpeg's libraries)."""

import contextlib
import fractions
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import av
import av.error
import numpy as np
import tqdm

from ..errors import VideoError
from ..files.atomic import atomic
from .decode import iterate_frames
from .probe import demux, frame_times, probe

_CLOCK = 90_000  # time base of a written video, in ticks per second
# Audio codecs, by the name of FFmpeg's decoder, that an MP4 file may contain.
_COPIED = {"aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "flac"}


def rewrite(
    path: str | os.PathLike, output: str | os.PathLike, draw: Callable[[np.ndarray, float], np.ndarray]
) -> None:
    """Write a copy of a video (H.264 in MP4) with each frame changed. Frame times and sound stay the same.

    One frame is in memory at a time, so memory does not depend on the length. H.264 in this pixel format needs an even
    width and height, so one pixel is cut off an odd side.

    Args:
        path: the video to read.
        output: the file to write, whole or not at all.
        draw: `draw(frame, seconds)` returns the frame to write. Both are uint8 `[H, W, 3]`, RGB. The returned size may
            differ from the original, but must be the same for all frames.

    Raises:
        VideoError: if the video cannot be read.

    Example:
        >>> rewrite("holiday.mp4", "negative.mp4", lambda frame, seconds: 255 - frame)
    """
    info = probe(path)
    frames = zip(iterate_frames(path, np.arange(info.frames)), frame_times(info))
    with open_writer(output, info.rate, path) as write:
        for image, time in tqdm.tqdm(frames, pathlib.Path(output).name, info.frames, unit="frame", disable=None):
            write(draw(image, time), time)


@contextlib.contextmanager
def open_writer(
    output: str | os.PathLike, rate: float, source: str | os.PathLike | None = None
) -> Iterator[Callable[[np.ndarray, float], None]]:
    """Write a video frame by frame, as H.264 in MP4, whole or not at all.

    Args:
        output: the file to write.
        rate: approximate frame rate, in frames per second.
        source: a video whose sound is copied.

    Yields:
        A function `write(frame, seconds)`. Frames are uint8 `[H, W, 3]` of one size, with ascending times. One pixel is
        cut off an odd side.

    Raises:
        VideoError: if no frame was written.

    Example:
        >>> with open_writer("gray.mp4", 25.0) as write:
        ...     for number in range(50):
        ...         write(np.full((240, 320, 3), 128, np.uint8), number / 25)
    """
    with atomic(output) as temporary, contextlib.ExitStack() as stack:
        target = stack.enter_context(av.open(str(temporary), "w", "mp4"))
        pictures: Any = target.add_stream("libx264", fractions.Fraction(rate).limit_denominator(1001))
        pictures.pix_fmt = "yuv420p"
        pictures.codec_context.time_base = fractions.Fraction(1, _CLOCK)
        pictures.options = {"crf": "20", "preset": "veryfast"}
        sound = None
        if source is not None:
            sound = _Sound(stack.enter_context(av.open(f"file:{source}", metadata_errors="replace")), target)

        def write(image: np.ndarray, time: float) -> None:
            image = image[: len(image) // 2 * 2, : image.shape[1] // 2 * 2]
            if not pictures.codec_context.is_open:
                pictures.height, pictures.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
            frame.pts, frame.time_base = round(time * _CLOCK), fractions.Fraction(1, _CLOCK)
            target.mux(pictures.encode(frame))
            if sound:
                sound.write_until(time)

        yield write
        if not pictures.codec_context.is_open:
            raise VideoError(f"{output}: there was no frame to write")
        target.mux(pictures.encode())
        if sound:
            sound.write_until(float("inf"))


class _Sound:
    """Copy the first audio stream of a video to another video. Audio that MP4 may not contain is encoded as AAC.

    Args:
        source: the open container to read.
        target: the open container to write; a stream is added to it.
    """

    def __init__(self, source: Any, target: Any):
        self._target = target
        self._pending: tuple[float, Any] | None = None  # the next packets and their time in seconds
        self._packets: Iterator[tuple[float, Any]] = iter(())
        if not source.streams.audio:
            return
        stream, pictures = source.streams.audio[0], source.streams.best("video")
        start = float((pictures.start_time or 0) * pictures.time_base)
        if stream.codec_context.name in _COPIED:
            self._stream = target.add_stream_from_template(stream)
            self._packets = self._copy(source, stream, start)
        else:
            layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
            self._stream = target.add_stream("aac", stream.codec_context.sample_rate, layout=layout)
            self._packets = self._encode(source, stream, start)
        self._pending = next(self._packets, None)

    def write_until(self, time: float) -> None:
        """Write the sound up to a time in seconds."""
        while self._pending is not None and self._pending[0] <= time:
            self._target.mux(self._pending[1])
            self._pending = next(self._packets, None)

    def _copy(self, source: Any, stream: Any, start: float) -> Iterator[tuple[float, Any]]:
        shift = round(start / stream.time_base)
        for packet in source.demux(stream):
            if packet.pts is not None:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = self._stream
                yield float(packet.pts * stream.time_base), packet

    def _encode(self, source: Any, stream: Any, start: float) -> Iterator[tuple[float, Any]]:
        first = None
        for packet in demux(source, stream):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:  # a damaged packet; the next one may be intact
                continue
            for frame in frames:
                kind = frame.format.name, frame.layout.name, frame.sample_rate
                first = first or kind
                if kind != first:  # the encoder takes only one kind; damage to a packet's header may change it
                    continue
                time = frame.time - start
                frame.pts = round(time / frame.time_base)
                yield time, self._stream.encode(frame)
        yield float("inf"), self._stream.encode()
