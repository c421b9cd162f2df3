"""From a name to a model: a path, an address, a published network, or a repository of the Hugging Face Hub."""

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

    No code from a file runs: Keras' safe mode is on.

    Args:
        name: the first of these that fits.
            a path: a `.keras` file, or the directory of a run that holds `model.keras`;
            an address of a `.keras` file, such as `s3://bucket/model.keras`;
            `hf://OWNER/REPO` or `hf://OWNER/REPO@REVISION`: `model.keras` of a repository of the Hugging Face Hub,
            or its only `.keras` file;
            a published network, such as "slowfast_8x8_r50_k400", as in `from_pretrained`.
        compile: whether to compile it as it was saved, with the optimizer's state; a published network has none.

    Raises:
        InputError: for an unknown name, a missing file, a failed download, or a file that holds no model of this
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
    """Return the spec that a model has once it is loaded, without TensorFlow and without published weights.

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
    """Check a name for `load` without TensorFlow, a download or a look into files.

    Args:
        name: as for `load`.
        presets: whether the caller also takes the name of a preset, for random weights.

    Raises:
        InputError: if it is neither a path, an address nor a known name; the message has the nearest name.

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
    """Return whether a name means a preset: a path or a published network of that name comes first.

    Example:
        >>> is_preset("slowfast_8x8_r50"), is_preset("slowfast_8x8_r50_k400")
        (True, False)
    """
    return name in PRESETS and not os.path.exists(name) and not _published(name)


def _published(name: str) -> str | None:
    """Return the published network that a name means; a path comes first."""
    if os.path.exists(name):
        return None
    try:
        return zoo.published_name(name)
    except InputError:
        return None


def _in_repository(name: str) -> bool:
    return hub.is_repository(name) and not os.path.exists(name)


def _spec_of_run(path: str | os.PathLike) -> SlowFastSpec | None:
    """Return the spec of the configuration beside a model, which says what a file of an earlier version does not."""
    path = os.fspath(path)
    run = path if os.path.isdir(path) else path.rpartition("/")[0]
    place = f"{run}/config.json" if run else "config.json"
    try:
        return config.load(remote.fetch_file(place) if remote.is_remote(place) else place).spec()
    except (InputError, RunError):
        return None  # the file lies elsewhere
