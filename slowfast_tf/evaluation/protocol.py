"""Choose the protocol of a test: the model's own, with the fields that the user overrides."""

import dataclasses
import json
from collections.abc import Collection, Sequence
from typing import Any

from ..errors import InputError
from ..models.spec import SlowFastSpec
from ..models.views import Views

# Fields of a spec that affect the scores and can be overridden, and fields that belong to the weights.
OVERRIDABLE = (
    "stride",
    "frame_rate",
    "frame_index",
    "views",
    "person_score",
    "crop_size",
    "mean",
    "std",
    "channel_order",
    "activation",
)
FIXED = ("pathways", "frames", "alpha", "slow_input", "fast_input")
# The fields that identify a preset. Published networks differ from their preset in other fields.
PRESET = ("pathways", "depth", "fast_depth", "head", "frames", "alpha")
# Fields that affect training only.
TRAINING = ("dropout",)


def choose(
    model: SlowFastSpec, configured: SlowFastSpec, overridden: Collection[str] = (), unstated: Collection[str] = ()
) -> tuple[SlowFastSpec, list[str]]:
    """Return the protocol of a test: the model's own, with the fields that the user overrides.

    Args:
        model: the model's spec.
        configured: the spec of the configuration, with its overrides.
        overridden: keys that the user set explicitly, such as {"model.frame_rate", "test.clips"}.
        unstated: fields that are missing in the model's file because an earlier version wrote it. They are taken from
            the configuration.

    Returns:
        The spec for the test, and at most two lines that say where model and configuration differ and which is used.

    Raises:
        InputError: if an override changes a field that belongs to the weights.

    Example:
        >>> model = get_spec("slowfast_8x8_r50", frame_rate=30.0)
        >>> choose(model, get_spec("slowfast_8x8_r50"), overridden={"model.frame_rate"})[0].frame_rate is None
        True
    """
    if "model.preset" in overridden:
        # The kind of non-local block may differ between a published network and its preset.
        kind = ("nonlocal_kind",) if "none" in (model.nonlocal_kind, configured.nonlocal_kind) else ()
        overridden = {*overridden, *(f"model.{name}" for name in (*PRESET, *kind))}
    for name in (field.name for field in dataclasses.fields(SlowFastSpec)):
        if name in (*OVERRIDABLE, *TRAINING):
            continue
        ours, theirs = getattr(model, name), getattr(configured, name)
        if f"model.{name}" in overridden and ours != theirs:
            raise InputError(f"model.{name}: the weights are for {_text(ours)}; received {_text(theirs)}", "overrides")
    changes, models, configurations = {}, [], []
    for name in (*FIXED, *OVERRIDABLE):
        ours, theirs = getattr(model, name), getattr(configured, name)
        if ours == theirs or (name == "person_score" and model.head != "roi"):
            continue
        if f"model.{name}" in overridden:
            changes[name] = theirs
        elif name in unstated:
            changes[name] = theirs
            configurations.append(f"{name} {_text(theirs)}")
        else:
            if name == "views":
                ours = changes[name] = _override_views(ours, theirs, overridden)
            if ours != theirs:
                models.append(f"{name} {_text(ours)}, not {_text(theirs)}")
    lines = []
    if models:
        lines.append(f"the model's own protocol is used: {'; '.join(models)}; --set overrides it")
    if configurations:
        stated = "; ".join(configurations)
        lines.append(f"taken from the configuration, because an earlier version did not save it in the model: {stated}")
    try:
        return dataclasses.replace(model, **changes), lines
    except ValueError as error:
        raise InputError(f"the configuration does not fit the model: {error}") from error


def _override_views(model: Views, configured: Views, overridden: Collection[str]) -> Views:
    """Return the model's views, with the configured values of the fields that the user set."""
    names = (field.name for field in dataclasses.fields(Views))
    return dataclasses.replace(model, **{n: getattr(configured, n) for n in names if f"test.{n}" in overridden})


def check_labels(model: Sequence[str], dataset: Sequence[str]) -> None:
    """Check that the classes of a model are those of a data set, in the same order.

    Case, spaces and punctuation are ignored. A model without class names passes. A class also passes if its name in the
    data set is its index, as in lists of numbers, or if one of the names is "action N", as earlier versions named
    classes of AVA.

    Args:
        model: class names of the model.
        dataset: class names of the data set.

    Raises:
        InputError: if a class differs; the message has the first such class.

    Example:
        >>> check_labels(["walk", "sit down"], ["Walk", "sit_down"])
    """
    for index, (ours, theirs) in enumerate(zip(model, dataset)):
        unnamed = (theirs == str(index) and not ours.isdecimal()) or f"action {index + 1}" in (ours, theirs)
        if not unnamed and _plain(ours) != _plain(theirs):
            same = sorted(map(_plain, model)) == sorted(map(_plain, dataset))
            order = ", which has the same classes in another order" if same else ""
            raise InputError(
                f"the model's classes are not those of the data set: class {index} is {ours!r} in the model and"
                f" {theirs!r} in the data set{order}; test the model on data with its own classes"
            )


def _plain(label: str) -> str:
    return "".join(character for character in label.casefold() if character.isalnum())


def _text(value: Any) -> str:
    return value.describe() if isinstance(value, Views) else json.dumps(value)
