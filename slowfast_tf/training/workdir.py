"""Check that a work directory is new or holds a run of the same configuration."""

import json
import pathlib
from typing import Any

from .. import config
from ..checkpoints.names import check_name
from ..errors import InputError
from ..files.atomic import is_writable

SHOWN = 3  # maximum number of differing keys in a message


def check_workdir(workdir: pathlib.Path, settings: config.Config) -> None:
    """Check that a run can start in a work directory, or that it holds a run of the same configuration.

    Args:
        workdir: the run's work directory; it need not exist.
        settings: the configuration to run.

    Raises:
        InputError: if the configurations differ (the message has the differing keys and both values), if the directory
            has a model but no configuration, if `train.init` of a new run does not name a model, if the directory
            cannot be written, or as `Config.check_new_run`.
    """
    path = pathlib.Path(workdir) / "config.json"
    if not is_writable(path):
        raise InputError(f"cannot write to the work directory {workdir}; give another --workdir")
    if not path.exists():
        for file in (path.with_name("model.keras"), *path.parent.glob("checkpoints/epoch_*.keras")):
            if file.exists():  # of an unknown configuration; a run would resume from it, or replace it
                raise InputError(f"{workdir} has {file.relative_to(workdir)}, but no config.json", argument="workdir")
        settings.check_new_run()
        if settings.train.init:
            try:
                check_name(settings.train.init)
            except InputError as error:
                raise InputError(f"train.init {error}") from error
        return
    found = different(workdir, settings)
    if found:
        raise InputError(f"{workdir} holds a run of another configuration ({found})", argument="workdir")


def different(workdir: pathlib.Path, settings: config.Config) -> str:
    """Return the keys that differ between a run's configuration and `settings`; see `differences`."""
    # Load the file as a configuration, which fills in keys that earlier versions did not write.
    there = config.load(pathlib.Path(workdir) / "config.json")
    return differences(_resolved(there), _resolved(settings))


def _resolved(settings: config.Config) -> dict[str, Any]:
    """Return a configuration with the values of its network: a default that is given equals one that is not."""
    values = settings.model_dump(mode="json")
    network = json.loads(json.dumps(settings.spec().as_dict()))
    del network["views"]  # these are the section "test"
    return {**values, "model": {**values["model"], **network}}


def differences(there: dict[str, Any], here: dict[str, Any], place: str = "there") -> str:
    """Return the keys that differ between two nested dictionaries, with both values; empty if none differs.

    Args:
        there: the other dictionary.
        here: the own dictionary.
        place: where the other dictionary is.

    Example:
        >>> differences({"train": {"epochs": 1}}, {"train": {"epochs": 2}})
        'train.epochs: 1 there, 2 here'
    """
    there, here = _flatten(there), _flatten(here)
    differing = [key for key in {**here, **there} if there.get(key) != here.get(key)]
    shown = [f"{key}: {_text(there.get(key))} {place}, {_text(here.get(key))} here" for key in differing[:SHOWN]]
    if len(differing) > SHOWN:
        shown.append(f"and {len(differing) - SHOWN} more")
    return "; ".join(shown)


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested dictionaries by dotted keys, such as "train.epochs"."""
    flat = {}
    for key, value in values.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def _text(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
