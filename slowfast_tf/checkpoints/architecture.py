"""The architecture of a checkpoint, from the names and shapes of its parameters."""

import re
from typing import Any

import numpy as np

from ..errors import InputError
from ..models.spec import BLOCKS, CHANNELS


def architecture(tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the fields of `SlowFastSpec` that parameter names and shapes determine."""
    pathways = tuple(p for p in ("slow", "fast") if f"{p}_stem/conv1/conv/kernel" in tensors)
    if not pathways:
        raise InputError("the checkpoint has no first convolution, so its pathways are unknown")
    stems = {p: tensors[f"{p}_stem/conv1/conv/kernel"].shape for p in pathways}
    if any(len(shape) != 5 for shape in stems.values()):
        raise InputError(f"the checkpoint is no video network: its first kernel has shape {stems[pathways[0]]}")
    fields: dict[str, Any] = {"pathways": pathways, "width": stems[pathways[0]][-1], "depth": _depth(tensors, pathways)}

    for pathway in pathways:
        kernels, temporal = zip(*(_temporal(tensors, pathway, stage) for stage in (2, 3, 4, 5)))
        if fields.setdefault("res4_temporal_blocks", temporal[2]) != temporal[2]:
            raise InputError("the checkpoint's pathways have temporal kernels in different numbers of res4's blocks")
        fields[f"{pathway}_kernels"] = (stems[pathway][0], *kernels)

    if len(pathways) == 2:
        fields["beta_inv"] = max(1, round(stems["slow"][-1] / stems["fast"][-1]))
        channels = {3: "rgb", 1: "gray", 2: "flow"}
        if stems["fast"][-2] not in channels:
            raise InputError(f"the Fast pathway takes {stems['fast'][-2]} channels; known: {CHANNELS}")
        fields["fast_input"] = channels[stems["fast"][-2]]
        lateral = tensors.get("lateral_stem/conv/conv/kernel")
        fields["lateral"] = "none" if lateral is None else "conv"
        if lateral is not None:
            fields["lateral_kernel"] = lateral.shape[0]
            fields["lateral_norm"] = "lateral_stem/conv/norm/gamma" in tensors

    nonlocal_blocks = tuple(tuple(sorted(_indices(tensors, "slow", stage, "nonlocal"))) for stage in (2, 3, 4, 5))
    if any(nonlocal_blocks):
        # Every published SlowFast has this kind; PySlowFast's configuration may overrule it.
        fields.update(nonlocal_kind="dot_product", nonlocal_blocks=nonlocal_blocks)
    return fields


def _depth(tensors: dict[str, np.ndarray], pathways: tuple[str, ...]) -> int:
    depths = set()
    for pathway in pathways:
        blocks = tuple(len(_indices(tensors, pathway, stage, "block")) for stage in (2, 3, 4, 5))
        depths.add(next((depth for depth, known in BLOCKS.items() if known == blocks), blocks))
    if len(depths) > 1 or not depths <= set(BLOCKS):
        raise InputError(
            f"the checkpoint's pathways have depth (or blocks in res2 to res5) {', '.join(map(str, depths))};"
            f" this package builds {', '.join(map(str, BLOCKS))}, the same for all pathways"
        )
    return depths.pop()


def _indices(tensors: dict[str, np.ndarray], pathway: str, stage: int, what: str) -> set[int]:
    found = (re.match(rf"{pathway}_res{stage}/{what}(\d+)/", name) for name in tensors)
    return {int(match.group(1)) for match in found if match}


def _temporal(tensors: dict[str, np.ndarray], pathway: str, stage: int) -> tuple[int, int]:
    """Return a stage's kernel size in time, and the number of blocks that have it (0: all)."""
    blocks = sorted(_indices(tensors, pathway, stage, "block"))
    kernels = [tensors.get(f"{pathway}_res{stage}/block{i}/a/conv/kernel") for i in blocks]
    sizes = [kernel.shape[0] for kernel in kernels if kernel is not None]  # `assign` reports missing kernels
    if len(set(sizes)) < 2:
        return (sizes or [1])[0], 0
    temporal = sum(size > 1 for size in sizes)
    if stage != 4 or sizes != [sizes[0]] * temporal + [1] * (len(sizes) - temporal):
        raise InputError(f"the blocks of res{stage} have kernel sizes {sizes} in time, as I3D's; no SlowFast has these")
    return sizes[0], temporal


def guess_clip(fields: dict[str, Any]) -> dict[str, int]:
    """Return frames, stride and alpha of the published models with such parameters."""
    if len(fields["pathways"]) == 2 and fields["depth"] < 101 and fields.get("lateral_kernel") != 7:
        return {"frames": 4, "stride": 16, "alpha": 8}
    return {"frames": 8, "stride": 8, "alpha": 4}
