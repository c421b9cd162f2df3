"""The configuration of a run, as JSON: a typed schema, inheritance ("base"), overrides and one-line errors.

It does not import TensorFlow, so an error in a configuration is reported immediately.
"""

from .loading import find, load, overridden, shipped
from .schema import Config, Data, Evaluation, Model, Prepare, Section, Train

__all__ = [
    "Config",
    "Data",
    "Evaluation",
    "Model",
    "Prepare",
    "Section",
    "Train",
    "find",
    "load",
    "overridden",
    "shipped",
]
