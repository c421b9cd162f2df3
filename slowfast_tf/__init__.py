"""SlowFast networks for video recognition (arXiv 1812.03982) in TensorFlow and Keras."""

import importlib
import os
import sys
from typing import Any

__version__ = "0.1.0"

# TensorFlow turns oneDNN on by itself on x86-64 CPUs with VNNI only; training takes several times as long without.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Imported on first use.
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

    While Python looks for the module of -m, it calls the program "-m"; `sys.orig_argv` has the module's name, just
    before the arguments. Other programs that run with -m (`python -m their_package.run`) look the same but for it.
    """
    program = sys.argv[0] if sys.argv else ""
    if program == "-m":
        program = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
        return program.partition(".")[0] == __name__
    return os.path.splitext(os.path.basename(program))[0] == __name__


# Keras knows a class in a saved model only by what was registered: `import slowfast_tf; keras.models.load_model(path)`.
# A command of ours imports TensorFlow by itself and later, since that takes seconds: a mistyped option is answered at
# once.
if not _is_own_command():
    for _name in ("models.slowfast", "training.losses", "training.optimizers", "training.schedules"):
        importlib.import_module(f".{_name}", __name__)
