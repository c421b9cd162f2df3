"""Times training and inference in TensorFlow (this package) and in PyTorch eager, side by side, and the input."""

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import itertools
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time

import tqdm

from .cli import Failure, UserError, import_tensorflow, run, write_text
from .models.presets import get_spec
from .models.spec import SlowFastSpec

# The PyTorch network is the tests' oracle: it comes with a checkout of the repository, not with the wheel.
PEER = pathlib.Path(__file__).parent.parent / "tests" / "torch_slowfast.py"
DEFAULTS = {"training": {"batch": 4, "size": 224}, "inference": {"batch": 1, "size": 256}}


@dataclasses.dataclass(frozen=True)
class Engine:
    """A row of a table: what is timed, in a process of its own."""

    framework: str  # "TensorFlow" or "PyTorch"
    variant: str  # of inference in TensorFlow "folded" or "not folded"; of PyTorch a memory format
    precision: str  # "float32" or "bfloat16"

    def __str__(self):
        if self.framework == "PyTorch":
            return f"PyTorch eager, {self.variant}"
        return f"TensorFlow (slowfast_tf){self.variant and f', BatchNorm {self.variant}'}"


def engines(task, peer):
    """The rows of the table of `task` ("training" or "inference"), with PyTorch's where `peer` is True."""
    variants = [("TensorFlow", name) for name in ([""] if task == "training" else ["not folded", "folded"])]
    variants += [("PyTorch", "channels_last_3d")] if peer else []
    return [Engine(*variant, precision) for precision in ("float32", "bfloat16") for variant in variants]


def missing_peer(spec):
    """Why PyTorch's rows cannot be had, with what to do; None if they can."""
    if not PEER.exists():
        return (
            "PyTorch's rows need a checkout of the repository (tests/torch_slowfast.py); this is an installed package"
        )
    try:
        importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return "PyTorch's rows need PyTorch: pip install 'slowfast_tf[bench]'"
    fields = "depth", "width", "frames", "stride", "alpha", "beta_inv", "lateral_kernel", "num_classes", "dropout"
    plain = {"crop_size": spec.crop_size, **{name: getattr(spec, name) for name in fields}}
    if dataclasses.replace(SlowFastSpec(), **plain) != spec:
        return "the PyTorch network of tests/torch_slowfast.py has no such variant; give a two-pathway R50 preset"
    return None


def tensorflow_training(engine, spec, batch, size):
    """A function that does one training step (forward, backward, SGD with Nesterov momentum)."""
    import_tensorflow()
    import keras
    import tensorflow as tf

    from .models.slowfast import SlowFast
    from .training.optimizers import SGD

    model = SlowFast(spec, dtype="float32" if engine.precision == "float32" else "mixed_bfloat16")
    optimizer = SGD(0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)
    model.compile(optimizer, keras.losses.CategoricalCrossentropy(from_logits=True))
    clips = _clips(tf, spec, batch, size)
    labels = tf.one_hot(tf.range(batch) % spec.num_classes, spec.num_classes)
    return lambda: model.train_on_batch(clips, labels)


def tensorflow_inference(engine, spec, batch, size):
    """A function that runs a frozen graph: what a server runs, with nothing left to do but the network."""
    import_tensorflow()
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from .exporting.fold import fold
    from .models.slowfast import SlowFast

    model = SlowFast(spec, dtype="float32" if engine.precision == "float32" else "mixed_bfloat16")
    model = fold(model) if engine.variant == "folded" else model
    clips = list(_clips(tf, spec, batch, size).values())
    function = tf.function(lambda *x: model(dict(zip(spec.pathways, x)), training=False))
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(*clips))
    return lambda: frozen(*clips)[0].numpy()


def _clips(tf, spec, batch, size):
    frames = {"slow": spec.frames, "fast": spec.clip_frames}
    return {
        pathway: tf.random.normal([batch, frames[pathway], *[spec.input_size(pathway, size)] * 2, channels])
        for pathway in spec.pathways
        for channels in [spec.input_channels(pathway)]
    }


