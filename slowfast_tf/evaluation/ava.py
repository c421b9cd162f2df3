"""AVA's official metric in NumPy: mean average precision over classes at a frame IoU of 0.5."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from ..data.ava_csv import Boxes, File, changes, read_csv, read_exclusions, run_starts
from ..data.boxes import iou
from ..data.datasets.ava import read_label_map
from ..errors import InputError

IOU = 0.5
MOST = 50  # maximum number of rows per frame that are evaluated
# "mAP", and the average precision by class name; None for a class without annotations.
Precisions = dict[str, float | None]


def mean_average_precision(
    ground_truth_csv: File,
    detections_csv: File,
    label_map: File | dict[int, str],
    exclusions: File | None = None,
) -> Precisions:
    """Compute AVA's mean average precision, and the average precision of each class.

    The rules are those of the official evaluation (ActivityNet's `get_ava_performance.py` since March 2019):

    - Actions that are not in the label map are ignored.
    - Only frames of the ground truth are evaluated, including frames without boxes.
    - In each frame, only the 50 detections with the highest scores are evaluated.
    - A detection is matched to the annotated box of the same frame and action with the highest IoU. It is correct if
      this IoU is at least 0.5 and no detection with a higher score is matched to the same box.

    For equal scores in a frame, the first rows are taken; in the official evaluation, the order of a heap decides. For
    equal scores in different frames, the later rows rank first.

    Args:
        ground_truth_csv: rows of video, second, x1, y1, x2, y2, action and, optionally, person.
        detections_csv: rows of video, second, x1, y1, x2, y2, action and, optionally, score (default 1), in any order.
            In both files, a row of video and second alone is a frame without boxes.
        label_map: a `.pbtxt` file, or a dictionary from class id to name.
        exclusions: a csv file of video and second of the frames that are not evaluated, or None.

    Returns:
        A dictionary of "mAP" and the average precision by class name. It is None for a class without annotations, and
        "mAP" ignores these classes.

    Raises:
        InputError: if a file is missing or its format is wrong; if corners are NaN, negative, above 1 or swapped; if a
            time is negative; or if an action is above the ids of the label map. The message has the file and the row.

    Example:
        >>> files = "ava_val_v2.2.csv", "detections.csv", "ava_action_list_v2.2.pbtxt"
        >>> found = mean_average_precision(*files)  # doctest: +SKIP
        >>> found["mAP"]  # doctest: +SKIP
        0.247
    """
    names = label_map if isinstance(label_map, dict) else read_label_map(label_map)
    excluded = () if exclusions is None else read_exclusions(exclusions)
    truth = read_csv(ground_truth_csv, max(names), scored=False)
    detections = read_csv(detections_csv, max(names))
    return average_precision(truth, detections, names, excluded)


def average_precision(
    truth: Boxes, detections: Boxes, names: Mapping[int, str], excluded: Collection[tuple[str, float]] = ()
) -> Precisions:
    """Compute `mean_average_precision` for boxes in memory.

    Args:
        truth: annotated boxes.
        detections: scored boxes.
        names: class names by class id.
        excluded: (video, second) of the frames that are not evaluated.

    Example:
        >>> from slowfast_tf.data.ava_csv import detections
        >>> box = detections(["street"], [902.0], [[0.1, 0.2, 0.3, 0.9]], [[0.9]], [1])
        >>> average_precision(box, box, {1: "stand"})["mAP"]
        1.0
    """
    ids = np.array(sorted(names))
    classes = np.full(max(ids.max(), _most(truth.actions), _most(detections.actions)) + 1, -1)
    classes[ids] = np.arange(len(ids))
    (true_frame, found_frame), left_out = _frames((truth, detections), excluded)

    keep = np.flatnonzero((classes[truth.actions] >= 0) & ~left_out[true_frame])
    corners, group = truth.corners[keep], true_frame[keep] * len(ids) + classes[truth.actions[keep]]
    order = np.argsort(group, kind="stable")
    corners, group = corners[order], group[order]
    count = np.bincount(group, minlength=len(left_out) * len(ids))  # annotated boxes of each frame and class
    first = np.cumsum(count) - count
    positives = count.reshape(-1, len(ids)).sum(0)

    counts = np.zeros(len(left_out), bool)
    counts[true_frame] = True
    counts &= ~left_out
    category = classes[detections.actions].astype(np.int16)
    keep = np.flatnonzero((category >= 0) & counts[found_frame])
    keep = keep[_together(found_frame[keep])]
    keep = keep[_best(found_frame[keep], detections.scores[keep])]
    x1, y1, x2, y2 = detections.corners.T
    # As in the official evaluation, boxes without area are among the 50 of a frame, but are not evaluated.
    keep = keep[((x1 < x2) & (y1 < y2))[keep]]
    category, scores = category[keep], detections.scores[keep]
    group = found_frame[keep] * len(ids) + category
    some = np.flatnonzero(count[group])  # the other detections cannot match an annotation
    right = np.zeros(len(keep), bool)
    right[some[_winners(detections.corners[keep[some]], scores[some], group[some], corners, count, first)]] = True

    found: Precisions = {}
    order = np.argsort(category, kind="stable")
    ends = np.cumsum(np.bincount(category, minlength=len(ids)))
    for i, end in enumerate(ends):
        rows = order[ends[i - 1] if i else 0 : end]
        found[names[ids[i]]] = _area(_ranks(scores[rows], right[rows]), positives[i])
    known = [precision for precision in found.values() if precision is not None]
    if not known:
        boxes = np.count_nonzero(truth.actions)
        raise InputError(f"none of the {boxes} annotated boxes has an action of the label map")
    return {"mAP": float(np.mean(known)), **found}


def _together(frames: np.ndarray) -> np.ndarray | slice:
    """Return the order that makes the rows of each frame consecutive; frames keep the order of their first rows."""
    starts = run_starts(frames)
    firsts = frames[starts]
    if len(np.unique(firsts)) == len(firsts):
        return slice(None)
    appearance = np.zeros(frames.max() + 1, np.int64)
    appearance[firsts[::-1]] = starts[::-1]
    return np.argsort(appearance[frames], kind="stable")


def _best(frames: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return whether each row has one of the `MOST` highest scores of its frame. Rows of a frame are consecutive."""
    starts = run_starts(frames)
    lengths = np.diff(np.append(starts, len(frames)))
    kept = np.ones(len(frames), bool)
    for length in np.unique(lengths[lengths > MOST]):  # few lengths: they are multiples of the number of classes
        rows = starts[lengths == length, None] + np.arange(length)
        some = scores[rows]
        least = np.partition(some, length - MOST, axis=1)[:, length - MOST, None]
        above, tied = some > least, some == least
        kept[rows] = above | (tied & (tied.cumsum(1) <= MOST - above.sum(1, keepdims=True)))
    return kept


def _winners(
    corners: np.ndarray,
    scores: np.ndarray,
    group: np.ndarray,
    true_corners: np.ndarray,
    count: np.ndarray,
    first: np.ndarray,
) -> np.ndarray:
    """Return the indices of the correct detections; each detection has annotated boxes of its frame and class."""
    best, taken = np.zeros(len(group)), np.full(len(group), -1)
    rows, step = np.arange(len(group)), 0
    while len(rows):  # step over the annotated boxes of a frame and class, which are few
        which = first[group[rows]] + step
        overlap = iou(corners[rows], true_corners[which])
        better = overlap > best[rows]
        best[rows[better]], taken[rows[better]] = overlap[better], which[better]
        step += 1
        rows = rows[count[group[rows]] > step]
    hits = np.flatnonzero(best >= IOU)
    several = np.bincount(taken[hits])[taken[hits]] > 1
    rivals = hits[several]
    rivals = rivals[np.argsort(-scores[rivals], kind="stable")]
    winner = np.empty(len(true_corners), np.int64)
    winner[taken[rivals[::-1]]] = rivals[::-1]  # the last write wins
    return np.concatenate([hits[~several], winner[np.unique(taken[rivals])]])


def _ranks(scores: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the ranks of the correct detections, from 0, by descending score; for equal scores the later is first."""
    ordered, mine = np.sort(scores), np.sort(scores[right])[::-1]
    above = np.searchsorted(ordered, mine, "right")
    if (ordered[above - 2] == mine)[above > 1].any():
        return np.flatnonzero(right[np.argsort(scores, kind="stable")[::-1]])
    return len(scores) - above


def _area(ranks: np.ndarray, positives: int) -> float | None:
    """Return the area under the precision-recall curve with monotonic precision, as in PASCAL VOC."""
    if not positives:
        return None
    precision = np.arange(1, len(ranks) + 1) / (ranks + 1)
    return float(np.maximum.accumulate(precision[::-1]).sum() / positives)


def _frames(tables: Sequence[Boxes], excluded: Collection[tuple[str, float]]) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the frame number of each row, with the same numbers in all tables, and whether each frame is excluded."""
    numbers, videos, seconds, lengths = {}, [], [], []
    for boxes in tables:  # the rows of a frame are usually consecutive, so look only at the first row of each run
        starts = np.flatnonzero(changes(boxes.videos) | changes(boxes.times))
        names = boxes.videos[starts]
        runs = run_starts(names)
        found = np.array([numbers.setdefault(name, len(numbers)) for name in names[runs].tolist()], np.int64)
        videos.append(np.repeat(found, np.diff(np.append(runs, len(names)))))
        seconds.append(boxes.times[starts])
        lengths.append(np.diff(np.append(starts, len(boxes.times))))
    times, place = np.unique(np.concatenate(seconds), return_inverse=True)
    keys, frames = np.unique(np.concatenate(videos) * len(times) + place, return_inverse=True)
    ends = np.cumsum([len(x) for x in lengths])
    rows = [np.repeat(f, n) for f, n in zip(np.split(frames, ends[:-1]), lengths)]
    left_out = np.zeros(len(keys), bool)
    for video, second in excluded:
        if video in numbers and second in times:
            left_out |= keys == numbers[video] * len(times) + np.searchsorted(times, second)
    return rows, left_out


def _most(x: np.ndarray) -> int:
    return x.max(initial=0)
