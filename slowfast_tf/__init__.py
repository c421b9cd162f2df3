"""SlowFast networks for video recognition (arXiv 1812.03982) in TensorFlow and Keras."""

import importlib
import os
import sys
from typing import Any

__version__ = "1.0.0"

# By default TensorFlow enables oneDNN only on x86-64 CPUs with VNNI. Without oneDNN, training is several times slower.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Public names that are imported on first use, and their modules.
_HOMES = {
    "PRESETS": ".models.presets",
    "SlowFast": ".models.slowfast",
    "SlowFastSpec": ".models.spec",
    "from_pretrained": ".checkpoints",
    "load": ".checkpoints.names",
}
_MODULES = ("checkpoints", "config", "data", "evaluation", "exporting", "inference", "models", "training")

__all__ = [*_HOMES, *_MODULES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name], __name__), name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _is_own_command() -> bool:
    """Return whether this process is `python -m slowfast_tf.X` or `slowfast_tf X`, not a program that imports us.

    While Python looks for the module of -m, `sys.argv[0]` is "-m". This is also the case for other programs that run
    with -m (`python -m their_package.run`). The name of the module is in `sys.orig_argv`, just before the arguments.
    """
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":
        program = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
        return program.partition(".")[0] == __name__
    return os.path.splitext(os.path.basename(program))[0] == __name__


# Keras finds a class of a saved model only if it is registered: `import slowfast_tf; keras.models.load_model(path)`.
# Our commands import TensorFlow later, because it takes seconds: they report wrong options first.
if not _is_own_command():
    for _name in ("models.slowfast", "training.losses", "training.optimizers", "training.schedules"):
        importlib.import_module(f".{_name}", __name__)
