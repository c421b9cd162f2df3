"""Divide training videos into folds for cross-validation, with scikit-learn. Needs no TensorFlow."""

import re
import warnings
from collections.abc import Sequence

from sklearn import model_selection

from ..config import Data
from ..errors import InputError


def of_split(split: str, names: Sequence[str], classes: Sequence[Sequence[int]], data: Data) -> list[int]:
    """Return the numbers of the videos of a split: the videos of the fold for "val", all other videos for "train".

    Args:
        split: "train" or "val".
        names, classes: as for `divide`.
        data: the configuration's section "data", with a `fold`.
    """
    assert data.fold, "the caller checks this"
    number, count = data.fold
    fold = divide(names, classes, count, data.groups)[number]
    return fold if split == "val" else sorted(set(range(len(names))).difference(fold))


def group_names(names: Sequence[str], pattern: str) -> list[str]:
    """Return the group of each video, such as a person or a scene.

    Args:
        names: ids of the videos.
        pattern: regular expression to search in each id. The group of a video is the text that the parentheses match,
            or the whole match if there are no parentheses.

    Raises:
        InputError: if the pattern does not match an id; the message has the first such id.

    Example:
        >>> group_names(["tick_3.mp4", "left_12.mp4"], r"_(\\d+)")
        ['3', '12']
    """
    found = [re.search(pattern, name) for name in names]
    if None in found:
        raise InputError(f"data.groups {pattern!r} is not in the id {names[found.index(None)]!r}; change it")
    return ["/".join(match.groups("")) or match[0] for match in found if match]


def divide(
    names: Sequence[str], classes: Sequence[Sequence[int]], count: int, pattern: str | None = None
) -> list[list[int]]:
    """Divide videos into folds with similar class distributions; no group is in two folds.

    The folds depend only on the names and classes, not on their order. The records of a data set therefore have the
    same folds as its files, unless `prepare` skipped a video.

    Args:
        names: ids of the videos.
        classes: class indices of each video. If a video has no class or several, classes are ignored.
        count: number of folds. As many folds as groups give leave-one-group-out cross-validation.
        pattern: as for `group_names`; None for no groups.

    Returns:
        The numbers of the videos of each fold, ascending.

    Raises:
        InputError: if there are fewer groups than folds, or if every class has fewer videos than there are folds.

    Example:
        >>> divide(["a1", "a2", "b1", "b2"], [[0], [1], [0], [1]], 2, "[ab]")
        [[0, 1], [2, 3]]
    """
    order = sorted(range(len(names)), key=names.__getitem__)
    groups = group_names([names[i] for i in order], pattern) if pattern else [names[i] for i in order]
    kinds = len(set(groups))
    if kinds < count:
        raise InputError(f"data.fold: {count} folds of {kinds} {'groups' if pattern else 'videos'}; use fewer folds")
    single = all(len(classes[i]) == 1 for i in order)
    if pattern and (kinds == count or not single):
        splitter = model_selection.GroupKFold(count)
    elif single:
        splitter = model_selection.StratifiedGroupKFold(count) if pattern else model_selection.StratifiedKFold(count)
    else:
        splitter = model_selection.KFold(count)
    targets = [classes[i][0] for i in order] if single else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # rare classes are absent from some folds
        try:
            parts = [test for _, test in splitter.split(order, targets, groups if pattern else None)]
        except ValueError as error:
            raise InputError(f"data.fold: {count} folds are too many: {error}") from error
    return [sorted(order[i] for i in part) for part in parts]
