"""Time engines side by side: each in a process of its own, one step of each in turn."""

import dataclasses
import itertools
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading

import tqdm

from ..errors import InputError
from ..machine import core_count
from ..models.presets import get_spec
from . import engines
from .engines import ENGINES, Job

PRECISIONS = ("float32", "bfloat16", "float16", "dynamic", "int8")


def make_jobs(task, names, precisions, preset, size, batch, directory):
    """Return the jobs of a task for every asked engine in every asked precision that it has.

    Args:
        task: "training" or "inference".
        names: names of engines, keys of `ENGINES[task]`.
        precisions: some of `PRECISIONS`.
        preset: name of the network.
        size: height and width of a frame, pixels.
        batch: clips of a step.
        directory: where exported files are written, or found.

    Raises:
        InputError: if the network does not take this size, or no engine has one of the precisions.
    """
    try:
        get_spec(preset).check_size(size)
    except ValueError as error:
        raise InputError(str(error)) from error
    found = []
    for precision in PRECISIONS:
        for name, engine in ENGINES[task].items():
            if precision in precisions and precision in engine.precisions and name in names:
                job = Job(task, name, precision, preset, size, batch, core_count())
                found.append(dataclasses.replace(job, file=engines.file_of(job, directory)))
    if not found:
        raise InputError(f"none of {', '.join(names)} runs in {', '.join(precisions)}")
    return found


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
            "slowfast_tf.benchmarks.worker",
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
    results = [Result(job, reason=engines.unavailable(job) or "") for job in jobs]
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
