"""What a network says of a camera or a stream, as it happens."""

import collections
import dataclasses
import sys
import threading
import time

import av
import numpy as np
import tensorflow as tf

from ..data import sampling, transforms
from ..errors import VideoError
from ..video.decode import to_rgb
from ..video.probe import is_sane

PATIENCE = 10.0  # seconds without a frame after which a stream has ended
DELAY = 1.0  # seconds behind which frames are left out until the next key frame


@dataclasses.dataclass
class Moment:
    """The scores of the latest clip.

    Attributes:
        time: of its last frame, in seconds of the stream from its first frame on.
        delay: seconds from the arrival of that frame to its scores.
        scores: float32 `[classes]`.
    """

    time: float
    delay: float
    scores: np.ndarray


def watch(predictor, source):
    """Scores the latest clip of a camera or a stream, again and again.

    A thread reads and another scores, so that a network slower than the stream leaves clips out and does not fall
    behind. Where not even decoding keeps up, frames are left out up to a key frame. Memory holds one clip.

    Args:
        predictor: a `slowfast_tf.inference.Predictor`.
        source: the number of a camera (Linux), or an address or a file that FFmpeg can open.

    Yields:
        A `Moment` for each scored clip, until the stream ends; the first when there are frames for one clip.

    Raises:
        VideoError: where it cannot be opened or holds no frame, and for 10 seconds of silence.
    """
    spec = predictor.spec
    score = tf.function(lambda crops: predictor.score_crops(crops[None])[0], jit_compile=False, autograph=False)
    # Before the stream is opened: a network's first call takes seconds.
    score(tf.zeros([spec.clip_frames, spec.crop_size, spec.crop_size, 3]))
    reader = _Reader(source, spec)
    reader.start()
    try:
        while (clip := reader.latest()) is not None:
            crops, seconds, arrival = clip
            scores = score(tf.stack(crops)).numpy()
            yield Moment(seconds, time.monotonic() - arrival, scores)
    finally:
        reader.stopped = True
    if reader.error:
        raise reader.error


class _Reader(threading.Thread):
    """Reads a stream and keeps the frames of the latest clip."""

    def __init__(self, source, spec):
        super().__init__(daemon=True)
        self.source, self.spec = source, spec
        self.offsets = sampling.clip_frames([0.0], spec.clip_span, spec)[0].numpy()
        self.frames = collections.deque()  # (seconds, crop)
        self.rate = 25.0
        self.arrival = None  # of the last frame
        self.given = None  # the time of the last clip that was handed out
        self.changed = threading.Condition()
        self.ended = self.stopped = False
        self.error = None

    def latest(self):
        """Crops of the latest clip, its last frame's time and arrival; waits for a new frame; None at the end."""
        with self.changed:
            self.changed.wait_for(lambda: self.ended or self._ready())
            # At the end of a stream shorter than a clip, what there is.
            if not self.frames or self.frames[-1][0] == self.given:
                return None
            times = np.array([seconds for seconds, _ in self.frames])
            crops = [crop for _, crop in self.frames]
            self.given = times[-1]
            arrival = self.arrival
        # By time, not by number: frames may be missing, and rates change.
        wanted = times[-1] - (self.offsets[-1] - self.offsets) / self.rate
        places = np.searchsorted(times, wanted + 0.5 / self.rate, "right") - 1
        return [crops[max(place, 0)] for place in places], self.given, arrival

    def _ready(self):
        full = self.frames and self.frames[-1][0] - self.frames[0][0] >= (self.offsets[-1] - 0.5) / self.rate
        return full and self.frames[-1][0] != self.given

    def run(self):
        try:
            self._read()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if isinstance(error, av.error.ExitError):
                reason = f"no frame for {PATIENCE:g} seconds"
            else:
                reason = getattr(error, "strerror", None) or error
            self.error = VideoError(f"{self.source}: {reason}")
        except Exception as error:  # raised where the clips are taken
            self.error = error
        finally:
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def _read(self):
        path, form = self.source, None
        if path.isdecimal():
            if sys.platform != "linux":
                raise VideoError(f"{path}: cameras have numbers on Linux only; give the address of a stream")
            path, form = f"/dev/video{path}", "v4l2"
        converter = av.video.reformatter.VideoReformatter()
        first = start = shape = None
        late = False
        with av.open(path, format=form, timeout=PATIENCE, options={"fflags": "nobuffer"}) as container:
            if not container.streams.video:
                raise VideoError(f"{self.source}: holds no video stream")
            stream = container.streams.video[0]
            self.rate = float(stream.average_rate or stream.guessed_rate or 25)
            step = float(np.median(np.diff(self.offsets))) / self.rate if len(self.offsets) > 1 else 0.0
            for packet in container.demux(stream):
                if self.stopped:
                    return
                if late and packet.size and not packet.is_keyframe:
                    continue
                try:
                    decoded = packet.decode()
                except av.error.InvalidDataError:
                    continue
                for frame in decoded:
                    now = time.monotonic()
                    seconds = frame.time if frame.time is not None else now
                    if first is None:
                        first, start = seconds, now
                    seconds -= first
                    # When the frame should have come, if the quickest frame so far came at once.
                    start = min(start, now - seconds)
                    late = now - start - seconds > DELAY
                    if self.frames and seconds - self.frames[-1][0] < step - 0.5 / self.rate:
                        continue
                    image = to_rgb(frame, converter, shape)
                    shape = image.shape
                    if not is_sane(shape[1], shape[0]):
                        raise VideoError(f"{self.source}: frames of {shape[1]} x {shape[0]} pixels")
                    self._keep(seconds, transforms.test_crops(image[None], self.spec.crop_size, 1)[0, 0], now)
        if first is None:
            raise VideoError(f"{self.source}: no frame can be decoded")

    def _keep(self, seconds, crop, arrival):
        with self.changed:
            if self.frames and seconds < self.frames[-1][0]:
                self.frames.clear()  # the stream began anew
            self.frames.append((seconds, crop))
            while len(self.frames) > self.spec.clip_frames + 1:
                self.frames.popleft()
            self.arrival = arrival
            self.changed.notify_all()
