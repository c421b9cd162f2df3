"""Let one process at a time do something with a file or a directory."""

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
    """Hold a lock file inside, and remove it at the end.

    The operating system frees the lock of a process that is killed. Some network file systems have no locks; there, and
    on Windows, every process goes on.

    Args:
        path: the lock file. Directories that are made for it are removed at the end if they are empty.
        wait: wait for another process that holds it.

    Raises:
        InputError: without `wait`, if another process holds it; the message says which.
        OSError: if the file cannot be written.

    Example:
        >>> with hold(pathlib.Path("runs/demo/.lock"), wait=False):
        ...     train()
    """
    made = [directory for directory in path.parents if not directory.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        while fcntl is not None:
            file = stack.enter_context(open(path, "a+"))  # not "w": the holder's name has to stay
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise InputError(f"{path.parent} is in use by {holder}; wait until it ends, or stop it") from None
            except OSError:  # no locks here
                break
            if os.fstat(file.fileno()).st_nlink:  # else the last holder has removed it in the meantime
                file.truncate(0)
                file.write(f"process {os.getpid()} on {platform.node()}\n")
                file.flush()
                break
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # one is not empty
                for directory in made:
                    directory.rmdir()
