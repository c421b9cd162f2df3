"""Prepares a data set once for fast reading: videos to TensorFlow records, `python -m slowfast_tf.prepare`.

A unit of work is a shard. Which videos it holds follows from the data set and the settings alone, so that shards can be
written in any order, on any machine and again. While work is under way, the folder `.prepare` of the output holds
the plan and, for each finished shard, what is in it; at the end it becomes the index.
"""

import contextlib
import csv
import dataclasses
import functools
import hashlib
import importlib.util
import io
import json
import logging
import math
import os
import signal
import sys
import threading
import uuid
import zlib

import tqdm

from ... import config, plugins
from ...errors import InputError, RunError

SPLITS = ("train", "val")


WORK = ".prepare"


SHARD_BYTES = 150e6


LEAST_SHARDS = 16  # so that several machines, and the workers of one, can share a small data set


MOST_BYTES = 2_000_000_000  # protocol buffers hold at most 2 GiB


ROWS = ("skipped", "left_out")  # of a shard: videos that are not in it, labels and frames of others that are not


# What this process does of a local run; None on the machines of other runners.
_local = None


@dataclasses.dataclass(frozen=True)
class Job:
    """What a worker must know, beside the number of the shard."""

    dataset: str
    root: str
    output: str
    prepare: config.Prepare
    plan: dict
    plugins: tuple


class Local:
    """Progress of a local run, and how its threads are stopped."""

    def __init__(self, progress):
        self.progress = progress
        self.stop = threading.Event()
        self.failure = None

    def interrupt(self, *_):
        if self.stop.is_set():
            raise KeyboardInterrupt
        self.stop.set()


@dataclasses.dataclass(frozen=True)
class Split:
    """A split of a data set in the order that it is stored in: mixed, but always the same.

    Attributes:
        videos: a list of `reference.Video`.
        labels, problems: see `datasets.Dataset`.
        source: number of videos, and a digest of all that is known of them.
    """

    videos: list
    labels: tuple
    problems: tuple
    source: dict


class Stopped(Exception):
    """The user has interrupted, or another thread has failed."""


def check_installed(settings):
    """Raises a InputError that names packages which preparing needs and which are not there."""
    needed = ["apache_beam", "simplejpeg", *(["cv2"] if settings.flow else [])]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"preparing needs {' and '.join(missing)}: pip install 'slowfast_tf[prepare]'")


def prepare(settings, output, strict=False, beam_options=()):
    """Prepares a data set, or the rest of it.

    Args:
        settings: a `slowfast_tf.config.Config`; its "data" section names the data set, "prepare" says how.
        output: the directory to write to: shards, `index.json` (see `data.records.read_index`) and `skipped.csv`.
        strict: take problems of the data set's lists for an error.
        beam_options: a list of Apache Beam's options, "--runner=..." among them; empty: this machine, all cores.

    Raises:
        InputError: where the data set is not there or none of its videos can be read, and where `output` holds
            something else.
        RunError: where not every shard could be written, with the cause.
    """
    import tensorflow as tf

    from ...data import datasets
    from ...data.records import format as records

    load.cache_clear()
    data = {split: load(settings.data.dataset, settings.data.root, split) for split in SPLITS}
    if strict:
        for split in data.values():
            datasets.check(split.videos, split.problems)
    plan = {
        "dataset": settings.data.dataset,
        "labels": list(data["train"].labels),
        "prepare": settings.prepare.model_dump(),
        "source": {split: data[split].source for split in SPLITS},
    }
    work = f"{output}/{WORK}"
    if tf.io.gfile.exists(output) and not tf.io.gfile.isdir(output):
        raise InputError(f"--output {output} is a file; name a directory")
    data_set = settings.data.dataset, settings.data.root
    job = Job(*data_set, output, settings.prepare, plan, tuple(settings.plugins))
    if tf.io.gfile.exists(f"{output}/index.json"):
        index = records.read_index(output)
        _check_same(output, plan, index)
        plan["shards"] = {split: len(index["splits"][split]["shards"]) for split in SPLITS}
        with _clear_failure(output):
            missing = _reopen(job, data, index)
        if not missing:
            print(f"{output} is prepared already; nothing to do")
            return
        print(f"{output} is prepared already but for {missing} of its files; going on with these")
    if tf.io.gfile.exists(f"{work}/plan.json"):
        there = json.loads(_read(f"{work}/plan.json"))
        _check_same(output, plan, there)
        plan = there
    else:
        try:
            if tf.io.gfile.exists(output) and set(tf.io.gfile.listdir(output)) - {WORK, f"{WORK}/"}:
                raise InputError(f"--output {output} is not empty; choose another directory")
            plan["shards"] = {split: _shard_count(data[split].videos, settings.prepare) for split in SPLITS}
            tf.io.gfile.makedirs(work)
            _write(output, f"{WORK}/plan.json", json.dumps(plan))
        except (OSError, tf.errors.OpError) as error:
            raise InputError(f"cannot write --output {output}: {_cause(error)}; choose another directory") from error
    job = dataclasses.replace(job, plan=plan)
    shards = [(split, i) for split in SPLITS for i in range(plan["shards"][split])]
    missing = [shard for shard in shards if _done(job, *shard) is None]
    if missing:
        videos = sum(len(_part(data[split], i, plan["shards"][split])) for split, i in missing)
        run(job, missing, videos, beam_options)
    with _clear_failure(output):
        _finish(job, {split: data[split].problems for split in SPLITS})


