"""Time the input: training clips from records and from video files and, for comparison, decoding alone."""

import collections
import concurrent.futures
import importlib.metadata
import json
import pathlib
import platform
import statistics
import tempfile
import time
import typing
from collections.abc import Callable, Mapping, Sequence

import av
import numpy as np
import tqdm

from .. import config
from ..data.datasets.synthetic import shapes
from ..data.records import prepare
from ..machine import core_count, cpu_name
from ..runtime import import_tensorflow
from . import goals, preparing

if typing.TYPE_CHECKING:
    import tensorflow as tf

    from ..data.sources import Source
    from .decoders import Decode

VIDEOS, FRAMES, HEIGHT, WIDTH = 16, 300, 256, 340
RATE = 30  # frames per second
CLIPS, BATCH = 96, 8  # clips per measurement, clips per batch
EPOCH = 60 * VIDEOS  # videos in an epoch: enough that no epoch ends during a measurement
QUALITIES = config.Prepare().quality, 95  # JPEG qualities: the default of prepare, and that of OpenCV and TensorFlow
SPAN = 64  # raw frames that a clip of SlowFast 8x8 spans; every second frame is read
WINDOWS, FINISHED, DECODING = "training clips, for a GPU", "training clips, for a CPU", "decoding alone"
LIMIT = "(the limit)"  # suffix of the reader that the others are compared with

Timer = Callable[[], float]  # reads `CLIPS` clips and returns the seconds


class Reader(typing.NamedTuple):
    """A row of the table.

    Attributes:
        source: format of the videos.
        work: `WINDOWS`, `FINISHED` or `DECODING`.
        name: name of the reader.
    """

    source: str
    work: str
    name: str


def make_videos(root: pathlib.Path) -> list[pathlib.Path]:
    """Write H.264 videos of ten seconds, and return the paths of those in the training split.

    Moving textures with camera noise compress about as well as real videos. For comparison, a 320x240 clip of UCF-101
    and a 340x256 clip of Kinetics have JPEG images of 27 and 28 kB at quality 95, and 1.8 and 2.3 kB per frame in
    H.264.
    """
    for split in ("train", "val"):
        (root / split / "all").mkdir(parents=True)
    paths = [root / "train" / "all" / f"{number:02d}.mp4" for number in range(VIDEOS)]
    for number, path in enumerate(paths):
        write_video(path, np.random.default_rng(number))
    (root / "val" / "all" / paths[0].name).write_bytes(paths[0].read_bytes())
    return paths


