"""Estimate training on many GPUs and preparing Kinetics-700, from measured parts and assumed hardware."""

import dataclasses
import math
from collections.abc import Mapping

GPUS = 8, 64, 128
MACHINES = 1, 16, 64
VIDEOS = 650_000  # of Kinetics-700, of 10 s
EPOCHS = 196  # of `configs/kinetics400`


@dataclasses.dataclass(frozen=True)
class Machine:
    """The hardware that the estimates assume; none of it is measured.

    Attributes:
        gpus: GPUs per machine.
        tflops: multiplications and additions that a GPU sustains in a training step, 10^12 per second.
        link: bandwidth between the GPUs of a machine, bytes per second and direction.
        network: bandwidth of a machine's network, bytes per second and direction.
        storage: bandwidth of the storage that all machines share, reading and writing together, bytes per second.
        latency: seconds of one of the 2 (N - 1) steps of a ring all-reduce.
        cores: CPU cores per GPU.
        clips: batch size per GPU (8 in the paper).
    """

    gpus: int = 8
    tflops: float = 8.0
    link: float = 100e9
    network: float = 12.5e9
    storage: float = 10e9
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
class Training:
    """The estimated training step of a number of GPUs.

    Attributes:
        compute: seconds of the forward and backward pass.
        all_reduce: seconds of the all-reduce of the gradients.
        decode: seconds to decode the clips of a step.
        read: seconds to read the clips of a step over the network, from the shared storage.
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
class Video:
    """The work of preparing a video.

    Attributes:
        seconds: time of one CPU core, in seconds.
        source: size of the video file, in bytes.
        record: size of its record, in bytes.
    """

    seconds: float
    source: float
    record: float


@dataclasses.dataclass(frozen=True)
class Preparing:
    """The estimated time to prepare `VIDEOS` videos. The three parts overlap.

    Attributes:
        cores: hours of the CPU cores.
        network: hours of the network of each machine.
        storage: hours of the shared storage.
        limit: the slowest part, as the table names it.
    """

    cores: float
    network: float
    storage: float
    limit: str


def training(volumes: Volumes, gpus: int, machine: Machine) -> Training:
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
    read = machine.clips * volumes.record * max(min(gpus, machine.gpus) / machine.network, gpus / machine.storage)
    parts = {"compute": compute + all_reduce, "decoding": decode, "reading": read}
    limit = max(parts, key=lambda name: parts[name])
    step = parts[limit]
    if limit == "compute" and all_reduce > compute:
        limit = "all-reduce"
    return Training(compute, all_reduce, decode, read, gpus * machine.clips / step, compute / step, limit)


def preparing(video: Video, machines: int, machine: Machine) -> Preparing:
    """Estimate the time of `machines` machines to prepare `VIDEOS` videos.

    Args:
        video: the work of a video.
        machines: number of machines.
        machine: the assumed hardware; its GPUs are not used.
    """
    cores = VIDEOS * video.seconds / (machines * machine.gpus * machine.cores) / 3600
    network = VIDEOS * max(video.source, video.record) / (machines * machine.network) / 3600
    storage = VIDEOS * (video.source + video.record) / machine.storage / 3600
    parts = {"cores": cores, "network": network, "storage": storage}
    return Preparing(cores, network, storage, max(parts, key=lambda name: parts[name]))


def training_table(volumes: Volumes, machine: Machine) -> str:
    """Return the rows of the table of training, one for each of `GPUS`."""
    rows = []
    for gpus in GPUS:
        step = training(volumes, gpus, machine)
        hours = EPOCHS * VIDEOS / step.clips_per_second / 3600
        rows.append(
            f"| {gpus} | {step.compute:.3f} | {step.all_reduce:.3f} | {step.decode:.3f}"
            f" | {step.read:.3f} | {step.clips_per_second:.0f} | {step.clips_per_second * volumes.record / 1e9:.1f}"
            f" | {step.efficiency:.2f} | {hours:.0f} | {step.limit} |"
        )
    return "\n".join(rows)


def preparing_table(videos: Mapping[int, Video], machine: Machine) -> str:
    """Return the rows of the table of preparing, for each of `MACHINES` and each JPEG quality.

    Args:
        videos: the work of a video by JPEG quality.
        machine: the assumed hardware.
    """
    rows = []
    for quality, video in videos.items():
        for machines in MACHINES:
            found = preparing(video, machines, machine)
            rows.append(
                f"| {quality} | {VIDEOS * video.record / 1e12:.1f} | {machines} | {found.cores:.3f}"
                f" | {found.network:.3f} | {found.storage:.3f} | {found.limit} |"
            )
    return "\n".join(rows)


def section(preset: str, volumes: Volumes, videos: Mapping[int, Video], machine: Machine) -> str:
    """Return the estimates in Markdown.

    Args:
        preset: name of the network.
        volumes: the work of a clip and of a step.
        videos: the work of preparing a video, by JPEG quality.
        machine: the assumed hardware.
    """
    video = next(iter(videos.values()))
    decoded = volumes.operations * machine.cores / volumes.seconds / 1e12
    stored = volumes.operations * machine.storage / volumes.record / GPUS[-1] / 1e12
    disk = (video.source + video.record) * machine.gpus * machine.cores / video.seconds / 1e6
    prepared = "".join(
        f"| preparing a video of 10 s, 340 x 256, at quality {quality}, measured | {v.seconds:.2f} s of a core;"
        f" {v.source / 1e6:.1f} MB become {v.record / 1e6:.1f} MB |\n"
        for quality, v in videos.items()
    )
    return f"""## Estimated: many machines

