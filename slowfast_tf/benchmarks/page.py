"""Times training and inference beside other libraries, side by side in one run, and the input and AVA's evaluation."""

import dataclasses
import importlib.metadata
import io
import itertools
import json
import os
import pathlib
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import tqdm

from ..benchmarks import engines as benchmark_engines
from ..benchmarks.engines import ENGINES, Job
from ..errors import InputError
from ..files.atomic import atomic, write_text

PRECISIONS = ("float32", "bfloat16", "float16", "dynamic", "int8")


DEFAULTS = {"training": {"batch": 4, "size": 224, "limit": 120}, "inference": {"batch": 1, "size": 256, "limit": 30}}


ABOUT = {
    "training": "a training step (forward, backward, SGD with Nesterov momentum and weight decay)",
    "inference": "inference of one clip by exported files and by PyTorch",
}


HEAD = "# Benchmarks\n\nWritten by `python -m slowfast_tf.benchmark`; do not edit. Ratios hold better than seconds."


@dataclasses.dataclass
class Result:
    """What came of a job.

    Attributes:
        seconds: of each round.
        peak: memory of its process at most, bytes.
        reason: why there are none, in one line.
    """

    job: Job
    seconds: list = dataclasses.field(default_factory=list)
    peak: int = 0
    reason: str = ""

    @property
    def engine(self):
        return ENGINES[self.job.task][self.job.engine]

    @property
    def median(self):
        return statistics.median(self.seconds)


class _Gone(Exception):
    """A worker's process has ended, with the reason in one line."""


class _Worker:
    """A process with one engine. Not multiprocessing: its children import the whole package, so that PyTorch's would
    hold TensorFlow.

    Args:
        mode: "worker", to run steps of one job when asked, or "export", to write the files of several.
        jobs: `Job`s.
    """

    def __init__(self, mode, *jobs):
        self.errors = tempfile.TemporaryFile("w+", errors="replace")
        command = [
            sys.executable,
            "-m",
            "slowfast_tf.benchmark",
            mode,
            json.dumps([dataclasses.asdict(j) for j in jobs]),
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )

    def answer(self, limit=None):
        """Its next line, decoded; `_Gone` where there comes none, or none within `limit` seconds."""
        timer = threading.Timer(limit, self.process.kill) if limit else None
        if timer:
            timer.start()
        line = self.process.stdout.readline()
        if line:
            if timer:
                timer.cancel()
            return json.loads(line)
        code = self.process.wait()
        if timer and timer.finished.is_set():
            raise _Gone(f"a step takes more than {limit:g} s")
        if timer:
            timer.cancel()
        if code < 0:
            raise _Gone(f"ended by signal {-code}, as where memory runs out")
        self.errors.seek(0)
        words = self.errors.read()
        tqdm.tqdm.write(words, sys.stderr)
        raise _Gone(([line for line in words.splitlines() if line.strip()] or ["ended"])[-1].strip()[:200])

    def step(self, limit):
        """Runs a step; its seconds, and peak memory in bytes."""
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # `answer` says why
        return self.answer(limit)

    def close(self):
        self.process.kill()
        self.process.communicate()
        self.errors.close()