def torch_training(engine, spec, batch, size):
    """As `tensorflow_training`, for PyTorch eager."""
    import torch

    network, clips = _torch_network(engine, spec, batch, size)
    labels = torch.arange(batch) % spec.num_classes
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=engine.precision == "bfloat16"):
            logits = network(*clips)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def torch_inference(engine, spec, batch, size):
    """As `tensorflow_inference`, for PyTorch eager."""
    import torch

    network, clips = _torch_network(engine, spec, batch, size)
    network.eval()
    if engine.precision == "bfloat16":  # weights in bfloat16 spare autocast's casts
        network, clips = network.to(torch.bfloat16), [clip.to(torch.bfloat16) for clip in clips]

    def step():
        with torch.inference_mode():
            return network(*clips).float().numpy()

    return step


def _torch_network(engine, spec, batch, size):
    import torch

    module = importlib.util.spec_from_file_location("torch_slowfast", PEER)
    peer = importlib.util.module_from_spec(module)
    module.loader.exec_module(peer)
    memory_format = getattr(torch, engine.variant)
    network = peer.SlowFast(
        spec.depth, spec.width, spec.alpha, spec.beta_inv, spec.lateral_kernel, spec.num_classes, spec.dropout
    )
    frames = spec.frames, spec.clip_frames
    clips = [torch.randn(batch, 3, n, size, size).contiguous(memory_format=memory_format) for n in frames]
    return network.to(memory_format=memory_format), clips


