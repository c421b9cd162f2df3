"""Plots of predictions."""

import os
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ..files.atomic import atomic
from .sliding import Timeline


def save_timeline(timeline: Timeline, labels: Sequence[str], title: str, path: str | os.PathLike) -> None:
    """Plot scores over time, with a strip below that shows the best class.

    The plot shows the classes that are the best in some window, eight at most.

    Args:
        timeline: a `slowfast_tf.inference.sliding.Timeline`.
        labels: class names.
        title: over the picture.
        path: of the PNG.

    Example:
        >>> save_timeline(Slider(predictor).slide("long.mp4"), class_names(model.spec), "long.mp4", "timeline.png")
    """
    edges, scores = timeline.edges, timeline.scores
    winners = scores.argmax(1)
    # The classes that are the best for the longest time; if only one is, others for comparison.
    lengths = np.bincount(winners, np.diff(edges), len(labels))
    order = np.lexsort((-scores.mean(0), -lengths))
    shown = order[: np.clip(np.count_nonzero(lengths), min(3, len(labels)), 8)]
    colors = dict(zip(shown, matplotlib.colormaps["tab10"].colors))  # pyright: ignore[reportAttributeAccessIssue]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axis, strip = figure.subplots(2, 1, sharex=True, height_ratios=(8, 1))
    for number in shown:
        axis.stairs(scores[:, number], edges, baseline=None, label=labels[number], color=colors[number], linewidth=2)
    for start, end, number in zip(edges[:-1], edges[1:], winners):
        strip.axvspan(start, end, color=colors.get(number, "0.7"), linewidth=0)
    axis.set_title(title)
    axis.set_ylabel("score")
    axis.set_ylim(0, 1.02)
    axis.set_xlim(edges[0], edges[-1])
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper")
    strip.set_yticks([])
    strip.set_ylabel("best", rotation=0, ha="right", va="center")
    strip.set_xlabel("seconds")
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
