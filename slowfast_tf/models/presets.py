"""The paper's networks by the paper's names: specs, and nothing else."""

import dataclasses
import difflib

from .spec import SlowFastSpec

_4x16 = SlowFastSpec(frames=4, stride=16, alpha=8, lateral_kernel=5)
_8x8 = SlowFastSpec(frames=8, stride=8, alpha=4, lateral_kernel=7)

PRESETS = {
    "slowfast_4x16_r50": _4x16,
    "slowfast_8x8_r50": _8x8,
    # Small enough to train on a laptop in minutes. At stride 16 the demo's motions stand still.
    "slowfast_4x16_demo": dataclasses.replace(_4x16, depth=18, width=32, beta_inv=4, crop_size=56, dropout=0.2),
}


def get_spec(preset, **changes):
    """The spec of a preset, with fields changed.

    Args:
        preset: a name in `PRESETS`, or a `SlowFastSpec`.
        **changes: fields of `SlowFastSpec` to set.

    Raises:
        ValueError: for an unknown name or field, or fields that do not fit each other.
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


def nearest(name, known):
    """The end of an error message: the nearest of the known names, or all of them."""
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(map(str, known))}"
