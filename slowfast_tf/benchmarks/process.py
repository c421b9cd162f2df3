"""A process of a benchmark, which answers requests with JSON."""

import json
import subprocess
import sys
import tempfile
import threading
from typing import Any

import tqdm

from ..errors import RunError


class Ended(RunError):
    """A process of a benchmark has ended; the message is one line with the reason."""


class Process:
    """A running `slowfast_tf.benchmarks.worker`.

    `multiprocessing` is not used: its processes import the whole package, so PyTorch's process would load TensorFlow.

    Args:
        arguments: the arguments of `worker.work`, as on its command line.

    Example:
        >>> process = Process("serving", "runs/demo/saved_model")  # doctest: +SKIP
        >>> address = process.answer()  # doctest: +SKIP
        >>> process.close()  # doctest: +SKIP
    """

    def __init__(self, *arguments: str):
        self._errors = tempfile.TemporaryFile("w+", errors="replace")
        command = [sys.executable, "-m", "slowfast_tf.benchmarks.worker", *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        assert self._process.stdin and self._process.stdout
        self._requests, self._answers = self._process.stdin, self._process.stdout

    def ask(self, limit: float | None = None) -> Any:
        """Send a request, which is an empty line, and return the answer; otherwise as `answer`."""
        try:
            self._requests.write("\n")
            self._requests.flush()
        except BrokenPipeError:
            pass  # `answer` raises with the reason
        return self.answer(limit)

    def answer(self, limit: float | None = None) -> Any:
        """Return the next answer, decoded from JSON.

        Args:
            limit: seconds after which the process is stopped.

        Raises:
            Ended: if the process has ended, or has not answered in time. What it wrote to stderr is shown.
        """
        timer = threading.Timer(limit, self._process.kill) if limit else None
        if timer:
            timer.start()
        line = self._answers.readline()
        late = timer is not None and timer.finished.is_set()
        if timer:
            timer.cancel()
        if line:
            return json.loads(line)
        code = self._process.wait()
        if late:
            raise Ended(f"a step takes more than {limit:g} s")
        if code < 0:
            raise Ended(f"ended by signal {-code}; memory may have run out")
        self._errors.seek(0)
        words = self._errors.read()
        tqdm.tqdm.write(words, sys.stderr)
        lines = [line for line in words.splitlines() if line.strip()]
        raise Ended((lines or ["ended"])[-1].strip().removeprefix("error: ")[:200])

    def close(self) -> None:
        """Stop the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()
