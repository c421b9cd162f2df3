"""What a command does around its call: a quick start of TensorFlow, one clear line for a mistake, an exit code.

This is the one place that changes the state of the process: commands and the benchmarks' worker processes own theirs.
The library never imports this module. Each change is measured: a prediction of a tiny network with
`python -m slowfast_tf.predict` (TensorFlow 2.21, 2 cores) takes 4.1 s of CPU time with all of them and 8.4 s with none
(medians of 7 alternating runs). The figure at each change is how much longer the prediction takes without it.
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
    """Run a command and exit: 0 on success, 1 on failure, 2 on a user's mistake, which is told in one line.

    Args:
        main: the command; it may return the exit code.
        advice: what to tell a user of this command beside the library's message, by `InputError.argument`.

    Example:
        >>> run(main, {"output": "give another --output, or --overwrite to replace it"})
        error: scores.npz exists; give another --output, or --overwrite to replace it
    """
    try:
        code = main() or 0
        print(end="", flush=True)  # what is left may not fit on the disk either
    except (InputError, RunError) as error:
        extra = (advice or {}).get(getattr(error, "argument", ""))
        print(f"error: {error}; {extra}" if extra else f"error: {error}", file=sys.stderr)
        code = 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 1
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
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
    """Let what is left of standard output go nowhere, or Python would report its failure at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def import_tensorflow() -> None:
    """Import TensorFlow for a command: quickly, and without its remarks on this machine's devices."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _keep_memory()
    with without_remarks(), quick_start():
        import tensorflow as tf

        # Several machines have to be made known before devices are; there the remarks come later.
        if "TF_CONFIG" not in os.environ and "SLURM_STEP_NUM_TASKS" not in os.environ:
            tf.config.list_logical_devices()


@contextlib.contextmanager
def quick_start() -> Iterator[None]:
    """Import TensorFlow inside, in half the time.

    Example:
        >>> with quick_start():
        ...     import tensorflow as tf
    """
    if "tensorflow" in sys.modules:
        yield
        return
    # 1.1 s: Keras imports these, if they are there, for helpers that no command uses. None has `import` raise
    # ImportError, which Keras expects.
    unused = [name for name in ("matplotlib", "pandas", "sklearn") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(unused))  # pyright: ignore[reportArgumentType, reportCallIssue]
    # 1.3 s, with the freeze: what an import makes stays until the end, and the end itself is sooner.
    gc.disable()
    try:
        yield
    finally:
        for name in unused:
            del sys.modules[name]
        gc.freeze()
        # 0.4 s: tracing a graph makes many objects and little garbage. The default is (700, 10, 10).
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


@contextlib.contextmanager
def without_remarks() -> Iterator[None]:
    """Keep back what C++ code and Python write to standard error inside, unless it fails for no mistake of the user.

    TensorFlow 2.21 writes 7 lines at its start, 6 of them at any TF_CPP_MIN_LOG_LEVEL; they would bury the one line
    of a command.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # a process that has none
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
    """Have glibc keep freed memory for the next tensor.

    0.5 s: by default large blocks go back to the system, and getting them again, page by page, takes longer than
    filling them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        limit = 2**31 - 1
        mallopt(-1, limit)  # M_TRIM_THRESHOLD
        mallopt(-3, limit)  # M_MMAP_THRESHOLD
        mallopt(-8, 1)  # M_ARENA_MAX: other arenas than the first have no room for a batch
