"""Plots of a run and of its test, as PNG."""

import os
import typing
from collections.abc import Mapping, Sequence

import matplotlib.ticker
import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics

from ...inference.plots import save_figure

MANY = 40  # number of classes above which the class names do not fit
File = str | os.PathLike | typing.IO[bytes]


def save_curves(history: Sequence[Mapping[str, float]], path: File) -> None:
    """Plot the loss and the metrics of training and validation by epoch.

    Args:
        history: rows of `history.csv`, one per epoch: "epoch" and values by name. A metric is plotted if the rows have
            both its name and "val_" with its name; rows without the metric leave a gap.
        path: path of the PNG.

    Example:
        >>> rows = [{"epoch": 1, "loss": 1.2, "val_loss": 1.3, "top1": 0.5, "val_top1": 0.4}]
        >>> save_curves(rows, "curves.png")
    """
    columns = dict.fromkeys(name for row in history for name in row)
    names = [name for name in columns if f"val_{name}" in columns]
    figure = Figure(figsize=(5 * len(names), 4), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for axis, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names):
        axis.plot(epochs, [row.get(name, np.nan) for row in history], marker=".", label="training")
        axis.plot(epochs, [row.get(f"val_{name}", np.nan) for row in history], marker=".", label="validation")
        axis.set_title(name)
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.3)
        axis.legend()
        if name == "loss":
            axis.set_yscale("log")
        else:
            axis.set_ylim(0, 1.02)
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    save_figure(figure, path)


