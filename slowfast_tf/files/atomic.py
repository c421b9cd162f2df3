"""Files that are written whole or not at all."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from ..errors import InputError


@contextlib.contextmanager
def atomic(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Give a temporary path beside `path` to write a file or a directory to; it is renamed to `path` at the end.

    Args:
        path: the file or directory to write. Its parent directories are made.

    Yields:
        The temporary path. If the block raises, nothing is left at `path`, or what was there before.

    Raises:
        InputError: if the directory cannot be made or written.

    Example:
        >>> with atomic("runs/demo/model.keras") as temporary:
        ...     model.save(temporary)
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place") from error
    try:
        temporary = scratch / path.name
        yield temporary
        if temporary.is_dir() and path.is_dir():
            path.rename(scratch / "old")
        os.replace(temporary, path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file whole or not at all (see `atomic`)."""
    with atomic(path) as temporary:
        temporary.write_text(text)
