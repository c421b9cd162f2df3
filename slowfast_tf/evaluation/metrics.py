"""Figures of a test, by name and by class."""

import dataclasses

import numpy as np
from sklearn import metrics

from ..errors import InputError


def compute_metrics(tested):
    """All figures of a test.

    Args:
        tested: a `slowfast_tf.evaluation.scores.Scores`.

    Returns:
        A dictionary: those of `classification` and the data set's own, of `multi_label`, or of `detection`; then
        `videos`, `skipped` and `views`.

    Raises:
        InputError: where no video has a label.
    """
    from ..data import datasets

    if tested.boxes is not None:
        found = detection(tested)
    elif tested.about["activation"] == "sigmoid":
        found = multi_label(tested.labels, tested.scores)
    else:
        truth, scores = single_labels(tested)
        found = classification(truth, scores)
        found.update(datasets.own_metrics(tested.about["dataset"], truth, scores.argmax(1)))
    return {**found, "videos": tested.videos, "skipped": len(tested.skipped), "views": tested.views}


def single_labels(tested):
    """Class indices `[N]` and scores `[N, classes]` of the videos of a test that have a label.

    Raises:
        InputError: where none has one.
    """
    known = tested.labels.any(1)
    if not known.any():
        raise InputError(_unlabelled(tested.labels))
    return tested.labels[known].argmax(1), tested.scores[known]


def classification(truth, scores):
    """Figures for videos of one class each.

    Args:
        truth: class indices `[N]`.
        scores: `[N, classes]`.

    Returns:
        A dictionary of `top1`, `top5` (where there are more than 5 classes) and `mean_class_accuracy`.
    """
    classes = np.arange(scores.shape[1])
    found = {"top1": metrics.accuracy_score(truth, scores.argmax(1))}
    if len(classes) > 5:
        found["top5"] = metrics.top_k_accuracy_score(truth, scores, k=5, labels=classes)
    found["mean_class_accuracy"] = metrics.recall_score(
        truth, scores.argmax(1), labels=np.unique(truth), average="macro"
    )
    return {name: float(value) for name, value in found.items()}


def multi_label(truth, scores):
    """Figures for videos of any number of classes.

    Args:
        truth: 0 or 1, `[N, classes]`.
        scores: `[N, classes]`.

    Returns:
        A dictionary of `mAP`: the mean of the average precision of the classes that happen at all.

    Raises:
        InputError: where none does.
    """
    if not truth.any():
        raise InputError(_unlabelled(truth))
    return {"mAP": float(np.nanmean(average_precisions(truth, scores)))}


def detection(tested):
    """Figures for boxes, by AVA's evaluation: every annotation of the data set counts, of skipped videos as well.

    Returns:
        A dictionary of `mAP`, at a frame IoU of 0.5; `AP`, that of each class by name (None: never annotated);
        `mAP_swapped`, `mAP` if every box had the scores of the next one of its frame, which tells how much the network
        goes by the box (boxes that are alone keep their scores); and `boxes`, how many.

    Raises:
        InputError: where the data set's annotations are not there.
    """
    from ..data import datasets
    from . import ava

    annotations, label_map, exclusions = datasets.annotation_files(*_source(tested))
    names, excluded = ava.read_names(label_map), ava.read_exclusions(exclusions)
    truth = ava.read_csv(annotations, tested.scores.shape[1], scored=False)
    found = ava.average_precision(truth, detections(tested, names), names, excluded)
    others = dataclasses.replace(tested, scores=tested.scores[_next_in_frame(tested.ids)])
    swapped = ava.average_precision(truth, detections(others, names), names, excluded)["mAP"]
    return {"mAP": found.pop("mAP"), "mAP_swapped": swapped, "AP": found, "boxes": len(tested.ids)}


def detections(tested, names=None):
    """The scores of a test of boxes as `ava.Boxes`: each box with each class that the label map names."""
    from ..data import datasets
    from . import ava

    names = names or ava.read_names(datasets.annotation_files(*_source(tested))[1])
    films, times = zip(*(name.split(",") for name in tested.ids))
    return ava.detections(films, np.array(times, float), tested.boxes, tested.scores, names)


def _source(tested):
    return tested.about["dataset"], tested.about["config"]["data"]["root"]


def _next_in_frame(ids):
    """For each box the index of the next one of its frame, and for its last one the first; they stand together."""
    ids = np.array(ids)
    starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
    order = np.arange(1, len(ids) + 1)
    order[np.append(starts[1:], len(ids)) - 1] = starts
    return order


def average_precisions(truth, scores):
    """Average precision of each class, `[classes]`, as scikit-learn has it; NaN for a class that does not happen."""
    found = np.full(truth.shape[1], np.nan)
    present = truth.any(0)
    if present.any():
        found[present] = metrics.average_precision_score(truth[:, present], scores[:, present], average=None)
    return found


def by_class(truth, predicted, classes):
    """Accuracy and precision of each class, for videos of one class each.

    Args:
        truth, predicted: class indices `[N]`.
        classes: how many there are.

    Returns:
        Share of the class's videos that are told right (recall), and share of what is told to be of the class that
        is, `[classes]` each; NaN where there is none.
    """
    precision, recall, _, _ = metrics.precision_recall_fscore_support(
        truth, predicted, labels=range(classes), zero_division=np.nan
    )
    return recall, precision


def confused_pairs(truth, predicted, most=20):
    """Which class is taken for which most often.

    Args:
        truth, predicted: class indices `[N]`.
        most: how many pairs to give.

    Returns:
        A list of (true class, predicted class, number of videos, share of the true class's videos), the largest number
        first, and of equal ones the largest share.
    """
    pairs, counts = np.unique(np.stack([truth, predicted])[:, truth != predicted], axis=1, return_counts=True)
    videos = np.bincount(truth)
    found = [(int(a), int(b), int(n), float(n / videos[a])) for (a, b), n in zip(pairs.T, counts)]
    return sorted(found, key=lambda pair: (-pair[2], -pair[3], pair[:2]))[:most]


def _unlabelled(truth):
    return (
        f"none of the {len(truth)} videos has a label, so there is nothing to compare scores with; --scores saves them"
    )
