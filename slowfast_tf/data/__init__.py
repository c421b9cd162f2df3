"""From videos to batches: `load` gives the batches of a configuration, `Clips` every way to read a split."""

import importlib
import typing

if typing.TYPE_CHECKING:
    from .pipeline import Clips, load

__all__ = ["Clips", "load"]


def __getattr__(name: str) -> typing.Any:
    # On demand: the configuration reads `data.datasets` and needs no TensorFlow, which takes seconds to import.
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.pipeline"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