def run(job, shards, videos, beam_options):
    """Writes shards with Apache Beam."""
    global _local
    logging.disable(logging.WARNING)  # Beam remarks on packages that it can do without
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    logging.disable(logging.NOTSET)
    if beam_options:
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                options = PipelineOptions(beam_options)
                options.get_all_options()  # or a wrong value comes up later
                pipeline = beam.Pipeline(options=options)
        except (Exception, SystemExit) as error:  # of each runner its own; the latter of a wrong value, after all usage
            reason = _last_line(said.getvalue() if isinstance(error, SystemExit) else error)
            raise InputError(f"Apache Beam cannot take {' '.join(beam_options)}: {reason}") from error
        sys.stderr.write(said.getvalue())  # options that it does not know
    else:
        # Threads are enough: decoding, scaling and compression release Python's lock. Beam's own choice of a local
        # runner would download a program on first use.
        options = PipelineOptions([], direct_running_mode="multi_threading", direct_num_workers=cores())
        pipeline = beam.Pipeline("FnApiRunner", options)
    # A reshuffle, or one worker would do everything that follows Create.
    shards = pipeline | beam.Create(shards) | beam.Reshuffle()
    _ = shards | "write shards" >> beam.MapTuple(functools.partial(write_shard, job))
    if beam_options:
        _run_elsewhere(pipeline)
        return
    with tqdm.tqdm(total=videos, desc="preparing", unit="video", file=sys.stderr) as progress:
        _local = Local(progress)
        try:
            with _on_interrupt(_local.interrupt):
                pipeline.run().wait_until_finish()
            if _local.failure:
                raise RunError(f"{_local.failure}; the same command goes on from here")
            if _local.stop.is_set():
                raise RunError("interrupted; the same command goes on from here")
        finally:
            _local.stop.set()
            _local = None


def _run_elsewhere(pipeline):
    try:
        pipeline.run().wait_until_finish()
    except Exception as error:  # each runner has its own
        raise RunError(f"the runner has failed: {_last_line(error)}; the same command goes on from here") from error


def _last_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    name = type(error).__name__
    return lines[-1] if lines else {"FutureTimeoutError": "its job server does not answer"}.get(name, name)


def cores():
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def write_shard(job, split, number):
    """Writes a shard of a split, whole or not at all, and then what is in it.

    Args:
        job: a `Job`.
        split: "train" or "val".
        number: of the shard.
    """
    import tensorflow as tf

    local = _local
    name = _name(job, split, number)
    temporary = f"{job.output}/{WORK}/{name}.{uuid.uuid4().hex}"
    try:
        if local and local.stop.is_set():
            return
        if not local:
            plugins.load(job.plugins)
        data = load(job.dataset, job.root, split)
        if data.source != job.plan["source"][split]:
            raise OSError(f"the data set in {job.root} has changed meanwhile")
        report = {"file": name, "videos": 0, "frames": 0, "bytes": 0, "records": [], "skipped": [], "left_out": []}
        with tf.io.TFRecordWriter(temporary) as writer:
            for video in _part(data, number, job.plan["shards"][split]):
                _add(job, video, data.labels, writer, report, local)
        report["sha256"] = _checksum(temporary)
        tf.io.gfile.rename(temporary, f"{job.output}/{name}", overwrite=True)
        _write(job.output, f"{WORK}/{name}.json", json.dumps(report))
    except Exception as error:
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(temporary)
        if local:
            local.stop.set()
        if local and isinstance(error, OSError | tf.errors.OpError):
            local.failure = local.failure or f"cannot write {job.output}/{name}: {_cause(error)}"
        elif not isinstance(error, Stopped):
            raise


