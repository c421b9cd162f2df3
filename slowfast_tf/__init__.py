"""SlowFast networks for video recognition (arXiv 1812.03982) in TensorFlow and Keras."""

import importlib
import os
import sys

__version__ = "0.1.0"

# TensorFlow turns oneDNN on by itself on x86-64 CPUs with VNNI only; training takes several times as long without.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# Loaded when they are asked for: TensorFlow takes seconds to import, and a mistyped command is answered at once.
_HOMES = {
    "PRESETS": ".models.presets",
    "SlowFast": ".models.slowfast",
    "SlowFastSpec": ".models.spec",
    "from_pretrained": ".checkpoints",
    "load": ".models.slowfast",
}
_MODULES = ("checkpoints", "config", "data", "evaluation", "exporting", "inference", "models", "training")

__all__ = [*_HOMES, *_MODULES]


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name], __name__), "load_model" if name == "load" else name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})


# While Python looks for the module of `python -m slowfast_tf.train`, it calls the program "-m". Anyone else may go on
# to `keras.models.load_model`, which must know our classes by then.
if sys.argv[:1] != ["-m"]:
    from .runtime import without_remarks as _without_remarks

    with _without_remarks():  # of TensorFlow, on this machine's devices
        from .models import slowfast as _slowfast  # noqa: F401
        from .training import losses as _losses  # noqa: F401
        from .training import optimizers as _optimizers  # noqa: F401
        from .training import schedules as _schedules  # noqa: F401
