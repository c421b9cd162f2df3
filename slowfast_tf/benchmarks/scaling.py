"""Time training with one and two workers on this machine, and measure the input for the estimates."""

import dataclasses
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import typing
from collections.abc import Mapping, Sequence

from .. import config
from ..data.records import prepare
from ..errors import InputError, RunError
from ..models.cost import total
from ..models.presets import get_spec
from ..runtime import import_tensorflow
from .estimate import Machine, Video, Volumes, section

if typing.TYPE_CHECKING:
    import tensorflow as tf

WARM_UP = 2  # steps
CLIPS = 32  # number of clips that are read to time the input


@dataclasses.dataclass(frozen=True)
class Request:
    """The work of one worker: values that can be sent as JSON.

    Attributes:
        cores: numbers of the CPU cores that the worker is bound to.
        preset: name of the network.
        batch: clips per step.
        size: height and width of a frame, pixels.
        rounds: measured steps.
    """

    cores: list[int]
    preset: str
    batch: int
    size: int
    rounds: int


@dataclasses.dataclass(frozen=True)
class Timing:
    """The times of one worker, in seconds: medians over the measured steps.

    Attributes:
        step: time of a training step, including its all-reduce.
        all_reduce: time of an all-reduce of the gradients alone.
    """

    step: float
    all_reduce: float


