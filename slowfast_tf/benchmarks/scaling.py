"""Times training with one and with two workers on this machine, and computes what many GPUs should give."""

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

from .. import config
from ..data.records import prepare
from ..errors import InputError, RunError
from ..models.cost import total
from ..models.presets import get_spec
from ..runtime import import_tensorflow

WARM_UP = 2  # steps
CLIPS = 32  # whose reading is timed
GPUS = (8, 64, 128)


@dataclasses.dataclass(frozen=True)
class Machine:
    """What the GPUs of the computed table are, and what is around them. Assumed, not measured.

    Attributes:
        gpus: of a machine.
        tflops: multiplications and additions that a GPU does in a training step, in 10^12 a second.
        link: bytes a second between the GPUs of a machine, each way.
        network: bytes a second between machines, each way.
        latency: seconds for one of the 2 (N - 1) turns of a ring.
        cores: of the CPU, for each GPU.
        clips: a step, of each GPU (the paper has 8).
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
    """What a training clip and a training step take, whatever does it.

    Attributes:
        operations: multiplications and additions of a clip: forward, and twice as many backward.
        gradients: bytes of all gradients.
        record: bytes that are read for a clip.
        seconds: of one CPU core, to read a clip and make the network's input of it.
    """

    operations: float
    gradients: float
    record: float
    seconds: float


def computed(volumes, gpus, machine):
    """What a step takes on so many GPUs, nothing of it overlapping but the input, and what limits it first.

    Args:
        volumes: a `Volumes`.
        gpus: how many; whole machines.
        machine: a `Machine`.

    Returns:
        A dictionary: "compute", "all_reduce", "decode" and "read" (seconds), "clips_per_second" (of all GPUs), "share"
        (of as many GPUs that neither wait for each other nor for the input) and "limit" (text).
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
    return {
        "compute": compute,
        "all_reduce": all_reduce,
        "decode": decode,
        "read": read,
        "clips_per_second": gpus * machine.clips / step,
        "share": compute / step,
        "limit": limit,
    }


def input_volumes():
    """Bytes read for a clip of SlowFast 8x8, and seconds of one core to make it, from records made for this."""
    from ..data import Clips
    from . import reading as benchmark_input

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        benchmark_input.make_videos(scratch / "videos")
        prepare.prepare(benchmark_input.settings("folder", scratch / "videos"), str(scratch / "records"))
        shards = (scratch / "records").glob("train-*")
        videos = sum(path.stat().st_size for path in shards) / benchmark_input.VIDEOS
        record = videos * benchmark_input.SPAN / benchmark_input.FRAMES  # the part that a clip spans
        clips = Clips(benchmark_input.settings("records", scratch / "records"), "train")
        batches = iter(clips.train(range(10**6)))
        next(batches)
        began = time.process_time()
        for _ in range(CLIPS // benchmark_input.BATCH):
            next(batches)
        return record, (time.process_time() - began) / CLIPS


def cores_of(count):
    """The processor cores of each of so many workers: an equal part of those that there are, none in two parts."""
    there = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(there) < 2:
        raise InputError(f"two workers need two processor cores that they can be bound to; there are {len(there)}")
    share = len(there) // 2
    return [there[i * share : (i + 1) * share] for i in range(count)]


def serve(request):
    """A worker's life: prints, as JSON, the seconds of each training step and of each all-reduce of its gradients."""
    request = json.loads(request)
    os.sched_setaffinity(0, request["cores"])
    import_tensorflow()
    from ..training import strategies

    strategy = strategies.from_environment()
    import keras
    import tensorflow as tf

    from ..models.slowfast import SlowFast
    from ..training.optimizers import SGD

    spec, batch, size = get_spec(request["preset"]), request["batch"], request["size"]
    with strategy.scope():
        model = SlowFast(spec)
        optimizer = SGD(0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)
        model.compile(optimizer, keras.losses.CategoricalCrossentropy(from_logits=True))

    def read(context):
        frames = {"slow": spec.frames, "fast": spec.clip_frames}
        clips = {
            name: tf.random.normal([batch, frames[name], *[spec.input_size(name, size)] * 2, spec.input_channels(name)])
            for name in spec.pathways
        }
        labels = tf.one_hot(tf.range(batch) % spec.num_classes, spec.num_classes)
        return tf.data.Dataset.from_tensors((clips, labels)).repeat()

    times = [0.0]
    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: times.append(time.perf_counter()))
    steps = WARM_UP + request["rounds"]
    model.fit(
        strategy.distribute_datasets_from_function(read),
        steps_per_epoch=steps,
        epochs=1,
        callbacks=[note],
        verbose=0,  # pyright: ignore[reportArgumentType]
    )
    gradients = [tf.zeros(v.shape) for v in model.trainable_variables]

    @tf.function
    def reduce():
        def sums():
            return tf.distribute.get_replica_context().all_reduce("sum", gradients)

        return strategy.run(sums)

    reduced = []
    for _ in range(steps):
        began = time.perf_counter()
        strategy.experimental_local_results(reduce())[0][0].numpy()
        reduced.append(time.perf_counter() - began)
    stepped = [b - a for a, b in zip(times, times[1:])]
    print(json.dumps({"steps": stepped[WARM_UP:], "all_reduces": reduced[WARM_UP:]}))


