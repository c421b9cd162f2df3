"""The frames of a video as records hold them: scaled down, at the rate that is asked for, as JPEG images."""

import math

import av
import numpy as np
import simplejpeg

from ...errors import VideoError
from ...video.decode import decode_frames
from ...video.log import damage_message
from ...video.probe import is_sane
from .. import flow
from ..reference import resolve


class Frames:
    """The frames of a video or of a directory of JPEG images, one after the other.

    Iterating gives (JPEG image, image of optical flow), both bytes; the latter is None where the settings ask for
    none. In memory there is one frame at a time.

    Args:
        source: a `reference.Video`; frames outside its span are left out.
        settings: a `slowfast_tf.config.Prepare`.

    Attributes:
        times: of the frames, in seconds from the start of the file, float64 `[N]`.
        rate: frames a second.
        size: height and width, once the first frame is there.
        labels: see `ResolvedVideo`.
        problems: a list of lines, of it and, after iterating, on frames that others stand in for.

    Raises:
        VideoError: for a video that cannot be read, here or while iterating, or only less than half.
    """

    def __init__(self, source, settings):
        self._path, self._settings = source.path, settings
        there = resolve(source)
        self._files, self.rate, self.labels = there.images, there.rate, there.labels
        self.problems = list(there.problems)
        self._encode = _Encoder(settings)
        self._frames = np.arange(there.first, there.last)
        self.times = there.times[self._frames]
        if settings.frame_rate:
            self._frames, self.times = _resampled(self._frames, self.times, self.rate, settings.frame_rate)
            self.rate = settings.frame_rate

    @property
    def size(self):
        return self._encode.size

    def __len__(self):
        return len(self._frames)

    def __iter__(self):
        if self._files is None:
            images = decode_frames(self._path, self._frames, self._encode)
        else:
            images = self._images()
        previous, damaged = None, 0
        for (image, gray), exact in images:
            damaged += not exact
            yield image, flow.compute(previous, gray, self._settings.quality) if self._settings.flow else None
            previous = gray
        if 2 * damaged > len(self):
            raise VideoError(f"{self._path}: {damaged} of {len(self)} frames cannot be decoded")
        if damaged:
            self.problems.append(damage_message(self._path, damaged, len(self)))

    def middle(self):
        """The frame in the middle alone."""
        self._frames = self._frames[len(self) // 2 :][:1]
        return next(iter(self))

    def _images(self):
        """As `decode_frames`, for a directory: for a damaged image the last one before it stands in."""
        waiting, image, exact = 0, None, True
        for i, index in enumerate(self._frames):
            if i == 0 or index != self._frames[i - 1]:
                exact = True
                try:
                    with open(self._files[index], "rb") as file:
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
            raise VideoError(f"{self._path}: none of its {len(self._files)} images can be decoded")


class _Encoder:
    """Makes of a frame (JPEG image, uint8 gray scale `[H, W]`), all of the size that the first one gets."""

    def __init__(self, settings):
        self._short_side, self._quality = settings.short_side, settings.quality
        # One converter for all frames: setting it up costs as much as converting a small frame.
        self._converter = av.video.reformatter.VideoReformatter()
        self._last = None, None
        self.size = None

    def __call__(self, frame):
        if frame is not self._last[0]:  # frames come again where the rate is raised
            self._last = frame, self._encoded(frame)
        return self._last[1]

    def image(self, data):
        """Takes a JPEG image, and leaves it as it is where it has the size.

        Raises:
            ValueError: for a damaged one.
        """
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        if not is_sane(width, height):
            raise ValueError("too large")
        self.size = self.size or self._scaled(height, width)
        if (height, width) == self.size and space in ("YCbCr", "Gray"):
            return data, simplejpeg.decode_jpeg(data, "GRAY")[..., 0]
        return self._encoded(av.VideoFrame.from_ndarray(simplejpeg.decode_jpeg(data, "RGB"), "rgb24"))

    def _encoded(self, frame):
        quarter_turns = round(frame.rotation / 90)
        turned = slice(None, None, -1 if quarter_turns % 2 else 1)
        self.size = self.size or self._scaled(*(frame.height, frame.width)[turned])
        height, width = self.size[turned]
        # JPEG's own color space: as RGB, frames would be converted there and back. Scaling is ffmpeg's default.
        frame = self._converter.reformat(
            frame,
            width,
            height,
            "yuvj420p",
            dst_colorspace="ITU601",
            dst_color_range="JPEG",
            interpolation="BICUBIC",
            threads=1,
        )
        planes = [
            np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
            for plane in frame.planes
        ]
        gray, *colors = [np.ascontiguousarray(np.rot90(p, quarter_turns)) if quarter_turns else p for p in planes]
        height, width = gray.shape
        if height % 2 or width % 2:
            # The encoder looks at whole pairs of rows and columns: past the end of an odd one.
            even = np.empty((height + height % 2, width + width % 2), np.uint8)
            even[:height, :width] = gray
            even[height:, :width] = gray[-1]
            even[:, width:] = even[:, width - 1 : width]
            gray = even[:height, :width]
        return simplejpeg.encode_jpeg_yuv_planes(gray, *colors, quality=self._quality), gray

    def _scaled(self, height, width):
        """Height and width once the shorter is `short_side`; never larger. The longer is rounded down."""
        short = min(height, width)
        wanted = min(self._short_side, short)
        return height * wanted // short, width * wanted // short


def _resampled(frames, times, rate, wanted_rate):
    """Indices and times of frames at another rate: of the frames that there are, the nearest in time."""
    count = math.ceil((times[-1] - times[0] + 1 / rate) * wanted_rate - 1e-6)
    wanted = times[0] + np.arange(count) / wanted_rate
    return frames[np.searchsorted((times[1:] + times[:-1]) / 2, wanted)], wanted
