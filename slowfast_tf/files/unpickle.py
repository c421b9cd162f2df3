"""Reads pickles of arrays and plain values without running any code that they hold."""

import functools
import pickle

import numpy as np

from ..errors import InputError


def read(path, kind):
    """Reads a pickle, also one that Python 2 wrote.

    Args:
        path: of the file.
        kind: what it should be, for the message, such as "checkpoint".

    Returns:
        The NumPy arrays, numbers, texts, lists and dictionaries that it holds.

    Raises:
        InputError: for a file that is damaged, or that asks to run code.
    """
    try:
        with open(path, "rb") as file:
            return _Unpickler(file, encoding="latin1").load()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise damaged(path, kind, error) from error


def refusal(path, name):
    return InputError(
        f"{path} asks to run {name}, which no array of numbers needs; nothing was run."
        " Get the file from where it was published, or save its arrays anew"
    )


def damaged(path, kind, error):
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return InputError(f"{path} is not a readable {kind} ({reason}); download it again")


def _latin1(text, encoding="latin1"):
    """What Python 2 byte strings need of `_codecs.encode`."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"unexpected encoding {encoding!r}")
    return text.encode(encoding)


@functools.cache
def _allowed():
    """The only globals that a pickle may name: NumPy arrays and plain values."""
    # NumPy's own helpers, asked from NumPy: the module that holds them differs between versions 1 and 2.
    reconstruct = np.zeros(1).__reduce__()[0]
    scalar = np.float32(0).__reduce__()[0]
    allowed = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): _latin1}
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        allowed[module, "_reconstruct"] = reconstruct
        allowed[module, "scalar"] = scalar
    for plain in (bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset):
        allowed["builtins", plain.__name__] = allowed["__builtin__", plain.__name__] = plain
    allowed["__builtin__", "unicode"] = str
    allowed["__builtin__", "long"] = int
    allowed["collections", "OrderedDict"] = dict
    return allowed


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _allowed():
            raise refusal(getattr(self._file, "name", "the file"), f"{module}.{name}")
        return _allowed()[module, name]

    def __init__(self, file, **kwargs):
        super().__init__(file, **kwargs)
        self._file = file
