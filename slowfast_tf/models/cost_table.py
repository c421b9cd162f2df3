"""Compare the paper's cost figures with this package's own counts. Needs no TensorFlow."""

from typing import Any, NamedTuple

from .cost import total
from .presets import get_spec


class PaperCost(NamedTuple):
    """A row of the paper's Tables 2 and 5.

    Attributes:
        model: name of the network in the paper.
        preset, changes: the same network in this package.
        published: published multiply-adds, in G.
        recomputed: multiply-adds recomputed from Table 1, in G, or None.
        parameters: parameters recomputed from Table 1, in M, or None.
    """

    model: str
    preset: str
    changes: dict[str, Any]
    published: float
    recomputed: float | None
    parameters: float | None


PAPER = [
    PaperCost("SlowFast 4x16 R50", "slowfast_4x16_r50", {}, 36.1, 36.10, 34.48),
    PaperCost("SlowFast 8x8 R50", "slowfast_8x8_r50", {}, 65.7, 65.71, 34.57),
    PaperCost("SlowFast 8x8 R101", "slowfast_8x8_r101", {}, 106, 106.5, 53.77),
    PaperCost("SlowFast 16x8 R101", "slowfast_16x8_r101", {}, 213, 213.0, 53.77),
    PaperCost("SlowFast 16x8 R101 + non-local", "slowfast_16x8_r101_nl", {}, 234, None, None),
    PaperCost("Slow-only 4x16 R50", "slow_4x16_r50", {}, 27.3, 27.26, 32.45),
    PaperCost("Fast-only", "fast_4x16_r50", {}, 6.4, 6.90, 0.62),
    PaperCost("no lateral connection", "slowfast_4x16_r50", {"lateral": "none"}, 34.2, 34.16, 33.07),
    PaperCost("TtoC, sum", "slowfast_4x16_r50", {"lateral": "channel_sum"}, 34.2, 34.16, 33.07),
    PaperCost("TtoC, concatenation", "slowfast_4x16_r50", {"lateral": "channel_concat"}, 39.8, 39.86, 37.84),
    PaperCost("T-sample", "slowfast_4x16_r50", {"lateral": "sample"}, 34.9, 34.87, 33.67),
    PaperCost("beta 1/4", "slowfast_4x16_r50", {"beta_inv": 4}, 54.5, 53.6, None),
    PaperCost("beta 1/6", "slowfast_4x16_r50", {"beta_inv": 6}, 41.8, 41.2, None),
    PaperCost("beta 1/12", "slowfast_4x16_r50", {"beta_inv": 12}, 32.8, 32.0, None),
    PaperCost("beta 1/16", "slowfast_4x16_r50", {"beta_inv": 16}, 30.6, 30.60, None),
    PaperCost("beta 1/32", "slowfast_4x16_r50", {"beta_inv": 32}, 28.6, 28.66, None),
    PaperCost("Fast input gray-scale", "slowfast_4x16_r50", {"fast_input": "gray"}, 34.1, 34.04, None),
    PaperCost("Fast input time difference", "slowfast_4x16_r50", {"fast_input": "difference"}, 34.2, None, None),
    PaperCost("Fast input optical flow", "slowfast_4x16_r50", {"fast_input": "flow"}, 35.1, 35.07, None),
    PaperCost(
        "Fast input half resolution, beta 1/4",
        "slowfast_4x16_r50",
        {"fast_input": "half", "beta_inv": 4},
        34.4,
        35.98,
        None,
    ),
]


def table() -> str:
    """Return a Markdown table of the paper's cost figures and this package's own counts."""
    lines = [
        "# Cost of the paper's networks",
        "",
        "Written by `python -m slowfast_tf.describe --table docs/costs.md`; do not edit. Multiply-adds in G of one",
        "256^2 clip, 400 classes, convolutions and the classifier only. Published: the paper's figure; recomputed:",
        "counted from the paper's Table 1; ours: counted from this package's networks. The difference is to the",
        "recomputed figure, or to the published one if there is none.",
        "",
        "| model | preset, changes | published G | recomputed G | ours G | difference | parameters M | recomputed M |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model, preset, changes, published, recomputed, parameters in PAPER:
        ours = total(get_spec(preset, **changes))
        count = ours["multiply_adds"] / 1e9
        difference = 100 * (count / (recomputed or published) - 1)
        lines.append(
            f"| {model} | {', '.join([preset, *(f'{k}={v}' for k, v in changes.items())])} | {published}"
            f" | {recomputed or ''} | {count:.2f} | {difference:+.2f}%{'' if recomputed else ' (published)'}"
            f" | {ours['parameters'] / 1e6:.2f} | {parameters or ''} |"
        )
    return "\n".join(lines) + "\n"
