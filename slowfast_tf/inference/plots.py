"""Plots of predictions, as PNG."""

import io
import os
import typing
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ..files.atomic import atomic

if typing.TYPE_CHECKING:
    from .sliding import Timeline

MOST = 8  # maximum number of classes in a timeline


def save_timeline(timeline: "Timeline", labels: Sequence[str], title: str, path: str | os.PathLike) -> None:
    """Plot the scores over time of the classes that are best at some time, and a strip with the best class.

    Args:
        timeline: a `slowfast_tf.inference.sliding.Timeline`.
        labels: class names.
        title: title of the plot.
        path: path of the PNG.

    Example:
        >>> from slowfast_tf.inference.sliding import Timeline
        >>> timeline = Timeline(np.arange(3.0), np.array([0.5, 1.5]), np.array([[0.9, 0.1], [0.2, 0.8]]), {})
        >>> save_timeline(timeline, ["run", "sit"], "match.mp4", "timeline.png")
    """
    edges, scores = timeline.edges, timeline.scores
    winners = scores.argmax(1)
    # Show the classes that are best for the longest time. If there are fewer than three, add others for comparison.
    lengths = np.bincount(winners, np.diff(edges), len(labels))
    order = np.lexsort((-scores.mean(0), -lengths))
    shown = order[: np.clip(np.count_nonzero(lengths), min(3, len(labels)), MOST)]
    colors = dict(zip(shown, matplotlib.colormaps["tab10"].colors))  # pyright: ignore[reportAttributeAccessIssue]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axis, strip = figure.subplots(2, 1, sharex=True, height_ratios=(8, 1))
    for number in shown:
        axis.stairs(scores[:, number], edges, baseline=None, label=labels[number], color=colors[number], linewidth=2)
    for start, end, number in zip(edges[:-1], edges[1:], winners):
        strip.axvspan(start, end, color=colors.get(number, "0.7"), linewidth=0)
    axis.set_title(title, parse_math=False)  # a file name may have dollar signs
    axis.set_ylabel("score")
    axis.set_ylim(0, 1.02)
    axis.set_xlim(edges[0], edges[-1])
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    for text in figure.legend(loc="outside right upper").get_texts():
        text.set_parse_math(False)
    strip.set_yticks([])
    strip.set_ylabel("best", rotation=0, ha="right", va="center")
    strip.set_xlabel("seconds")
    save_figure(figure, path)


def save_figure(figure: Figure, path: str | os.PathLike | typing.IO[bytes]) -> None:
    """Write a Matplotlib figure as a PNG of 120 dots per inch.

    Args:
        figure: the figure.
        path: path of the PNG, or a file that is open for writing.

    Example:
        >>> save_figure(Figure(figsize=(2, 1)), "figure.png")
    """
    if isinstance(path, io.IOBase):
        figure.savefig(path, dpi=120, format="png")
        return
    with atomic(path) as temporary:  # pyright: ignore[reportArgumentType]
        figure.savefig(temporary, dpi=120, format="png")
