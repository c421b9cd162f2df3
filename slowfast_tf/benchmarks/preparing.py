"""Time preparing (`slowfast_tf.prepare`) and, for comparison, ffmpeg and a JPEG encoder."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import time
import typing
from collections.abc import Callable, Sequence

from .. import config
from ..errors import RunError
from ..machine import core_count

ENCODED = 8  # frames of each video that are encoded repeatedly: all frames may not fit into memory


class Times(typing.NamedTuple):
    """The times of several ways to prepare the same videos.

    Attributes:
        frames: number of frames of all videos.
        prepare: seconds of `slowfast_tf.prepare`.
        ffmpeg: seconds of decoding and scaling with ffmpeg, one process per core.
        ffmpeg_jpeg: seconds of decoding, scaling and encoding with ffmpeg, one process per core.
        jpeg: seconds of encoding the frames with libjpeg-turbo, one thread per core.
    """

    frames: int
    prepare: float
    ffmpeg: float
    ffmpeg_jpeg: float
    jpeg: float


class Taken(typing.NamedTuple):
    """The frames that preparing reads from a video: their number, and their height and width after scaling."""

    path: pathlib.Path
    frames: int
    size: tuple[int, int]


def prepare_speed(paths: Sequence[pathlib.Path], settings: config.Prepare, scratch: pathlib.Path) -> Times:
    """Time preparing, and ffmpeg and a JPEG encoder with the same frames and the same cores.

    Args:
        paths: paths of video files.
        settings: how videos are stored; they must keep their frame rate and have no flow.
        scratch: an empty directory to work in.

    Raises:
        RunError: if ffmpeg is missing or fails.
    """
    time_prepare(paths[:1], settings, scratch / "warm_up")  # warm up: imports, and Beam's first start
    prepare = time_prepare(paths, settings, scratch / "all")
    videos = [take(path, settings) for path in paths]
    ffmpeg = in_parallel([lambda video=video: run_ffmpeg(video, "-f", "null") for video in videos])
    encoding = "-f", "mjpeg", "-q:v", "2"
    ffmpeg_jpeg = in_parallel([lambda video=video: run_ffmpeg(video, *encoding) for video in videos])
    jpeg = time_jpeg(videos, settings.quality)
    return Times(sum(video.frames for video in videos), prepare, ffmpeg, ffmpeg_jpeg, jpeg)


def in_parallel(work: Sequence[Callable[[], object]]) -> float:
    """Run all functions in one thread per core, and return the elapsed seconds."""
    began = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(core_count()) as pool:
        list(pool.map(lambda function: function(), work))
    return time.perf_counter() - began


def time_prepare(paths: Sequence[pathlib.Path], settings: config.Prepare, place: pathlib.Path) -> float:
    """Write the shards of videos and return the elapsed seconds, without the time to read the data set's lists.

    Args:
        paths: paths of video files.
        settings: how videos are stored.
        place: a directory to work in; it must not exist.
    """
    from ..data.records import beam, plan
    from ..data.records.output import WORK
    from ..data.records.shards import Contents

    root, output = place / "videos", place / "records"
    (root / "train" / "all").mkdir(parents=True)
    for i, path in enumerate(paths):
        (root / "train" / "all" / f"{i}{path.suffix}").symlink_to(os.path.abspath(path))
    (output / WORK).mkdir(parents=True)
    began = time.perf_counter()
    data = {"train": plan.load_source("folder", str(root), "train")}
    contents = Contents("folder", data["train"].labels, settings.model_dump(), {"train": data["train"].digest})
    work = plan.Plan.of(contents, {"train": min(plan.MIN_SHARDS, len(paths))})
    beam.run(plan.Job(str(root), str(output), settings, work), data, work.all_shards())
    return time.perf_counter() - began


def take(path: pathlib.Path, settings: config.Prepare) -> Taken:
    """Return the frames that preparing reads from a video, and their size."""
    from ..data.records.frames import Frames
    from ..data.reference import Video

    frames = Frames(Video(str(path), ()), settings)
    next(iter(frames))  # the size is known after the first frame
    return Taken(path, len(frames), frames.size)


def run_ffmpeg(video: Taken, *target: str) -> None:
    """Decode and scale a video with ffmpeg, in one thread.

    Args:
        video: the video, and the size to scale its frames to.
        target: ffmpeg's options for its output.

    Raises:
        RunError: if ffmpeg is missing or fails.
    """
    height, width = video.size
    command = [ffmpeg_program(), "-v", "error", "-threads", "1", "-filter_threads", "1", "-i", str(video.path)]
    command += ["-vf", f"scale={width}:{height}:flags=bicubic,format=yuvj420p", *target, "-threads", "1", "-"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise RunError(f"ffmpeg failed: {done.stderr.strip()}")


def time_jpeg(videos: Sequence[Taken], quality: int) -> float:
    """Encode the frames of videos with libjpeg-turbo, and return the elapsed seconds."""
    import simplejpeg

    from ..video.decode import decode_frames

    def encode(video: Taken, images: Sequence) -> None:
        for i in range(video.frames):
            simplejpeg.encode_jpeg(images[i % len(images)], quality, "RGB", "420")

    work = []
    for video in videos:
        height, width = video.size
        scaled = decode_frames(
            str(video.path),
            range(ENCODED),
            lambda frame, height=height, width=width: frame.reformat(width, height, "rgb24").to_ndarray(),
        )
        images = [image for image, _ in scaled]
        work.append(lambda video=video, images=images: encode(video, images))
    return in_parallel(work)


def ffmpeg_program() -> str:
    """Return the path of the system's ffmpeg, or of the ffmpeg in the package imageio-ffmpeg.

    Raises:
        RunError: if neither is installed.
    """
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise RunError("ffmpeg is not installed: pip install imageio-ffmpeg") from error
    return imageio_ffmpeg.get_ffmpeg_exe()
