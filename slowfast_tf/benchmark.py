"""Times SlowFast's training and inference in TensorFlow (this package) and in PyTorch eager, side by side."""

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import multiprocessing
import os
import pathlib
import platform
import resource
import statistics
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
    precision: str  # "float32" or "bfloat16"
    folded: bool = False  # BatchNorm folded into the convolutions, for inference


def engines(task, peer):
    """The rows of the table of `task` ("training" or "inference"), with PyTorch's where `peer` is True."""
    rows = []
    for precision in ("float32", "bfloat16"):
        rows.append(Engine("TensorFlow", precision))
        if task == "inference":
            rows.append(Engine("TensorFlow", precision, folded=True))
        if peer:
            rows.append(Engine("PyTorch", precision))
    return rows


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
    """A function that does one training step (forward, backward, SGD with Nesterov momentum), and its name."""
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
    return lambda: model.train_on_batch(clips, labels), "TensorFlow (slowfast_tf)"


def tensorflow_inference(engine, spec, batch, size):
    """A function that runs a frozen graph, and its name."""
    import_tensorflow()
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from .exporting.fold import fold
    from .models.slowfast import SlowFast

    model = SlowFast(spec, dtype="float32" if engine.precision == "float32" else "mixed_bfloat16")
    model = fold(model) if engine.folded else model
    clips = list(_clips(tf, spec, batch, size).values())
    function = tf.function(lambda *x: model(dict(zip(spec.pathways, x)), training=False))
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(*clips))
    name = f"TensorFlow (slowfast_tf), BatchNorm {'folded' if engine.folded else 'not folded'}"
    return lambda: frozen(*clips)[0].numpy(), name


def _clips(tf, spec, batch, size):
    frames = {"slow": spec.frames, "fast": spec.clip_frames}
    return {
        pathway: tf.random.normal([batch, frames[pathway], *[spec.input_size(pathway, size)] * 2, channels])
        for pathway in spec.pathways
        for channels in [spec.input_channels(pathway)]
    }


def torch_training(engine, spec, batch, size):
    """As `tensorflow_training`, for PyTorch eager in the faster of its two memory formats."""
    import torch

    labels = torch.arange(batch) % spec.num_classes
    autocast = engine.precision == "bfloat16"

    def steps(network, clips):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)

        def step():
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                logits = network(*clips)
            loss = torch.nn.functional.cross_entropy(logits.float(), labels)
            loss.backward()
            optimizer.step()
            return loss.item()

        return step

    return _faster_format(spec, batch, size, steps)


def torch_inference(engine, spec, batch, size):
    """As `tensorflow_inference`, for PyTorch eager in the faster of its two memory formats."""
    import torch

    autocast = engine.precision == "bfloat16"

    def steps(network, clips):
        network.eval()

        def step():
            # Autocast forgets its bfloat16 weights at the end of each block; weights that are bfloat16 need no cast.
            with torch.inference_mode():
                return network(*clips).float().numpy()

        if autocast:
            network.to(torch.bfloat16)
            clips = [clip.to(torch.bfloat16) for clip in clips]
        return step

    return _faster_format(spec, batch, size, steps)


def _faster_format(spec, batch, size, steps):
    """Builds the network in both memory formats, times a step of each, and keeps the faster one."""
    import torch

    module = importlib.util.spec_from_file_location("torch_slowfast", PEER)
    peer = importlib.util.module_from_spec(module)
    module.loader.exec_module(peer)
    tried = []
    for memory_format in (torch.channels_last_3d, torch.contiguous_format):
        network = peer.SlowFast(
            spec.depth, spec.width, spec.alpha, spec.beta_inv, spec.lateral_kernel, spec.num_classes, spec.dropout
        )
        network.to(memory_format=memory_format)
        clips = [
            torch.randn(batch, 3, frames, size, size).contiguous(memory_format=memory_format)
            for frames in (spec.frames, spec.clip_frames)
        ]
        step = steps(network, clips)
        step()
        began = time.perf_counter()
        step()
        tried.append((time.perf_counter() - began, step, str(memory_format).removeprefix("torch.")))
    _, step, name = min(tried)
    return step, f"PyTorch eager, {name}"


def _serve(connection, task, engine, spec, batch, size):
    """A worker: builds, warms up, then does and times a step whenever it is asked to."""
    try:
        build = {
            ("TensorFlow", "training"): tensorflow_training,
            ("TensorFlow", "inference"): tensorflow_inference,
            ("PyTorch", "training"): torch_training,
            ("PyTorch", "inference"): torch_inference,
        }[engine.framework, task]
        step, name = build(engine, spec, batch, size)
        step()
        step()
        connection.send(name)
        while connection.recv():
            began = time.perf_counter()
            step()
            seconds = time.perf_counter() - began
            # In kB, but on a Mac in bytes.
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            connection.send((seconds, peak))
    except EOFError:  # the parent is gone
        pass
    except Exception as error:
        connection.send(error if isinstance(error, (Failure, UserError)) else Failure(f"{engine}: {error!r}"))


