"""Write videos that show a prediction over time: the best classes, or the heat maps of each pathway."""

import os
from collections.abc import Sequence

import numpy as np

from ..models.spec import SlowFastSpec
from ..video.write import rewrite
from .drawing import overlay, resized, titled
from .labels import best_classes
from .sliding import Timeline

_LEAST_SIDE = 240  # pixels: text on smaller frames would be unreadable, so these are enlarged


def write_labels(
    path: str | os.PathLike, timeline: Timeline, labels: Sequence[str], output: str | os.PathLike, count: int = 3
) -> None:
    """Write a copy of a video with the best classes and their scores on its frames.

    Args:
        path: path of the video.
        timeline: scores from a `Slider`.
        labels: class names.
        output: the MP4 file to write.
        count: number of classes to draw.

    Raises:
        VideoError: if the video cannot be read.

    Example:
        >>> timeline = Slider(predictor).slide("long.mp4")  # doctest: +SKIP
        >>> write_labels("long.mp4", timeline, class_names(model.spec), "labels.mp4")  # doctest: +SKIP
    """

    def draw(image: np.ndarray, time: float) -> np.ndarray:
        best = best_classes(timeline.scores[timeline.at(time)], labels, count)
        height, width = image.shape[:2]
        scale = -(-_LEAST_SIDE // min(height, width))
        return titled(resized(image, scale * height, scale * width), [f"{score:.2f} {label}" for label, score in best])

    rewrite(path, output, draw)


def write_heat(
    path: str | os.PathLike,
    timeline: Timeline,
    labels: Sequence[str],
    output: str | os.PathLike,
    spec: SlowFastSpec,
) -> None:
    """Write a copy of a video as one picture for each pathway, with a Grad-CAM heat map of the best class.

    Each pathway's heat is drawn relative to its maximum in the video, over the crop that the network sees. The borders
    outside the crop are dark. Heat is interpolated between two frames of a pathway.

    Args:
        path: path of the video.
        timeline: scores from a `Slider` with `explain`.
        labels: class names.
        output: the MP4 file to write.
        spec: spec of the network.

    Raises:
        VideoError: if the video cannot be read.

    Example:
        >>> timeline = Slider(predictor, explain=True).slide("long.mp4")  # doctest: +SKIP
        >>> write_heat("long.mp4", timeline, class_names(model.spec), "heat.mp4", model.spec)  # doctest: +SKIP
    """
    most = {name: max(float(heat.max()), 1e-12) for name, heat in timeline.heat.items()}

    def draw(image: np.ndarray, time: float) -> np.ndarray:
        row = timeline.at(time)
        ((label, score),) = best_classes(timeline.scores[row], labels, 1)
        panels = []
        for name, heat in timeline.heat.items():
            seen = timeline.times[row, list(spec.slow_index)] if name == "slow" else timeline.times[row]
            now = _between(heat[row], seen, time) / most[name]
            panels.append(titled(overlay(image, now, spec.crop_size), [name.capitalize(), f"{score:.2f} {label}"]))
        return np.concatenate(panels, 1)

    rewrite(path, output, draw)


def _between(maps: np.ndarray, times: np.ndarray, time: float) -> np.ndarray:
    """Interpolate maps `[T, h, w]` at ascending times; before the first or after the last time, return that map."""
    after = int(np.clip(np.searchsorted(times, time), 1, max(len(times) - 1, 1)))
    if len(times) == 1 or times[after] == times[after - 1]:
        return maps[min(after, len(times) - 1)]
    share = np.clip((time - times[after - 1]) / (times[after] - times[after - 1]), 0, 1)
    return maps[after - 1] * (1 - share) + maps[after] * share
