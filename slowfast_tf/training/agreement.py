"""Agreement of the workers of a run before it starts: equal versions and configurations, and the same checkpoint.

Each function is a collective operation: all workers call it, and each learns the answers of all. If one of them cannot
go on, all end with one line, so that none waits for a worker that has ended.
"""

import contextlib
import json
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from ..config import Config
from ..errors import InputError, RunError
from . import strategies
from .checkpointing import START, Position, latest_checkpoint
from .workdir import differences

PATIENCE = 60.0  # seconds; network file systems show a new file on other machines after up to a minute


def check_equal(strategy: tf.distribute.Strategy, settings: Config) -> None:
    """Check that all workers have the chief's versions and configuration.

    Args:
        strategy: strategy from `strategies.from_environment`.
        settings: the configuration of this worker.

    Raises:
        InputError: on a worker that differs; the message has the differing values.
        RunError: on the other workers.
    """
    versions = {
        "slowfast_tf": sys.modules["slowfast_tf"].__version__,
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
    }
    facts = _gather(strategy, {"version": versions, "configuration": settings.model_dump(mode="json")})
    problems = [""] * len(facts)
    for number, fact in enumerate(facts):
        for part in fact:
            found = differences(facts[0][part], fact[part], "on the chief")
            if found:
                problems[number] = f"another {part} than on the chief ({found}); start all workers with the same"
    _report(strategy, problems)


@contextlib.contextmanager
def all_or_none(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Run a block on all workers; if it raises an InputError on one of them, the others end, too.

    Args:
        strategy: strategy from `strategies.from_environment`.

    Raises:
        RunError: on the workers without an error.
    """
    try:
        yield
    except InputError as error:
        _gather(strategy, str(error))
        raise
    _report(strategy, _gather(strategy, ""))


def checkpoint(strategy: tf.distribute.Strategy, workdir: pathlib.Path) -> tuple[pathlib.Path | None, Position]:
    """Return the path and the position of the newest checkpoint that any worker sees; see `latest_checkpoint`.

    Args:
        strategy: strategy from `strategies.from_environment`.
        workdir: the run's work directory.

    Raises:
        InputError: if this worker still does not see the checkpoint after a minute.
        RunError: if another worker does not see it.
    """
    path, position = latest_checkpoint(workdir)
    newest = Position(*max(tuple(other) for other in _gather(strategy, position)))
    with all_or_none(strategy):
        deadline = time.monotonic() + PATIENCE
        while position != newest:
            if time.monotonic() > deadline:
                raise InputError(
                    f"{workdir} has no checkpoint after epoch {newest.epoch}, from which another worker resumes; all"
                    " workers need the same work directory"
                )
            time.sleep(1)
            path, position = latest_checkpoint(workdir)
    return (path, position) if position != START else (None, START)


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Wait until all workers are here."""
    _gather(strategy, "")


def _gather(strategy: tf.distribute.Strategy, value: Any) -> list[Any]:
    """Return the values of all workers, in the order of their ranks; values are what JSON can hold."""
    if strategies.shard(strategy)[1] == 1:
        return [value]
    line = tf.constant([*json.dumps(value).encode(), *b"\n"], tf.float32)  # GPUs exchange neither strings nor bytes
    lines: Any = strategy.gather(strategy.experimental_distribute_values_from_function(lambda _: line), axis=0)
    found = bytes(lines.numpy().astype("uint8")).decode().splitlines()  # a line for each device
    return [json.loads(line) for line in found[:: len(found) // strategies.shard(strategy)[1]]]


def _report(strategy: tf.distribute.Strategy, problems: list[str]) -> None:
    """Raise an error if a worker has a problem: an InputError on this worker, and a RunError on the others."""
    if problems[strategies.shard(strategy)[0]]:
        raise InputError(problems[strategies.shard(strategy)[0]])
    for address, problem in zip(strategies.addresses(strategy), problems):
        if problem:
            raise RunError(f"worker {address} has ended: {problem}")
