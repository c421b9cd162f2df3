"""Score a video over time with a sliding window."""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
import tqdm

from ..data import sampling, transforms
from ..video.probe import duration, frame_times, probe
from ..video.windows import iterate_windows
from .explain import grad_cam
from .predictor import Predictor
from .views import checked_scores


@dataclasses.dataclass(frozen=True, eq=False)
class Timeline:
    """Scores of a video over time, a row for each of W windows.

    Attributes:
        edges: seconds, float64 `[W + 1]`. Row i covers `edges[i]` to `edges[i + 1]`: the times nearest to its middle.
        times: times of the frames of the densest pathway, in seconds, float64 `[W, F]`.
        scores: float32 `[W, classes]`.
        heat: heat maps of the best class of each window, by pathway, float32 `[W, T, h, w]`; empty without `explain`.
    """

    edges: np.ndarray
    times: np.ndarray
    scores: np.ndarray
    heat: dict[str, np.ndarray]

    def at(self, time: float) -> int:
        """Return the row for a time in seconds."""
        return int(np.searchsorted(self.edges[1:-1], time, "right"))


class Slider:
    """Score windows over a whole video; a window is as long as a clip, and the stride is half a clip.

    Frames are decoded once, and only one window is in memory: memory does not depend on the length of the video.

    Args:
        predictor: a `slowfast_tf.inference.Predictor`.
        explain: also compute heat maps, see `slowfast_tf.inference.explain.grad_cam`.

    Example:
        >>> timeline = Slider(Predictor(model)).slide("long.mp4")  # doctest: +SKIP
        >>> timeline.scores[timeline.at(12.5)].argmax()  # doctest: +SKIP
        3
    """

    def __init__(self, predictor: Predictor, explain: bool = False):
        self.predictor = predictor
        self.spec = predictor.spec
        self.explain = explain

    def slide(self, path: str | os.PathLike) -> Timeline:
        """Score a video file.

        Raises:
            VideoError: if the video cannot be read.
            RunError: if scores are not finite.
        """
        info = probe(path)
        windows = self._windows(info.frames, info.rate)
        size = self.spec.crop_size
        crops = iterate_windows(path, windows, size, lambda image: transforms.test_crops(image[None], size, 1)[0, 0])
        scores, heat = [], {name: [] for name in self.spec.pathways if self.explain}
        for window in tqdm.tqdm(crops, pathlib.Path(path).name, len(windows), unit="window", disable=None):
            found, maps = self._score(tf.stack(window))
            scores.append(found.numpy())
            for name in heat:
                heat[name].append(maps[name].numpy())
        times = frame_times(info)[windows]
        middles = (times[:, 0] + times[:, -1]) / 2
        edges = np.concatenate([[0.0], (middles[1:] + middles[:-1]) / 2, [duration(info)]])
        rows = checked_scores(np.stack(scores), path)
        return Timeline(edges, times, rows, {name: np.stack(maps) for name, maps in heat.items()})

    def _windows(self, frames: int, rate: float) -> np.ndarray:
        """Return the frame numbers of each window, int `[W, F]`, for a video of `frames` frames at `rate` a second."""
        span = sampling.window_span(self.spec, rate)
        last = max(frames - span, 0)
        starts = np.unique([*range(0, last, max(span // 2, 1)), last])
        return np.minimum(starts[:, None] + sampling.window_offsets(self.spec, rate), frames - 1)

    def warm_up(self) -> None:
        """Score zeros once, so that the first video does not wait for TensorFlow to trace the graph."""
        self._score(tf.zeros([self.spec.clip_frames, self.spec.crop_size, self.spec.crop_size, 3]))

    @tf.function(jit_compile=False, autograph=False)
    def _score(self, crops: Any) -> Any:
        """Return scores `[classes]` and heat maps `[T, h, w]` by pathway of cropped frames `[F, S, S, 3]`, 0 to 255."""
        inputs = transforms.pathways(transforms.normalize(crops[None], self.spec), self.spec)
        if not self.explain:
            return self.predictor.score_inputs(inputs)[0], {}
        logits, heat = grad_cam(self.predictor.model, inputs)
        return self.predictor.activate(logits)[0], {name: x[0] for name, x in heat.items()}
