"""Write shards with Apache Beam, on this machine or elsewhere."""

import argparse
import contextlib
import importlib
import importlib.util
import io
import logging
import signal
import sys
import threading
import typing
import uuid
import weakref
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf
import tqdm

from ... import plugins
from ...errors import InputError, RunError
from ...interrupts import handle_signals
from ...machine import core_count
from .output import Output, cause
from .plan import Job, SourceSplit, load_source
from .writing import Control, Stopped, read_report, write_shard


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence warnings: on import, Beam warns of each optional package that is not installed."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


with _without_warnings():
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.utils.shared import Shared

DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"  # Beam finds this runner only by its full name
WATCH = 2.0  # seconds between two checks of the progress of workers elsewhere
RESUME = "prepare again with the same settings to resume"

# Beam pickles its functions even for threads of this process, and an event or a progress bar cannot be pickled. A
# `LocalRun` is therefore pickled as a key of this dictionary. The dictionary keeps no run alive.
_local_runs: "weakref.WeakValueDictionary[str, LocalRun]" = weakref.WeakValueDictionary()


class LocalRun:
    """A run in threads of this process: its data, its progress and its stop event.

    Args:
        data: the splits of the data set, shared by the threads.
        progress: progress bar that counts videos.
    """

    def __init__(self, data: Mapping[str, SourceSplit], progress: tqdm.tqdm):
        self.data = data
        self.control = Control(progress.update)
        self.failure = ""
        self._key = uuid.uuid4().hex
        self._lock = threading.Lock()
        _local_runs[self._key] = self

    def __reduce__(self) -> tuple:
        return _find_local_run, (self._key,)

    def fail(self, message: str) -> None:
        """Stop the run; report the first failure."""
        with self._lock:
            self.failure = self.failure or message
        self.control.stop.set()

    def interrupt(self, *_: object) -> None:
        """Stop the run after the current frames; the second call stops it immediately."""
        if self.control.stop.is_set():
            raise KeyboardInterrupt
        self.control.stop.set()


def _find_local_run(key: str) -> LocalRun:
    return _local_runs[key]


class _WorkerData:
    """The splits of the data set on a worker of another machine, loaded once for all threads of the worker."""

    def __init__(self, job: Job):
        plugins.load_plugins(job.plugins)
        self.data = {split: load_source(job.plan.dataset, job.root, split) for split in job.plan.shards}
        for split, data in self.data.items():
            if data.digest != job.plan.source[split]:
                raise OSError(f"the data set in {job.root} has changed meanwhile")


class _WriteShards(apache_beam.DoFn):
    """Write the shard of each (split, number)."""

    def __init__(self, job: Job, local: LocalRun | None):
        self._job, self._local, self._shared = job, local, Shared()

    def setup(self) -> None:
        if self._local is None:
            self._worker = self._shared.acquire(lambda: _WorkerData(self._job))

    def process(self, element: tuple[str, int]) -> None:
        split, number = element
        local = self._local
        if local is None:
            write_shard(self._job, self._worker.data[split], split, number, Control())
            return
        try:
            write_shard(self._job, local.data[split], split, number, local.control)
        except Stopped:
            pass
        except (OSError, tf.errors.OpError) as error:
            name = self._job.plan.shard_name(split, number)
            local.fail(f"cannot write {self._job.output}/{name}: {cause(error)}")
        except Exception:
            local.control.stop.set()
            raise


def run(
    job: Job, data: Mapping[str, SourceSplit], shards: Sequence[tuple[str, int]], beam_options: Sequence[str] = ()
) -> None:
    """Write shards.

    Args:
        job: the arguments for all shards.
        data: the splits of the data set.
        shards: (split, number) of each shard to write.
        beam_options: Apache Beam's options, including "--runner=..."; empty to use all cores of this machine.

    Raises:
        InputError: if Beam rejects the options.
        RunError: if a shard cannot be written, or if the run is interrupted.
    """
    videos = {shard: len(data[shard[0]].of_shard(shard[1], job.plan.shards[shard[0]])) for shard in shards}
    if beam_options:
        _run_elsewhere(job, videos, beam_options)
    else:
        _run_here(job, data, videos)


