"""Times the input: training clips from records and from video files, beside what decoding alone takes."""

import concurrent.futures
import pathlib
import statistics
import tempfile
import time

import numpy as np
import tqdm

from . import config, prepare
from .benchmark_prepare import prepare_speed
from .cli import import_tensorflow

VIDEOS, FRAMES, HEIGHT, WIDTH = 16, 300, 256, 340
CLIPS = 96  # timed at a time
SPAN = 64  # raw frames that a clip of SlowFast 8x8 covers, every second of which is used


def make_videos(root):
    """Videos of ten seconds, H.264, of moving textures that compress about as well as pictures of people do."""
    import av

    from .data.datasets import demo

    (root / "train" / "all").mkdir(parents=True)
    (root / "val" / "all").mkdir(parents=True)
    for number in range(VIDEOS):
        random = np.random.default_rng(number)
        texture = np.tile(np.stack([demo._texture(random) for _ in range(3)], -1), (3, 3, 1))
        fine = random.normal(0, 9, texture.shape)
        picture = np.uint8(np.clip(110 + 2.5 * texture + fine, 0, 255))
        path = root / "train" / "all" / f"{number:02d}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", 30, options={"crf": "23", "preset": "veryfast"})
            stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
            for t in range(FRAMES):
                y, x = int(30 + 25 * np.sin(t / 20)), int(20 + t / 4)
                frame = np.ascontiguousarray(picture[y : y + HEIGHT, x : x + WIDTH])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
            container.mux(stream.encode())
        if not number:
            (root / "val" / "all" / path.name).write_bytes(path.read_bytes())
    return sorted((root / "train" / "all").iterdir())


def engines(root, records, paths):
    """Functions that read `CLIPS` clips, by name."""
    import tensorflow as tf

    from .data import Clips, transforms
    from .data import records as stored

    base = {
        "name": "input",
        "model": {"preset": "slowfast_8x8_r50"},
        "train": {"epochs": 1, "batch_size": 8, "learning_rate": 0.1},
    }

    def ours(dataset, place):
        settings = config.Config.model_validate({**base, "data": {"dataset": dataset, "root": str(place)}})
        clips = Clips(settings, "train")
        data = iter(clips.train(range(10**6)))

        def read():
            for _ in range(CLIPS // 8):
                next(data)

        return read

    files = [str(path) for path in pathlib.Path(records).glob("train-*")]
    packed = next(iter(tf.data.TFRecordDataset(files[:1]).map(stored.parse)))["frames"][: 2 * 32 : 2]

    def jpeg():
        data = tf.data.Dataset.range(CLIPS)
        data = data.map(lambda _: tf.map_fn(transforms.decode, packed, fn_output_signature=tf.uint8), tf.data.AUTOTUNE)
        for _ in data:
            pass

    def in_threads(read):
        def run():
            random = np.random.default_rng(0)
            starts = random.integers(0, FRAMES - SPAN, CLIPS)
            with concurrent.futures.ThreadPoolExecutor(prepare.cores()) as pool:
                list(pool.map(read, [str(paths[i % len(paths)]) for i in range(CLIPS)], starts))

        return run

    def loop(path, start):
        import av

        frames = []
        with av.open(path) as container:
            container.streams.video[0].thread_count = 1
            for i, frame in enumerate(container.decode(video=0)):
                if i >= start and (i - start) % 2 == 0:
                    frames.append(frame.to_ndarray(format="rgb24"))
                if len(frames) == 32:
                    break
        return np.stack(frames)

    def decord(path, start):
        import decord

        return decord.VideoReader(path, num_threads=1).get_batch(range(start, start + SPAN, 2)).asnumpy()

    def h264(path, start):
        """From the last key frame before the clip to its end, without a conversion to RGB."""
        import av

        from .data import video

        info = video.probe(path)
        key = info.keys[np.searchsorted(info.keys, start, "right") - 1]
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            container.seek(int(info.times[key]), stream=stream)
            for i, _ in enumerate(container.decode(stream), key):
                if i >= start + SPAN - 2:
                    break

    found = {
        "records: training clips": ours("records", records),
        "records: JPEG decoding alone": jpeg,
        "H.264 files: training clips": ours("folder", root),
        "H.264 files: PyAV, plain loop from the start": in_threads(loop),
        "H.264 files: decoding alone, from the key frame": in_threads(h264),
    }
    try:
        import decord as _  # noqa: F401

        found["H.264 files: decord"] = in_threads(decord)
    except ImportError:
        pass
    return found, int(tf.strings.length(packed[0]))


def section(rounds):
    """Measures and gives a Markdown section."""
    import_tensorflow()
    settings = config.Prepare(shards=2)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        root = scratch / "videos"
        paths = make_videos(root)
        values = {
            "name": "input",
            "model": {"preset": "slowfast_8x8_r50"},
            "data": {"dataset": "folder", "root": str(root)},
            "train": {"epochs": 1, "batch_size": 8, "learning_rate": 0.1},
            "prepare": settings.model_dump(),
        }
        prepare.prepare(config.Config.model_validate(values), str(scratch / "records"))
        readers, size = engines(root, scratch / "records", paths)
        seconds = {name: [] for name in readers}
        for read in tqdm.tqdm(readers.values(), "warming up"):
            read()
        for _ in tqdm.trange(rounds, desc="reading"):
            for name, read in readers.items():
                began = time.perf_counter()
                read()
                seconds[name].append(time.perf_counter() - began)
        (scratch / "prepare").mkdir()
        preparing = prepare_speed(paths, settings, scratch / "prepare")
    speed = {name: CLIPS / statistics.median(times) for name, times in seconds.items()}
    limits = {"records": speed["records: JPEG decoding alone"]}
    limits["H.264 files"] = speed["H.264 files: decoding alone, from the key frame"]
    lines = ["| reading | clips/s, median | share of decoding alone |", "|---|---|---|"]
    for name, value in speed.items():
        lines.append(f"| {name} | {value:.0f} | {value / limits[name.split(':')[0]]:.2f} |")
    rate = {name: preparing["frames"] / preparing[name] for name in preparing if name != "frames"}
    both = preparing["frames"] / (preparing["ffmpeg"] + preparing["jpeg"])
    lines += ["", "| preparing | frames/s |", "|---|---|"]
    lines.append(f"| `slowfast_tf.prepare` | {rate['prepare']:.0f} |")
    lines.append(f"| ffmpeg (decode, scale), then libjpeg-turbo (encode) | {both:.0f} |")
    lines.append(f"| ffmpeg, its own JPEG encoder | {rate['ffmpeg_jpeg']:.0f} |")
    return "\n".join(
        [
            "## Input",
            "",
            f"    python -m slowfast_tf.benchmark input --rounds {rounds}",
            "",
            f"Clips of 32 frames for SlowFast 8x8 out of videos of 10 s, {WIDTH}x{HEIGHT}; JPEG images of quality"
            f" {settings.quality}, {size / 1000:.0f} kB each. Training clips are cut (224, shorter side 256 to 320),"
            f" mirrored, normalised and batched; the others are decoded only. {prepare.cores()} cores, median of"
            f" {rounds} times {CLIPS} clips, in turns; preparing once.",
            "",
            *lines,
        ]
    )
