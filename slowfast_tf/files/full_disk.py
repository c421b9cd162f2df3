"""Report a full disk or quota in one line, whichever library fails."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator

from ..errors import InputError, RunError

REMEDY = "free some space, then run the same again"

_FULL = (errno.ENOSPC, errno.EDQUOT)


def full_disk(error: BaseException) -> str:
    """Return the message of a full disk or quota from an exception and the exceptions before it; empty if none has it.

    Python and PyAV give an error number; TensorFlow and h5py only include the system's message in their own. Closing an
    archive or a video after the failure raises another exception, so the whole chain is searched.

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
                return re.sub(r"^{{.*?}} ", "", line.strip())  # without TensorFlow's name of the operation
        link = link.__cause__ or link.__context__
    return ""


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """Turn the error of a full disk into one line that names the path; let other exceptions pass.

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
