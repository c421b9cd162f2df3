"""What every command shares: one clear line for a user's mistake, and files written whole or not at all."""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile

# Before TensorFlow is imported: its start-up remarks bury what a command has to say.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


class UserError(Exception):
    """A mistake that the user can mend: what was wrong, what was received and what to do, in one line."""


def run(main):
    """Runs a command's `main()` and exits: 0 on success, 1 on failure (`main` may return it), 2 on a user's mistake."""
    try:
        sys.exit(main() or 0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(1)


@contextlib.contextmanager
def atomic(path):
    """Gives a temporary path beside `path` to write a file or a directory to; renamed to `path` when all went well.

    Raises:
        UserError: where the directory cannot be made or written.
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another place") from error
    try:
        temporary = scratch / path.name
        yield temporary
        if temporary.is_dir() and path.is_dir():
            path.rename(scratch / "old")
        os.replace(temporary, path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(path, text):
    """Writes a text file whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text)
