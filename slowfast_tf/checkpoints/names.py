"""From a name to a model: a path, a published network, or a repository of the Hugging Face Hub."""

import dataclasses
import os
import pathlib

from .. import config
from ..errors import InputError
from ..models.slowfast import SlowFast, load_model


def load(name: str | os.PathLike) -> SlowFast:
    """Return a saved model, with its protocol as `model.spec`.

    Args:
        name: a `.keras` file, also at an address such as `s3://bucket/model.keras`; or the directory of a run that
            holds `model.keras`.

    Raises:
        InputError: for a missing file, or one that holds no model of this package.

    Example:
        >>> model = slowfast_tf.load("runs/demo")
        >>> model.spec.labels[:2]
        ('circle_left', 'circle_right')
    """
    model = load_model(name)
    if model.unstated:
        _state(model, pathlib.Path(name))
    return model


def _state(model: SlowFast, path: pathlib.Path) -> None:
    """Take from the configuration of the run what a file of an earlier version does not state."""
    run = path if path.is_dir() else path.parent
    try:
        spec = config.load(run / "config.json").spec()
    except InputError:
        return  # the file lies elsewhere
    model.spec = dataclasses.replace(model.spec, **{name: getattr(spec, name) for name in model.unstated})
    model.unstated = ()
