"""What a command does around its call: a quick start of TensorFlow, one clear line for a mistake, an exit code.

The library never needs this module.
"""

import contextlib
import ctypes
import gc
import os
import sys
import tempfile
import traceback

from .errors import InputError, RunError


def run(main, advice=None):
    """Runs a command's `main()` and exits: 0 on success, 1 on failure (`main` may return it), 2 on a user's mistake."""
    try:
        code = main() or 0
    except (InputError, RunError) as error:
        extra = (advice or {}).get(getattr(error, "argument", ""))
        print(f"error: {error}; {extra}" if extra else f"error: {error}", file=sys.stderr)
        code = 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 1
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception:
        traceback.print_exc()
        code = 1
    if "tensorflow_io" in sys.modules:  # its libraries abort the process while the interpreter shuts down
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def import_tensorflow():
    """Imports TensorFlow without its start-up remarks, which no setting silences and which bury a command's words."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _keep_memory()
    with without_remarks(), _quick_start():
        import tensorflow as tf

        # Several machines have to be made known before devices are; there the remarks come later.
        if "TF_CONFIG" not in os.environ and "SLURM_STEP_NUM_TASKS" not in os.environ:
            tf.config.list_logical_devices()


@contextlib.contextmanager
def _quick_start():
    """Imports TensorFlow in half the time: without what Keras imports, if it is there, for helpers that no
    command uses, and without a search for garbage among what stays until the end; the end itself is sooner, too."""
    if "tensorflow" in sys.modules:
        yield
        return
    unused = [name for name in ("matplotlib", "pandas", "sklearn") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(unused))  # None: `import` raises ImportError, which Keras expects
    gc.disable()
    try:
        yield
    finally:
        for name in unused:
            del sys.modules[name]
        gc.freeze()
        # To trace a graph makes many objects and little garbage, which is to be looked for less often than by default.
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


@contextlib.contextmanager
def without_remarks():
    """Keeps back what C++ code and Python write to standard error, unless what is inside fails."""
    try:
        stderr = os.dup(2)
    except OSError:  # a process that has none
        yield
        return
    with tempfile.TemporaryFile() as remarks:
        os.dup2(remarks.fileno(), 2)
        try:
            yield
        except BaseException:
            remarks.seek(0)
            os.write(stderr, remarks.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _keep_memory():
    """Has glibc keep freed memory for the next tensor. By default large blocks go back to the system, and getting
    them again, page by page, takes longer than filling them."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        limit = 2**31 - 1
        mallopt(-1, limit)  # M_TRIM_THRESHOLD
        mallopt(-3, limit)  # M_MMAP_THRESHOLD
        mallopt(-8, 1)  # M_ARENA_MAX: other arenas than the first have no room for a batch
