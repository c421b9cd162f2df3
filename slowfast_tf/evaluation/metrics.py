"""Figures of a test, by name."""

import numpy as np
from sklearn import metrics


def classification(truth, scores):
    """Figures for videos of one class each.

    Args:
        truth: class indices `[N]`.
        scores: `[N, classes]`.

    Returns:
        A dictionary of `top1`, `top5` (where there are more than 5 classes) and `mean_class_accuracy`.
    """
    classes = np.arange(scores.shape[1])
    figures = {"top1": metrics.accuracy_score(truth, scores.argmax(1))}
    if len(classes) > 5:
        figures["top5"] = metrics.top_k_accuracy_score(truth, scores, k=5, labels=classes)
    figures["mean_class_accuracy"] = metrics.recall_score(
        truth, scores.argmax(1), labels=np.unique(truth), average="macro"
    )
    return {name: float(value) for name, value in figures.items()}


def multi_label(truth, scores):
    """Figures for videos of any number of classes.

    Args:
        truth: 0 or 1, `[N, classes]`.
        scores: `[N, classes]`.

    Returns:
        A dictionary of `mAP`: the mean of the average precision of the classes that happen at all.
    """
    present = truth.any(0)
    return {"mAP": float(metrics.average_precision_score(truth[:, present], scores[:, present], average="macro"))}
