"""Read videos as batches: `load` returns the batches of a configuration, `Clips` has every way to read a split."""

import importlib
import typing

if typing.TYPE_CHECKING:
    from .pipeline import Clips, load

__all__ = ["Clips", "load"]


def __getattr__(name: str) -> typing.Any:
    # Imported on first use: the configuration imports `data.datasets`, and importing TensorFlow takes seconds.
    if name in __all__:
        return getattr(importlib.import_module(f"{__name__}.pipeline"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
