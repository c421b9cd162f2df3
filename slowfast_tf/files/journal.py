"""A file for the results of a long computation, from which it can be resumed after an interruption."""

import contextlib
import json
import os
import pathlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ..errors import InputError
from .full_disk import full_disk, writing


class Journal:
    """The results of a computation, one line of JSON each; the first line describes the computation.

    If the file exists and belongs to the same computation, its results are loaded. An incomplete last line is dropped.
    A file of another computation is replaced. The file is removed at the end of the `with` block; after an exception it
    is kept.

    Args:
        path: path of the file.
        about: everything that affects the results, as a dictionary that JSON can hold.

    Attributes:
        entries: the results so far.

    Raises:
        InputError: if the file cannot be written.
        RunError: if the disk or the quota is full.

    Example:
        >>> with Journal("squares.jsonl", {"from": 0}) as journal:
        ...     for i in range(len(journal.entries), 1000):
        ...         journal.add(i * i)
        ...     print(sum(journal.entries))
    """

    def __init__(self, path: str | os.PathLike, about: Mapping[str, Any]):
        self.path, self.entries = pathlib.Path(path), []
        first = (json.dumps(about, sort_keys=True) + "\n").encode()
        with writing(self.path):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(self.path, "a+b")
                self._resume(first)
            except (OSError, ValueError) as error:
                if full_disk(error):
                    raise
                raise InputError(f"cannot write {self.path}: {error}; remove it, or choose another place") from error

    def _resume(self, first: bytes) -> None:
        """Load the results of a file that begins with `first`, and drop all other content of the file."""
        kept = 0
        self._file.seek(0)
        if self._file.readline() == first:
            kept = len(first)
            for line in self._file:
                if not line.endswith(b"\n"):
                    break
                self.entries.append(json.loads(line))
                kept += len(line)
        self._file.truncate(kept)  # rewriting the file could fail on a full disk and lose the results
        if not kept:
            self._write(first)

    def _write(self, line: bytes) -> None:
        with writing(self.path):
            self._file.write(line)
            self._file.flush()

    def add(self, entry: Any) -> None:
        """Add a result."""
        self.entries.append(entry)
        self._write((json.dumps(entry) + "\n").encode())

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        with contextlib.suppress(OSError):  # a full disk, which `add` has reported: closing writes the rest again
            self._file.close()
        if kind is None:
            self.path.unlink()