def measure(task, spec, batch, size, rounds, peer):
    """Times every engine, each in a process of its own, one step of each in turn.

    Args:
        task: "training" or "inference".
        spec: a `SlowFastSpec`.
        batch, size: clips at a time, and their height and width.
        rounds: steps of each engine that count.
        peer: whether to time PyTorch as well.

    Returns:
        A list of (`Engine`, name, seconds of each round, peak memory in bytes), one an engine.

    Raises:
        Failure: where an engine cannot run.
    """
    context = multiprocessing.get_context("spawn")
    workers, results = [], []

    def answer(connection, engine):
        try:
            received = connection.recv()
        except EOFError as error:
            raise Failure(f"{engine} ended without a word; is there memory enough? try a smaller --batch") from error
        if isinstance(received, Exception):
            raise received
        return received

    rows = engines(task, peer)
    progress = tqdm.tqdm(total=len(rows) * (rounds + 1), desc=task, unit="step", file=sys.stderr)
    try:
        for engine in rows:
            here, there = context.Pipe()
            worker = context.Process(target=_serve, args=(there, task, engine, spec, batch, size), daemon=True)
            worker.start()
            there.close()
            workers.append((worker, here))
            results.append([engine, answer(here, engine), [], 0])
            progress.update()
        for _ in range(rounds):
            for (_, connection), result in zip(workers, results):
                connection.send(True)
                seconds, result[3] = answer(connection, result[0])
                result[2].append(seconds)
                progress.update()
    finally:
        progress.close()
        for worker, connection in workers:
            connection.close()
            worker.join(5)
            worker.kill()
    return [tuple(result) for result in results]


def table(task, results):
    """The measurements of `measure` as a Markdown table."""
    torch = {e.precision: statistics.median(s) for e, _, s, _ in results if e.framework == "PyTorch"}
    lines = [
        f"| {task} | precision | seconds, median | fastest | of PyTorch's time | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for engine, name, seconds, peak in results:
        median = statistics.median(seconds)
        share = f"{median / torch[engine.precision]:.2f}" if engine.precision in torch else ""
        lines.append(
            f"| {name} | {engine.precision} | {median:.3f} | {min(seconds):.3f} | {share} | {peak / 2**30:.1f} GiB |"
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
    results = measure(task, spec, batch, size, rounds, without is None)
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
            f"`{preset}`, {what}, batch {batch}, {spec.clip_frames} frames of {size}x{size}; seconds of one step, median"
            f" of {rounds} after two",
            f"to warm up; every engine in a process of its own, taking turns. {cpus} threads, {_cpu()};",
            f"Python {platform.python_version()}, {versions}.",
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
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.benchmark",
        description=__doc__,
        epilog="example: python -m slowfast_tf.benchmark all --output docs/benchmarks.md",
    )
    commands = parser.add_subparsers(dest="task", required=True)
    for task, about in (
        ("training", "time a training step"),
        ("inference", "time inference"),
        ("all", "both, one after the other"),
    ):
        command = commands.add_parser(
            task, help=about, description=about, epilog=f"example: python -m slowfast_tf.benchmark {task} --rounds 9"
        )
        command.add_argument("--preset", default="slowfast_8x8_r50", help="network (default: %(default)s)")
        command.add_argument("--rounds", type=int, default=5, help="steps that count (default: %(default)s)")
        command.add_argument("--output", metavar="FILE", help="write the Markdown here as well")
        if task != "all":
            defaults = DEFAULTS[task]
            command.add_argument("--batch", type=int, default=defaults["batch"], help="clips (default: %(default)s)")
            command.add_argument(
                "--size", type=int, default=defaults["size"], help="height and width (default: %(default)s)"
            )
    options = parser.parse_args(arguments)
    sections = []
    for task in DEFAULTS if options.task == "all" else [options.task]:
        sizes = {name: getattr(options, name, default) for name, default in DEFAULTS[task].items()}
        for name, value in {"rounds": options.rounds, **sizes}.items():
            if value < 1:
                raise UserError(f"--{name} must be at least 1; got {value}")
        sections.append(section(task, options.preset, rounds=options.rounds, **sizes))
        print(sections[-1], end="\n\n", flush=True)
    if options.output:
        head = "# Benchmarks\n\nWritten by `python -m slowfast_tf.benchmark`; do not edit. Ratios hold better than seconds."
        write_text(options.output, "\n\n".join([head, *sections]) + "\n")


if __name__ == "__main__":
    run(main)
