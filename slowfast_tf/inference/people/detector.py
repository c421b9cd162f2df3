"""People that a detector finds: a SavedModel with the signature of TensorFlow's object detectors."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import InputError
from ...video.decode import iterate_frames
from ...video.probe import probe
from .person import Person, nearest_frames

PERSON = 1  # the class of TensorFlow's detectors (COCO)


def detect(
    path: str | os.PathLike, detector: str | os.PathLike, duration: float, least_score: float = 0.8
) -> list[Person]:
    """Find people in one frame of each second of a video.

    One frame is held at a time, so memory does not depend on the length of the video.

    Args:
        path: of the video.
        detector: directory of a SavedModel with the signature of TensorFlow's object detectors: an image, uint8
            `[1, H, W, 3]`, to `detection_boxes` `[1, N, 4]` (y1, x1, y2, x2 as shares), `detection_scores` and
            `detection_classes` `[1, N]`. Boxes of class 1 (a person) count.
        duration: of the video, in seconds.
        least_score: least score of a box that counts, the `person_score` of the action network's spec.

    Returns:
        The people, by time.

    Raises:
        InputError: if `detector` is not such a SavedModel, or finds nobody.
        VideoError: if the video cannot be read.

    Example:
        >>> people = detect("street.mp4", "faster_rcnn/saved_model", duration(probe("street.mp4")))
    """
    find = _load_detector(detector)
    times = np.arange(0.5, duration, 1.0) if duration > 0.5 else np.array([duration / 2])
    people = []
    for time, image in zip(times, iterate_frames(path, nearest_frames(probe(path), times))):
        boxes, scores, classes = find(image)
        for i in np.flatnonzero((scores >= least_score) & (classes == PERSON)):
            y1, x1, y2, x2 = np.clip(boxes[i], 0, 1).tolist()
            if x1 < x2 and y1 < y2:
                people.append(Person(float(time), (x1, y1, x2, y2), float(scores[i])))
    if not people:
        raise InputError(f"the detector {detector} finds nobody of a score of {least_score} in {path}")
    return people


def _load_detector(detector: str | os.PathLike) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
    """Return a function from an image to its boxes `[N, 4]`, scores `[N]` and classes `[N]`."""
    try:
        loaded: Any = tf.saved_model.load(str(detector))
        signature = loaded.signatures["serving_default"]
        (name,) = signature.structured_input_signature[1]
    except (OSError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{detector} is no SavedModel of a detector with one input image: {reason}") from error
    missing = {"detection_boxes", "detection_scores", "detection_classes"} - set(signature.structured_outputs)
    if missing:
        raise InputError(f"the detector {detector} does not give {', '.join(sorted(missing))}")

    def find(image: np.ndarray, _: Any = loaded) -> tuple[np.ndarray, ...]:  # a signature does not keep its model
        found = signature(**{name: tf.constant(image[None])})
        return tuple(found[f"detection_{key}"][0].numpy() for key in ("boxes", "scores", "classes"))

    return find
