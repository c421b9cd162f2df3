"""Read the frames of a video for records: downscaled, at the frame rate of the settings, as JPEG images."""

import copy
import math
import typing
from collections.abc import Iterator

import av
import numpy as np
import simplejpeg
from av.video.reformatter import VideoReformatter

from ... import config
from ...errors import VideoError
from ...video.decode import decode_frames
from ...video.log import damage_message
from ...video.probe import is_sane
from .. import flow
from ..reference import Video, resolve


class Frames:
    """Iterate over the frames of a video or of a directory of JPEG images, with one frame in memory at a time.

    Each item is (JPEG image, JPEG image of the optical flow); the latter is None unless `settings.flow`.

    Args:
        video: frames outside its span are left out.
        settings: the size, quality and rate of the frames, and whether to compute optical flow.

    Attributes:
        times: times of the frames, in seconds from the start of the file, float64 `[N]`.
        rate: frames per second.
        labels: see `ResolvedVideo`.
        problems: one line for each problem of the video and, after iterating, one line about replaced frames.

    Raises:
        VideoError: if the video, or more than half of its frames, cannot be read; also raised while iterating.

    Example:
        >>> frames = Frames(Video("a.mp4", ()), config.Prepare(short_side=256))
        >>> images = [image for image, _ in frames]
    """

    def __init__(self, video: Video, settings: config.Prepare):
        self._path, self._settings = video.path, settings
        there = resolve(video)
        self._files, self.rate, self.labels = there.images, there.rate, there.labels
        self.problems = list(there.problems)
        self._encode = _Encoder(settings)
        self._frames = np.arange(there.first, there.last)
        self.times = there.times[self._frames]
        if settings.frame_rate:
            self._frames, self.times = _resampled(self._frames, self.times, self.rate, settings.frame_rate)
            self.rate = settings.frame_rate

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels; known after the first frame."""
        if self._encode.size is None:
            raise RuntimeError("the size is known after the first frame")
        return self._encode.size

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[tuple[bytes, bytes | None]]:
        if self._files is None:
            images = decode_frames(self._path, self._frames, self._encode)
        else:
            images = self._images(self._files)
        previous, damaged = None, 0
        for (image, gray), exact in images:
            damaged += not exact
            yield image, flow.compute(previous, gray, self._settings.quality) if self._settings.flow else None
            previous = gray
        if 2 * damaged > len(self):
            raise VideoError(f"{self._path}: {damaged} of {len(self)} frames cannot be decoded")
        if damaged:
            self.problems.append(damage_message(self._path, damaged, len(self)))

    def middle(self) -> tuple[bytes, bytes | None]:
        """Return the item of the middle frame, without decoding the whole video."""
        middle = copy.copy(self)
        middle._frames = self._frames[len(self) // 2 :][:1]
        return next(iter(middle))

    def _images(self, files: list) -> Iterator[tuple[tuple[bytes, np.ndarray], bool]]:
        """Read the images of a directory as `decode_frames` does: the last intact image replaces a damaged one."""
        waiting, image, exact = 0, None, True
        for i, index in enumerate(self._frames):
            if i == 0 or index != self._frames[i - 1]:
                exact = True
                try:
                    with open(files[index], "rb") as file:
                        image = self._encode.image(file.read())
                except (OSError, ValueError):
                    exact = False
            if image:
                yield from [(image, False)] * waiting
                yield image, exact
                waiting = 0
            else:
                waiting += 1
        if waiting:
            raise VideoError(f"{self._path}: none of its {len(files)} images can be decoded")


class _Encoder:
    """Encode frames as (JPEG image, uint8 gray scale `[H, W]`), all with the size of the first frame."""

    def __init__(self, settings: config.Prepare):
        self._short_side, self._quality = settings.short_side, settings.quality
        # Use one converter for all frames: creating it takes as long as converting a small frame.
        self._converter = VideoReformatter()
        self._last: typing.Any = None, None
        self.size: tuple[int, int] | None = None

    def __call__(self, frame: av.VideoFrame) -> tuple[bytes, np.ndarray]:
        if frame is not self._last[0]:  # frames repeat if the settings raise the frame rate
            self._last = frame, self._encoded(frame)
        return self._last[1]

    def image(self, data: bytes) -> tuple[bytes, np.ndarray]:
        """Encode a JPEG image; keep an image of the right size unchanged.

        Raises:
            ValueError: if the image is damaged or too large.
        """
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        height, width = int(height), int(width)
        if not is_sane(width, height):
            raise ValueError("too large")
        self.size = self.size or self._scaled(height, width)
        if (height, width) == self.size and space in ("YCbCr", "Gray"):
            return data, simplejpeg.decode_jpeg(data, "GRAY")[..., 0]
        return self._encoded(av.VideoFrame.from_ndarray(simplejpeg.decode_jpeg(data, "RGB"), "rgb24"))

    def _encoded(self, frame: av.VideoFrame) -> tuple[bytes, np.ndarray]:
        quarter_turns = round(frame.rotation / 90)
        turned = slice(None, None, -1 if quarter_turns % 2 else 1)
        self.size = self.size or self._scaled(*(frame.height, frame.width)[turned])
        height, width = self.size[turned]
        # Convert to JPEG's color space, which saves the conversion to RGB and back. Bicubic is ffmpeg's default.
        frame = self._converter.reformat(
            frame,
            width,
            height,
            "yuvj420p",
            dst_colorspace="ITU601",  # pyright: ignore[reportArgumentType]  # PyAV also accepts names
            dst_color_range="JPEG",
            interpolation="BICUBIC",
            threads=1,
        )
        planes: list[typing.Any] = list(frame.planes)
        planes = [np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in planes]
        gray, *colors = [np.ascontiguousarray(np.rot90(p, quarter_turns)) if quarter_turns else p for p in planes]
        height, width = gray.shape
        if height % 2 or width % 2:
            # The encoder reads pairs of rows and columns. Pad odd sizes, or it would read past the end.
            even = np.empty((height + height % 2, width + width % 2), np.uint8)
            even[:height, :width] = gray
            even[height:, :width] = gray[-1]
            even[:, width:] = even[:, width - 1 : width]
            gray = even[:height, :width]
        return simplejpeg.encode_jpeg_yuv_planes(gray, *colors, quality=self._quality), gray

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width for a shorter side of at most `short_side`; the longer side is rounded down."""
        short = min(height, width)
        wanted = min(self._short_side, short)
        return height * wanted // short, width * wanted // short


def _resampled(frames: np.ndarray, times: np.ndarray, rate: float, wanted_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Return indices and times of frames at another frame rate: for each new time, the nearest of the given frames."""
    count = math.ceil((times[-1] - times[0] + 1 / rate) * wanted_rate - 1e-6)
    wanted = times[0] + np.arange(count) / wanted_rate
    return frames[np.searchsorted((times[1:] + times[:-1]) / 2, wanted)], wanted
