"""Pictures of a run, as PNG."""

import io

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics

from ...files.atomic import atomic

MANY = 40  # classes, from which on their names do not fit


def save_curves(history, path):
    """Loss and accuracy by epoch, of training and validation.

    Args:
        history: what `slowfast_tf.training.history.read_history` gives.
        path: of the PNG.
    """
    names = [n for n in history[0] if f"val_{n}" in history[0]]
    figure = Figure(figsize=(5 * len(names), 4), layout="constrained")
    epochs = [row["epoch"] for row in history]
    for axis, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names):
        axis.plot(epochs, [row[name] for row in history], marker=".", label="training")
        axis.plot(epochs, [row[f"val_{name}"] for row in history], marker=".", label="validation")
        axis.set_title(name)
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.3)
        axis.legend()
        if name == "loss":
            axis.set_yscale("log")
        else:
            axis.set_ylim(0, 1.02)
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    _save(figure, path)


def save_confusion(truth, predicted, labels, path):
    """A confusion matrix: rows are what a video shows, columns what was predicted, each row adding to 1.

    Args:
        truth, predicted: class indices `[N]`.
        labels: class names.
        path: of the PNG; a file that is open for writing will do.
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
        axis.set_xticks(range(len(labels)), labels, rotation=90)
        axis.set_yticks(range(len(labels)), labels)
        for i, j in np.argwhere(matrix >= 0.005):
            color = "white" if matrix[i, j] > 0.5 else "black"
            axis.text(j, i, f"{matrix[i, j]:.2f}".lstrip("0"), ha="center", va="center", fontsize=8, color=color)
    _save(figure, path)


def save_classes(values, labels, name, path):
    """A figure of each class as a bar, the best first, and their mean.

    Args:
        values: `[classes]`, 0 to 1; NaN leaves a class out.
        labels: class names.
        name: of the figure.
        path: as for `save_confusion`.
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
        axis.set_xticks(range(len(order)), [labels[i] for i in order], rotation=60, ha="right", rotation_mode="anchor")
    axis.set_xlim(-0.6, len(order) - 0.4)
    axis.set_ylim(0, 1.02)
    axis.set_ylabel(name)
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def save_prediction(frames, seen, scores, labels, title, path):
    """A clip as each pathway sees it, and the best classes.

    Args:
        frames: uint8 `[F, H, W, 3]`, of the densest pathway.
        seen: for each pathway, by name, the indices of the frames that it sees.
        scores: `[classes]`.
        labels: class names.
        title: over the picture.
        path: of the PNG.
    """
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    columns, gap = 8, 4
    count, height, width, _ = frames.shape
    rows = -(-count // columns) * len(seen)
    sheet = np.full((rows * (height + gap), columns * (width + gap), 3), 255, np.uint8)
    for row, indices in enumerate(seen.values()):
        for i in indices:
            # What the pathways see at one time stands one above the other.
            top = (i // columns * len(seen) + row) * (height + gap)
            left_edge = i % columns * (width + gap)
            sheet[top : top + height, left_edge : left_edge + width] = frames[i]
    left.imshow(sheet)
    left.set_yticks([(height + gap) * row + height / 2 for row in range(rows)], list(seen) * (rows // len(seen)))
    left.set_xticks([])
    left.spines[:].set_visible(False)
    best = np.argsort(scores)[::-1][:5]
    right.barh([labels[i] for i in best], scores[best])
    right.invert_yaxis()
    right.set_xlim(0, 1)
    right.set_xlabel("score")
    _save(figure, path)


def save_ablation(rows, title, path):
    """Accuracy against cost of the rows of an ablation, as published and as found here (the paper's Figure 2).

    Args:
        rows: what `slowfast_tf.ablate.results` gives.
        title: over the picture.
        path: of the PNG.
    """
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    figure.suptitle(title)
    published, here = figure.subplots(1, 2)
    costs = [row["multiply_adds"] / 1e9 for row in rows]
    for axis, key, name in ((published, "published", "published, Kinetics-400"), (here, "mean", "here, made videos")):
        for place, (cost, row) in enumerate(zip(costs, rows)):
            spread = row["spread"] if key == "mean" else None
            axis.errorbar(cost, row[key], spread, marker="o", capsize=3, color=f"C{place}", label=row["row"])
        axis.set_title(name)
        axis.set_xlabel("multiply-adds of the full-size form, G")
        axis.set_ylabel("top-1, %")
        axis.set_xlim(0, 1.15 * max(costs))
        axis.grid(alpha=0.3)
    here.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    _save(figure, path)


def save_timeline(timeline, labels, title, path):
    """Scores over time, of the classes that are best somewhere (eight at most), and a strip of the best class.

    Args:
        timeline: a `slowfast_tf.inference.sliding.Timeline`.
        labels: class names.
        title: over the picture.
        path: of the PNG.
    """
    edges, scores = timeline.edges, timeline.scores
    winners = scores.argmax(1)
    # Those that are best for the longest time; one that never is, where there is but one, for comparison.
    lengths = np.bincount(winners, np.diff(edges), len(labels))
    order = np.lexsort((-scores.mean(0), -lengths))
    shown = order[: np.clip(np.count_nonzero(lengths), min(3, len(labels)), 8)]
    colors = dict(zip(shown, matplotlib.colormaps["tab10"].colors))
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
    _save(figure, path)


def _save(figure, path):
    if isinstance(path, io.IOBase):
        figure.savefig(path, dpi=120, format="png")
        return
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
