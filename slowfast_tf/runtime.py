"""Run a command: start TensorFlow quickly, report a user's mistake in one clear line, and set the exit code.

This is the only module that changes the state of the process. Commands and the benchmarks' worker processes own their
process and may change it; the library never imports this module.

Each change is measured. A prediction of a tiny network with `python -m slowfast_tf.predict` (TensorFlow 2.21, 2 cores)
takes 4.1 s of CPU time with all changes and 8.4 s without them (medians of 7 alternating runs). The figure at each
change is the time that it saves.
"""

import contextlib
import ctypes
import gc
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

from .errors import InputError, RunError
from .files.full_disk import REMEDY, full_disk


def run(main: Callable[[], int | None], advice: Mapping[str, str] | None = None) -> NoReturn:
    """Run a command and exit: 0 on success, 1 on failure, 2 on a user's mistake, which is reported in one line.

    Args:
        main: the command; it may return the exit code.
        advice: for each `InputError.argument`, the text to append to the library's message for users of this command.

    Example:
        >>> run(main, {"output": "give another --output, or --overwrite to replace it"})
        error: scores.npz exists; give another --output, or --overwrite to replace it
    """
    try:
        code = main() or 0
        print(end="", flush=True)  # the rest of the output may not fit on the disk
    except (InputError, RunError) as error:
        extra = (advice or {}).get(getattr(error, "argument", ""))
        print(f"error: {error}; {extra}" if extra else f"error: {error}", file=sys.stderr)
        code = 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 1
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        _drop_output()
        code = 1
    except Exception as error:
        if found := full_disk(error):
            print(f"error: the disk is full ({found}); {REMEDY}", file=sys.stderr)
            try:
                print(end="", flush=True)
            except OSError:
                _drop_output()
        else:
            traceback.print_exc()
        code = 1
    if "tensorflow_io" in sys.modules:  # its libraries abort the process while the interpreter shuts down
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _drop_output() -> None:
    """Redirect standard output to the null device; otherwise Python would report a failure to write it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def import_tensorflow() -> None:
    """Import TensorFlow for a command: quickly, and without its messages about this machine's devices."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _keep_memory()
    with without_remarks(), quick_start():
        import tensorflow as tf

        # With several machines, the cluster must be set up before devices are listed, so the messages appear later.
        if not has_cluster():
            tf.config.list_logical_devices()


def has_cluster() -> bool:
    """Return whether the environment may name other machines (TF_CONFIG, Slurm)."""
    return "TF_CONFIG" in os.environ or "SLURM_STEP_NUM_TASKS" in os.environ


@contextlib.contextmanager
def quick_start() -> Iterator[None]:
    """Halve the time of an import of TensorFlow in the `with` block.

    Example:
        >>> with quick_start():
        ...     import tensorflow as tf
    """
    if "tensorflow" in sys.modules:
        yield
        return
    # 1.1 s: if these packages are installed, Keras imports them for helpers that no command uses. With None in
    # `sys.modules`, `import` raises ImportError, which Keras handles.
    unused = [name for name in ("matplotlib", "pandas", "sklearn") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(unused))  # pyright: ignore[reportArgumentType, reportCallIssue]
    # 1.3 s, together with `gc.freeze`: the objects of an import live until the process exits. The exit is faster, too.
    gc.disable()
    try:
        yield
    finally:
        for name in unused:
            del sys.modules[name]
        gc.freeze()
        # 0.4 s: tracing a graph creates many objects and little garbage. The default is (700, 10, 10).
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


@contextlib.contextmanager
def without_remarks() -> Iterator[None]:
    """Hide the standard error of C++ code and Python in the `with` block; show it after any exception but `InputError`.

    TensorFlow 2.21 writes 7 lines at start-up, 6 of them at any TF_CPP_MIN_LOG_LEVEL. They would hide the one line that
    a command writes for a user's mistake.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # the process has no standard error
        yield
        return
    with tempfile.TemporaryFile() as remarks:
        os.dup2(remarks.fileno(), 2)
        try:
            yield
        except InputError:
            raise
        except BaseException:
            remarks.seek(0)
            os.write(stderr, remarks.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _keep_memory() -> None:
    """Make glibc keep freed memory for the next tensor.

    0.5 s: by default, glibc returns large blocks to the system. Getting them again, page by page, takes longer than
    filling them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        limit = 2**31 - 1
        mallopt(-1, limit)  # M_TRIM_THRESHOLD
        mallopt(-3, limit)  # M_MMAP_THRESHOLD
        mallopt(-8, 1)  # M_ARENA_MAX: only the first arena has room for a batch
