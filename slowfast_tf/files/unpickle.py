"""Read pickles of arrays and plain values without running any code in them."""

import functools
import os
import pickle
import re
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
            return _resolve(_Unpickler(file, encoding="latin1").load(), {})
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


class _Dtype:
    """Replaces `numpy.dtype`: the state in a pickle could make NumPy take numbers for addresses in memory."""

    def __init__(self, name: str, align: bool = False, copy: bool = False):
        self.name, self.order = name, "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]

    def read(self, raw: bytes | str) -> np.ndarray:
        """Return the values of an array, `[N]`."""
        if not re.fullmatch(r"[biufcSU]\d+", self.name):
            raise pickle.UnpicklingError(f"arrays of type {self.name!r} cannot be read")
        dtype = np.dtype((self.order if self.order in "<>" else "=") + self.name)
        return np.frombuffer(raw.encode("latin1") if isinstance(raw, str) else raw, dtype)  # str: of Python 2


class _Array:
    """Replaces `numpy.ndarray` and the function that creates one; `_resolve` puts `content` in its place."""

    content: np.ndarray | list | None = None

    def __init__(self, *arguments: typing.Any):
        pass  # the state has everything

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, raw = state
        if isinstance(raw, list):  # an array of Python objects
            self.content = raw
        else:
            self.content = dtype.read(raw).reshape(shape, order="F" if is_fortran else "C").copy()


def _scalar(dtype: _Dtype, raw: bytes | str) -> typing.Any:
    """Replace NumPy's function that creates a scalar."""
    return dtype.read(raw)[0]


def _resolve(value: typing.Any, known: dict[int, tuple]) -> typing.Any:
    """Return a value with the arrays in place of each `_Array`, in lists, dictionaries and tuples of any depth.

    Args:
        value: the value; lists and dictionaries are changed.
        known: by the id of a value, the value itself, which keeps the id in use, and its result.
    """
    if id(value) not in known:
        known[id(value)] = value, value  # for a list or a dictionary that contains itself
        if isinstance(value, _Array):
            known[id(value)] = value, _resolve(value.content, known)
        elif isinstance(value, list):
            value[:] = [_resolve(item, known) for item in value]
        elif isinstance(value, dict):
            value.update({key: _resolve(item, known) for key, item in value.items()})
        elif isinstance(value, tuple):
            known[id(value)] = value, tuple(_resolve(item, known) for item in value)
    return known[id(value)][1]


@functools.cache
def _allowed() -> dict[tuple[str, str], typing.Any]:
    """Return the only globals that a pickle may name, for NumPy arrays and plain values."""
    allowed: dict[tuple[str, str], typing.Any] = {
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _latin1,
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):  # of NumPy 1 and 2
        allowed[module, "_reconstruct"] = _Array
        allowed[module, "scalar"] = _scalar
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
