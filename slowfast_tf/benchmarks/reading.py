"""Times the input: training clips from records and from video files, beside what decoding alone takes."""

import collections
import concurrent.futures
import importlib.metadata
import importlib.util
import json
import pathlib
import platform
import statistics
import tempfile
import time

import numpy as np
import tqdm

from .. import config
from ..data.records import prepare
from ..machine import core_count
from ..runtime import import_tensorflow
from .page import cpu_name
from .preparing import ffmpeg_program, prepare_speed

VIDEOS, FRAMES, HEIGHT, WIDTH = 16, 300, 256, 340
CLIPS, BATCH = 96, 8  # timed at a time
EPOCH = 60 * VIDEOS  # so long that it does not end, nor begin anew, while clips are timed
QUALITIES = config.Prepare().quality, 95  # of JPEG images: prepare's default, and that of OpenCV and TensorFlow
SPAN = 64  # raw frames that a clip of SlowFast 8x8 covers, every second of which is used


def make_videos(root):
    """Videos of ten seconds, H.264. Moving textures under a camera's noise compress as well as real videos do: a
    320x240 clip of UCF-101 and a 340x256 one of Kinetics have JPEG images of 27 and 28 kB at quality 95, and 1.8 and
    2.3 kB a frame in H.264."""
    import av

    from ..data.datasets.synthetic import shapes as demo

    (root / "train" / "all").mkdir(parents=True)
    (root / "val" / "all").mkdir(parents=True)
    for number in range(VIDEOS):
        random = np.random.default_rng(number)
        texture = np.tile(np.stack([demo.noise(random, (160, 176)) for _ in range(3)], -1), (3, 3, 1))
        picture = 110 + 0.6 * texture + random.normal(0, 1.5, texture.shape)
        noise = random.normal(0, 8.5, (2 * HEIGHT, 2 * WIDTH, 3))
        path = root / "train" / "all" / f"{number:02d}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", 30, options={"crf": "23", "preset": "veryfast"})
            stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
            for t in range(FRAMES):
                y, x = int(30 + 25 * np.sin(t / 20)), int(20 + t / 4)
                down, right = random.integers((HEIGHT, WIDTH))
                frame = picture[y : y + HEIGHT, x : x + WIDTH] + noise[down : down + HEIGHT, right : right + WIDTH]
                frame = np.uint8(np.clip(frame, 0, 255))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
            container.mux(stream.encode())
        if not number:
            (root / "val" / "all" / path.name).write_bytes(path.read_bytes())
    return sorted((root / "train" / "all").iterdir())


def settings(dataset, root, quality=QUALITIES[0]):
    """A configuration that reads and prepares the videos of `make_videos` for SlowFast 8x8."""
    values = {
        "name": "input",
        "model": {"preset": "slowfast_8x8_r50"},
        "data": {"dataset": dataset, "root": str(root)},
        "train": {"epochs": 1, "batch_size": BATCH, "learning_rate": 0.1},
        "prepare": {"shards": 2, "quality": quality},
    }
    return config.Config.model_validate(values)


