"""Predictions of video files: of the middle clip, or over time with the files that show it."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import VideoError
from .clip import read_clip
from .labels import best_as_json, best_in_words
from .predictor import Predictor
from .sliding import Slider


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """The scores of one window of a video.

    Attributes:
        start, end: seconds of its first and last frame.
        scores: float32 `[classes]`.
    """

    start: float
    end: float
    scores: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of a video.

    Attributes:
        video: path of the video.
        labels: a name for each class.
        scores: float32 `[classes]`, of the middle clip, or the mean of all windows.
        windows: one after the other in time; empty for a prediction of one clip.

    Example:
        >>> predict_clip(Predictor(model), "holiday.mp4", class_names(model.spec)).line(2)
        'holiday.mp4: surfing water 0.931, swimming 0.024'
    """

    video: str
    labels: Sequence[str]
    scores: np.ndarray
    windows: tuple[Window, ...] = ()

    def line(self, count: int) -> str:
        """Return a line with the `count` best classes."""
        return f"{self.video}: {best_in_words(self.scores, self.labels, count)}"

    def as_json(self, count: int) -> dict[str, Any]:
        """Return a dictionary that JSON can hold, with the `count` best classes, and those of each window if any."""
        found: dict[str, Any] = {"video": self.video, "predictions": best_as_json(self.scores, self.labels, count)}
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


def predict_files(
    model: Any,
    paths: Iterable[str | os.PathLike],
    labels: Sequence[str],
    video: str | os.PathLike | None = None,
    timeline: str | os.PathLike | None = None,
    explain: str | os.PathLike | None = None,
    count: int = 3,
) -> Iterator[Prediction | VideoError]:
    """Predict videos one after the other; one that cannot be read does not stop the others.

    Args:
        model: a `SlowFast` with head "pool".
        paths: video files.
        labels: a name for each class.
        video, timeline, explain, count: as for `predict_over_time`, which is used if one of the files is asked for;
            otherwise the middle clip is scored.

    Yields:
        For each path its prediction, or the error with the reason why it cannot be read.

    Example:
        >>> for found in predict_files(model, ["holiday.mp4", "dance.avi"], class_names(model.spec)):
        ...     print(found if isinstance(found, VideoError) else found.line(5))
    """
    predictor = Predictor(model)
    for path in paths:
        try:
            if video or timeline or explain:
                yield predict_over_time(predictor, path, labels, video, timeline, explain, count)
            else:
                yield predict_clip(predictor, path, labels)
        except VideoError as error:
            yield error


def predict_clip(predictor: Predictor, path: str | os.PathLike, labels: Sequence[str]) -> Prediction:
    """Score the middle clip of a video.

    Args:
        predictor: a `slowfast_tf.inference.Predictor`.
        path: a video file.
        labels: a name for each class.

    Raises:
        VideoError: if the video cannot be read.

    Example:
        >>> predict_clip(Predictor(model), "holiday.mp4", class_names(model.spec)).scores.shape
        (400,)
    """
    clip = read_clip(path, predictor.spec)
    return Prediction(str(path), labels, predictor.score_clips(clip[None])[0].numpy())


def predict_over_time(
    predictor: Predictor,
    path: str | os.PathLike,
    labels: Sequence[str],
    video: str | os.PathLike | None = None,
    timeline: str | os.PathLike | None = None,
    explain: str | os.PathLike | None = None,
    count: int = 3,
) -> Prediction:
    """Score a window that slides over a video, and write the files that are asked for.

    Args:
        predictor: a `slowfast_tf.inference.Predictor`.
        path: a video file.
        labels: a name for each class.
        video: the MP4 file for the video with the best classes on its frames.
        timeline: the PNG file for a plot of the scores over time.
        explain: the MP4 file for the video with Grad-CAM heat, a picture for each pathway.
        count: how many classes to draw on the frames of `video`.

    Returns:
        The prediction with all windows; its scores are their mean.

    Raises:
        VideoError: if the video cannot be read.

    Example:
        >>> predict_over_time(Predictor(model), "long.mp4", class_names(model.spec), timeline="long.png").windows[0].end
        2.1
    """
    from . import plots, videos  # Matplotlib takes half a second to import

    found = Slider(predictor, explain=bool(explain)).slide(path)
    if timeline:
        plots.save_timeline(found, labels, pathlib.Path(path).name, timeline)
    if video:
        videos.write_labels(path, found, labels, video, count)
    if explain:
        videos.write_heat(path, found, labels, explain, predictor.spec)
    windows = [Window(times[0], times[-1], row) for times, row in zip(found.times.tolist(), found.scores)]
    return Prediction(str(path), labels, found.scores.mean(0), tuple(windows))
