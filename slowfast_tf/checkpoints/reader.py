"""Reads foreign checkpoint files into NumPy arrays without running any code that they hold."""

import functools
import pathlib
import pickle
import re
import zipfile

import numpy as np

from ..cli import UserError

# What torch.save wrote before version 1.6: a pickle that begins with this number.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def is_hdf5(path):
    """Whether `path` is an HDF5 file, as Keras Applications publishes its weights."""
    with open(path, "rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def read_arrays(path):
    """Reads a PyTorch or Caffe2 checkpoint.

    Args:
        path: a `.pyth` or `.pth` file (PyTorch), or a `.pkl` file (Caffe2's `{"blobs": {...}}`, also of Python 2).

    Returns:
        A dictionary from parameter names as they stand in the file to arrays, and the text of the
        configuration that PySlowFast stores beside them (or None).

    Raises:
        UserError: for a file that is missing, damaged, of another kind, or that asks to run code.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f"no such file: {path}; give the path of a checkpoint")
    with open(path, "rb") as file:
        start = file.read(len(_OLD_TORCH))
    content = _read_torch(path) if zipfile.is_zipfile(path) or start == _OLD_TORCH else _read_pickle(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}; a checkpoint is a dictionary of parameters")
    config = content.get("cfg")
    for wrapper in ("model_state", "state_dict", "blobs"):
        if isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    return {str(name): _array(value) for name, value in content.items()}, config if isinstance(config, str) else None


def _array(value):
    if hasattr(value, "detach"):  # a torch tensor; NumPy has no bfloat16
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    return value if isinstance(value, np.ndarray) else np.array(value, dtype=object)  # other things stand there too


def _read_torch(path):
    try:
        import torch
    except ImportError as error:
        raise UserError(f"reading {path} needs PyTorch: pip install 'slowfast_tf[convert]'") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if asked:
            raise _refusal(path, asked.group(1)) from error
        raise _damaged(path, error) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise _damaged(path, error) from error


def _read_pickle(path):
    try:
        with open(path, "rb") as file:
            return _Unpickler(file, encoding="latin1").load()
    except UserError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise _damaged(path, error) from error


def _refusal(path, name):
    return UserError(
        f"{path} asks to run {name}, which no weights need; nothing was run."
        " Get the file from where it was published, or save its weights anew"
    )


def _damaged(path, error):
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return UserError(f"{path} is not a readable PyTorch or Caffe2 checkpoint ({reason}); download it again")


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
            raise _refusal(getattr(self._file, "name", "the file"), f"{module}.{name}")
        return _allowed()[module, name]

    def __init__(self, file, **kwargs):
        super().__init__(file, **kwargs)
        self._file = file
