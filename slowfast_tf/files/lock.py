"""Lock a file or a directory, so that one process at a time uses it."""

import contextlib
import os
import pathlib
import platform
from collections.abc import Iterator

from ..errors import InputError

try:
    import fcntl
except ImportError:  # Windows, where nothing is locked
    fcntl = None


@contextlib.contextmanager
def hold(path: pathlib.Path, wait: bool = True) -> Iterator[None]:
    """Hold a lock inside the `with` block, and remove the lock file at the end.

    The operating system frees the lock of a process that is killed. On Windows, and on network file systems without
    locks, no process is blocked.

    Args:
        path: path of the lock file. Directories that are created for it are removed at the end if they are empty.
        wait: whether to wait for another process that holds the lock.

    Raises:
        InputError: if `wait` is false and another process holds the lock; the message names the process.
        OSError: if the lock file cannot be written.

    Example:
        >>> with hold(pathlib.Path("runs/demo/.lock"), wait=False):
        ...     train()
    """
    made = [directory for directory in path.parents if not directory.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        while fcntl is not None:
            file = stack.enter_context(open(path, "a+"))  # not "w", which would erase the name of the holder
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise InputError(f"{path.parent} is in use by {holder}; wait until it ends, or stop it") from None
            except OSError:  # the file system has no locks
                break
            if os.fstat(file.fileno()).st_nlink:  # else the last holder has removed the file: try again
                file.truncate(0)
                file.write(f"process {os.getpid()} on {platform.node()}\n")
                file.flush()
                break
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # a directory is not empty
                for directory in made:
                    directory.rmdir()
