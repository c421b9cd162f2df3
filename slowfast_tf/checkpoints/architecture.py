"""Determine the architecture of a checkpoint from the names and shapes of its parameters."""

import re
from typing import Any

import numpy as np

from ..errors import InputError
from ..models.spec import BLOCKS


def architecture(tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the fields of `SlowFastSpec` that parameter names and shapes determine."""
    pathways = tuple(p for p in ("slow", "fast") if _has(tensors, p))
    if not pathways:
        raise InputError("the checkpoint has no first convolution, so its pathways are unknown")
    stems = {p: tensors[f"{p}_stem/conv1/conv/kernel"].shape for p in pathways}
    if any(len(shape) != 5 for shape in stems.values()):
        raise InputError(f"the checkpoint is not a video network: its first kernel has shape {stems[pathways[0]]}")
    span = stems[pathways[0]][0]
    if span > 1:
        raise InputError(f"the checkpoint is of I3D, CSN or the like: its first kernel spans {span} frames, not 1")
    fields: dict[str, Any] = {"pathways": pathways, "width": stems[pathways[0]][-1]}
    for prefix, pathway in zip(("", "fast_"), pathways):
        kernels, temporal = zip(*(_temporal(tensors, pathway, stage) for stage in (2, 3, 4, 5)))
        fields[f"{pathway}_kernels"] = (stems[pathway][0], *kernels)
        for field, value in (("depth", _depth(tensors, pathway)), ("res4_temporal_blocks", temporal[2])):
            # None means the Slow pathway's value. Without the field, networks with another value would match the file.
            fields[prefix + field] = None if prefix and value == fields[field] else value
    if pathways == ("slow",) and max(fields["slow_kernels"]) == 1:
        raise InputError("the checkpoint is of C2D: none of its kernels spans frames, where a Slow pathway's do")

    if len(pathways) == 1:
        fields["slow_input"] = _input(stems["slow"][-2], {3: "rgb", 2: "flow"})
    else:
        fields["beta_inv"] = max(1, round(stems["slow"][-1] / stems["fast"][-1]))
        fields["fast_input"] = _input(stems["fast"][-2], {3: "rgb", 1: "gray", 2: "flow"})
        lateral = tensors.get("lateral_stem/conv/conv/kernel")
        fields["lateral"] = "none" if lateral is None else "conv"
        if lateral is not None:
            fields["lateral_kernel"] = lateral.shape[0]
            fields["lateral_norm"] = "lateral_stem/conv/norm/gamma" in tensors

    nonlocal_blocks = tuple(tuple(sorted(_indices(tensors, "slow", stage, "nonlocal"))) for stage in (2, 3, 4, 5))
    if any(nonlocal_blocks):
        fields["nonlocal_blocks"] = nonlocal_blocks
    return fields


def head(tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the fields of a detection head that parameter names and shapes determine."""
    channels = 32 * sum(tensors[f"{p}_stem/conv1/conv/kernel"].shape[-1] for p in ("slow", "fast") if _has(tensors, p))
    kernel = tensors.get("head/classifier/kernel")  # `assign` reports a missing kernel
    return {
        "roi_context": kernel is not None and kernel.shape[0] == 2 * channels,
        "roi_hidden": "head/hidden/kernel" in tensors,
    }


def _has(tensors: dict[str, np.ndarray], pathway: str) -> bool:
    return f"{pathway}_stem/conv1/conv/kernel" in tensors


def _input(channels: int, known: dict[int, str]) -> str:
    if channels not in known:
        kinds = ", ".join(f"{count} ({name})" for count, name in known.items())
        raise InputError(f"the checkpoint takes {channels} channels; this package builds {kinds}")
    return known[channels]


def _depth(tensors: dict[str, np.ndarray], pathway: str) -> int:
    found = tuple(len(_indices(tensors, pathway, stage, "block")) for stage in (2, 3, 4, 5))
    for depth, blocks in BLOCKS.items():
        if blocks == found:
            return depth
    raise InputError(
        f"the checkpoint's {pathway} pathway has {', '.join(map(str, found))} blocks in res2 to res5; this package"
        f" builds depth {', '.join(map(str, BLOCKS))}"
    )


def _indices(tensors: dict[str, np.ndarray], pathway: str, stage: int, what: str) -> set[int]:
    found = (re.match(rf"{pathway}_res{stage}/{what}(\d+)/", name) for name in tensors)
    return {int(match.group(1)) for match in found if match}


def _temporal(tensors: dict[str, np.ndarray], pathway: str, stage: int) -> tuple[int, int]:
    """Return the temporal kernel size of a stage, and the number of blocks with this size (0 for all blocks)."""
    blocks = sorted(_indices(tensors, pathway, stage, "block"))
    kernels = [tensors.get(f"{pathway}_res{stage}/block{i}/a/conv/kernel") for i in blocks]
    sizes = [kernel.shape[0] for kernel in kernels if kernel is not None]  # `assign` reports missing kernels
    if len(set(sizes)) < 2:
        return (sizes or [1])[0], 0
    temporal = sum(size > 1 for size in sizes)
    if stage != 4 or sizes != [sizes[0]] * temporal + [1] * (len(sizes) - temporal):
        raise InputError(f"the checkpoint is of I3D: the blocks of res{stage} have kernel sizes {sizes} in time")
    return sizes[0], temporal