def _add(job, video, labels, writer, report, local):
    """Writes a video's record, or notes why not."""
    from ...data.records import format as records
    from ...data.records import frames
    from ...errors import VideoError

    path = _relative(video.path, job.root)
    images, flows, size = [], [], 0
    try:
        taken = frames.Frames(video, job.prepare)
        for image, flow in taken:
            if local and local.stop.is_set():
                raise Stopped
            images.append(image)
            flows.append(flow)
            size += len(image) + len(flow or b"")
            if size > MOST_BYTES:
                raise VideoError(f"{video.path}: too long for a record of at most 2 GB; cut it into parts")
    except VideoError as error:
        report["skipped"].append([video.id or path, path, str(error)])
    else:
        report["left_out"] += [[video.id or path, path, problem] for problem in taken.problems]
        video = dataclasses.replace(video, labels=taken.labels)
        flows = flows if job.prepare.flow else None
        about = taken.times, taken.rate, taken.size, flows, job.dataset, path
        head, rest = records.encode(video, labels, images, *about)
        writer.write(head + rest)
        # A record has the length and its checksum before, 8 and 4 bytes, and a checksum of 4 after.
        report["records"].append([video.id or path, report["bytes"] + 12, len(head), zlib.crc32(head)])
        report["bytes"] += 12 + len(head) + len(rest) + 4
        report["videos"] += 1
        report["frames"] += len(images)
    if local:
        local.progress.update()


def _finish(job, problems):
    """Writes the list of skipped videos, annotations of boxes and the index, and removes the work folder."""
    import tensorflow as tf

    from ...data import datasets

    index = {**job.plan, "splits": {}}
    del index["shards"]
    rows = [["split", "id", "path", "reason"]]
    for split in SPLITS:
        shards = [_done(job, split, i) for i in range(job.plan["shards"][split])]
        skipped, left_out = ([[split, *row] for shard in shards for row in shard[name]] for name in ROWS)
        sums = {name: sum(shard[name] for shard in shards) for name in ("videos", "frames", "bytes")}
        if not sums["videos"]:
            for shard in shards:  # so that mended videos are taken the next time
                tf.io.gfile.remove(f"{job.output}/{WORK}/{shard['file']}.json")
            raise InputError(f"none of the {len(skipped)} videos of {split} can be read: {skipped[0][-1]}")
        index["splits"][split] = {**sums, "skipped": len(skipped), "shards": shards}
        # What is wrong with a film is told once, not with each of its key frames.
        left_out = {(path, problem): [*row, path, problem] for *row, path, problem in left_out}.values()
        rows += [[split, "", "", problem] for problem in problems[split]] + [*left_out, *skipped]
    # The figure of boxes is that of all annotations, also of those that no record holds.
    for path in datasets.annotation_files(job.dataset, job.root):
        tf.io.gfile.makedirs(f"{job.output}/{path.parent.name}")
        # Not gfile.copy, which makes of the target a directory where it is at az://.
        _write(job.output, f"{path.parent.name}/{path.name}", path.read_bytes())
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    _write(job.output, "skipped.csv", text.getvalue())
    _write(job.output, "index.json", json.dumps(index) + "\n")
    tf.io.gfile.rmtree(f"{job.output}/{WORK}")

    for split, about in index["splits"].items():
        print(
            f"{split}: {about['videos']} videos, {about['frames']} frames, {about['bytes'] / 1e6:.1f} MB"
            f" in {len(about['shards'])} files of {job.output}"
        )
    if len(rows) > 1:
        print(f"{len(rows) - 1} things were skipped or mended ({job.output}/skipped.csv), such as: {rows[1][-1]}")


@functools.lru_cache(maxsize=2)
def load(dataset, root, split):
    """A `Split`."""
    from ...data import datasets

    data = datasets.load_split(dataset, root, split)
    videos = [dataclasses.replace(video, path=_relative(video.path, root)) for video in data.videos]
    digest = hashlib.sha256(repr((data.labels, videos)).encode()).hexdigest()
    keys = [hashlib.sha256((video.id or video.path).encode()).digest() for video in videos]
    videos = [data.videos[i] for i in sorted(range(len(keys)), key=keys.__getitem__)]
    return Split(videos, data.labels, data.problems, {"videos": len(videos), "sha256": digest})


def _part(data, number, shards):
    """The videos of a shard."""
    return data.videos[number::shards]


def _shard_count(videos, settings):
    """The number of files of a split: as set, or so that each has about `SHARD_BYTES`, as a few frames tell."""
    from ...data.records import frames
    from ...errors import VideoError

    if settings.shards:
        return min(settings.shards, len(videos))
    sizes = []
    for video in videos[:: math.ceil(len(videos) / 8)]:
        with contextlib.suppress(VideoError):
            taken = frames.Frames(video, settings)
            count = len(taken)
            sizes.append(count * len(taken.middle()[0]))
    total = len(videos) * sum(sizes) / max(len(sizes), 1)
    return min(max(math.ceil(total / SHARD_BYTES), LEAST_SHARDS), len(videos))


