"""Time training with one and two workers on this machine, and estimate the throughput of many GPUs."""

import dataclasses
import json
import math
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
from collections.abc import Mapping

from .. import config
from ..data.records import prepare
from ..errors import InputError, RunError
from ..models.cost import total
from ..models.presets import get_spec
from ..runtime import import_tensorflow

if typing.TYPE_CHECKING:
    import tensorflow as tf

WARM_UP = 2  # steps
CLIPS = 32  # number of clips that are read to time the input
GPUS = (8, 64, 128)


@dataclasses.dataclass(frozen=True)
class Machine:
    """The hardware that `estimate` assumes; none of it is measured.

    Attributes:
        gpus: GPUs per machine.
        tflops: multiplications and additions that a GPU sustains in a training step, 10^12 per second.
        link: bandwidth between the GPUs of a machine, bytes per second and direction.
        network: bandwidth between machines, bytes per second and direction.
        latency: seconds of one of the 2 (N - 1) steps of a ring all-reduce.
        cores: CPU cores per GPU.
        clips: batch size per GPU (8 in the paper).
    """

    gpus: int = 8
    tflops: float = 8.0
    link: float = 100e9
    network: float = 12.5e9
    latency: float = 20e-6
    cores: int = 6
    clips: int = 8


@dataclasses.dataclass(frozen=True)
class Volumes:
    """The work of a training clip and of a training step, independent of the hardware.

    Attributes:
        operations: multiplications and additions per clip; the backward pass takes twice as many as the forward pass.
        gradients: size of all gradients, in bytes.
        record: bytes read per clip.
        seconds: time of one CPU core to read and decode a clip, in seconds.
    """

    operations: float
    gradients: float
    record: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The estimated training step of a number of GPUs.

    Attributes:
        compute: seconds of the forward and backward pass.
        all_reduce: seconds of the all-reduce of the gradients.
        decode: seconds to decode the clips of a step.
        read: seconds to read the clips of a step over the network.
        clips_per_second: throughput of all GPUs.
        efficiency: throughput relative to GPUs that wait for neither the all-reduce nor the input, from 0 to 1.
        limit: the slowest part, as the table names it.
    """

    compute: float
    all_reduce: float
    decode: float
    read: float
    clips_per_second: float
    efficiency: float
    limit: str


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


def estimate(volumes: Volumes, gpus: int, machine: Machine) -> Estimate:
    """Estimate the training step of `gpus` GPUs, assuming that only the input pipeline overlaps with the computation.

    Args:
        volumes: the work of a clip and of a step.
        gpus: number of GPUs, a multiple of `machine.gpus`.
        machine: the assumed hardware.
    """
    machines = math.ceil(gpus / machine.gpus)
    compute = machine.clips * volumes.operations / (machine.tflops * 1e12)
    slowest = machine.network if machines > 1 else machine.link
    all_reduce = 2 * (gpus - 1) * (volumes.gradients / gpus / slowest + machine.latency)
    decode = machine.clips * volumes.seconds / machine.cores
    read = machine.clips * min(gpus, machine.gpus) * volumes.record / machine.network
    parts = {"compute": compute + all_reduce, "decoding": decode, "reading over the network": read}
    limit = max(parts, key=lambda name: parts[name])
    step = parts[limit]
    if limit == "compute" and all_reduce > compute:
        limit = "all-reduce"
    return Estimate(compute, all_reduce, decode, read, gpus * machine.clips / step, compute / step, limit)


def measure_input() -> tuple[float, float]:
    """Return the bytes read per clip of SlowFast 8x8, and the time of one core to read and decode it, in seconds.

    The records are written for this measurement, from synthetic videos.
    """
    from ..data import Clips
    from . import reading

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        reading.make_videos(scratch / "videos")
        prepare.prepare(reading.settings("folder", scratch / "videos"), str(scratch / "records"))
        shards = (scratch / "records").glob("train-*")
        videos = sum(path.stat().st_size for path in shards) / reading.VIDEOS
        record = videos * reading.SPAN / reading.FRAMES  # only the part that a clip spans is read
        clips = Clips(reading.settings("records", scratch / "records"), "train")
        batches = iter(clips.train(range(10**6)))
        next(batches)
        began = time.process_time()
        for _ in range(CLIPS // reading.BATCH):
            next(batches)
        seconds = (time.process_time() - began) / CLIPS
        del batches  # a live iterator prefetches: it would warn about every record after the directory is deleted
        return record, seconds


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
        frames = {"slow": spec.frames, "fast": spec.clip_frames}
        clips = {
            name: tf.random.normal([batch, frames[name], *[spec.input_size(name, size)] * 2, spec.input_channels(name)])
            for name in spec.pathways
        }
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


def estimated_table(volumes: Volumes, machine: Machine) -> str:
    """Return the rows of the estimated table, one for each of `GPUS`."""
    rows = []
    for gpus in GPUS:
        step = estimate(volumes, gpus, machine)
        rows.append(
            f"| {gpus} | {gpus * machine.clips} | {step.compute:.3f} | {step.all_reduce:.3f} | {step.decode:.3f}"
            f" | {step.read:.3f} | {step.clips_per_second:.0f} | {step.efficiency:.2f} | {step.limit} |"
        )
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
    machine = Machine()
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
    volumes = Volumes(6 * about["multiply_adds"], 4 * about["parameters"], *measure_input())
    balance = volumes.operations * machine.cores / volumes.seconds / 1e12
    return f"""# Scaling

    python -m slowfast_tf.benchmark scaling --preset {preset} --batch {batch} --size {size} --rounds {rounds}