def readers(root, prepared, paths):
    """Functions that time the reading of `CLIPS` clips, by name, and bytes of the JPEG images of records.

    Args:
        root: of the videos.
        prepared: directories of records by name.
        paths: of the videos of `root`.
    """
    import tensorflow as tf

    from ..data import Clips, sources, transforms
    from ..data.records import format as stored
    from ..data.records.shards import INDEX
    from ..video.decode import read_frames
    from ..video.probe import probe

    def train(dataset, place, changed=lambda source: source):
        """Training clips, from the pipeline's first batches on to when it runs steadily, and on."""
        clips = Clips(settings(dataset, place), "train")
        clips._source = changed(clips._source)
        clips.count = clips._source.count

        def read():
            # Anew each time: what an iterator prefetches would be work that others have to wait for.
            data = iter(clips.train(range(1)))
            for _ in range(CLIPS // 2 // BATCH):
                next(data)
            return timed(lambda: [next(data) for _ in range(CLIPS // BATCH)] and None)

        return read

    def decoded(decode):
        """A function of a path and of frames, in as many threads as there are cores."""
        starts = np.random.default_rng(0).integers(0, FRAMES - SPAN, CLIPS)
        work = [(str(paths[i % len(paths)]), np.arange(start, start + SPAN, 2)) for i, start in enumerate(starts)]

        def read():
            with concurrent.futures.ThreadPoolExecutor(core_count()) as pool:
                list(pool.map(lambda item: decode(*item) is None, work))

        return lambda: timed(read)

    def loop(path, frames, _=None):
        """From the start of the file; as users of PyAV write it."""
        import av

        images, wanted = [], set(frames.tolist())
        with av.open(path) as container:
            container.streams.video[0].thread_count = 1
            for i, frame in enumerate(container.decode(video=0)):
                if i in wanted:
                    images.append(frame.to_ndarray(format="rgb24"))
                if i == frames[-1]:
                    break
        return np.stack(images)

    def by_decord(path, frames, _=None):
        import decord

        return decord.VideoReader(path, num_threads=1).get_batch(frames).asnumpy()

    def h264(path, frames):
        """Every frame from the last key frame before the clip to its end, without a conversion to RGB."""
        import av

        info = probe(path)
        key = info.keys[np.searchsorted(info.keys, frames[0], "right") - 1]
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            container.seek(int(info.times[key]), stream=stream)
            for i, _ in enumerate(container.decode(stream), key):
                if i >= frames[-1]:
                    break

    def jpeg(images):
        def read():
            data = tf.data.Dataset.from_tensor_slices(images).repeat().take(CLIPS)
            data = data.map(lambda clip: tf.stack([transforms.decode(x) for x in tf.unstack(clip)]), tf.data.AUTOTUNE)
            return timed(lambda: collections.deque(data, 0))  # kept, they would fill memory, which takes time

        return read

    def held(images):
        """Has a source of records give images that are in memory already."""
        clip = {"labels": [0], "starts": [0.0], "ends": [FRAMES / 30], "spans": [[0.0, SPAN / 30]]}

        def changed(source):
            source._read = lambda index, *_, **__: {**clip, "frames": tf.gather(images, [index % VIDEOS])}
            return source

        return changed

    found, sizes = {}, []
    for name, place in prepared.items():
        files = sorted(str(path) for path in pathlib.Path(place).glob("train-*"))
        # As many videos as the index of a large data set would list.
        index_path = pathlib.Path(place, INDEX)
        index = json.loads(index_path.read_text())
        split = index["splits"]["train"]
        split["shards"] *= EPOCH // VIDEOS
        split["videos"] *= EPOCH // VIDEOS
        index_path.write_text(json.dumps(index))
        images = tf.stack([clip["frames"][:SPAN:2] for clip in tf.data.TFRecordDataset(files).map(stored.parse)])
        sizes.append(int(tf.reduce_mean(tf.cast(tf.strings.length(images), tf.float32))))
        found[name, "training clips", "slowfast_tf"] = train("records", place)
        found[name, "training clips", "slowfast_tf, images in memory"] = train("records", place, held(images))
        found[name, "decoding alone", "every image, whole (the limit)"] = jpeg(images)

    decoders = {"slowfast_tf": read_frames, "PyAV, plain loop": loop}
    if importlib.util.find_spec("decord"):
        decoders["decord"] = by_decord

    def peer(decoder):
        files = type("Peer", (sources.Files,), {"decoder": staticmethod(decoder)})
        return lambda source: files(source.videos * (EPOCH // VIDEOS), None)

    for name, decode in decoders.items():
        found["H.264", "training clips", name] = train("folder", root, peer(decode))
    for name, decode in decoders.items():
        found["H.264", "decoding alone", name] = decoded(decode)
    found["H.264", "decoding alone", "every frame from the key frame, no RGB (the limit)"] = decoded(h264)
    return found, sizes


def timed(function):
    """Seconds that a function takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def section(rounds):
    """Measures and gives a Markdown section."""
    ffmpeg_program()  # before minutes have passed
    import_tensorflow()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        root = scratch / "videos"
        paths = make_videos(root)
        prepared = {f"records, quality {quality}": scratch / f"records_{quality}" for quality in QUALITIES}
        for quality, place in zip(QUALITIES, prepared.values()):
            prepare.prepare(settings("folder", root, quality), str(place))
        found, images = readers(root, prepared, paths)
        frame = sum(path.stat().st_size for path in paths) / len(paths) / FRAMES
        seconds = {name: [] for name in found}
        for name, read in tqdm.tqdm([*found.items()] * rounds, "reading"):
            seconds[name].append(read())
        preparing = collections.defaultdict(list)
        videos = paths * 3  # or Beam's start, a third of a second, would count
        for number in tqdm.tqdm(range(rounds), "preparing"):
            (scratch / f"prepare_{number}").mkdir()
            measured = prepare_speed(videos, settings("folder", root).prepare, scratch / f"prepare_{number}")
            for name, value in measured.items():
                preparing[name].append(value)
    speed = {name: CLIPS / statistics.median(times) for name, times in seconds.items()}
    limits = {kind: value for (kind, _, what), value in speed.items() if what.endswith("(the limit)")}
    lines = ["| from | what | with | clips/s, median | of the limit |", "|---|---|---|---|---|"]
    for (kind, what, name), value in speed.items():
        lines.append(f"| {kind} | {what} | {name} | {value:.1f} | {value / limits[kind]:.2f} |")
    preparing = {name: statistics.median(values) for name, values in preparing.items()}
    rate = {name: preparing["frames"] / preparing[name] for name in preparing if name != "frames"}
    both = preparing["frames"] / (preparing["ffmpeg"] + preparing["jpeg"])
    lines += ["", "| preparing | frames/s, median |", "|---|---|"]
    lines.append(f"| `slowfast_tf.prepare` | {rate['prepare']:.0f} |")
    lines.append(f"| ffmpeg (decode, scale), then libjpeg-turbo (encode) | {both:.0f} |")
    lines.append(f"| ffmpeg, its own JPEG encoder | {rate['ffmpeg_jpeg']:.0f} |")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("tensorflow", "av"))
    return "\n".join(
        [
            "## Input",
            "",
            f"    python -m slowfast_tf.benchmark input --rounds {rounds}",
            "",
            f"Clips of 32 frames for SlowFast 8x8 out of videos of 10 s, {WIDTH}x{HEIGHT}; JPEG images of quality"
            f" {' and '.join(map(str, QUALITIES))}, {' and '.join(f'{size / 1000:.0f}' for size in images)} kB each;"
            f" H.264 of {frame / 1000:.1f} kB a frame.",
            "Training clips: the same cut (224, shorter side 256 to 320), mirroring, normalising and batches of"
            f" {BATCH} for every reader.",
            f"Median of {rounds} times {CLIPS} clips, and of preparing {len(videos)} videos {rounds} times, in turns."
            f" {core_count()} cores, {cpu_name()}; Python {platform.python_version()}, {versions}.",
            "",
            *lines,
        ]
    )
