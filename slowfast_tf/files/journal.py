"""A file for the results of a long computation, from which it can be resumed after an interruption."""

import json
import os
import pathlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from ..errors import InputError


class Journal:
    """The results of a computation, one line of JSON each; the first line describes the computation.

    If the file exists and is of the same computation, its results are loaded. An incomplete last line is dropped. A
    file of another computation is replaced. The file is removed at the end of the `with` block; after an exception it
    is kept.

    Args:
        path: path of the file.
        about: everything that affects the results, as a dictionary that JSON can hold.

    Attributes:
        entries: the results so far.

    Raises:
        InputError: if the file cannot be written.

    Example:
        >>> with Journal("squares.jsonl", {"from": 0}) as journal:
        ...     for i in range(len(journal.entries), 1000):
        ...         journal.add(i * i)
        ...     print(sum(journal.entries))
    """

    def __init__(self, path: str | os.PathLike, about: Mapping[str, Any]):
        self.path, self.entries = pathlib.Path(path), []
        first = json.dumps(about, sort_keys=True) + "\n"
        kept = first.encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_file():
                with open(self.path, "rb") as file:
                    if file.readline() == kept:
                        for line in file:
                            if not line.endswith(b"\n"):
                                break
                            self.entries.append(json.loads(line))
                            kept += line
            # Rewrite the file without an incomplete last line.
            self.path.write_bytes(kept)
            self._file = open(self.path, "a", encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"cannot write {self.path}: {error}; remove it, or choose another place") from error

    def add(self, entry: Any) -> None:
        """Add a result."""
        self.entries.append(entry)
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()
        if kind is None:
            self.path.unlink()
