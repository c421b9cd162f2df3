"""SlowFast networks for video recognition (arXiv 1812.03982) in TensorFlow and Keras."""

import importlib

__version__ = "0.1.0"

# Loaded when they are asked for: TensorFlow takes seconds to import, and a mistyped command must not.
_HOMES = {
    "PRESETS": ".models.presets",
    "SlowFast": ".models.slowfast",
    "SlowFastSpec": ".models.spec",
    "from_pretrained": ".checkpoints",
    "load": ".models.slowfast",
}
_MODULES = ("checkpoints", "config", "data", "evaluation", "exporting", "models", "training")

__all__ = [*_HOMES, *_MODULES]


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name], __name__), name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
