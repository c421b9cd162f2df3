"""Write H.264 videos in MP4, with PyAV (FFmpeg's libraries)."""

import contextlib
import fractions
import math
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
from .log import log_once
from .probe import demux, frame_times, probe

_CLOCK = 90_000  # time base of a written video, in ticks per second
# Audio codecs, by the name of FFmpeg's decoder, that an MP4 file may contain.
_COPIED = {"aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "flac"}
# Sample rates of AAC, in Hz (ISO 14496-3, table 1.18).
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_BACK = 0.5  # seconds: if the time of the sound goes back by more, the source has started over


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
        source: a video whose sound is copied. Sound that cannot be copied is left out, which is logged.

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
            sound = _Sound(source, stack.enter_context(av.open(f"file:{source}", metadata_errors="replace")), target)

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
            sound.write_until(math.inf)


class _Sound:
    """Copy the first audio stream of a video to another video. Audio that MP4 may not contain is encoded as AAC.

    Sound that cannot be copied is left out, and one line is logged: it must not end the writing of the frames.

    Args:
        path: the video to read, for the log.
        source: the open container to read.
        target: the open container to write; a stream is added to it.
    """

    def __init__(self, path: str | os.PathLike, source: Any, target: Any):
        self._path, self._target = path, target
        self._pending: tuple[float, list[Any]] | None = None  # the next packets and their time in seconds
        self._packets: Iterator[tuple[float, list[Any]]] = iter(())
        if not source.streams.audio:
            return
        stream, pictures = source.streams.audio[0], source.streams.best("video")
        if stream.codec_context is None:
            self._report("its codec is unknown")
            return
        self._zero = float((pictures.start_time or 0) * pictures.time_base)  # time of the source at time 0
        self._latest, self._length = -math.inf, 0.0  # start and duration of the latest packet or frame, in seconds
        try:
            self._open(source, stream)
        except av.error.FFmpegError as error:
            self._report(error.strerror)
            return
        self._pending = self._next()

    def _open(self, source: Any, stream: Any) -> None:
        """Add a stream to the target, and open the trial.

        The trial is an MP4 file without the pictures that is not kept. Each packet is written to the trial first. A
        packet that MP4 refuses fails there, so an error of the target is always one of writing, such as a full disk.
        """
        if stream.codec_context.name in _COPIED:
            with contextlib.suppress(av.error.FFmpegError):  # MP4 refuses MP3 below 16 kHz, for example
                self._trial, self._tried = _open_trial(lambda target: target.add_stream_from_template(stream))
                self._stream = self._target.add_stream_from_template(stream)
                self._packets = self._copy(source, stream)
                return
        layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
        rate = min(_AAC_RATES, key=lambda rate: abs(rate - stream.codec_context.sample_rate))
        self._trial, self._tried = _open_trial(lambda target: target.add_stream("aac", rate, layout=layout))
        self._stream = self._target.add_stream("aac", rate, layout=layout)
        self._packets = self._encode(source, stream)

    def write_until(self, time: float) -> None:
        """Write the sound up to a time in seconds."""
        while self._pending is not None and self._pending[0] <= time:
            for packet in self._pending[1]:
                try:
                    packet.stream = self._tried
                    self._trial.mux(packet)
                except av.error.FFmpegError as error:
                    self._report(error.strerror)
                    continue
                packet.stream = self._stream
                self._target.mux(packet)
            self._pending = self._next()

    def _next(self) -> tuple[float, list[Any]] | None:
        try:
            return next(self._packets, None)
        except av.error.FFmpegError as error:
            self._report(error.strerror)
            return None

    def _report(self, reason: str | None) -> None:
        log_once(f"sound of {self._path}", f"{self._path}: sound is left out of the written video: {reason}")

    def _time(self, time: float | None, length: float) -> float:
        """Return the time in the target of a packet or frame, in seconds.

        If the clock of the source starts over, as in concatenated MPEG-TS, the time continues after the latest packet.

        Args:
            time: time in the source, in seconds; None if it is unknown.
            length: duration, in seconds.
        """
        if time is None or time - self._zero < self._latest - _BACK:
            time = time or 0.0
            self._zero = time - max(self._latest + self._length, 0.0)
        self._latest, self._length = time - self._zero, length
        return self._latest

    def _copy(self, source: Any, stream: Any) -> Iterator[tuple[float, list[Any]]]:
        base = float(stream.time_base)
        for packet in demux(source, stream):
            if packet.pts is not None:
                time = self._time(packet.pts * base, (packet.duration or 0) * base)
                packet.pts = packet.dts = round(time / base)
                yield time, [packet]

    def _encode(self, source: Any, stream: Any) -> Iterator[tuple[float, list[Any]]]:
        first = None
        for packet in demux(source, stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError as error:  # a damaged packet; the next one may be intact
                self._report(error.strerror)
                continue
            for frame in frames:
                kind = frame.format.name, frame.layout.name, frame.sample_rate
                first = first or kind
                if kind != first:  # the encoder takes only one kind; damage to a packet's header may change it
                    self._report("its format changes")
                    continue
                time = self._time(frame.time, frame.samples / frame.sample_rate)
                frame.pts = round(time / frame.time_base)
                yield time, self._stream.encode(frame)
        yield math.inf, self._stream.encode()


def _open_trial(add: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Start an MP4 file that is not kept; return its container and the stream that `add` adds to it."""
    trial = av.open(os.devnull, "w", "mp4")
    stream = add(trial)
    trial.start_encoding()
    return trial, stream
