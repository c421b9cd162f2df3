"""What a run does, as JSON: a typed schema, inheritance ("base"), overrides, and errors in one clear line.

No TensorFlow here: a mistake in a configuration is answered at once.
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
