"""Class names, and the classes with the highest scores. Needs no TensorFlow."""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..models.spec import SlowFastSpec


def read_class_names(path: str | os.PathLike) -> list[str]:
    """Read class names from a UTF-8 text file, with or without a byte order mark, one per line; skip empty lines.

    Args:
        path: the file.

    Returns:
        The names, without spaces around them.

    Raises:
        InputError: if the file cannot be read.

    Example:
        >>> _ = pathlib.Path("names.txt").write_text("walk\\nsit down")
        >>> read_class_names("names.txt")
        ['walk', 'sit down']
    """
    try:
        return [line.strip() for line in pathlib.Path(path).read_text("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the class names {path}: {error}", argument="labels") from error


def class_names(spec: SlowFastSpec, path: str | os.PathLike | None = None) -> list[str]:
    """Return a name for each class of a network.

    Args:
        spec: spec of the network.
        path: a file for `read_class_names`, in place of the network's own names.

    Returns:
        The names in the file if there is one, else the names in the spec, else the class numbers as text.

    Raises:
        InputError: if the file cannot be read, or if its number of names is not the number of classes.

    Example:
        >>> class_names(get_spec("slowfast_8x8_r50", num_classes=3))
        ['0', '1', '2']
    """
    classes = spec.num_classes
    if path:
        names = read_class_names(path)
        if len(names) != classes:
            raise InputError(f"{path} has {len(names)} lines; the model has {classes} classes", argument="labels")
        return names
    return list(spec.labels) or [str(i) for i in range(classes)]


def best_classes(scores: np.ndarray, labels: Sequence[str], count: int) -> list[tuple[str, float]]:
    """Return the (label, score) pairs of the highest scores, the best first.

    Args:
        scores: `[classes]`.
        labels: a name for each class.
        count: number of pairs to return.

    Example:
        >>> best_classes(np.array([0.25, 0.75]), ["run", "sit"], 1)
        [('sit', 0.75)]
    """
    return [(labels[int(i)], float(scores[i])) for i in np.argsort(-scores, kind="stable")[:count]]


def best_in_words(scores: np.ndarray, labels: Sequence[str], count: int) -> str:
    """Return `best_classes` as text.

    Example:
        >>> best_in_words(np.array([0.25, 0.75]), ["run", "sit"], 2)
        'sit 0.750, run 0.250'
    """
    return ", ".join(f"{label} {score:.3f}" for label, score in best_classes(scores, labels, count))


def best_as_json(scores: np.ndarray, labels: Sequence[str], count: int) -> list[dict[str, Any]]:
    """Return `best_classes` as a list that JSON can hold.

    Example:
        >>> best_as_json(np.array([0.25, 0.75]), ["run", "sit"], 1)
        [{'label': 'sit', 'score': 0.75}]
    """
    return [{"label": label, "score": score} for label, score in best_classes(scores, labels, count)]


def check_takes_video(spec: SlowFastSpec, name: str | os.PathLike) -> None:
    """Refuse a network that takes optical flow: a video file holds RGB frames only.

    Args:
        spec: spec of the network.
        name: what the user calls the network, for the error.

    Raises:
        InputError: if the network takes optical flow.

    Example:
        >>> check_takes_video(get_spec("slowfast_8x8_r50"), "runs/demo")
    """
    if not spec.takes_video:
        raise InputError(
            f"{name} takes optical flow, which a video file does not hold; give a model that takes RGB, or evaluate"
            " this one on records with flow"
        )