## Measured: two workers on one machine

`{preset}` in float32, MultiWorkerMirroredStrategy over the loopback interface. Each worker trains on {batch} x {size} x
{size} clips per step, which are in memory, and is bound to separate CPU cores ({share} each). Times are medians over
the measured steps ({rounds}, after {WARM_UP} to warm up). The all-reduce of all gradients is also timed alone.

| workers | step, s | all-reduce alone, s | clips/s | speedup |
|---|---|---|---|---|
{measured_table(timings, batch)}

## Estimated: many GPUs

The first four rows are counted, or measured on this machine. The others are assumptions.

| quantity | value |
|---|---|
| `{preset}` at 224 x 224, forward and backward (3 x forward) | {volumes.operations / 1e9:.0f} GFLOP per clip |
| records of a clip of SlowFast 8x8 (shorter side 256), measured | {volumes.record / 1e6:.1f} MB per clip |
| reading and decoding that clip, measured | {1000 * volumes.seconds:.0f} ms of a core per clip |
| gradients; a ring of N GPUs sends them 2 (N - 1) / N times | {volumes.gradients / 1e6:.0f} MB per step |
| batch size per GPU (the paper's) | {machine.clips} |
| GPUs per machine | {machine.gpus} |
| CPU cores per machine, as fast as this machine's | {machine.gpus * machine.cores} |
| sustained by a GPU | {machine.tflops:g} TFLOP/s |
| bandwidth between the GPUs of a machine | {machine.link / 1e9:g} GB/s |
| bandwidth between machines, and for reading records | {machine.network / 1e9:g} GB/s |
| latency of a ring step | {1e6 * machine.latency:g} microseconds |

The input pipeline prepares the next batch during a step. The estimate adds the all-reduce to the computation;
TensorFlow overlaps a part of it.

| GPUs | batch | compute, s | all-reduce, s | decoding, s | reading, s | clips/s | efficiency | limited by |
|---|---|---|---|---|---|---|---|---|
{estimated_table(volumes, machine)}

With {machine.cores} CPU cores per GPU, decoding limits GPUs that sustain more than {balance:.1f} TFLOP/s.
"""