def serve(request):
    """A worker's life: builds what `request` (JSON) says, warms up, then times a step for each line on stdin.

    Answers are lines of JSON on stdout: "ready", then seconds and peak memory in bytes of each step.
    """
    task, preset, batch, size, engine = json.loads(request)
    build = {
        ("TensorFlow", "training"): tensorflow_training,
        ("TensorFlow", "inference"): tensorflow_inference,
        ("PyTorch", "training"): torch_training,
        ("PyTorch", "inference"): torch_inference,
    }[engine["framework"], task]
    step = build(Engine(**engine), get_spec(preset), batch, size)
    step()
    step()
    print(json.dumps("ready"), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        step()
        seconds = time.perf_counter() - began
        # In kB, but on a Mac in bytes.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        print(json.dumps([seconds, peak]), flush=True)


def measure(task, preset, batch, size, rounds, peer):
    """Times every engine, each in a process of its own, one step of each of a precision in turn.

    Args:
        task: "training" or "inference".
        preset: of the network.
        batch, size: clips at a time, and their height and width.
        rounds: steps of each engine that count.
        peer: whether to time PyTorch as well.

    Returns:
        A list of (`Engine`, seconds of each round, peak memory in bytes), one an engine.

    Raises:
        Failure: where an engine cannot run; its own words are on stderr.
    """
    rows = engines(task, peer)
    results = []
    with tqdm.tqdm(total=len(rows) * (rounds + 1), desc=task, unit="step", file=sys.stderr) as progress:
        # One precision after the other: a process keeps its memory (7 GB for a training step of SlowFast 8x8 R50 in
        # float32) while the others have their turns.
        for _, group in itertools.groupby(rows, key=lambda engine: engine.precision):
            results += _take_turns([(engine, [task, preset, batch, size]) for engine in group], rounds, progress)
    return results


def _take_turns(jobs, rounds, progress):
    def answer(worker, engine):
        line = worker.stdout.readline()
        if not line:
            raise Failure(f"{engine} in {engine.precision} gave up; if memory ran out, take a smaller --batch")
        progress.update()
        return json.loads(line)

    workers, results = [], []
    try:
        for engine, what in jobs:
            # Not multiprocessing: its children import the whole package, so that PyTorch's would hold TensorFlow.
            command = [sys.executable, "-m", "slowfast_tf.benchmark", "worker"]
            command.append(json.dumps([*what, dataclasses.asdict(engine)]))
            workers.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            answer(workers[-1], engine)
            results.append((engine, [], []))
        for _ in range(rounds):
            for worker, (engine, seconds, peaks) in zip(workers, results):
                worker.stdin.write("\n")
                worker.stdin.flush()
                second, peak = answer(worker, engine)
                seconds.append(second)
                peaks.append(peak)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    return [(engine, seconds, max(peaks)) for engine, seconds, peaks in results]


def table(task, results):
    """The measurements of `measure` as a Markdown table."""
    torch = {e.precision: statistics.median(seconds) for e, seconds, _ in results if e.framework == "PyTorch"}
    lines = [
        f"| {task} | precision | seconds, median | fastest | of PyTorch's time | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for engine, seconds, peak in results:
        median = statistics.median(seconds)
        share = f"{median / torch[engine.precision]:.2f}" if engine.precision in torch else ""
        lines.append(
            f"| {engine} | {engine.precision} | {median:.3f} | {min(seconds):.3f} | {share} | {peak / 2**30:.1f} GiB |"
        )
    return "\n".join(lines)


def section(task, preset, batch, size, rounds):
    """Measures and gives a Markdown section: what was timed, where, and the table."""
    try:
        spec = get_spec(preset)
        spec.check_size(size)
    except ValueError as error:
        raise UserError(str(error)) from error
    without = missing_peer(spec)
    results = measure(task, preset, batch, size, rounds, without is None)
    what = {
        "training": "a training step (forward, backward, SGD with Nesterov momentum and weight decay)",
        "inference": "inference (TensorFlow: a frozen graph)",
    }[task]
    packages = ["tensorflow", "keras", *([] if without else ["torch"])]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return "\n".join(
        [
            f"## {task.capitalize()}",
            "",
            f"    python -m slowfast_tf.benchmark {task} --preset {preset} --batch {batch} --size {size}"
            f" --rounds {rounds}",
            "",
            f"`{preset}`, {what}, batch {batch}, {spec.clip_frames} frames of {size}x{size}.",
            f"Seconds of one step, median of {rounds} after two to warm up;"
            " every engine in a process of its own, taking turns within a precision.",
            f"{cpus} threads, {_cpu()}; Python {platform.python_version()}, {versions}.",
            "",
            table(task, results),
            *(["", without] if without else []),
        ]
    )


def _cpu():
    """The CPU's model name."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main(arguments=None):
    """The command."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["worker"]:  # what `measure` starts
        return serve(arguments[1])
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.benchmark",
        description=__doc__,
        epilog="example: python -m slowfast_tf.benchmark all --output docs/benchmarks.md",
    )
    commands = parser.add_subparsers(dest="task", required=True)
    for task, about in (
        ("training", "time a training step"),
        ("inference", "time inference"),
        ("input", "time reading and preparing videos"),
        ("all", "all of these, one after the other"),
    ):
        command = commands.add_parser(
            task, help=about, description=about, epilog=f"example: python -m slowfast_tf.benchmark {task} --rounds 9"
        )
        if task != "input":
            command.add_argument("--preset", default="slowfast_8x8_r50", help="network (default: %(default)s)")
        command.add_argument("--rounds", type=int, default=5, help="rounds that count (default: %(default)s)")
        command.add_argument("--output", metavar="FILE", help="write the Markdown here as well")
        if task in DEFAULTS:
            defaults = DEFAULTS[task]
            command.add_argument("--batch", type=int, default=defaults["batch"], help="clips (default: %(default)s)")
            command.add_argument(
                "--size", type=int, default=defaults["size"], help="height and width (default: %(default)s)"
            )
    options = parser.parse_args(arguments)
    sections = []
    for task in [*DEFAULTS, "input"] if options.task == "all" else [options.task]:
        if task == "input":
            from . import benchmark_input

            if options.rounds < 1:
                raise UserError(f"--rounds must be at least 1; got {options.rounds}")
            sections.append(benchmark_input.section(options.rounds))
            print(sections[-1], end="\n\n", flush=True)
            continue
        sizes = {name: getattr(options, name, default) for name, default in DEFAULTS[task].items()}
        for name, value in {"rounds": options.rounds, **sizes}.items():
            if value < 1:
                raise UserError(f"--{name} must be at least 1; got {value}")
        sections.append(section(task, options.preset, rounds=options.rounds, **sizes))
        print(sections[-1], end="\n\n", flush=True)
    if options.output:
        head = "Written by `python -m slowfast_tf.benchmark`; do not edit. Ratios hold better than seconds."
        write_text(options.output, "\n\n".join(["# Benchmarks", head, *sections]) + "\n")


if __name__ == "__main__":
    run(main)