def measure(count, preset, batch, size, rounds):
    """Times so many workers side by side, each with `batch` clips a step on its own part of the cores.

    Returns:
        Seconds of a step and of an all-reduce alone: medians of the first worker.

    Raises:
        RunError: where a worker gives up; its own words are on stderr.
    """
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    cluster = {"worker": [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]}
    for s in sockets:
        s.close()
    workers = []
    try:
        for number, cores in enumerate(cores_of(count)):
            request = {"cores": cores, "preset": preset, "batch": batch, "size": size, "rounds": rounds}
            task = {"cluster": cluster, "task": {"type": "worker", "index": number}}
            environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CONFIG": json.dumps(task)}
            command = [sys.executable, "-m", "slowfast_tf.benchmarks.worker", "scaling", json.dumps(request)]
            # Their TensorFlow says much that is of no interest; it is shown where one fails.
            remarks = tempfile.TemporaryFile()
            workers.append(
                (subprocess.Popen(command, stdout=subprocess.PIPE, stderr=remarks, text=True, env=environment), remarks)
            )
        answers = [worker.communicate()[0] for worker, _ in workers]
    finally:
        for worker, _ in workers:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    for worker, remarks in workers:
        if worker.returncode:
            remarks.seek(0)
            sys.stderr.write(remarks.read().decode(errors="replace")[-3000:])
            raise RunError(f"a worker of {count} gave up; if memory ran out, use a smaller batch or size")
    found = json.loads(answers[0].splitlines()[-1])
    return statistics.median(found["steps"]), statistics.median(found["all_reduces"])


def page(preset, batch, size, rounds):
    """Measures and gives a Markdown page: the measured table, the volumes, and the computed table."""
    machine = Machine()
    try:
        spec = get_spec(preset)
        spec.check_size(size)
    except ValueError as error:
        raise InputError(str(error)) from error
    cores_of(2)
    prepare.check_installed(config.Prepare())
    steps = {count: measure(count, preset, batch, size, rounds) for count in (1, 2)}
    import_tensorflow()
    record, seconds = input_volumes()
    about = total(spec, 224)
    volumes = Volumes(6 * about["multiply_adds"], 4 * about["parameters"], record, seconds)
    share = len(cores_of(1)[0])
    single = batch / steps[1][0]
    measured = []
    for count, (step, reduced) in steps.items():
        rate = count * batch / step
        alone = f"{reduced:.2f}" if count > 1 else ""
        measured.append(f"| {count} | {step:.2f} | {alone} | {rate:.2f} | {rate / single:.2f} |")
    predicted = []
    for gpus in GPUS:
        row = computed(volumes, gpus, machine)
        predicted.append(
            f"| {gpus} | {gpus * machine.clips} | {row['compute']:.3f} | {row['all_reduce']:.3f} | {row['decode']:.3f}"
            f" | {row['read']:.3f} | {row['clips_per_second']:.0f} | {row['share']:.2f} | {row['limit']} |"
        )
    balance = volumes.operations * machine.cores / volumes.seconds / 1e12
    return f"""# Scaling

    python -m slowfast_tf.benchmark scaling --preset {preset} --batch {batch} --size {size} --rounds {rounds}

## Measured: two workers on one machine

`{preset}`, float32, {batch} x {size} x {size} clips a step and worker, MultiWorkerMirroredStrategy over the loopback. A
worker is bound to {share} of the processor's cores, its own. The clips are there beforehand. Median of {rounds} steps
after {WARM_UP}; the all-reduce of all gradients is timed alone, too.

| workers | seconds of a step | all-reduce alone | clips/s | of one worker's |
|---|---|---|---|---|
{chr(10).join(measured)}

## Computed: many GPUs

A training clip and a step, counted and measured here; then what is assumed:

| | |
|---|---|
| `{preset}` at 224 x 224, forward and backward (three times forward) | {volumes.operations / 1e9:.0f} GFLOP a clip |
| what a clip spans of a record with a shorter side of 256, measured | {record / 1e6:.1f} MB a clip |
| reading and decoding it, measured on this machine | {1000 * seconds:.0f} ms of a core a clip |
| gradients, 2 (N - 1) / N times through a ring of N | {volumes.gradients / 1e6:.0f} MB a step |
| clips a step and GPU (the paper's) | {machine.clips} |
| GPUs and cores a machine | {machine.gpus}, {machine.gpus * machine.cores} like this machine's |
| a GPU sustains | {machine.tflops:g} TFLOP/s |
| between the GPUs of a machine | {machine.link / 1e9:g} GB/s |
| between machines, where records come from, too | {machine.network / 1e9:g} GB/s |
| a turn of the ring, at least | {1e6 * machine.latency:g} microseconds |

The input is made during the step before. The all-reduce is taken to follow the computation; TensorFlow does some of it
meanwhile.

| GPUs | batch | computing, s | all-reduce, s | decoding, s | reading, s | clips/s | of ideal | limited by |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(predicted)}

GPUs that sustain more than {balance:.1f} TFLOP/s wait for decoding first, with so many cores.
"""
