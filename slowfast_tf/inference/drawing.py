"""Words on frames, and videos written again with something drawn in."""

import contextlib
import fractions
import pathlib

import av
import numpy as np

from ..files.atomic import atomic
from ..video.decode import iterate_frames
from ..video.probe import frame_times, probe

_CLOCK = 90_000  # ticks a second of a written video
_COPIED = {"aac", "mp3", "mp3float", "ac3", "eac3", "alac", "opus", "flac"}  # what an MP4 file may hold


def start(image):
    """What is needed to draw on an image, uint8 `[H, W, 3]`, of which a copy is taken.

    Returns:
        A PIL image, the canvas to draw on, and a font and a line width that fit its size.
    """
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(image)
    size = min(picture.size)
    path = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    font = ImageFont.truetype(path, max(10, round(size / 28)))
    return picture, ImageDraw.Draw(picture, "RGBA"), font, max(1, round(size / 200))


def measure(canvas, texts, font, line):
    """Width and height in pixels of what `words` draws."""
    wide = max(canvas.textlength(text, font=font) for text in texts) + 4 * line
    return wide, (font.size + 2 * line) * len(texts) + 2 * line


def words(canvas, texts, corner, font, line, color=(255, 255, 255)):
    """Draws lines of text, white on dark, with a stripe of a color at their left.

    Args:
        canvas, font, line: of `start`.
        texts: a line each.
        corner: the left and the top of all.
        color: red, green and blue, 0 to 255.
    """
    left, top = corner
    wide, tall = measure(canvas, texts, font, line)
    canvas.rectangle([left, top, left + wide, top + tall], fill=(0, 0, 0, 200))
    canvas.rectangle([left, top, left + line, top + tall], fill=color)
    for i, text in enumerate(texts):
        place = left + 3 * line, top + line + i * (font.size + 2 * line)
        canvas.text(place, text, fill=(255, 255, 255), font=font)


def rewrite(path, output, draw):
    """Writes a video again, as H.264 in MP4, with something drawn in; times of frames and the sound stay.

    A frame at a time, so that a video of any length needs the memory of a few. Odd widths and heights lose a pixel,
    which H.264 needs.

    Args:
        path: of the video.
        output: the file to write.
        draw: makes of a frame, uint8 `[H, W, 3]`, and its time in seconds the one to write, of any size, the same for
            all frames.

    Raises:
        VideoError: where the video cannot be read.
    """
    import tqdm

    info = probe(path)
    with _writer(path, output, info.rate) as write:
        frames = zip(iterate_frames(path, np.arange(info.frames)), frame_times(info))
        for image, time in tqdm.tqdm(frames, pathlib.Path(output).name, info.frames, unit="frame", disable=None):
            write(draw(image, time), time)


@contextlib.contextmanager
def _writer(path, output, rate):
    with atomic(output) as temporary, av.open(f"file:{path}") as source, av.open(str(temporary), "w", "mp4") as target:
        pictures = target.add_stream("libx264", fractions.Fraction(rate).limit_denominator(1001))
        pictures.pix_fmt = "yuv420p"
        pictures.codec_context.time_base = fractions.Fraction(1, _CLOCK)
        pictures.options = {"crf": "20", "preset": "veryfast"}
        sound = _Sound(source, target)

        def write(image, time):
            image = image[: len(image) // 2 * 2, : image.shape[1] // 2 * 2]
            if not pictures.codec_context.is_open:
                pictures.height, pictures.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
            frame.pts, frame.time_base = round(time * _CLOCK), fractions.Fraction(1, _CLOCK)
            target.mux(pictures.encode(frame))
            sound.write(time)

        yield write
        target.mux(pictures.encode())
        sound.write(float("inf"))


class _Sound:
    """Brings the first sound stream of a video to another, as it is where an MP4 file may hold it, else as AAC."""

    def __init__(self, source, target):
        self.target = target
        self.packets = None
        if not source.streams.audio:
            return
        stream, pictures = source.streams.audio[0], source.streams.best("video")
        copied = stream.codec_context.name in _COPIED
        if copied:
            self.stream = target.add_stream_from_template(stream)
        else:
            layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
            self.stream = target.add_stream("aac", stream.codec_context.sample_rate, layout=layout)
        start = float((pictures.start_time or 0) * pictures.time_base)
        self.packets = self._copy(source, stream, start) if copied else self._encode(source, stream, start)
        self.next = next(self.packets, None)

    def write(self, time):
        """Writes what is heard up to a time."""
        while self.packets is not None and self.next is not None and self.next[0] <= time:
            self.target.mux(self.next[1])
            self.next = next(self.packets, None)

    def _copy(self, source, stream, start):
        shift = round(start / stream.time_base)
        for packet in source.demux(stream):
            if packet.pts is not None:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = self.stream
                yield float(packet.pts * stream.time_base), packet

    def _encode(self, source, stream, start):
        for frame in source.decode(stream):
            time = frame.time - start
            frame.pts = round(time / frame.time_base)
            yield time, self.stream.encode(frame)
        yield float("inf"), self.stream.encode()