def work(mode, request):
    """A worker's life. Answers are lines of JSON on stdout.

    Args:
        mode, request: what `_Worker` says, jobs as JSON. "export" answers with a reason or null for each file; "worker"
            with "ready", and then for each line on stdin with a step's seconds and the peak memory in bytes.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries have their own things to say there
    jobs = [Job(**values) for values in json.loads(request)]

    def answer(value):
        print(json.dumps(value), file=answers, flush=True)

    if mode == "export":
        for reason in benchmark_engines.export(jobs):
            answer(reason)
        return
    step = ENGINES[jobs[0].task][jobs[0].engine].build(jobs[0])
    answer("ready")
    for _ in sys.stdin:
        began = time.perf_counter()
        step()
        seconds = time.perf_counter() - began
        # In kB, but on a Mac in bytes.
        answer(
            [seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)]
        )


def measure(jobs, rounds, limit):
    """Times every job, each in a process of its own, one step of each in turn, after two to warm up.

    Args:
        jobs: `Job`s of one task.
        rounds: steps of each that count.
        limit: seconds of a step, beyond which a job is left out: without instructions of its own for it, a CPU takes
            minutes for what is one second in another precision.

    Returns:
        A list of `Result`s, one a job. One that cannot run has a reason, and the others go on.
    """
    results = [Result(job, reason=benchmark_engines.unavailable(job) or "") for job in jobs]
    files = {}
    for result in results:
        if result.job.file and not result.reason and not pathlib.Path(result.job.file).exists():
            files.setdefault(result.job.file, []).append(result)
    with tqdm.tqdm(total=len(files) + len(results) * (rounds + 2), unit="step", file=sys.stderr) as progress:
        _export(files, progress)
        # Training holds 7 GB a process (a step of SlowFast 8x8 R50 in float32), so that precisions come one after
        # the other; inference has its turns all together.
        for _, group in itertools.groupby(results, lambda r: r.job.task == "training" and r.job.precision):
            _take_turns([r for r in group if not r.reason], rounds, limit, progress)
    return results


def _export(files, progress):
    """Writes files that are missing, `{path: results}`; into the results goes why one could not be written."""
    if not files:
        return
    worker = _Worker("export", *(results[0].job for results in files.values()))
    try:
        for file, results in files.items():
            progress.set_description(pathlib.Path(file).name)
            try:
                reason = worker.answer()
            except _Gone as error:
                reason = f"export: {error}"
            for result in results:
                result.reason = reason or ""
            progress.update()
    finally:
        worker.close()


def _take_turns(results, rounds, limit, progress):
    workers = {}
    try:
        for turn in range(-2, rounds):  # two to warm up
            for number, result in enumerate(results):
                if result.reason:
                    continue
                progress.set_description(f"{result.job.engine} {result.job.precision}")
                try:
                    if number not in workers:
                        workers[number] = _Worker("worker", result.job)
                        workers[number].answer()
                    seconds, result.peak = workers[number].step(limit)
                    progress.update()
                except _Gone as error:
                    result.reason, result.seconds = str(error), []
                    workers.pop(number).close()
                    continue
                if turn >= 0:
                    result.seconds.append(seconds)
    finally:
        for worker in workers.values():
            worker.close()


def table(results):
    """Results of `measure` as a Markdown table."""
    own, best = {}, {}
    for result in results:
        precision = result.job.precision
        if result.seconds and precision == "float32":
            own[result.job.engine] = result.median
        if result.seconds and result.engine.peer:
            best[precision] = min(result.median, best.get(precision, result.median))
    lines = [
        "| engine | precision | seconds, median | fastest | of its float32 | of the best peer's | peak memory |",
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


def chart(results):
    """A bar for each result of `measure` that has a time, as PNG."""
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


def section(results, rounds, limit, command):
    """A Markdown section: what was timed, where, and the table."""
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
            f"Seconds of one step, median of {rounds} after two to warm up; every engine in a process of its own,"
            f" taking turns. One whose step takes more than {limit:g} s is left out. Peak memory is the process's, with"
            " its runtime and the reading of the file.",
            f"{job.threads} threads, {_cpu()}; Python {platform.python_version()}, {versions}.",
            "",
            table(results),
        ]
    )


def _cpu():
    """The CPU's model name, and which of the instructions that matter here it has."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
        name = re.search(r"model name\s*: (.*)", text)[1].strip()
    except (OSError, TypeError):
        return platform.processor() or platform.machine()
    flags = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI", "avx512_bf16": "bfloat16"}
    return f"{name} ({', '.join(flags[flag] for flag in flags if flag in text.split()) or 'no AVX2'})"


def write(path, task, text, results):
    """Writes a section to a Markdown file, in place of one of the same task; and measurements and chart beside it."""
    path = pathlib.Path(path)
    sections = {}
    if path.exists():
        head, *rest = path.read_text().split("\n## ")
        if not head.startswith("# Benchmarks"):
            raise InputError(f"{path} exists already and is no page of this benchmark; choose another place")
        sections = {part.split("\n")[0].lower(): f"## {part.strip()}" for part in rest}
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
