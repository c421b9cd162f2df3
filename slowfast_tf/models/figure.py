"""Draw a network in the style of the paper's Figure 1. Needs no TensorFlow."""

import math
from typing import Any

import matplotlib.patches
from matplotlib.figure import Figure

from .description import describe
from .spec import SlowFastSpec

COLORS = {"slow": "tab:blue", "fast": "tab:orange"}
ROWS = {"slow": 0.8, "fast": 0.0}  # vertical position, from the bottom
WIDTH = 0.7  # width of a feature; columns are 1 apart
MOST = 0.68  # height of the feature with the most channels; rows are 0.8 apart


def network_figure(spec: SlowFastSpec, size: int = 256) -> Figure:
    """Draw the frames that each pathway takes from a clip, and below them the features of each stage.

    A feature is drawn as a row of frames; their height is proportional to the square root of the number of channels.
    The text below a feature has its size (frames x height^2, as in Table 1) and its channels, without the channels of
    a lateral connection. The numbers at the arrows are the channels that the lateral connections add to the Slow
    pathway (section 3.3).

    Args:
        spec: spec of the network.
        size: height and width of the input, in pixels.

    Returns:
        A Matplotlib figure.

    Raises:
        ValueError: if the network cannot take an input of that size.

    Example:
        >>> network_figure(get_spec("slowfast_8x8_r50")).savefig("network.png")
    """
    about = describe(spec, size)
    rows = len(spec.pathways)
    figure = Figure(figsize=(9.5, 2.4 + 1.9 * rows), layout="constrained")
    clip, network = figure.subplots(2, 1, height_ratios=(0.5 + 0.3 * rows, 0.4 + 1.6 * rows))
    _draw_clip(clip, spec)
    _draw_network(network, spec, about)
    return figure


def clip_times(spec: SlowFastSpec) -> list[int]:
    """Return the raw frames of a clip that the densest pathway takes, counted from 0.

    For `frame_index` "segments", the numbers are those of the parts of the video.

    Example:
        >>> clip_times(get_spec("slow_8x8_r50"))
        [0, 8, 16, 24, 32, 40, 48, 56]
    """
    count = spec.clip_frames
    if spec.frame_index == "segments":
        return list(range(count))
    if spec.frame_index == "linspace" and count > 1:
        return [(spec.clip_span - 1) * i // (count - 1) for i in range(count)]
    return [spec.clip_stride * i for i in range(count)]


def _draw_clip(axis: Any, spec: SlowFastSpec) -> None:
    times = clip_times(spec)
    seen = {"fast": times, "slow": [times[i] for i in spec.slow_index] if "fast" in spec.pathways else times}
    names = [pathway for pathway in ("fast", "slow") if pathway in spec.pathways]
    for row, pathway in enumerate(names):
        axis.vlines(seen[pathway], row - 0.35, row + 0.35, color=COLORS[pathway], linewidth=4, label=pathway)
    axis.set_yticks(range(len(names)), [f"{name.capitalize()}\n{len(seen[name])} frames" for name in names])
    axis.set_xticks(seen[names[-1]])
    axis.tick_params(left=False)
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.set_xlim(-1, (len(times) if spec.frame_index == "segments" else spec.clip_span))
    axis.spines[:].set_visible(False)
    parts = "equal part of the video"
    axis.set_xlabel(parts if spec.frame_index == "segments" else "raw frame of the clip")
    axis.set_title("A clip: the frames that each pathway takes", loc="left")


def _draw_network(axis: Any, spec: SlowFastSpec, about: dict[str, Any]) -> None:
    stages = about["stages"][1:]  # conv1 has the frames and channels of pool1
    names = ["input", "conv1, pool1", *(stage["stage"] for stage in stages[1:]), "head"]
    most = math.sqrt(max(stage[f"{pathway}_output"][3] for stage in stages for pathway in spec.pathways))
    tops: dict[int, float] = {}  # upper edges of the Fast features, by column
    for pathway in spec.pathways:
        row = ROWS[pathway]
        shapes = [about["inputs"][pathway], *(stage[f"{pathway}_output"] for stage in stages)]
        for column, (frames, height, _, channels) in enumerate(shapes):
            tall = MOST * math.sqrt(channels) / most
            for i in range(frames):
                corner = (column - WIDTH / 2 + WIDTH * i / frames, row)
                card = matplotlib.patches.Rectangle(corner, 0.75 * WIDTH / frames, tall, color=COLORS[pathway], lw=0)
                card.set_snap(False)  # otherwise the gaps between frames of less than 3 pixels disappear
                axis.add_patch(card)
            text = f"{frames} x {height}²\n{channels} channels"
            axis.text(column, row - 0.03, text, ha="center", va="top", fontsize=10)
            if pathway == "fast":
                tops[column] = row + tall
        axis.text(-WIDTH / 2, row + 0.15, pathway.capitalize(), fontsize=12, color=COLORS[pathway])
    if len(spec.pathways) == 2 and spec.lateral != "none":
        for column, stage in enumerate(stages[:-1], 1):
            added = spec.lateral_channels(stage["fast_output"][3])
            ends = {"xy": (column + 0.48, ROWS["slow"] + 0.08), "xytext": (column + 0.48, tops[column])}
            axis.annotate("", **ends, arrowprops={"arrowstyle": "->", "color": "0.3", "lw": 1.5})
            axis.text(column + 0.52, 0.5, f"+{added}", fontsize=10, color="0.3")
    _draw_head(axis, spec, stages[-1], len(names) - 1)
    top = max(ROWS[pathway] for pathway in spec.pathways) + MOST + 0.08
    for column, name in enumerate(names):
        axis.text(column, top, name, ha="center", fontsize=10, weight="bold")
    axis.set_xlim(-0.5, len(names) - 0.5)
    axis.set_ylim(min(ROWS[pathway] for pathway in spec.pathways) - 0.25, top + 0.1)
    axis.axis("off")
    axis.set_title("The network: frames x height², and channels, after each stage", loc="left")


def _draw_head(axis: Any, spec: SlowFastSpec, last: dict[str, Any], column: int) -> None:
    features = " + ".join(str(last[f"{pathway}_output"][3]) for pathway in spec.pathways)
    pooling = "global\naverage" if spec.head == "pool" else "RoIAlign\nof boxes"
    middle = sum(ROWS[pathway] for pathway in spec.pathways) / len(spec.pathways) + 0.25
    box = {"boxstyle": "round,pad=0.4", "facecolor": "0.93", "edgecolor": "0.6"}
    text = f"{pooling}:\n{features}\n\n{spec.num_classes} classes"
    axis.text(column, middle, text, ha="center", va="center", fontsize=10, bbox=box)