def save_confusion(truth: np.ndarray, predicted: np.ndarray, labels: Sequence[str], path: File) -> None:
    """Plot the confusion matrix: a row for each true class, a column for each predicted class. Each row sums to 1.

    Args:
        truth, predicted: class indices `[N]`.
        labels: class names.
        path: path of the PNG, or a file that is open for writing.

    Example:
        >>> save_confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), ["ant", "bee"], "confusion.png")
    """
    matrix = metrics.confusion_matrix(truth, predicted, labels=range(len(labels)), normalize="true")
    many = len(labels) > MANY
    size = 8 if many else 3 + 0.42 * len(labels)
    figure = Figure(figsize=(size + 1, size), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(matrix, vmin=0, vmax=1, cmap="Blues")
    figure.colorbar(image, shrink=0.7)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    if not many:
        axis.set_xticks(range(len(labels)), labels, rotation=90, parse_math=False)
        axis.set_yticks(range(len(labels)), labels, parse_math=False)
        for i, j in np.argwhere(matrix >= 0.005):
            color = "white" if matrix[i, j] > 0.5 else "black"
            axis.text(j, i, f"{matrix[i, j]:.2f}".lstrip("0"), ha="center", va="center", fontsize=8, color=color)
    save_figure(figure, path)


def save_classes(values: np.ndarray, labels: Sequence[str], name: str, path: File) -> None:
    """Plot a metric as a bar for each class, the best first, and the mean over the classes.

    Args:
        values: `[classes]`, 0 to 1; classes with NaN are left out.
        labels: class names.
        name: name of the metric.
        path: as for `save_confusion`.

    Example:
        >>> save_classes(np.array([0.5, 1.0]), ["ant", "bee"], "recall", "classes.png")
    """
    order = [i for i in np.argsort(-values, kind="stable") if not np.isnan(values[i])]
    many = len(order) > MANY
    figure = Figure(figsize=(9 if many else 3 + 0.42 * len(order), 4), layout="constrained")
    axis = figure.subplots()
    axis.bar(range(len(order)), values[order], 1.0 if many else 0.8, color="#4292c6")
    mean = values[order].mean()
    axis.axhline(mean, color="#d95f0e", linewidth=1)
    axis.set_title(f"mean {mean:.3f}", color="#d95f0e", fontsize=10, loc="right")
    if many:
        axis.set_xlabel(f"{len(order)} classes, the best first")
    else:
        names: list[str] = [labels[int(i)] for i in order]
        turned = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
        axis.set_xticks(range(len(order)), names, parse_math=False, **turned)
    axis.set_xlim(-0.6, len(order) - 0.4)
    axis.set_ylim(0, 1.02)
    axis.set_ylabel(name)
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def save_prediction(
    frames: np.ndarray,
    seen: Mapping[str, Sequence[int]],
    scores: np.ndarray,
    labels: Sequence[str],
    title: str,
    path: File,
) -> None:
    """Plot a clip as each pathway sees it, and the five best classes.

    Args:
        frames: frames of the densest pathway, uint8 `[F, H, W, 3]`.
        seen: indices of the frames that a pathway sees, by name of the pathway.
        scores: `[classes]`.
        labels: class names.
        title: title of the plot.
        path: path of the PNG.

    Example:
        >>> frames, seen = np.zeros([4, 8, 8, 3], np.uint8), {"slow": [0], "fast": [0, 1, 2, 3]}
        >>> save_prediction(frames, seen, np.array([0.2, 0.8]), ["ant", "bee"], "bee.mp4", "prediction.png")
    """
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    figure.suptitle(title, parse_math=False)
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    gap = 4
    count, height, width, _ = frames.shape
    across, down = width + gap, height + gap
    # Choose the number of frames per row that makes frames largest: the left part is about three times as wide as high.
    layouts = {columns: -(-count // columns) * len(seen) for columns in (8, 12, 16, 24, 32)}
    columns, rows = min(layouts.items(), key=lambda layout: max(layout[0] * across / 3, layout[1] * down))
    sheet = np.full((rows * down, columns * across, 3), 255, np.uint8)
    for row, indices in enumerate(seen.values()):
        for i in indices:
            # Each pathway has a row; frames of the same time are above each other.
            top, left_edge = (i // columns * len(seen) + row) * down, i % columns * across
            sheet[top : top + height, left_edge : left_edge + width] = frames[i]
    left.imshow(sheet)
    left.set_yticks([down * row + height / 2 for row in range(rows)], [*seen] * (rows // len(seen)))
    left.set_xticks([])
    left.spines[:].set_visible(False)
    best = np.argsort(scores)[::-1][:5]
    right.barh(range(len(best)), scores[best])
    right.set_yticks(range(len(best)), [labels[i] for i in best], parse_math=False)
    right.invert_yaxis()
    right.set_xlim(0, 1)
    right.set_xlabel("score")
    save_figure(figure, path)


def save_ablation(rows: Sequence[Mapping[str, typing.Any]], title: str, path: File) -> None:
    """Plot accuracy against cost for the rows of an ablation, published and measured (Figure 2 of the paper).

    Args:
        rows: rows of the ablation's results, with "row" (name of the row), "multiply_adds", "published" and "estimate".
        title: title of the plot.
        path: path of the PNG.

    Example:
        >>> estimate = {"mean": 0.9, "high": 0.92}
        >>> rows = [{"row": "SlowFast", "multiply_adds": 36.1e9, "published": 75.6, "estimate": estimate}]
        >>> save_ablation(rows, "Table 5a", "ablation.png")
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    figure.suptitle(title)
    published, here = figure.subplots(1, 2)
    costs = [row["multiply_adds"] / 1e9 for row in rows]
    for axis, name in ((published, "published, Kinetics-400"), (here, "here, with 95% intervals")):
        for place, (cost, row) in enumerate(zip(costs, rows)):
            value, half = row["published"], None
            if axis is here:
                value, high = row["estimate"]["mean"], row["estimate"]["high"]
                half = None if high is None else high - value
            axis.errorbar(cost, value, half, marker="o", capsize=3, color=f"C{place}", label=row["row"])
        axis.set_title(name)
        axis.set_xlabel("multiply-adds of the full-size form, G")
        axis.set_ylabel("top-1, %")
        axis.set_xlim(0, 1.15 * max(costs))
        axis.grid(alpha=0.3)
    here.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    save_figure(figure, path)
