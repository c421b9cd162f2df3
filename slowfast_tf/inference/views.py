"""Score a video file from its views, in the same way in `predict`, on the page and in a test."""

import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from ..data import clips
from ..data.reference import Video
from ..data.sampling import Sampling, test_starts
from ..data.sources import Files
from ..errors import RunError
from ..models.spec import SlowFastSpec
from ..models.views import Views
from .predictor import Predictor


def score_video(predictor: Predictor, path: str | os.PathLike) -> np.ndarray:
    """Return the fused scores of the views of a video file, as in a test.

    Args:
        predictor: its `spec` defines the views and how their scores are fused.
        path: a video file.

    Returns:
        float32 `[classes]`.

    Raises:
        VideoError: if the video cannot be read.
        RunError: if the scores are not finite.

    Example:
        >>> score_video(Predictor(model), "holiday.mp4").shape  # doctest: +SKIP
        (400,)
    """
    scores = [predictor.score_views(inputs).numpy() for inputs in read_views(path, predictor.spec)]
    return checked_scores(fuse(np.concatenate(scores), predictor.spec.views), path)


def read_views(path: str | os.PathLike, spec: SlowFastSpec) -> Iterator[clips.Inputs]:
    """Yield the inputs of the crops of each test clip, `[crops, T, S, S, C]`.

    Args:
        path: a video file.
        spec: spec of the network.

    Raises:
        VideoError: if the video cannot be read.

    Example:
        >>> [inputs["slow"].shape for inputs in read_views("holiday.mp4", model.spec)]  # doctest: +SKIP
    """
    starts = np.array(test_starts(spec, spec.views))
    read = Files([Video(os.fspath(path), ())]).reader(Sampling(spec, starts, short_side=spec.crop_size))
    for frames in read(0, starts, 1.0).frames:
        yield clips.test_inputs(clips.TestFrames(tf.constant(frames)), spec, spec.views.crops)


def fuse(scores: np.ndarray, views: Views) -> np.ndarray:
    """Fuse the scores of N views, `[N, classes]`, into the scores of a video, `[classes]`.

    Example:
        >>> fuse(np.array([[0.2, 0.8], [0.4, 0.6]]), Views(fuse="max"))
        array([0.4, 0.8])
    """
    return {"mean": np.mean, "max": np.max}[views.fuse](scores, 0)


def checked_scores(scores: np.ndarray, video: str | os.PathLike) -> np.ndarray:
    """Return scores, which finite weights can overflow.

    Args:
        scores: of a video, of any shape.
        video: its name, for the error.

    Raises:
        RunError: if a score is NaN or infinite.

    Example:
        >>> checked_scores(np.array([0.1, 0.9]), "holiday.mp4")
        array([0.1, 0.9])
    """
    if not np.isfinite(scores).all():
        raise RunError(f"the scores of {video} are not finite; train the model again")
    return scores
