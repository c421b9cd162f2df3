"""Load a model by name: a path, an address, a published network, or a repository of the Hugging Face Hub."""

import dataclasses
import difflib
import os
from typing import TYPE_CHECKING

from .. import config
from ..errors import InputError, RunError
from ..files import remote
from ..models.presets import PRESETS, get_spec
from ..models.saved import read_saved_spec
from ..models.spec import SlowFastSpec
from . import hub, zoo

if TYPE_CHECKING:
    from ..models.slowfast import SlowFast

DEFAULT = "slowfast_8x8_r50_k400"
FORMS = "a .keras file, a run's directory, a published name or hf://OWNER/REPO"


def load(name: str | os.PathLike, compile: bool = False) -> "SlowFast":
    """Return a model by path or name, with its protocol as `model.spec`.

    Code in a file never runs: Keras' safe mode is on.

    Args:
        name: the first of these that matches:
            - a path: a `.keras` file, or the directory of a run with `model.keras`;
            - an address of a `.keras` file, such as `s3://bucket/model.keras`;
            - `hf://OWNER/REPO` or `hf://OWNER/REPO@REVISION`: `model.keras` in a repository of the Hugging Face Hub,
              or its only `.keras` file;
            - a published network, such as "slowfast_8x8_r50_k400", as in `from_pretrained`.
        compile: whether to compile the model as it was saved, with the optimizer's state. A published network has no
            such state.

    Raises:
        InputError: if the name is unknown, the file is missing, the download fails, or the file is not a model of this
            package.

    Example:
        >>> model = slowfast_tf.load("runs/demo")  # doctest: +SKIP
        >>> model.spec.labels[:2]  # doctest: +SKIP
        ('circle_left', 'circle_right')
    """
    name = os.fspath(name)
    check_name(name)
    published = _published(name)
    if published:
        return zoo.from_pretrained(published)
    path = hub.fetch(name) if _in_repository(name) else name

    from ..models.slowfast import load_model

    model = load_model(path, compile)
    if model.unstated:
        model.state(_spec_of_run(path))
    return model


def read_spec(name: str | os.PathLike) -> SlowFastSpec:
    """Return the spec of a model without loading it: without TensorFlow, and without downloading published weights.

    Args:
        name: as for `load`, or the name of a preset.

    Raises:
        InputError: as `load`.

    Example:
        >>> read_spec("slowfast_8x8_r50_k400").frame_rate
        30
    """
    name = os.fspath(name)
    check_name(name, presets=True)
    published = _published(name)
    if published:
        return zoo.MODELS[published].spec()
    if is_preset(name):
        return get_spec(name)
    path = hub.fetch(name) if _in_repository(name) else name
    spec, unstated = read_saved_spec(remote.fetch_file(name) if path == name and remote.is_remote(name) else path)
    run = _spec_of_run(path) if unstated else None
    return dataclasses.replace(spec, **{field: getattr(run, field) for field in unstated}) if run else spec


def check_name(name: str | os.PathLike, presets: bool = False) -> None:
    """Check a name for `load` without TensorFlow, downloads or reading files.

    Args:
        name: as for `load`.
        presets: whether the caller also accepts the name of a preset, for random weights.

    Raises:
        InputError: if `name` is not a path, an address or a known name; the message has the most similar name.

    Example:
        >>> check_name("slowfast_8x8_r50")
        Traceback (most recent call last):
        slowfast_tf.errors.InputError: slowfast_8x8_r50: a preset, which has no weights; ...slowfast_8x8_r50_k400
    """
    name = os.fspath(name)
    if os.path.exists(name):
        return
    if hub.is_repository(name):
        hub.check(name)
    elif not (remote.is_remote(name) or _published(name) or (presets and name in PRESETS)):
        known = [*zoo.MODELS, *(key.rpartition("_")[0] for key in zoo.MODELS), *(PRESETS if presets else ())]
        close = difflib.get_close_matches(name, known, n=1)
        if name in PRESETS:
            same = f"{name}_k400"
            nearest = same if _published(same) else (close or [DEFAULT])[0]
            raise InputError(f"{name}: a preset, which has no weights; the nearest published network is {nearest}")
        also = ", nor a preset" if presets else ""
        hint = f"did you mean {close[0]!r}?" if close else f"give {FORMS}"
        raise InputError(f"{name}: no such file, and no published network of that name{also}; {hint}")


def is_preset(name: str) -> bool:
    """Return whether a name is a preset, and neither a path nor a published network of the same name.

    Example:
        >>> is_preset("slowfast_8x8_r50"), is_preset("slowfast_8x8_r50_k400")
        (True, False)
    """
    return name in PRESETS and not os.path.exists(name) and not _published(name)


def _published(name: str) -> str | None:
    """Return the key of the published network for a name; None for a path or an unknown name."""
    if os.path.exists(name):
        return None
    try:
        return zoo.published_name(name)
    except InputError:
        return None


def _in_repository(name: str) -> bool:
    return hub.is_repository(name) and not os.path.exists(name)


def _spec_of_run(path: str | os.PathLike) -> SlowFastSpec | None:
    """Return the spec of the configuration beside a model, for fields that a file of an earlier version lacks."""
    path = os.fspath(path)
    run = path if os.path.isdir(path) else path.rpartition("/")[0]
    place = f"{run}/config.json" if run else "config.json"
    try:
        return config.load(remote.fetch_file(place) if remote.is_remote(place) else place).spec()
    except (InputError, RunError):
        return None  # the model is not in the directory of its run