def measure_input() -> tuple[float, float, dict[int, Video]]:
    """Write records of synthetic videos, and read clips of SlowFast 8x8 from them.

    Returns:
        The bytes read per clip; the time of one core to read and decode it, in seconds; and the work of preparing a
        video, by JPEG quality.
    """
    from ..data import Clips
    from . import reading

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        paths = reading.make_videos(scratch / "videos")
        videos = _measure_preparing(scratch, paths)
        record = videos[reading.QUALITIES[0]].record * reading.SPAN / reading.FRAMES  # only a clip's part is read
        clips = Clips(reading.settings("records", scratch / f"records_{reading.QUALITIES[0]}"), "train")
        batches = iter(clips.train(range(10**6)))
        next(batches)
        began = time.process_time()
        for _ in range(CLIPS // reading.BATCH):
            next(batches)
        seconds = (time.process_time() - began) / CLIPS
        del batches  # a live iterator prefetches: it would warn about every record after the directory is deleted
        return record, seconds, videos


def _measure_preparing(scratch: pathlib.Path, paths: Sequence[pathlib.Path]) -> dict[int, Video]:
    """Prepare the videos of `reading.make_videos` in `scratch / "videos"`; return the work of a video by quality."""
    from . import preparing, reading

    preparing.time_prepare(paths[:1], config.Prepare(), scratch / "warm_up")  # imports, and Beam's first start
    found = {}
    for quality in reading.QUALITIES:
        place = scratch / f"records_{quality}"
        began = time.process_time()
        prepare.prepare(reading.settings("folder", scratch / "videos", quality), str(place))
        seconds = (time.process_time() - began) / (len(paths) + 1)  # and the only video of "val"
        sizes = [sum(path.stat().st_size for path in files) for files in (paths, place.glob("train-*"))]
        found[quality] = Video(seconds, *(size / len(paths) for size in sizes))
    return found


def cores_of(count: int) -> list[list[int]]:
    """Return the numbers of the CPU cores for each of `count` workers; a worker gets half of this machine's cores.

    Args:
        count: number of workers, 1 or 2.

    Raises:
        InputError: if there are fewer than two cores, or if this system cannot bind processes to cores.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        raise InputError(f"two workers need at least 2 CPU cores to be bound to; this machine offers {len(cores)}")
    share = len(cores) // 2
    return [cores[i * share : (i + 1) * share] for i in range(count)]


def serve(request: Request) -> None:
    """Run a worker: print the `Timing` of its training steps as a line of JSON.

    Args:
        request: the training steps to time. The environment variable `TF_CONFIG` has the addresses of the workers.
    """
    os.sched_setaffinity(0, request.cores)
    import_tensorflow()
    from ..training import strategies

    strategy = strategies.from_environment()
    import keras
    import tensorflow as tf

    from ..models.slowfast import SlowFast
    from ..training.optimizers import SGD

    spec, batch, size = get_spec(request.preset), request.batch, request.size
    with strategy.scope():
        model = SlowFast(spec)
        optimizer = SGD(0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)
        model.compile(optimizer, keras.losses.CategoricalCrossentropy(from_logits=True))

    def read(context: "tf.distribute.InputContext") -> "tf.data.Dataset":
        clips = {name: tf.random.normal([batch, *spec.input_shape(name, size)]) for name in spec.pathways}
        labels = tf.one_hot(tf.range(batch) % spec.num_classes, spec.num_classes)
        return tf.data.Dataset.from_tensors((clips, labels)).repeat()

    times = [0.0]
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: times.append(time.perf_counter()))
    steps = WARM_UP + request.rounds
    model.fit(
        strategy.distribute_datasets_from_function(read),
        steps_per_epoch=steps,
        epochs=1,
        callbacks=[note],
        verbose=0,  # pyright: ignore[reportArgumentType]
    )
    gradients = [tf.zeros(v.shape) for v in model.trainable_variables]

    @tf.function
    def reduce() -> typing.Any:
        return strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("sum", gradients))

    reduced = []
    for _ in range(steps):
        began = time.perf_counter()
        strategy.experimental_local_results(reduce())[0][0].numpy()
        reduced.append(time.perf_counter() - began)
    stepped = [b - a for a, b in zip(times, times[1:])]
    timing = Timing(statistics.median(stepped[WARM_UP:]), statistics.median(reduced[WARM_UP:]))
    print(json.dumps(dataclasses.asdict(timing)))


def measure(count: int, preset: str, batch: int, size: int, rounds: int) -> Timing:
    """Time `count` workers that run at the same time, each bound to separate CPU cores.

    Args:
        count: number of workers, 1 or 2.
        preset: name of the network.
        batch: clips per worker and step.
        size: height and width of a frame, pixels.
        rounds: measured steps.

    Returns:
        The times of the first worker.

    Raises:
        RunError: if a worker fails; the end of its stderr is written to stderr.
    """
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    cluster = {"worker": [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]}
    for s in sockets:
        s.close()
    workers = []
    try:
        for number, cores in enumerate(cores_of(count)):
            request = json.dumps(dataclasses.asdict(Request(cores, preset, batch, size, rounds)))
            task = {"cluster": cluster, "task": {"type": "worker", "index": number}}
            environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CONFIG": json.dumps(task)}
            command = [sys.executable, "-m", "slowfast_tf.benchmarks.worker", "scaling", request]
            log = tempfile.TemporaryFile()  # TensorFlow's long log is shown only if a worker fails
            workers.append(
                (subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment), log)
            )
        answers = [worker.communicate()[0] for worker, _ in workers]
    finally:
        for worker, _ in workers:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    for worker, log in workers:
        if worker.returncode:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace")[-3000:])
            raise RunError(f"one of {count} workers failed; if memory ran out, use a smaller batch or size")
    return Timing(**json.loads(answers[0].splitlines()[-1]))


def measured_table(timings: Mapping[int, Timing], batch: int) -> str:
    """Return the rows of the measured table.

    Args:
        timings: the times by number of workers; key 1 is required.
        batch: clips per worker and step.
    """
    single = batch / timings[1].step
    rows = []
    for count, timing in timings.items():
        rate = count * batch / timing.step
        alone = f"{timing.all_reduce:.2f}" if count > 1 else ""
        rows.append(f"| {count} | {timing.step:.2f} | {alone} | {rate:.2f} | {rate / single:.2f} |")
    return "\n".join(rows)


def page(preset: str, batch: int, size: int, rounds: int) -> str:
    """Time one and two workers, estimate many GPUs, and return a Markdown page.

    Args:
        preset: name of the network.
        batch: clips per worker and step.
        size: height and width of a frame, pixels.
        rounds: measured steps.

    Raises:
        InputError: if the network does not take this size, or this machine has fewer than two CPU cores.
        RunError: if a worker fails.
    """
    try:
        spec = get_spec(preset)
        spec.check_size(size)
    except ValueError as error:
        raise InputError(str(error)) from error
    share = len(cores_of(2)[0])
    prepare.check_installed(config.Prepare())
    timings = {count: measure(count, preset, batch, size, rounds) for count in (1, 2)}
    import_tensorflow()
    about = total(spec, 224)
    record, seconds, videos = measure_input()
    volumes = Volumes(6 * about["multiply_adds"], 4 * about["parameters"], record, seconds)
    return f"""# Scaling

    python -m slowfast_tf.benchmark scaling --preset {preset} --batch {batch} --size {size} --rounds {rounds}

## Measured: two workers on one machine

`{preset}` in float32, MultiWorkerMirroredStrategy over the loopback interface. Each worker trains on {batch} x {size} x
{size} clips per step, which are in memory, and is bound to separate CPU cores ({share} each). Times are medians over
the measured steps ({rounds}, after {WARM_UP} to warm up). The all-reduce of all gradients is also timed alone.

| workers | step, s | all-reduce alone, s | clips/s | speedup |
|---|---|---|---|---|
{measured_table(timings, batch)}

{section(preset, volumes, videos, Machine())}"""