def _run_here(job: Job, data: Mapping[str, SourceSplit], videos: Mapping[tuple[str, int], int]) -> None:
    # Threads are enough: decoding, scaling and compression release Python's lock. Without a named runner, Beam would
    # download a program on first use.
    options = PipelineOptions([], direct_running_mode="multi_threading", direct_num_workers=core_count())
    with _progress_bar(videos) as progress:
        local = LocalRun(data, progress)
        try:
            with handle_signals(local.interrupt, signal.SIGINT):
                _build(apache_beam.Pipeline("FnApiRunner", options), job, local, list(videos)).run().wait_until_finish()
        finally:
            stopped = local.control.stop.is_set()
            local.control.stop.set()
    if stopped:
        raise RunError(f"{local.failure or 'interrupted'}; {RESUME}")


def _progress_bar(videos: Mapping[tuple[str, int], int]) -> tqdm.tqdm:
    return tqdm.tqdm(total=sum(videos.values()), desc="preparing", unit="video", file=sys.stderr)


def _run_elsewhere(job: Job, videos: Mapping[tuple[str, int], int], beam_options: Sequence[str]) -> None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions(_with_dask(beam_options))
            options.get_all_options()  # check the values here; otherwise only the workers check them
            pipeline = apache_beam.Pipeline(options=options)
    except InputError:
        raise
    # Each runner raises its own errors; a wrong value raises SystemExit after the usage of all options.
    except (Exception, SystemExit) as error:
        reason = _last_line(said.getvalue() if isinstance(error, SystemExit) else error)
        raise InputError(f"Apache Beam cannot take {' '.join(beam_options)}: {reason}") from error
    sys.stderr.write(said.getvalue())  # Beam lists unknown options
    result = None
    try:
        with _watched(job, videos):
            result = _build(pipeline, job, None, list(videos)).run()
            result.wait_until_finish()
    except Exception as error:  # each runner raises its own errors
        raise RunError(f"the runner has failed: {_last_line(error)}; {RESUME}") from error
    finally:
        if client := getattr(result, "client", None):
            client.close()  # while it holds results, Dask recomputes the results of a worker that exits


def _with_dask(beam_options: Sequence[str]) -> list[str]:
    """Return Beam's options. For `--runner=DaskRunner`, use the runner's full name and give each worker one shard.

    By default, Beam gives up to 128 shards to one worker of Dask. Do not use tagged outputs and text sinks in this
    module: their results are wrong on this runner (Beam 2.77).

    Raises:
        InputError: if Dask is not installed.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--runner")
    found, others = parser.parse_known_args(list(beam_options))
    if found.runner not in ("DaskRunner", DASK):
        return list(beam_options)
    if not importlib.util.find_spec("distributed"):
        raise InputError("the runner Dask is not installed: pip install 'slowfast_tf[dask]'")
    importlib.import_module(DASK.rpartition(".")[0])  # registers the runner's options with Beam
    sized = any(option.startswith(("--dask_partition_size", "--dask_npartitions")) for option in others)
    return [f"--runner={DASK}", *others, *([] if sized else ["--dask_partition_size=1"])]


@contextlib.contextmanager
def _watched(job: Job, videos: Mapping[tuple[str, int], int]) -> Iterator[None]:
    """Show the progress of workers elsewhere: the number of videos in the shards that have a report."""
    output, left, done = Output(job.output), dict(videos), threading.Event()

    def look() -> None:
        for shard in [shard for shard in left if read_report(output, job.plan.shard_name(*shard))]:
            progress.update(left.pop(shard))

    def watch() -> None:
        while not done.wait(WATCH):
            with contextlib.suppress(tf.errors.OpError):  # the next check may succeed
                look()

    with _progress_bar(videos) as progress:
        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
        look()


def _build(
    pipeline: apache_beam.Pipeline, job: Job, local: LocalRun | None, shards: Sequence[tuple[str, int]]
) -> apache_beam.Pipeline:
    # Without a reshuffle, one worker would run everything after `Create`.
    elements: typing.Any = pipeline | apache_beam.Create(shards) | apache_beam.Reshuffle()
    _ = elements | "write shards" >> apache_beam.ParDo(_WriteShards(job, local))
    return pipeline


def _last_line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    name = type(error).__name__
    return lines[-1] if lines else {"FutureTimeoutError": "its job server does not answer"}.get(name, name)
