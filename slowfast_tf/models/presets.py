"""The specs of the paper's networks, by name."""

import dataclasses
import difflib
from collections.abc import Iterable
from typing import Any

from .spec import SlowFastSpec

_4x16 = SlowFastSpec(frames=4, stride=16, alpha=8, lateral_kernel=5)
_8x8 = SlowFastSpec(frames=8, stride=8, alpha=4, lateral_kernel=7)
_16x8 = dataclasses.replace(_8x8, frames=16)

# As published: kernel 5 in the lateral connections of R101 and of non-local networks, at every alpha.
_R101 = {"depth": 101, "res4_temporal_blocks": 6, "lateral_kernel": 5}
_NL = {"nonlocal_kind": "dot_product", "lateral_kernel": 5}
_R101_NL = {**_R101, **_NL, "nonlocal_blocks": ((), (), (6, 13, 20), ())}
# Keys and values are also pooled over time in networks for AVA and in the Kinetics-600 networks from which they start.
_POOLED = {"nonlocal_pool": (2, 2, 2)}
# Action detection (section 5): each person's actions, of AVA's 80.
_AVA = {"head": "roi", "num_classes": 80, "activation": "sigmoid"}

PRESETS: dict[str, SlowFastSpec] = {
    "slowfast_4x16_r50": _4x16,
    "slowfast_8x8_r50": _8x8,
    "slowfast_16x8_r50": _16x8,
    "slowfast_4x16_r101": dataclasses.replace(_4x16, **_R101),
    "slowfast_8x8_r101": dataclasses.replace(_8x8, **_R101),
    "slowfast_16x8_r101": dataclasses.replace(_16x8, **_R101),
    "slowfast_8x8_r101_50_101": dataclasses.replace(_8x8, **_R101, fast_res4_temporal_blocks=0),
    "slowfast_8x8_r101_101_101": dataclasses.replace(_8x8, **{**_R101, "res4_temporal_blocks": 0}),
    "slowfast_4x16_r101_r50": dataclasses.replace(_4x16, depth=101, fast_depth=50),
    "slowfast_4x16_r50_nl": dataclasses.replace(_4x16, **_NL),
    "slowfast_8x8_r50_nl": dataclasses.replace(_8x8, **_NL),
    "slowfast_16x8_r101_nl": dataclasses.replace(_16x8, **_R101_NL),
    "slowfast_8x8_r101_nl": dataclasses.replace(_8x8, **_R101_NL, **_POOLED),
    "slow_4x16_r50": dataclasses.replace(_4x16, pathways=("slow",)),
    "slow_8x8_r50": dataclasses.replace(_8x8, pathways=("slow",)),
    "slow_4x16_r50_nl": dataclasses.replace(_4x16, **_NL, pathways=("slow",)),
    "slow_8x8_r50_nl": dataclasses.replace(_8x8, **_NL, pathways=("slow",)),
    "slow_8x8_r101": dataclasses.replace(_8x8, **_R101, pathways=("slow",)),
    "fast_4x16_r50": dataclasses.replace(_4x16, pathways=("fast",)),
    "slowfast_4x16_r50_ava": dataclasses.replace(_4x16, **_AVA),
    "slowfast_8x8_r50_ava": dataclasses.replace(_8x8, **_AVA),
    "slowfast_8x8_r101_ava": dataclasses.replace(_8x8, **_R101, **_AVA),
    "slowfast_8x8_r101_nl_ava": dataclasses.replace(_8x8, **_R101_NL, **_POOLED, **_AVA),
    "slowfast_16x8_r101_nl_ava": dataclasses.replace(_16x8, **_R101_NL, **_POOLED, **_AVA),
    "slow_4x16_r50_ava": dataclasses.replace(_4x16, pathways=("slow",), **_AVA),
    # Small enough to train on a laptop in minutes. At stride 16 the demo's motions would not be visible.
    "slowfast_2x16_demo": dataclasses.replace(
        _4x16, frames=2, depth=18, width=16, beta_inv=2, crop_size=48, dropout=0.0, num_classes=8
    ),
}


def get_spec(preset: str | SlowFastSpec, **changes: Any) -> SlowFastSpec:
    """Return the spec of a preset, with fields changed.

    Args:
        preset: a name in `PRESETS`, or a `SlowFastSpec`.
        **changes: fields of `SlowFastSpec` to set.

    Raises:
        ValueError: if a name or field is unknown, or if fields contradict each other.

    Example:
        >>> get_spec("slowfast_8x8_r50", num_classes=157).num_classes
        157
    """
    if isinstance(preset, str):
        if preset not in PRESETS:
            raise ValueError(f"unknown preset {preset!r}{nearest(preset, PRESETS)}")
        preset = PRESETS[preset]
    names = [f.name for f in dataclasses.fields(SlowFastSpec)]
    for name in changes:
        if name not in names:
            raise ValueError(f"unknown field {name!r} of a network{nearest(name, names)}")
    return dataclasses.replace(preset, **changes)


def nearest(name: object, known: Iterable[object]) -> str:
    """Return the end of an error message: the most similar known name, or all known names."""
    known = [str(k) for k in known]
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
