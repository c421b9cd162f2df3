"""Write files and directories whole or not at all, also across a kill or a power cut."""

import contextlib
import os
import pathlib
import platform
import shutil
import tempfile
from collections.abc import Iterator

from ..errors import InputError


@contextlib.contextmanager
def atomic(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Give a temporary path to write a file or a directory to; it is renamed to `path` at the end.

    The content is on the disk before it counts: a power cut leaves the old file or the new one, never a part of it.
    The temporary path is in a hidden directory beside `path`. A process that is killed leaves that directory behind;
    the next write to the same path on this machine removes it.

    Args:
        path: the file or directory to write. Its parent directories are made.

    Yields:
        The temporary path. If the block raises, `path` stays as it was.

    Raises:
        InputError: if the directory cannot be made or written.

    Example:
        >>> with atomic("runs/demo/model.keras") as temporary:
        ...     model.save(temporary)
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        prefix = f"{_prefix(path)}{os.getpid()}.{_start_time(os.getpid())}."
        scratch = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place") from error
    try:
        temporary = scratch / path.name
        yield temporary
        sync(temporary)
        _replace(temporary, path, scratch / "old")
        sync_directory(path.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file whole or not at all (see `atomic`)."""
    with atomic(path) as temporary:
        temporary.write_text(text)


def sync(path: str | os.PathLike) -> None:
    """Wait until the disk holds a file, or all files of a directory.

    Without it, a rename may reach the disk before the content: after a power cut the file has its name and is empty.

    Args:
        path: a local file or directory.

    Raises:
        OSError: if the disk cannot hold it.
    """
    # Measured on a virtual disk (ext4), with and without: a file of 100 MB takes 0.15 to 0.35 s and 0.03 s; 1000 small
    # files one by one 1.1 to 1.4 s and 0.6 to 1.0 s, as one directory 0.2 to 0.6 s and 0.1 to 0.4 s.
    for directory, _, names in os.walk(path):
        for name in names:
            _sync_file(os.path.join(directory, name))
        sync_directory(directory)
    if not os.path.isdir(path):
        _sync_file(path)


def sync_directory(path: str | os.PathLike) -> None:
    """Wait until the disk holds the names in a directory, such as one that a rename has changed."""
    with contextlib.suppress(OSError):  # some network file systems do not open or sync directories
        _sync_file(path)


def _sync_file(path: str | os.PathLike) -> None:
    if os.path.islink(path):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(temporary: pathlib.Path, path: pathlib.Path, old: pathlib.Path) -> None:
    """Rename `temporary` to `path`; a directory in its way is moved to `old` first, as no rename replaces one."""
    if not (temporary.is_dir() and path.is_dir()):
        os.replace(temporary, path)
        return
    path.rename(old)
    try:
        temporary.rename(path)
    except OSError:
        old.rename(path)
        raise


def _prefix(path: pathlib.Path) -> str:
    """Return how the names of this machine's scratch directories for a path begin."""
    return f".{path.name}.{platform.node()}."


def _remove_leftovers(path: pathlib.Path) -> None:
    """Remove the scratch directories that killed processes of this machine left for a path.

    Another machine may share the file system, so its directories stay.
    """
    prefix = _prefix(path)
    with os.scandir(path.parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(prefix)]
    for name in names:
        number, _, rest = name.removeprefix(prefix).partition(".")
        if number.isdecimal() and rest.count(".") == 1 and not _is_alive(int(number), rest.partition(".")[0]):
            shutil.rmtree(path.parent / name, ignore_errors=True)


def _is_alive(process: int, start_time: str) -> bool:
    """Return whether a process of this machine still runs; True if in doubt."""
    if start_time and os.path.exists("/proc/self/stat"):
        return _start_time(process) == start_time
    if os.name != "posix":  # elsewhere os.kill(process, 0) ends the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def _start_time(process: int) -> str:
    """Return when a process started, in clock ticks since boot; empty if there is none, or no `/proc` to tell.

    Process numbers come again: in a container that restarts, the main process is always number 1.
    """
    try:
        content = pathlib.Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    return content.rpartition(")")[2].split()[19]  # field 22; the second, a name in brackets, may hold spaces
