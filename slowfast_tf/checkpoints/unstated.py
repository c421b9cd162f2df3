"""Fill in the fields that a checkpoint lacks, from matching published networks or from a given name."""

import json
import pathlib
from typing import Any

from ..errors import InputError
from ..labels import BOXES, DATASETS
from ..models.presets import PRESETS, get_spec, nearest
from ..models.spec import NONLOCAL
from ..models.views import Views
from .published import MODELS, Published

# Fields that affect the outputs of a network, but not its parameters.
CLIP = ("frames", "stride", "alpha")
COMPUTATION = (*CLIP, *NONLOCAL, "roi_time")


def unstated_fields(
    path: pathlib.Path,
    shown: dict[str, Any],
    configured: dict[str, Any],
    publisher: str,
    preset: str | None,
    given: dict[str, Any],
) -> tuple[dict[str, Any], str]:
    """Return the fields of `SlowFastSpec` that a file lacks, if they are unambiguous.

    - A configuration in the file has all fields.
    - Without a configuration, matching published networks give the fields in which they agree. They match if the
      publisher, the data set and the architecture are the same.
    - A preset selects among the matching networks, and gives the fields that are still unknown.
    - The number of classes identifies the data set. If no data set has this number, the network was fine-tuned. It then
      has the frames of the networks for Kinetics-400, and its views are unknown.

    Args:
        path: path of the file, for messages.
        shown: fields that follow from the parameters.
        configured: fields of the configuration in the file; empty without a configuration.
        publisher: publisher whose format the file has, such as "pyslowfast".
        preset: name of a preset or of a published network (with or without its publisher), or None.
        given: fields that the caller gives, which need not be found.

    Returns:
        The fields, and one line that says what was assumed (empty if nothing was assumed).

    Raises:
        InputError: if the fields are ambiguous or unknown (`argument` is "preset" or "activation"), if the name is
            unknown, or if the named network does not match the file.
    """
    stated = {**shown, **configured}
    dataset = _dataset(stated)
    fits = {name: p for name, p in MODELS.items() if name.endswith(f"_{publisher}") and _fits(p, shown, dataset)}
    known = next((name for name in (preset, f"{preset}_{publisher}") if name in MODELS and preset not in PRESETS), None)
    named, agreed, assumed = {}, {}, ""
    if known:
        if known not in fits:
            raise InputError(f"{path} is not {known}: its parameters are of another network or data set")
        named = MODELS[known].fields
    elif preset:
        named = _fields_of_preset(path, stated, preset)
        if dataset and not configured:
            _check_clip(path, fits, preset, {f: v for f, v in named.items() if f not in given}, stated["pathways"])
    if configured:
        _check_configured(path, stated, preset, named)
    elif not known:
        if not preset:
            _check_agreement(path, fits, dataset, given)
        agreed, assumed = _agreed(fits, dataset, named, given)
    fields = {**named, **agreed}
    if "activation" not in {**stated, **fields, **given}:
        fields["activation"] = _activation(path, stated, dataset)
    return fields, assumed


def _dataset(stated: dict[str, Any]) -> str | None:
    """Return the data set of a network, from the number of its classes."""
    for name, classes in DATASETS.items():
        if classes == stated["num_classes"] and (name in BOXES) == (stated.get("head") == "roi"):
            return name
    return None


def _fits(published: Published, shown: dict[str, Any], dataset: str | None) -> bool:
    """Return whether a file may be a published network, or fine-tuned from it."""
    if published.dataset != (dataset or "kinetics400"):
        return False
    spec = published.spec()
    free = ("width", "beta_inv", "num_classes", "head", "roi_aligned", *published.fields)
    same = all(getattr(spec, field) == value for field, value in shown.items() if field not in free)
    return same and ("nonlocal_blocks" in shown) == (spec.nonlocal_kind != "none")


def _fields_of_preset(path: pathlib.Path, stated: dict[str, Any], preset: str) -> dict[str, Any]:
    """Return the fields of a preset that parameters do not show; raise an InputError if the preset does not match."""
    if preset not in PRESETS:
        raise InputError(f"{path}: unknown preset {preset!r}{nearest(preset, [*PRESETS, *MODELS])}")
    spec = get_spec(preset)
    for field in ("pathways", "depth"):
        if getattr(spec, field) != stated[field]:
            raise InputError(
                f"{path} has {field} {stated[field]}, but preset {preset} has {getattr(spec, field)}; name a preset"
                " that fits"
            )
    nonlocal_blocks = "nonlocal_blocks" in stated
    if nonlocal_blocks != (spec.nonlocal_kind != "none"):
        has = "non-local blocks, and preset {} has none" if nonlocal_blocks else "no non-local block, as preset {} has"
        raise InputError(f"{path} has {has.format(preset)}; name a preset that fits")
    names = [*CLIP, *(NONLOCAL if nonlocal_blocks else ()), *(("roi_time",) if stated.get("head") == "roi" else ())]
    return {name: getattr(spec, name) for name in names}