def write_video(path: pathlib.Path, random: np.random.Generator) -> None:
    """Write one video of `make_videos`."""
    texture = np.tile(np.stack([shapes.noise(random, (160, 176)) for _ in range(3)], -1), (3, 3, 1))
    picture = 110 + 0.6 * texture + random.normal(0, 1.5, texture.shape)
    noise = random.normal(0, 8.5, (2 * HEIGHT, 2 * WIDTH, 3))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", RATE, options={"crf": "23", "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for t in range(FRAMES):
            y, x = int(30 + 25 * np.sin(t / 20)), int(20 + t / 4)
            down, right = random.integers((HEIGHT, WIDTH))
            frame = picture[y : y + HEIGHT, x : x + WIDTH] + noise[down : down + HEIGHT, right : right + WIDTH]
            frame = np.clip(frame, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


def settings(dataset: str, root: str | pathlib.Path, quality: int = QUALITIES[0]) -> config.Config:
    """Return a configuration that reads and prepares the videos of `make_videos` for SlowFast 8x8."""
    values = {
        "name": "input",
        "model": {"preset": "slowfast_8x8_r50"},
        "data": {"dataset": dataset, "root": str(root)},
        "train": {"epochs": 1, "batch_size": BATCH, "learning_rate": 0.1},
        "prepare": {"shards": 2, "quality": quality},
    }
    return config.Config.model_validate(values)


def timed(function: Callable[[], object]) -> float:
    """Call a function and return the elapsed seconds."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def time_training(dataset: str, root: pathlib.Path, source: "Source | None" = None, finished: bool = False) -> Timer:
    """Return a timer of training clips. The time starts after `CLIPS // 2` clips, when the pipeline runs steadily.

    Args:
        dataset: "records" or "folder".
        root: directory of the data set.
        source: a source of the same videos to read in place of `root`.
        finished: see `Clips.train`; a GPU finishes its clips itself.
    """
    from ..data import Clips

    clips = Clips(settings(dataset, root), "train", source=source)

    def read() -> float:
        # Create a new iterator each time: an existing one would prefetch while other readers are timed.
        batches = iter(clips.train(range(1), finished=finished))

        def take(count: int) -> None:
            for _ in range(count // BATCH):
                next(batches)

        take(CLIPS // 2)
        return timed(lambda: take(CLIPS))

    return read


def time_decoding(decode: Callable[[str, np.ndarray], object], paths: Sequence[pathlib.Path]) -> Timer:
    """Return a timer of a decoder, in one thread per core."""
    starts = np.random.default_rng(0).integers(0, FRAMES - SPAN, CLIPS).tolist()
    work = [(str(paths[i % len(paths)]), np.arange(start, start + SPAN, 2)) for i, start in enumerate(starts)]

    def read() -> None:
        with concurrent.futures.ThreadPoolExecutor(core_count()) as pool:
            list(pool.map(lambda item: decode(*item) is None, work))  # keeping the frames would fill memory

    return lambda: timed(read)


def time_jpeg(images: "tf.Tensor") -> Timer:
    """Return a timer of decoding whole JPEG images, string `[clips, F]`."""
    import tensorflow as tf

    from ..data import transforms

    def read() -> float:
        data = tf.data.Dataset.from_tensor_slices(images).repeat().take(CLIPS)
        data = data.map(lambda clip: tf.stack([transforms.decode(x) for x in tf.unstack(clip)]), core_count())
        options = tf.data.Options()
        options.autotune.enabled = False  # on a busy core, it can pause at the end of the data set
        data = data.with_options(options)
        return timed(lambda: collections.deque(data, 0))  # keeping the frames would fill memory, which takes time

    return read


def stored_clips(place: pathlib.Path) -> "tf.Tensor":
    """Return the JPEG images of the first clip of each training video of records, string `[V, F]`."""
    import tensorflow as tf

    from ..data.records import format as stored

    files = sorted(str(path) for path in place.glob("train-*"))
    return tf.stack([clip["frames"][:SPAN:2] for clip in tf.data.TFRecordDataset(files).map(stored.parse)])


def lengthen(place: pathlib.Path) -> None:
    """Repeat the videos in the index of records, so that the index has as many videos as a large data set."""
    from ..data.records.shards import INDEX

    path = place / INDEX
    index = json.loads(path.read_text())
    split = index["splits"]["train"]
    split["shards"] *= EPOCH // VIDEOS
    split["videos"] *= EPOCH // VIDEOS
    path.write_text(json.dumps(index))


def record_readers(name: str, place: pathlib.Path, images: "tf.Tensor") -> dict[Reader, Timer]:
    """Return timers of reading records.

    Args:
        name: name of the records in the table.
        place: directory of the records.
        images: see `stored_clips`.
    """
    from .memory import ImagesInMemory

    held = ImagesInMemory(place, images, SPAN / RATE, FRAMES / RATE)
    return {
        Reader(name, WINDOWS, "slowfast_tf"): time_training("records", place),
        Reader(name, WINDOWS, "slowfast_tf, images in memory"): time_training("records", place, held),
        Reader(name, FINISHED, "slowfast_tf"): time_training("records", place, finished=True),
        Reader(name, DECODING, f"whole images {LIMIT}"): time_jpeg(images),
    }


def video_readers(root: pathlib.Path, paths: Sequence[pathlib.Path]) -> dict[Reader, Timer]:
    """Return timers of reading video files with every decoder.

    Args:
        root: directory of the data set.
        paths: paths of its training videos.
    """
    from ..data import datasets
    from ..data.sources import Files
    from . import decoders

    videos = tuple(datasets.load_split("folder", str(root), "train").videos) * (EPOCH // VIDEOS)

    def training(decode: "Decode") -> Timer:
        return time_training("folder", root, Files(videos, decode=decode))

    available, name = decoders.available(), "H.264"
    limit = f"all frames from the key frame, without RGB {LIMIT}"
    return {
        **{Reader(name, WINDOWS, title): training(decode) for title, decode in available.items()},
        **{Reader(name, DECODING, title): time_decoding(decode, paths) for title, decode in available.items()},
        Reader(name, DECODING, limit): time_decoding(decoders.without_rgb, paths),
    }


def time_readers(readers: Mapping[Reader, Timer], rounds: int) -> dict[Reader, float]:
    """Return the clips per second of each reader: the median of `rounds` measurements; the readers take turns."""
    seconds = {reader: [] for reader in readers}
    for reader, read in tqdm.tqdm([*readers.items()] * rounds, "reading"):
        seconds[reader].append(read())
    return {reader: CLIPS / statistics.median(times) for reader, times in seconds.items()}


def time_preparing(videos: Sequence[pathlib.Path], scratch: pathlib.Path, rounds: int) -> preparing.Times:
    """Return the median times of preparing videos `rounds` times."""
    found = []
    for number in tqdm.tqdm(range(rounds), "preparing"):
        place = scratch / f"prepare_{number}"
        place.mkdir()
        found.append(preparing.prepare_speed(videos, settings("folder", scratch).prepare, place))
    return preparing.Times(*map(statistics.median, zip(*found)))


def reader_table(speed: Mapping[Reader, float]) -> list[str]:
    """Return the lines of a table of clips per second, relative to the limit of the same source."""
    limits = {reader.source: value for reader, value in speed.items() if reader.name.endswith(LIMIT)}
    lines = ["| videos | work | reader | clips/s, median | ratio to the limit |", "|---|---|---|---|---|"]
    for reader, value in speed.items():
        lines.append(f"| {' | '.join(reader)} | {value:.1f} | {value / limits[reader.source]:.2f} |")
    return lines


def reached(speed: Mapping[Reader, float]) -> list[goals.Goal]:
    """Return the goals of reading."""
    name = f"records, quality {QUALITIES[0]}"
    windows, finished = (speed[Reader(name, work, "slowfast_tf")] for work in (WINDOWS, FINISHED))
    limit = speed[Reader(name, DECODING, f"whole images {LIMIT}")]
    others = [value for reader, value in speed.items() if reader[:2] == ("H.264", WINDOWS)]
    ours = others.pop(0)
    return [
        goals.Goal(f"clips for a GPU from {name}, ratio to decoding alone", 0.75, windows / limit, least=True),
        goals.Goal("clips for a GPU, ratio to clips for a CPU (version 0.1)", 1.6, windows / finished, least=True),
        goals.Goal("clips from H.264, ratio to the fastest other decoder", 1.0, ours / max(others), least=True),
    ]


def preparing_table(times: preparing.Times) -> list[str]:
    """Return the lines of a table of frames per second."""
    rows = {
        "`slowfast_tf.prepare`": times.prepare,
        "ffmpeg (decode, scale), then libjpeg-turbo (encode)": times.ffmpeg + times.jpeg,
        "ffmpeg, its own JPEG encoder": times.ffmpeg_jpeg,
    }
    table = [f"| {name} | {times.frames / seconds:.0f} |" for name, seconds in rows.items()]
    return ["| preparing | frames/s, median |", "|---|---|", *table]


def section(rounds: int) -> str:
    """Time reading and preparing, and return a Markdown section.

    Args:
        rounds: number of measurements of each reader (`CLIPS` clips each) and of preparing.

    Raises:
        RunError: if ffmpeg is missing or fails.
    """
    preparing.ffmpeg_program()  # fail before the measurements, which take minutes
    import_tensorflow()
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        root = scratch / "videos"
        paths = make_videos(root)
        readers, images = {}, []  # mean size of a JPEG image by quality, bytes
        for quality in QUALITIES:
            place = scratch / f"records_{quality}"
            prepare.prepare(settings("folder", root, quality), str(place))
            clips = stored_clips(place)
            images.append(int(tf.reduce_mean(tf.cast(tf.strings.length(clips), tf.float32))))
            lengthen(place)
            readers.update(record_readers(f"records, quality {quality}", place, clips))
        readers.update(video_readers(root, paths))
        frame = sum(path.stat().st_size for path in paths) / len(paths) / FRAMES
        speed = time_readers(readers, rounds)
        videos = paths * 3  # with fewer videos, Beam's start (a third of a second) would matter
        times = time_preparing(videos, scratch, rounds)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("tensorflow", "av"))
    lines = [
        "## Input",
        "",
        f"    python -m slowfast_tf.benchmark input --rounds {rounds}",
        "",
        f"Clips of 32 frames for SlowFast 8x8, from videos of 10 s, {WIDTH}x{HEIGHT}. The videos are JPEG images of"
        f" quality {' and '.join(map(str, QUALITIES))}"
        f" ({' and '.join(f'{size / 1000:.0f}' for size in images)} kB each), or H.264"
        f" ({frame / 1000:.1f} kB per frame).",
        f"All readers cut the same training clips (224, shorter side 256 to 320) and make batches of {BATCH}."
        " For a GPU, clips are uint8, and the training step resizes and normalizes them. For a CPU, the reader does"
        " both.",
        f"Medians of {rounds} rounds. In a round, each reader reads {CLIPS} clips, in turn, and each program prepares"
        f" {len(videos)} videos. {core_count()} cores, {cpu_name()}; Python {platform.python_version()}, {versions}.",
    ]
    return "\n".join([*lines, "", *reader_table(speed), "", *preparing_table(times), *goals.table(reached(speed))])
