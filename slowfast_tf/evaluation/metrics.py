"""Metrics of a test, by name and by class."""

import dataclasses
import typing

import numpy as np
from sklearn import metrics

from ..data import ava_csv, datasets
from ..errors import InputError
from . import ava
from .scores import Scores


def compute_metrics(tested: Scores) -> dict[str, typing.Any]:
    """Compute all metrics of a test.

    Args:
        tested: the scores of the whole test.

    Returns:
        The metrics of `classification` with those of `datasets.own_metrics`, of `multi_label`, or of `detection`; then
        `videos`, `skipped` and `views`.

    Raises:
        InputError: if no video has a label, or if the annotation files of a detection data set cannot be read.

    Example:
        >>> compute_metrics(load_scores("scores.npz"))  # doctest: +SKIP
        {'top1': 0.975, 'top5': 1.0, 'mean_class_accuracy': 0.974, 'videos': 240, 'skipped': 0, 'views': '2x1'}
    """
    if tested.boxes is not None:
        found = detection(tested)
    elif tested.about.activation == "sigmoid":
        found = multi_label(tested.labels, tested.scores)
    else:
        truth, scores = single_labels(tested)
        found = classification(truth, scores)
        found.update(datasets.own_metrics(tested.about.dataset, truth, scores.argmax(1)))
    return {**found, "videos": tested.videos, "skipped": len(tested.skipped), "views": tested.views}


