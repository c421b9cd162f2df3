"""Detectors of people, by path or published name."""

import dataclasses
import difflib
import importlib.util
import os
import pathlib
import time

import numpy as np

from ...errors import InputError
from .boxes import FORMS, Boxes, Find

__all__ = ["DEFAULT", "FORMS", "PUBLISHED", "Boxes", "Detector", "check_detector", "load_detector"]

DEFAULT = "efficientdet_d0"
PERSON_SCORE = 0.5  # default for a detector that the user provides


@dataclasses.dataclass(frozen=True)
class Published:
    """A detector that is downloaded by name.

    Attributes:
        handle: name on Kaggle, with the version.
        person_score: lowest score of a box that counts as a person.
    """

    handle: str
    person_score: float


# TensorFlow's EfficientDets, trained on COCO (arXiv 1911.09070): a larger number is slower and finds more.
PUBLISHED = {
    f"efficientdet_d{size}": Published(f"tensorflow/efficientdet/tensorFlow2/d{size}/1", 0.5) for size in range(8)
}


class Detector:
    """A detector of people.

    Args:
        name: name of the detector, for messages.
        find: function from images, uint8 `[B, H, W, 3]`, RGB, to the people in each.
        person_score: lowest score of a box that counts as a person.

    Attributes:
        seconds: total time spent in `find` so far.
    """

    def __init__(self, name: str, find: Find, person_score: float):
        self.name, self._find, self.person_score, self.seconds = name, find, person_score, 0.0

    def find(self, images: np.ndarray) -> list[Boxes]:
        """Return the people in each image of a batch, uint8 `[B, H, W, 3]`, RGB; boxes of any score are included."""
        started = time.perf_counter()
        found = self._find(images)
        self.seconds += time.perf_counter() - started
        return found


def check_detector(name: str | os.PathLike) -> None:
    """Check the name of a detector without loading or downloading it.

    Raises:
        InputError: if `name` is neither a path nor a published name, or if kagglehub is needed and not installed.

    Example:
        >>> check_detector("efficientdet_d9")
        Traceback (most recent call last):
        slowfast_tf.errors.InputError: efficientdet_d9: no such file, and no published detector; ...
    """
    name = os.fspath(name)
    if os.path.exists(name):
        return
    if name not in PUBLISHED:
        close = difflib.get_close_matches(name, PUBLISHED, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"give {FORMS}"
        raise InputError(f"{name}: no such file, and no published detector; {hint}")
    if not importlib.util.find_spec("kagglehub"):
        raise InputError(
            f"{name}: downloading a detector needs kagglehub: pip install 'slowfast_tf[people]'; or give {FORMS}"
        )


def load_detector(name: str | os.PathLike, person_score: float | None = None) -> Detector:
    """Return a detector by path or published name.

    Args:
        name: the directory of a SavedModel, a `.tflite` or `.onnx` file, or a key of `PUBLISHED`, which is downloaded
            once.
        person_score: lowest score of a box that counts as a person; if None, the published detector's, or 0.5.

    Raises:
        InputError: as `check_detector`, if the download fails, or if the file holds no detector.

    Example:
        >>> detector = load_detector("efficientdet_d0")  # doctest: +SKIP
        >>> detector.find(image[None])[0].scores  # doctest: +SKIP
        array([0.93, 0.71], dtype=float32)
    """
    name = os.fspath(name)
    check_detector(name)
    published = None if os.path.exists(name) else PUBLISHED[name]
    path = _download(name, published.handle) if published else name
    suffix = pathlib.Path(path).suffix
    if suffix == ".tflite":
        from .tflite import load
    elif suffix == ".onnx":
        from .onnx import load
    else:
        from .saved_model import load
    default = published.person_score if published else PERSON_SCORE
    return Detector(name, load(path), default if person_score is None else person_score)


def _download(name: str, handle: str) -> str:
    import kagglehub  # pyright: ignore[reportMissingImports]  # installed by the extra "people"

    try:
        return kagglehub.model_download(handle)
    except Exception as error:  # kagglehub's exceptions and its HTTP library's have no common base class
        cause: BaseException = error
        while inner := cause.__cause__ or cause.__context__:  # the outer errors repeat addresses and class names
            cause = inner
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        raise InputError(
            f"cannot download the detector {name} ({reason}); check the connection, or download"
            f" https://www.kaggle.com/models/{handle} yourself and give its directory"
        ) from error
