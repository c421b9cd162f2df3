"""One line for a full disk or quota, whichever library meets it."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator

from ..errors import InputError, RunError

REMEDY = "free some space, then run the same again"

_FULL = (errno.ENOSPC, errno.EDQUOT)


def full_disk(error: BaseException) -> str:
    """Return the message of a full disk or quota, from an exception or from one that it was raised after; or empty.

    Python and PyAV give a number; TensorFlow and h5py only put the system's words into their messages. An archive or a
    video that is closed after the failure raises another exception, so the chain counts.

    Example:
        >>> full_disk(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        '[Errno 28] No space left on device'
        >>> full_disk(OSError(errno.ENOENT, os.strerror(errno.ENOENT)))
        ''
    """
    link: BaseException | None = error
    while link:
        for line in str(link).splitlines():
            if any(os.strerror(number) in line for number in _FULL):
                return re.sub(r"^{{.*?}} ", "", line.strip())  # TensorFlow's name of an operation
        link = link.__cause__ or link.__context__
    return ""


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """Turn a full disk into one line that names what was to be written; other exceptions pass.

    Args:
        path: the file or directory that the block writes.

    Raises:
        RunError: if the disk or the quota is full.

    Example:
        >>> with writing("log.txt"), open("log.txt", "a") as file:
        ...     _ = file.write("done")
    """
    try:
        yield
    except (InputError, RunError):
        raise
    except Exception as error:
        if found := full_disk(error):
            raise RunError(f"cannot write {path}: the disk is full ({found}); {REMEDY}") from error
        raise
