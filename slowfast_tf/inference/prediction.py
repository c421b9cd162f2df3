"""Predictions of video files, and the files that show scores over time."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import VideoError
from ..models.spec import SlowFastSpec
from .chosen_views import SLIDING, with_views
from .labels import best_as_json, best_in_words
from .predictor import Predictor
from .sliding import Slider, Timeline
from .views import fuse, score_video


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """The scores of one window of a video.

    Attributes:
        start, end: times of the first and last frame, in seconds.
        scores: float32 `[classes]`.
    """

    start: float
    end: float
    scores: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """The scores of a video.

    Attributes:
        video: path of the video.
        labels: a name for each class.
        scores: float32 `[classes]`, fused over the views.
        views: what was scored: clips and crops, such as "10x3", or "sliding".
        windows: scores over time; empty unless `predict_files` was asked for "sliding" or for output files.

    Example:
        >>> next(predict_files(model, ["holiday.mp4"], class_names(model.spec))).line(2)  # doctest: +SKIP
        'holiday.mp4 (10x3 views): surfing water 0.931, swimming 0.024'
    """

    video: str
    labels: Sequence[str]
    scores: np.ndarray
    views: str
    windows: tuple[Window, ...] = ()

    def line(self, count: int) -> str:
        """Return a line with what was scored and the `count` best classes."""
        if self.views == SLIDING:
            scored = f"{len(self.windows)} sliding window{'s' if len(self.windows) > 1 else ''}"
        else:
            scored = f"{self.views} view{'s' if self.views != '1x1' else ''}"
        return f"{self.video} ({scored}): {best_in_words(self.scores, self.labels, count)}"

    def as_json(self, count: int) -> dict[str, Any]:
        """Return a dictionary that JSON can hold, with the `count` best classes, and those of each window if any."""
        found = {
            "video": self.video,
            "views": self.views,
            "predictions": best_as_json(self.scores, self.labels, count),
        }
        if self.windows:
            found["windows"] = [
                {
                    "start": window.start,
                    "end": window.end,
                    "predictions": best_as_json(window.scores, self.labels, count),
                }
                for window in self.windows
            ]
        return found


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Paths of files that show a prediction over time; None to skip a file.

    Attributes:
        video: MP4 file for the video with the best classes on its frames.
        timeline: PNG file for a plot of the scores over time.
        explain: MP4 file for the video with Grad-CAM heat maps, one picture for each pathway.
        count: how many classes to draw on the frames of `video`.
    """

    video: str | os.PathLike | None = None
    timeline: str | os.PathLike | None = None
    explain: str | os.PathLike | None = None
    count: int = 3

    def any(self) -> bool:
        """Return whether any file is to be written."""
        return bool(self.video or self.timeline or self.explain)


def predict_files(
    model: Any,
    paths: Iterable[str | os.PathLike],
    labels: Sequence[str],
    views: str | None = None,
    outputs: Outputs = Outputs(),
) -> Iterator[Prediction | VideoError]:
    """Predict videos one after the other; an unreadable video does not stop the others.

    Args:
        model: a `SlowFast` with head "pool".
        paths: video files.
        labels: a name for each class.
        views: what to score: None for the views of the model's own test, "middle" for one clip and crop, "KxC" for K
            clips and C crops, or "sliding" for windows over all of the video.
        outputs: files to write; they do not change the scores.

    Yields:
        For each path a `Prediction`, or a `VideoError` that says why the video cannot be read.

    Raises:
        InputError: if `views` has another form or does not fit the network.

    Example:
        >>> for found in predict_files(model, ["holiday.mp4", "dance.avi"], class_names(model.spec)):  # doctest: +SKIP
        ...     print(found if isinstance(found, VideoError) else found.line(5))
    """
    predictor = Predictor(model, with_views(model.spec, views))
    for path in paths:
        try:
            yield predict_file(predictor, path, labels, views == SLIDING, outputs)
        except VideoError as error:
            yield error


def predict_file(
    predictor: Predictor,
    path: str | os.PathLike,
    labels: Sequence[str],
    sliding: bool = False,
    outputs: Outputs = Outputs(),
) -> Prediction:
    """Score a video, and write the files in `outputs`.

    Args:
        predictor: its `spec` says which views to score.
        path: a video file.
        labels: a name for each class.
        sliding: score sliding windows over the video in place of the views.
        outputs: files to write.

    Raises:
        VideoError: if the video cannot be read.

    Example:
        >>> predict_file(Predictor(model), "holiday.mp4", class_names(model.spec)).scores.shape  # doctest: +SKIP
        (400,)
    """
    windows, timeline = (), None
    if sliding or outputs.any():
        timeline = Slider(predictor, explain=bool(outputs.explain)).slide(path)
        _write(path, timeline, labels, predictor.spec, outputs)
        windows = tuple(
            Window(times[0], times[-1], row) for times, row in zip(timeline.times.tolist(), timeline.scores)
        )
    if sliding and timeline:
        return Prediction(str(path), labels, fuse(timeline.scores, predictor.spec.views), SLIDING, windows)
    return Prediction(str(path), labels, score_video(predictor, path), str(predictor.spec.views), windows)


def _write(
    path: str | os.PathLike, timeline: Timeline, labels: Sequence[str], spec: SlowFastSpec, outputs: Outputs
) -> None:
    from . import plots, videos  # Matplotlib takes half a second to import

    if outputs.timeline:
        plots.save_timeline(timeline, labels, pathlib.Path(path).name, outputs.timeline)
    if outputs.video:
        videos.write_labels(path, timeline, labels, outputs.video, outputs.count)
    if outputs.explain:
        videos.write_heat(path, timeline, labels, outputs.explain, spec)
