"""Read pickles of arrays and plain values without running any code in them."""

import functools
import os
import pickle
import typing

import numpy as np

from ..errors import InputError


def read_pickle(path: str | os.PathLike, kind: str) -> typing.Any:
    """Read a pickle, including pickles of Python 2.

    Args:
        path: path of the file.
        kind: expected kind of file, such as "checkpoint", for the message.

    Returns:
        The content: NumPy arrays, numbers, text, lists and dictionaries.

    Raises:
        InputError: if the file is damaged or asks to run code.
    """
    try:
        with open(path, "rb") as file:
            return _Unpickler(file, encoding="latin1").load()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle may raise any exception
        raise damaged(path, kind, error) from error


def refusal(path: str | os.PathLike, name: str) -> InputError:
    """Return the error for a pickle that asks to run the function `name`."""
    return InputError(
        f"{path} asks to run {name}, which no array of numbers needs; nothing was run."
        " Get the file from where it was published, or save its arrays again"
    )


def damaged(path: str | os.PathLike, kind: str, error: Exception) -> InputError:
    """Return the error for a file that cannot be read as a `kind`, with the cause."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return InputError(f"{path} is not a readable {kind} ({reason}); download it again")


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Replace `_codecs.encode`, which pickled byte strings of Python 2 call."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"unexpected encoding {encoding!r}")
    return text.encode(encoding)


@functools.cache
def _allowed() -> dict[tuple[str, str], typing.Any]:
    """Return the only globals that a pickle may name, for NumPy arrays and plain values."""
    # NumPy's own helper functions, whose module differs between NumPy 1 and 2.
    reconstruct = np.zeros(1).__reduce__()[0]
    scalar = np.float32(0).__reduce__()[0]
    allowed: dict[tuple[str, str], typing.Any] = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _latin1,
    }
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
    def __init__(self, file: typing.BinaryIO, **options: typing.Any):
        super().__init__(file, **options)
        self._name = getattr(file, "name", "the file")

    def find_class(self, module: str, name: str) -> typing.Any:
        if (module, name) not in _allowed():
            raise refusal(self._name, f"{module}.{name}")
        return _allowed()[module, name]