def _check_clip(
    path: pathlib.Path, fits: dict[str, Published], preset: str, named: dict[str, Any], pathways: tuple[str, ...]
) -> None:
    """Raise an InputError if all published networks that match a file have the same clip, and a preset has another."""
    fields = [field for field in CLIP if field in named and (field != "alpha" or "fast" in pathways)]
    clips = [{field: published.fields[field] for field in fields} for published in fits.values()]
    clip = {field: named[field] for field in fields}
    if clips and clip != clips[0] and clips.count(clips[0]) == len(clips):
        raise InputError(
            f"{path} has the parameters of {next(iter(fits))} ({_listed(clips[0])}), and preset {preset} has"
            f" {_listed(clip)}; leave the preset out"
        )


def _check_configured(path: pathlib.Path, stated: dict[str, Any], preset: str | None, named: dict[str, Any]) -> None:
    """Raise an InputError if the fields of a named network differ from those of the configuration."""
    for field in COMPUTATION:
        if field == "alpha" and "fast" not in stated["pathways"]:
            continue  # alpha has no effect without a Fast pathway
        if field in stated and field in named and _text(stated[field]) != _text(named[field]):
            raise InputError(
                f"{path} states {field} {_text(stated[field])} in its configuration, and {preset} has"
                f" {_text(named[field])}; the configuration is complete, so no preset is needed"
            )


def _check_agreement(
    path: pathlib.Path, fits: dict[str, Published], dataset: str | None, given: dict[str, Any]
) -> None:
    """Raise an InputError if the matching published networks do not agree, or if no network matches."""
    answers: dict[str, dict[str, Any]] = {}
    for name, published in fits.items():
        fields = {**_assumable(published, dataset, given), "crop_size": None}  # `_agreed` reports it
        if fields not in answers.values():
            answers[name] = fields
    if len(answers) > 1:
        raise InputError(
            f"{path} does not say which of these networks it is, and their scores differ: {', '.join(answers)}",
            argument="preset",
        )
    if not answers and not {*CLIP} <= set(given):
        raise InputError(
            f"{path} does not say how many frames its network takes, at which stride, and no published network is like"
            " it; a preset is needed",
            argument="preset",
        )


def _agreed(
    fits: dict[str, Published], dataset: str | None, named: dict[str, Any], given: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """Return the fields in which the matching published networks agree, and one line about them.

    Args:
        fits: the matching published networks, by name.
        dataset: data set of the file; None if the network was fine-tuned.
        named: fields of a preset. If any networks have the same frames, stride and alpha, only these are used.
        given: fields that need not be found.
    """
    clip = {field: named[field] for field in CLIP if field in named}
    alike = {name: p for name, p in fits.items() if clip.items() <= p.fields.items()} or fits
    if not alike:
        return {}, ""
    answers = {name: _assumable(published, dataset, {**given, **clip}) for name, published in alike.items()}
    name, first = next(iter(answers.items()))
    # Networks of multigrid training are tested with another crop size, and differ in no other field.
    agreed = {f: v for f, v in first.items() if f == "crop_size" or all(a.get(f) == v for a in answers.values())}
    if not agreed:
        return {}, ""
    crops = {other: fields.get("crop_size") for other, fields in answers.items()}
    others = [f"; {other} has crop_size {size}" for other, size in crops.items() if size != crops[name]]
    return agreed, f"assumed {_listed(agreed)}, as {name}: the file does not say{''.join(others)}"


def _assumable(published: Published, dataset: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a published network that a matching file may take over, except those in `given`."""
    spec = published.spec()
    fields = {**published.fields, "crop_size": spec.crop_size, "activation": spec.activation}
    return {f: v for f, v in fields.items() if f not in given and (dataset or f in (*CLIP, *NONLOCAL))}


def _activation(path: pathlib.Path, stated: dict[str, Any], dataset: str | None) -> str:
    if dataset is None:
        raise InputError(
            f"{path} has {stated['num_classes']} classes, unlike any known data set, and does not say whether a clip"
            " has one class (softmax) or several (sigmoid)",
            argument="activation",
        )
    return "sigmoid" if dataset in ("ava", "charades") else "softmax"


def _listed(fields: dict[str, Any]) -> str:
    """Return fields as text, such as "8x8, alpha 4; frame_rate 30"."""
    rest = {name: value for name, value in fields.items() if name not in CLIP}
    size = [f"{fields['frames']}x{fields['stride']}, alpha {fields['alpha']}"] if {*CLIP} <= set(fields) else []
    if not size:
        rest = fields
    return "; ".join([*size, *(f"{name} {_text(value)}" for name, value in rest.items())])


def _text(value: Any) -> str:
    return value.describe() if isinstance(value, Views) else json.dumps(value)
