"""Read the spec of a saved model, and check the file before the model is built. Does not import TensorFlow."""

import io
import json
import os
import pathlib
import zipfile
from typing import Any

from ..errors import InputError
from .cost import total
from .spec import SlowFastSpec, saved_spec

REGISTERED = "slowfast_tf>SlowFast"
# Arguments of `SlowFast` that a file holds in addition to the spec, and their allowed values.
OPTIONS = {
    "lowering": ("conv3d", "conv2d"),
    "folded": (False, True),
    "synchronized": (False, True),
    "dtype": ("float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"),
}
MOST_UNPACKED = 20  # times the file size: weights hardly compress, and a zip bomb unpacks to a thousand times its size


def read_saved_spec(path: str | os.PathLike) -> tuple[SlowFastSpec, tuple[str, ...]]:
    """Read the spec of a saved model without TensorFlow, and check that the file holds enough weights for it.

    Args:
        path: a `.keras` file, or the directory of a run that holds `model.keras`.

    Returns:
        The spec, and the names of the fields that the file lacks because an earlier version wrote it.

    Raises:
        InputError: if the file does not exist, holds no model of this package, or was written by a newer version; or if
            its spec is out of bounds or has far more parameters than the file holds.

    Example:
        >>> read_saved_spec("runs/demo")[0].frames  # doctest: +SKIP
        2
    """
    path = pathlib.Path(path)
    if path.is_dir():
        if not (path / "model.keras").is_file():
            raise InputError(f"{path} is a directory without model.keras; give the directory of a finished run")
        path = path / "model.keras"
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_UNPACKED * path.stat().st_size:
                raise ValueError(f"it unpacks to more than {MOST_UNPACKED} times its size")
            content = json.loads(archive.read("config.json"))
            if content["registered_name"] != REGISTERED:
                raise ValueError(f"it holds a {str(content['class_name'])[:40]}")
            config = content["config"]
            spec, unstated = saved_spec(config["preset"])
            _check_options(config)
            _check_weights(archive, spec)
        return spec, unstated
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file can raise any exception
        raise InputError(
            f"{path} holds no network of slowfast_tf ({first_line(error)}); give a .keras file that it saved"
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of a message, cut to 300 characters; the name of the exception if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _check_options(config: dict[str, Any]) -> None:
    """Raise a ValueError if `SlowFast` does not have an argument, or does not accept its value."""
    others = set(config) - {"preset", "name", "frozen", *OPTIONS}
    if others:
        raise ValueError(f"it has {min(others)!r}, which no network has")
    for name, allowed in OPTIONS.items():
        value = config.get(name, allowed[0])
        if type(value) is not type(allowed[0]) or value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}; got {str(value)[:40]!r}")
    names = [config.get("name", ""), *config.get("frozen", ())]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"name and frozen take names; got {str(names)[:40]}")


def _check_weights(archive: zipfile.ZipFile, spec: SlowFastSpec) -> None:
    """Raise a ValueError if a file holds far fewer weights than its spec has parameters.

    Keras compares the shapes only after it has built the network. A file with the weights of width 8 that declares
    width 1024 would first take 20 GB. A folded network has slightly fewer weights than parameters.
    """
    import h5py

    held = 0

    def count(name: str, item: Any) -> None:
        nonlocal held
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
            if item.external or item.is_virtual:
                raise ValueError(f"its {name} is in another file")
            held += min(item.size or 0, item.id.get_storage_size())  # HDF5 can declare a shape without values

    content = io.BytesIO(archive.read("model.weights.h5"))  # seeking in the archive itself takes 3 s for an R50
    with h5py.File(content, "r") as file:
        file.visititems(count)
    parameters = total(spec, spec.crop_size)["parameters"]
    if parameters > 2 * held:
        raise ValueError(f"its spec has {parameters:,} parameters, and it holds {held:,} weights")
