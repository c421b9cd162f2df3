"""Time engines side by side: each in a separate process, one step of each in turn."""

import dataclasses
import itertools
import json
import os
import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence

import tqdm

from ..errors import InputError
from ..machine import core_count
from ..models.presets import get_spec
from . import engines
from .engines import ENGINES, Job
from .process import Ended, Process

PRECISIONS = ("float32", "bfloat16", "float16", "dynamic", "int8")


def make_jobs(
    task: str,
    names: Sequence[str],
    precisions: Sequence[str],
    preset: str,
    size: int,
    batch: int,
    directory: str | os.PathLike,
) -> list[Job]:
    """Return a job for each of the given engines and each of the given precisions that it supports.

    Args:
        task: "training" or "inference".
        names: names of engines, keys of `ENGINES[task]`.
        precisions: some of `PRECISIONS`.
        preset: name of the network.
        size: height and width of a frame, pixels.
        batch: clips per step.
        directory: directory of the exported files; existing files are reused.

    Raises:
        InputError: if the network does not take this size, or no engine supports one of the precisions.
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


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a job.

    Attributes:
        job: the job.
        seconds: seconds per step, one value per round; empty if the job was left out.
        peak: peak memory of its process, bytes.
        reason: one line that says why the job was left out; empty if it was timed.
    """

    job: Job
    seconds: Sequence[float] = ()
    peak: int = 0
    reason: str = ""

    @property
    def engine(self) -> engines.Engine:
        return ENGINES[self.job.task][self.job.engine]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def measure(jobs: Sequence[Job], rounds: int, limit: float) -> list[Result]:
    """Time every job in a separate process: one step of each job in turn, after two warm-up steps.

    Args:
        jobs: different jobs of one task.
        rounds: measured steps per job.
        limit: seconds per step above which a job is left out: on a CPU without instructions for a precision, a
            step takes minutes instead of a second.

    Returns:
        A result for each job. A job that cannot run has a reason; the others are timed.
    """
    results = {job: Result(job, reason=engines.unavailable(job) or "") for job in jobs}
    files: dict[str, list[Job]] = {}
    for job, result in results.items():
        if job.file and not result.reason and not pathlib.Path(job.file).exists():
            files.setdefault(job.file, []).append(job)
    with tqdm.tqdm(total=len(files) + len(results) * (rounds + 2), unit="step", file=sys.stderr) as progress:
        for job, reason in _export(files, progress).items():
            results[job] = Result(job, reason=reason)
        # A training process takes 7 GB (SlowFast 8x8 R50, float32), so training is timed one precision after the
        # other. All inference jobs are timed together.
        ready = [result.job for result in results.values() if not result.reason]
        for _, group in itertools.groupby(ready, lambda job: job.task == "training" and job.precision):
            results.update(_take_turns(list(group), rounds, limit, progress))
    return list(results.values())


def _start(mode: str, *jobs: Job) -> Process:
    return Process(mode, json.dumps([dataclasses.asdict(job) for job in jobs]))


def _export(files: Mapping[str, Sequence[Job]], progress: tqdm.tqdm) -> dict[Job, str]:
    """Write missing files; return the reason for each job whose file could not be written.

    Args:
        files: the jobs that run each file, by the path of the file.
        progress: progress bar to advance by one per file.
    """
    failed = {}
    if not files:
        return failed
    worker = _start("export", *(jobs[0] for jobs in files.values()))
    try:
        for file, jobs in files.items():
            progress.set_description(pathlib.Path(file).name)
            try:
                reason = worker.answer()
            except Ended as error:
                reason = f"export: {error}"
            if reason:
                failed.update(dict.fromkeys(jobs, reason))
            progress.update()
    finally:
        worker.close()
    return failed


def _take_turns(jobs: Sequence[Job], rounds: int, limit: float, progress: tqdm.tqdm) -> dict[Job, Result]:
    """Time jobs in parallel processes, one step of each job in turn."""
    workers: dict[Job, Process] = {}
    results = {job: Result(job) for job in jobs}
    try:
        for turn in range(-2, rounds):  # two warm-up rounds
            for job, result in results.items():
                if result.reason:
                    continue
                progress.set_description(f"{job.engine} {job.precision}")
                try:
                    if job not in workers:
                        workers[job] = _start("worker", job)
                        workers[job].answer()
                    seconds, peak = workers[job].ask(limit)
                except Ended as error:
                    results[job] = Result(job, peak=result.peak, reason=str(error))
                    workers.pop(job).close()
                    continue
                progress.update()
                results[job] = Result(job, (*result.seconds, seconds) if turn >= 0 else (), peak)
    finally:
        for worker in workers.values():
            worker.close()
    return results
