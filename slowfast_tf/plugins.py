"""Import the modules in a configuration's `plugins`, which register classes with Keras or TensorFlow."""

import importlib
import warnings
from collections.abc import Iterable

from .errors import InputError

# Versions of TensorFlow that the last releases of these packages support; both are in the extra "legacy".
RUNS_ON = {
    "tensorflow_addons": "TensorFlow 2.15 and older, with Keras 2",
    "tensorflow_io": "TensorFlow before 2.18",
}


def load_plugins(names: Iterable[str]) -> None:
    """Import plugins: Keras can then find their optimizers and layers by name, and TensorFlow their file systems.

    Args:
        names: names of modules, such as "tensorflow_addons".

    Raises:
        InputError: if a plugin cannot be imported; the message has the versions of TensorFlow that it supports, if
            known.
    """
    for name in names:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                importlib.import_module(name)
            except Exception as error:  # a module for another version may raise any exception
                raise InputError(_refusal(name, f"{type(error).__name__}: {error}")) from error
        # If its libraries do not match TensorFlow, tensorflow_io only warns and continues without them.
        lost = [str(warning.message) for warning in caught if "plugins are not loaded" in str(warning.message)]
        if lost:
            raise InputError(_refusal(name, lost[0]))


def _refusal(name: str, cause: str) -> str:
    import tensorflow as tf

    cause = " ".join(cause.split())[:300]
    advice = "install it, or remove it from plugins"
    package = name.partition(".")[0]
    if package in RUNS_ON:
        advice = f"it runs on {RUNS_ON[package]}: pip install 'slowfast_tf[legacy]' on Python 3.10 or 3.11"
    return f"plugins: {name} cannot be loaded with TensorFlow {tf.__version__} ({cause}); {advice}"