def _reopen(job, data, index):
    """Opens prepared data again where files of it are gone, or where a video that was skipped has changed since.

    Args:
        job: a `Job`.
        data: the `Split`s.
        index: of the prepared data.

    Returns:
        How many files have to be written.
    """
    import tensorflow as tf

    from ...data import datasets

    made = tf.io.gfile.stat(f"{job.output}/index.json").mtime_nsec + 1_000_000_000  # it tells whole seconds
    others = [f"{path.parent.name}/{path.name}" for path in datasets.annotation_files(job.dataset, job.root)]
    missing = sum(not tf.io.gfile.exists(f"{job.output}/{name}") for name in ("skipped.csv", *others))
    reports = []
    for split in SPLITS:
        shards = index["splits"][split]["shards"]
        for i, shard in enumerate(shards):
            stored, skipped = ({name for name, *_ in shard.get(kind, ())} for kind in ("records", "skipped"))
            whole = _is_whole(job, shard)
            told = "skipped" in shard  # earlier versions did not
            for video in _part(data[split], i, len(shards)):
                name = video.id or _relative(video.path, job.root)
                known = name in stored or not told or name in skipped and not _changed_since(made, video.path)
                whole = whole and known
            if whole:
                reports.append({**shard, **{name: shard.get(name, []) for name in ROWS}})
            else:
                missing += 1
    if tf.io.gfile.exists(f"{job.output}/{WORK}"):  # stopped just before the end, or here
        tf.io.gfile.rmtree(f"{job.output}/{WORK}")
    if missing:
        tf.io.gfile.makedirs(f"{job.output}/{WORK}")
        for report in reports:
            _write(job.output, f"{WORK}/{report['file']}.json", json.dumps(report))
        _write(job.output, f"{WORK}/plan.json", json.dumps(job.plan))
        tf.io.gfile.remove(f"{job.output}/index.json")
    return missing


def _changed_since(when, path):
    found = [os.lstat(path)]
    with contextlib.suppress(OSError):  # a symbolic link to nothing
        found.append(os.stat(path))
    return max(status.st_ctime_ns for status in found) >= when  # whoever copies a file may keep its other times


def _is_whole(job, shard):
    import tensorflow as tf

    try:
        return tf.io.gfile.stat(f"{job.output}/{shard['file']}").length == shard["bytes"]
    except tf.errors.NotFoundError:
        return False


def _name(job, split, number):
    return f"{split}-{number:05d}-of-{job.plan['shards'][split]:05d}.tfrecord"


def _done(job, split, number):
    """What is in a shard; None if it is not whole."""
    import tensorflow as tf

    name = _name(job, split, number)
    if not tf.io.gfile.exists(f"{job.output}/{WORK}/{name}.json"):  # which az:// would read as an empty file
        return None
    try:
        report = json.loads(_read(f"{job.output}/{WORK}/{name}.json"))
    except tf.errors.NotFoundError:
        return None
    return report if _is_whole(job, report) else None


def _checksum(path):
    """SHA-256 of a file."""
    import tensorflow as tf

    digest = hashlib.sha256()
    with tf.io.gfile.GFile(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _relative(path, root):
    """A path as records note it: the same wherever the data set lies that it is in."""
    inside = os.path.relpath(path, root)
    return path if inside.startswith("..") else inside.replace(os.sep, "/")


def _read(path):
    import tensorflow as tf

    with tf.io.gfile.GFile(path) as file:
        return file.read()


def _write(output, name, content):
    """Writes a file of the output whole or not at all, wherever it is; `write_text` takes local paths."""
    import tensorflow as tf

    temporary = f"{output}/{WORK}/{uuid.uuid4().hex}"
    with tf.io.gfile.GFile(temporary, "wb") as file:
        file.write(content)
    tf.io.gfile.rename(temporary, f"{output}/{name}", overwrite=True)


def _check_same(output, plan, there):
    """Refuses an output that holds, or will, another data set or other settings."""
    settings, others = ({"dataset": x["dataset"], **x["prepare"]} for x in (plan, there))
    for name, value in settings.items():
        if others.get(name) != value:
            what = f"{name}: {json.dumps(others.get(name))} there, {json.dumps(value)} here"
            raise InputError(f"{output} is of other settings ({what}); choose another --output or remove it")
    for split in SPLITS:
        here, other = plan["source"][split], there["source"][split]
        if here != other or plan["labels"] != there["labels"]:
            raise InputError(
                f"{output} is of another list of {split} videos ({other['videos']} there, {here['videos']} here, or"
                " other labels); choose another --output or remove it"
            )


@contextlib.contextmanager
def _clear_failure(output):
    """One line for a place that cannot be written."""
    import tensorflow as tf

    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise RunError(f"cannot write {output}: {_cause(error)}; the same command goes on from here") from error


def _cause(error):
    """The end of an error's message: TensorFlow's tell path and cause."""
    return (getattr(error, "strerror", None) or str(error)).split("; ")[-1]


@contextlib.contextmanager
def _on_interrupt(handler):
    if threading.current_thread() is not threading.main_thread():  # only the main one gets signals
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
