"""Prepared data sets: videos as TensorFlow records.

`prepare.prepare` writes a directory of records. `read_index` reads its index, `read_records` iterates over its records,
and `parse` parses one record.
"""

import importlib
import typing

if typing.TYPE_CHECKING:
    from .format import encode, parse, parse_head
    from .shards import INDEX, read_index, read_records

__all__ = ["INDEX", "encode", "parse", "parse_head", "read_index", "read_records"]


def __getattr__(name: str) -> typing.Any:
    # Imported on first use: commands import `prepare` of this package before TensorFlow, which takes seconds to import.
    for module in ("format", "shards") if name in __all__ else ():
        found = importlib.import_module(f".{module}", __name__)
        if hasattr(found, name):
            return getattr(found, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