The rows above the batch size are counted, or measured on this machine. The rows from the batch size on are assumptions.

| quantity | value |
|---|---|
| `{preset}` at 224 x 224, forward and backward (3 x forward) | {volumes.operations / 1e9:.0f} GFLOP per clip |
| records of a clip of SlowFast 8x8 (shorter side 256), measured | {volumes.record / 1e6:.1f} MB per clip |
| reading and decoding that clip, measured | {1000 * volumes.seconds:.0f} ms of a core per clip |
{prepared}| gradients; a ring of N GPUs sends them 2 (N - 1) / N times | {volumes.gradients / 1e6:.0f} MB per step |
| batch size per GPU (the paper's) | {machine.clips} |
| GPUs per machine | {machine.gpus} |
| CPU cores per machine, as fast as this machine's | {machine.gpus * machine.cores} |
| sustained by a GPU | {machine.tflops:g} TFLOP/s |
| bandwidth between the GPUs of a machine | {machine.link / 1e9:g} GB/s |
| bandwidth between machines, and from a machine to the storage | {machine.network / 1e9:g} GB/s |
| bandwidth of the storage that all machines share | {machine.storage / 1e9:g} GB/s |
| latency of a ring step | {1e6 * machine.latency:g} microseconds |

### Preparing Kinetics-700

The hours are those of {VIDEOS:,} videos. The parts overlap, so the largest one counts.

| quality | records, TB | machines | cores, h | network, h | storage, h | limited by |
|---|---|---|---|---|---|---|
{preparing_table(videos, machine)}

At quality {next(iter(videos))}, the cores of a machine read and write {disk:.0f} MB/s. A slower disk is the limit.

### Training

The input pipeline prepares the next batch during a step. The estimate adds the all-reduce to the computation;
TensorFlow overlaps a part of it. The hours are for {EPOCHS} epochs of {VIDEOS:,} videos.

| GPUs | compute, s | all-reduce, s | decoding, s | reading, s | clips/s | GB/s read | efficiency | hours | limited by |
|---|---|---|---|---|---|---|---|---|---|
{training_table(volumes, machine)}

With {machine.cores} CPU cores per GPU, decoding is the limit of GPUs that sustain more than {decoded:.1f} TFLOP/s. The
storage is the limit of {GPUS[-1]} GPUs that sustain more than {stored:.1f} TFLOP/s each.
"""
