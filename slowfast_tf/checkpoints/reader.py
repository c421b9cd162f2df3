"""Read checkpoint files of other libraries into NumPy arrays without running any code in them."""

import os
import pathlib
import pickle
import re
import zipfile
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import unpickle

KIND = "PyTorch or Caffe2 checkpoint"

# Before version 1.6 torch.save wrote a pickle that starts with this number.
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def is_hdf5(path: str | os.PathLike) -> bool:
    """Return whether `path` is an HDF5 file, the format of Keras Applications' weights."""
    with open(path, "rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def read_arrays(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], str | None]:
    """Read a PyTorch or Caffe2 checkpoint.

    Args:
        path: a `.pyth` or `.pth` file (PyTorch), or a `.pkl` file (Caffe2's `{"blobs": {...}}`, from Python 2 or 3).

    Returns:
        A dictionary from the parameter names in the file to arrays, and the text of the configuration in the file,
        which PySlowFast and MMAction2 store (None without a configuration).

    Raises:
        InputError: if the file is missing, is damaged, has another format, or asks to run code.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"no such file: {path}; give the path of a checkpoint")
    with open(path, "rb") as file:
        start = file.read(len(_OLD_TORCH))
    content = _read_torch(path) if zipfile.is_zipfile(path) or start == _OLD_TORCH else unpickle.read_pickle(path, KIND)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}; a checkpoint is a dictionary of parameters")
    meta = content.get("meta")
    config = content.get("cfg", meta.get("cfg") if isinstance(meta, dict) else None)
    for wrapper in ("model_state", "state_dict", "blobs"):
        if isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    return {str(name): _array(value) for name, value in content.items()}, config if isinstance(config, str) else None


def _array(value: Any) -> np.ndarray:
    if hasattr(value, "detach"):  # a torch tensor; NumPy has no bfloat16
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    return value if isinstance(value, np.ndarray) else np.array(value, dtype=object)  # such as a number of iterations


def _read_torch(path: pathlib.Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise InputError(f"reading {path} needs PyTorch: pip install 'slowfast_tf[convert]'") from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if asked:
            raise unpickle.refusal(path, asked.group(1)) from error
        raise unpickle.damaged(path, KIND, error) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise unpickle.damaged(path, KIND, error) from error
