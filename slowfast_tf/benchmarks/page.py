"""Write docs/benchmarks.md: tables and charts of the results of `measure`."""

import dataclasses
import importlib.metadata
import io
import json
import os
import pathlib
import platform
import typing
from collections.abc import Callable, Sequence

from ..errors import InputError
from ..files.atomic import atomic, is_writable, write_text
from ..machine import cpu_name
from . import goals
from .goals import Goal
from .measure import PRECISIONS, Result


class Defaults(typing.NamedTuple):
    """Default options of the command.

    Attributes:
        batch: clips per step.
        size: height and width of a frame, in pixels.
        limit: seconds per step above which an engine is left out.
    """

    batch: int
    size: int
    limit: float


DEFAULTS = {"training": Defaults(4, 224, 120), "inference": Defaults(1, 256, 30)}

ABOUT = {
    "training": "a training step (forward, backward, SGD with Nesterov momentum and weight decay)",
    "inference": "inference of one clip by exported files and by PyTorch",
}


NOTE = "Between machines, ratios differ less than seconds."
HEAD = f"# Benchmarks\n\nWritten by `python -m slowfast_tf.benchmark`; do not edit. {NOTE}"


def table(results: Sequence[Result]) -> str:
    """Return results as a Markdown table."""
    own: dict[str, float] = {}
    best: dict[str, float] = {}
    for result in results:
        precision = result.job.precision
        if result.seconds and precision == "float32":
            own[result.job.engine] = result.median
        if result.seconds and result.engine.peer:
            best[precision] = min(result.median, best.get(precision, result.median))
    lines = [
        "| engine | precision | seconds, median | fastest | ratio to its float32 | ratio to the fastest peer"
        " | peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        name, precision = result.engine.title, result.job.precision
        if result.reason:
            reason = result.reason.replace("|", "/")
            lines.append(f"| {name} | {precision} | left out: {reason} | | | | |")
            continue
        shares = [
            f"{result.median / seconds:.2f}" if seconds else ""
            for seconds in (own.get(result.job.engine), best.get(precision))
        ]
        lines.append(
            f"| {name} | {precision} | {result.median:.3f} | {min(result.seconds):.3f} | {shares[0]} | {shares[1]}"
            f" | {result.peak / 2**30:.1f} GiB |"
        )
    return "\n".join(lines)


def reached(results: Sequence[Result]) -> list[Goal]:
    """Return the goals of training or inference; a goal whose engines were left out has no figure."""
    found = {(r.job.engine, r.job.precision): r for r in results if r.seconds}
    peers: dict[str, list[Result]] = {}
    for result in found.values():
        if result.engine.peer:
            peers.setdefault(result.job.precision, []).append(result)

    def share(engine: str, precision: str, figure: Callable[[Result], float]) -> float | None:
        if (engine, precision) not in found or precision not in peers:
            return None
        return figure(found[engine, precision]) / min(map(figure, peers[precision]))

    def median(result: Result) -> float:
        return result.median

    def memory(result: Result) -> float:
        return result.peak

    if results[0].job.task == "training":
        return [
            Goal("time of a step in float32, ratio to the fastest peer", 0.75, share("tensorflow", "float32", median)),
            Goal("time of a step in bfloat16, ratio to the fastest peer", 0.9, share("tensorflow", "bfloat16", median)),
            Goal("memory in float32, ratio to the smallest peer", 1.0, share("tensorflow", "float32", memory)),
        ]
    saved = found.get(("saved_model", "float32"))
    return [
        Goal("time of SavedModel in float32, ratio to the fastest peer", 1.0, share("saved_model", "float32", median)),
        Goal(
            "time of SavedModel in bfloat16, ratio to the fastest peer", 1.0, share("saved_model", "bfloat16", median)
        ),
        Goal("time of TFLite in int8, ratio to the fastest peer", 1.0, share("tflite", "int8", median)),
        Goal("memory of SavedModel in float32", 1.2, saved and saved.peak / 2**30, unit=" GiB"),
    ]


def chart(results: Sequence[Result]) -> bytes:
    """Return a PNG with a bar for each result that has a time."""
    from matplotlib.figure import Figure

    shown = [result for result in results if result.seconds]
    figure = Figure(figsize=(8, 1 + 0.35 * len(shown)), layout="constrained")
    axis = figure.subplots()
    for precision in dict.fromkeys(result.job.precision for result in shown):
        bars = [(i, result.median) for i, result in enumerate(shown) if result.job.precision == precision]
        drawn = axis.barh(*zip(*bars), label=precision, color=f"C{PRECISIONS.index(precision)}")
        axis.bar_label(drawn, fmt="%.2f", padding=3)
    axis.set_yticks(range(len(shown)), [f"{result.engine.title}, {result.job.precision}" for result in shown])
    axis.invert_yaxis()
    axis.margins(x=0.1)
    axis.set_xlabel("seconds, median (less is better)")
    job = shown[0].job
    axis.set_title(f"{job.task}, {job.preset}, {job.batch} x {job.spec.clip_frames} x {job.size} x {job.size}")
    figure.legend(loc="outside lower center", ncols=len(PRECISIONS))
    file = io.BytesIO()
    figure.savefig(file, dpi=120, metadata={"Software": None})
    return file.getvalue()


def section(results: Sequence[Result], rounds: int, limit: float, command: str) -> str:
    """Return a Markdown section: the network, the machine, and the table.

    Args:
        results: results of `measure`, at least one.
        rounds: measured steps per engine.
        limit: seconds per step above which an engine was left out.
        command: the command that writes the section.
    """
    job = results[0].job
    packages = dict.fromkeys(r.engine.package for r in results if r.seconds)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return "\n".join(
        [
            f"## {job.task.capitalize()}",
            "",
            f"    {command}",
            "",
            f"`{job.preset}`, {ABOUT[job.task]}, batch {job.batch}, {job.spec.clip_frames} frames of"
            f" {job.size}x{job.size}, random weights.",
            f"Seconds per step: median of {rounds} steps, after two to warm up. Each engine runs in a separate process;"
            f" the engines take turns, one step each. Engines that take more than {limit:g} s per step are left out."
            " Peers are the engines other than TensorFlow and TFLite. Peak memory is that of the whole process, with"
            " its runtime and with loading the file.",
            f"{job.threads} threads, {cpu_name()}; Python {platform.python_version()}, {versions}.",
            "",
            table(results),
            *goals.table(reached(results)),
        ]
    )


def check_writable(path: str | os.PathLike) -> None:
    """Check before the measurement that a file can be written.

    Raises:
        InputError: if the path is a directory, or no file can be written there.
    """
    if not is_writable(path):
        raise InputError(f"cannot write {path}", argument="output")


def read_sections(path: str | os.PathLike) -> dict[str, str]:
    """Return the sections of a page of this benchmark by task; empty if the file does not exist.

    Raises:
        InputError: if the file exists and is not a page of this benchmark.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return {}
    head, *rest = path.read_text(errors="replace").split("\n## ")
    if not head.startswith("# Benchmarks"):
        raise InputError(f"{path} exists and is not a page of this benchmark", argument="output")
    return {part.split("\n")[0].lower(): f"## {part.strip()}" for part in rest}


def write(path: str | os.PathLike, task: str, text: str, results: Sequence[Result]) -> None:
    """Write or replace a task's section of a Markdown file, with a JSON file and a chart beside it.

    Args:
        path: path of the Markdown file.
        task: the task of the section.
        text: the section.
        results: results of `measure`; if none has a time, there is no JSON file and no chart.

    Raises:
        InputError: if the file exists and is not a page of this benchmark, or cannot be written.
    """
    path = pathlib.Path(path)
    sections = read_sections(path)
    if any(result.seconds for result in results):
        picture = path.with_name(f"{path.stem}_{task}.png")
        with atomic(picture) as temporary:
            temporary.write_bytes(chart(results))
        text += f"\n\n![The table as bars]({picture.name})"
        rows = [{**dataclasses.asdict(result), "engine": result.engine.title} for result in results]
        for row in rows:
            row["job"].pop("file")
        write_text(path.with_name(f"{path.stem}_{task}.json"), json.dumps(rows, indent=1) + "\n")
    sections[task] = text
    write_text(path, "\n\n".join([HEAD, *sections.values()]) + "\n")