def single_labels(tested: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Return class indices `[N]` and scores `[N, classes]` of the videos of a test that have a label.

    Raises:
        InputError: if no video has a label.

    Example:
        >>> truth, scores = single_labels(load_scores("scores.npz"))  # doctest: +SKIP
    """
    known = tested.labels.any(1)
    if not known.any():
        raise _unlabelled(tested.labels)
    return tested.labels[known].argmax(1), tested.scores[known]


def classification(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Compute the metrics of videos with one class each.

    Args:
        truth: class indices `[N]`.
        scores: `[N, classes]`.

    Returns:
        `top1`, `top5` (for more than 5 classes), `mean_class_accuracy` and `macro_f1`, the mean F1 of the classes that
        have videos. For two classes also `precision`, `recall` and `f1` of the second class, if it has videos, and, if
        both classes have videos, `auc`, the area under the ROC curve of the second class.

    Example:
        >>> found = classification(np.array([0, 1, 2]), np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0, 0, 1]]))
        >>> {name: round(value, 3) for name, value in found.items()}
        {'top1': 0.667, 'mean_class_accuracy': 0.667, 'macro_f1': 0.556}
    """
    classes, predicted = np.arange(scores.shape[1]), scores.argmax(1)
    found = {"top1": metrics.accuracy_score(truth, predicted)}
    if len(classes) > 5:
        found["top5"] = metrics.top_k_accuracy_score(truth, scores, k=5, labels=classes)
    present = np.unique(truth)
    found["mean_class_accuracy"] = metrics.recall_score(truth, predicted, labels=present, average="macro")
    options: dict[str, typing.Any] = {"zero_division": 0}
    found["macro_f1"] = metrics.f1_score(truth, predicted, labels=present, average="macro", **options)
    if len(classes) == 2 and 1 in present:
        for name in ("precision", "recall", "f1"):
            found[name] = getattr(metrics, f"{name}_score")(truth, predicted, **options)
        if len(present) == 2:
            found["auc"] = metrics.roc_auc_score(truth, scores[:, 1])
    return {name: float(value) for name, value in found.items()}


def multi_label(truth: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """Compute the metrics of videos with any number of classes each.

    Args:
        truth: 0 or 1, `[N, classes]`.
        scores: `[N, classes]`.

    Returns:
        `mAP`: the mean of the average precision of the classes that have videos.

    Raises:
        InputError: if no video has a label.

    Example:
        >>> multi_label(np.array([[1, 1]]), np.array([[0.3, 0.2]]))
        {'mAP': 1.0}
    """
    if not truth.any():
        raise _unlabelled(truth)
    return {"mAP": float(np.nanmean(average_precisions(truth, scores)))}


def detection(tested: Scores) -> dict[str, typing.Any]:
    """Compute the metrics of boxes with AVA's evaluation, over all annotations, including those of skipped key frames.

    Args:
        tested: the scores of boxes.

    Returns:
        `mAP`, the mean average precision at a frame IoU of 0.5; `AP`, the average precision by class name (None for a
        class without annotations); `boxes`, the number of boxes; and `mAP_swapped`, the `mAP` if every box has the
        scores of the next box in its frame. `mAP_swapped` measures how much the model depends on the box. A box that is
        alone in its frame keeps its scores.

    Raises:
        InputError: if the data set's annotation files cannot be read.

    Example:
        >>> detection(load_scores("ava.npz"))["mAP"]  # doctest: +SKIP
    """
    annotations = read_annotations(*_source(tested))

    def precision(some: Scores) -> dict[str, typing.Any]:
        found = detections(some, annotations.names)
        return ava.average_precision(annotations.boxes, found, annotations.names, annotations.excluded)

    found = precision(tested)
    swapped = precision(dataclasses.replace(tested, scores=tested.scores[_next_in_frame(tested.ids)]))["mAP"]
    return {"mAP": found.pop("mAP"), "mAP_swapped": swapped, "AP": found, "boxes": len(tested.ids)}


def read_annotations(dataset: str, root: str) -> datasets.Annotations:
    """Read the annotations of a detection data set for its metric.

    Args:
        dataset: name of the data set.
        root: directory of the data set, or of records that were made from it. Records may be at an address such as
            "s3://bucket/records".

    Raises:
        InputError: if the data set has no annotations of boxes, or if they are missing or their format is wrong.
        RunError: if a file cannot be downloaded.

    Example:
        >>> read_annotations("ava", "data/ava").names[1]  # doctest: +SKIP
        'bend/bow (at the waist)'
    """
    found = datasets.annotations(dataset, root)
    if found is None:
        raise InputError(f"the data set {dataset!r} has no annotations of boxes, so there is no mAP to compute")
    return found


def detections(tested: Scores, names: dict[int, str] | None = None) -> ava_csv.Boxes:
    """Return the scores of a test of boxes as `ava_csv.Boxes`: a row for each box and evaluated class.

    Args:
        tested: the scores.
        names: names of the evaluated classes, by id; by default those of the data set.

    Example:
        >>> detections(load_scores("ava.npz")).corners.shape  # doctest: +SKIP
    """
    names = names or read_annotations(*_source(tested)).names
    films, times = zip(*(name.rsplit(",", 1) for name in tested.ids))
    assert tested.boxes is not None
    return ava_csv.detections(films, np.array(times, float), tested.boxes, tested.scores, names)


def _source(tested: Scores) -> tuple[str, str]:
    return tested.about.dataset, tested.about.config["data"]["root"]


def _next_in_frame(ids: typing.Sequence[str]) -> np.ndarray:
    """Return for each box the index of the next box in its frame; for the last box in a frame, the first one.

    The boxes of a frame are consecutive.
    """
    names = np.array(ids)
    starts = ava_csv.run_starts(names)
    order = np.arange(1, len(names) + 1)
    order[np.append(starts[1:], len(names)) - 1] = starts
    return order


def average_precisions(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return scikit-learn's average precision of each class, `[classes]`; NaN for a class without videos.

    Args:
        truth: 0 or 1, `[N, classes]`.
        scores: `[N, classes]`.

    Example:
        >>> average_precisions(np.array([[1, 0], [0, 0]]), np.array([[0.9, 0.2], [0.1, 0.3]]))
        array([ 1., nan])
    """
    found = np.full(truth.shape[1], np.nan)
    present = truth.any(0)
    if present.any():
        found[present] = metrics.average_precision_score(
            truth[:, present],
            scores[:, present],
            average=None,  # pyright: ignore[reportArgumentType]
        )
    return found


def by_class(truth: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return recall and precision of each class, for videos with one class each.

    Args:
        truth, predicted: class indices `[N]`.
        classes: number of classes.

    Returns:
        Recall (the accuracy within the class) and precision, `[classes]` each; NaN for a class without videos or
        predictions.

    Example:
        >>> by_class(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
        (array([0.5, 1. ]), array([1. , 0.5]))
    """
    precision, recall, _, _ = metrics.precision_recall_fscore_support(
        truth,
        predicted,
        labels=range(classes),
        zero_division=np.nan,  # pyright: ignore[reportArgumentType]
    )
    return np.asarray(recall), np.asarray(precision)


def confused_pairs(truth: np.ndarray, predicted: np.ndarray, most: int = 20) -> list[tuple[int, int, int, float]]:
    """Return the largest cells of the confusion matrix outside its diagonal.

    Args:
        truth, predicted: class indices `[N]`.
        most: maximum number of pairs to return.

    Returns:
        A list of (true class, predicted class, number of videos, fraction of the true class's videos). The largest
        number is first; for equal numbers, the largest fraction.

    Example:
        >>> confused_pairs(np.array([0, 0, 1]), np.array([0, 1, 1]))
        [(0, 1, 1, 0.5)]
    """
    pairs, counts = np.unique(np.stack([truth, predicted])[:, truth != predicted], axis=1, return_counts=True)
    videos = np.bincount(truth)
    found = [(int(a), int(b), int(n), float(n / videos[a])) for (a, b), n in zip(pairs.T, counts)]
    return sorted(found, key=lambda pair: (-pair[2], -pair[3], pair[:2]))[:most]


def _unlabelled(truth: np.ndarray) -> InputError:
    return InputError(
        f"none of the {len(truth)} videos has a label, so there is nothing to compare scores with", argument="labels"
    )
