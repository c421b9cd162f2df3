"""What a checkpoint without a configuration does not state, from the published networks that it can be."""

import pathlib
from typing import Any

from ..errors import InputError
from ..labels import BOXES, DATASETS
from ..models.presets import PRESETS, get_spec
from .published import MODELS, Published

# Fields that change no parameter. The first three are those of a preset that are also known for new classes.
CLIP = ("frames", "stride", "alpha")
NONLOCAL = ("nonlocal_kind", "nonlocal_pool", "nonlocal_pool_last")


def unstated_fields(
    path: pathlib.Path, stated: dict[str, Any], publisher: str, preset: str | None, given: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """Return the fields of `SlowFastSpec` that a file does not state, if there is only one answer.

    The published networks of the same publisher, data set and architecture give them where all of these agree. The
    number of classes tells the data set. A number that no data set has is of a network that was trained further: it
    has the frames of those for Kinetics-400, and says nothing of views.

    Args:
        path: of the file, for messages.
        stated: what its parameters tell.
        publisher: whose form the file has, such as "pyslowfast".
        preset: name of a preset or of a published network (also without its publisher), to choose where they do not
            agree; or None.
        given: fields that the caller gives, which need no answer.

    Returns:
        The fields, and one line on what was assumed (empty where nothing was).

    Raises:
        InputError: where there is more than one answer, or none; `argument` is "preset" or "activation".
    """
    dataset = _dataset(stated)
    fits = {name: p for name, p in MODELS.items() if name.endswith(f"_{publisher}") and _fits(p, stated, dataset)}
    known = next((name for name in (preset, f"{preset}_{publisher}") if name in MODELS and preset not in PRESETS), None)
    if known:
        if known not in fits:
            raise InputError(f"{path} is not {known}: its parameters are of another network or data set")
        fields, assumed = MODELS[known].fields, ""
    elif preset:
        fields, assumed = fields_of_preset(path, stated, preset), ""
        if dataset:  # the views and the like of the published networks that take the same frames
            alike = [p.fields for p in fits.values() if all(p.fields[name] == fields[name] for name in CLIP)]
            shared = {name: v for name, v in (alike or [{}])[0].items() if all(other.get(name) == v for other in alike)}
            fields = {**shared, **fields}
    else:
        fields, name = _agreed(path, fits, dataset, given)
        assumed = f"assumed {_text(fields)}, as {name}: the file does not say" if fields else ""
    if "activation" not in {**stated, **fields, **given}:
        fields = {**fields, "activation": _activation(path, stated, dataset)}
    return fields, assumed


def _dataset(stated: dict[str, Any]) -> str | None:
    """Return the data set of a network, from the number of its classes."""
    for name, classes in DATASETS.items():
        if classes == stated["num_classes"] and (name in BOXES) == (stated.get("head") == "roi"):
            return name
    return None


def _fits(published: Published, stated: dict[str, Any], dataset: str | None) -> bool:
    """Return whether a file can be of a published network, or of one that was trained from it."""
    if published.dataset != (dataset or "kinetics400"):
        return False
    spec = published.spec()
    free = ("width", "beta_inv", "num_classes", "head", "roi_aligned", *published.fields)
    same = all(getattr(spec, field) == value for field, value in stated.items() if field not in free)
    return same and ("nonlocal_blocks" in stated) == (spec.nonlocal_kind != "none")


def _agreed(
    path: pathlib.Path, fits: dict[str, Published], dataset: str | None, given: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """Return what all published networks that fit have in common, and the name of one."""
    answers: dict[str, dict[str, Any]] = {}
    for name, published in fits.items():
        fields = {f: v for f, v in published.fields.items() if f not in given and (dataset or f in (*CLIP, *NONLOCAL))}
        fields.pop("crop_size", None)  # multigrid training's tests have another; the one of most tests is assumed
        if fields not in answers.values():
            answers[name] = fields
    if len(answers) > 1:
        raise InputError(
            f"{path} does not say which of these networks it is, and their scores differ: {', '.join(answers)}",
            argument="preset",
        )
    if not answers:
        if {*CLIP} <= set(given):
            return {}, ""
        raise InputError(
            f"{path} does not say how many frames its network takes, at which stride, and no published network is like"
            " it; a preset is needed",
            argument="preset",
        )
    ((name, fields),) = answers.items()
    return fields, name


def fields_of_preset(path: pathlib.Path, stated: dict[str, Any], preset: str) -> dict[str, Any]:
    spec = get_spec(preset)
    fits = {"pathways": stated["pathways"], "depth": stated["depth"]}
    for field, value in fits.items():
        if getattr(spec, field) != value:
            raise InputError(
                f"{path} has {field} {value}, but preset {preset} has {getattr(spec, field)}; name a preset that fits"
            )
    nonlocal_blocks = "nonlocal_blocks" in stated
    if nonlocal_blocks != (spec.nonlocal_kind != "none"):
        has = "non-local blocks, and preset {} has none" if nonlocal_blocks else "no non-local block, as preset {} has"
        raise InputError(f"{path} has {has.format(preset)}; name a preset that fits")
    names = [*CLIP, *(NONLOCAL if nonlocal_blocks else ()), *(("roi_time",) if stated.get("head") == "roi" else ())]
    return {name: getattr(spec, name) for name in names}


def _activation(path: pathlib.Path, stated: dict[str, Any], dataset: str | None) -> str:
    if dataset is None:
        raise InputError(
            f"{path} has {stated['num_classes']} classes, as no known data set, and does not say whether a clip has"
            " one of them (softmax) or any number (sigmoid)",
            argument="activation",
        )
    return "sigmoid" if dataset in ("ava", "charades") else "softmax"


def _text(fields: dict[str, Any]) -> str:
    alpha = f", alpha {fields['alpha']}" if "alpha" in fields else ""
    return f"{fields.get('frames', '')}x{fields.get('stride', '')}{alpha}"
