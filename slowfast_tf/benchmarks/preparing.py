"""Times preparing (`slowfast_tf.prepare`) beside ffmpeg and a JPEG encoder."""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import time

from ..errors import RunError
from ..machine import core_count


def prepare_speed(paths, settings, scratch):
    """Times preparing, beside ffmpeg and a JPEG encoder that get the same frames and the same cores.

    Args:
        paths: of video files.
        settings: a `slowfast_tf.config.Prepare`, with the videos' own rate and without flow.
        scratch: an empty directory to work in.

    Returns:
        A dictionary: "frames", their number; seconds of "prepare", of "ffmpeg" (decoding and scaling, a process a
        core), of "jpeg" (encoding those frames with libjpeg-turbo, a thread a core), and of
        "ffmpeg_jpeg" (decoding, scaling and encoding in ffmpeg, a process a core).

    Raises:
        RunError: where there is no ffmpeg, or it fails.
    """
    import simplejpeg

    from ..data.records import beam, frames, plan
    from ..data.records.output import WORK
    from ..data.records.shards import Contents
    from ..data.reference import Video
    from ..video.decode import decode_frames

    def in_parallel(work):
        began = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(core_count()) as pool:
            list(pool.map(work, range(len(paths))))
        return time.perf_counter() - began

    def prepared(name, paths):
        root, output = pathlib.Path(scratch, name), pathlib.Path(scratch, f"{name}_records")
        (root / "train" / "all").mkdir(parents=True)
        for i, path in enumerate(paths):
            (root / "train" / "all" / f"{i}{pathlib.Path(path).suffix}").symlink_to(os.path.abspath(path))
        (output / WORK).mkdir(parents=True)
        began = time.perf_counter()
        data = {"train": plan.load_source("folder", str(root), "train")}
        contents = Contents("folder", data["train"].labels, settings.model_dump(), {"train": data["train"].digest})
        work = plan.Plan.of(contents, {"train": min(plan.MIN_SHARDS, len(paths))})
        beam.run(plan.Job(str(root), str(output), settings, work), data, work.all_shards())
        return time.perf_counter() - began

    prepared("warm_up", paths[:1])  # imports, and Beam's first start
    seconds = {"prepare": prepared("all", paths)}

    sizes, counts = [], []
    for path in paths:
        taken = frames.Frames(Video(str(path), ()), settings)
        counts.append(len(taken))
        taken.middle()
        sizes.append(taken.size)

    def ffmpeg(number, target):
        height, width = sizes[number]
        command = [ffmpeg_program(), "-v", "error", "-threads", "1", "-filter_threads", "1", "-i", str(paths[number])]
        command += ["-vf", f"scale={width}:{height}:flags=bicubic,format=yuvj420p", *target, "-threads", "1", "-"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise RunError(f"ffmpeg failed: {done.stderr.strip()}")

    seconds["ffmpeg"] = in_parallel(lambda number: ffmpeg(number, ["-f", "null"]))
    seconds["ffmpeg_jpeg"] = in_parallel(lambda number: ffmpeg(number, ["-f", "mjpeg", "-q:v", "2"]))

    # A few frames of each video, encoded again and again: all of them need not fit into memory.
    def rgb(frame, size):
        return frame.reformat(size[1], size[0], "rgb24").to_ndarray()

    images = []
    for path, size in zip(paths, sizes):
        images.append([image for image, _ in decode_frames(path, range(8), lambda frame, size=size: rgb(frame, size))])

    def encode(number):
        for i in range(counts[number]):
            simplejpeg.encode_jpeg(images[number][i % 8], settings.quality, "RGB", "420")

    seconds["jpeg"] = in_parallel(encode)
    return {"frames": sum(counts), **seconds}


def ffmpeg_program():
    """The system's ffmpeg, or the one that the package imageio-ffmpeg brings."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise RunError("no ffmpeg found to compare with: pip install imageio-ffmpeg") from error
    return imageio_ffmpeg.get_ffmpeg_exe()
