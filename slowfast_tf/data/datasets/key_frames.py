"""Key frames and the boxes of the people in them."""

import dataclasses
import typing
from collections.abc import Mapping

import numpy as np

from ..boxes import iou
from ..reference import Box

# The longest clip of the paper, 128 frames, takes 5.4 s of a film at 24 frames a second.
MARGIN = 3.0
SAME_PERSON = 0.9  # the IoU by which PySlowFast's files (iou90) give labels to predicted boxes

Corners: typing.TypeAlias = tuple[float, float, float, float]
Boxes: typing.TypeAlias = dict[Corners, Box]


def take_labels(boxes: Boxes, annotated: Mapping[Corners, Box]) -> None:
    """Give each predicted box without labels the labels of the annotated box of the same person.

    Args:
        boxes: predicted boxes of a key frame; changed in place.
        annotated: annotated boxes of the key frame.

    Example:
        >>> boxes = {corners: Box(corners, (), 0.9)}
        >>> take_labels(boxes, {corners: Box(corners, (3,))})
        >>> boxes[corners].labels
        (3,)
    """
    unlabeled = [corners for corners, box in boxes.items() if not box.labels]
    if unlabeled and annotated:
        overlaps = iou(np.array(unlabeled)[:, None], list(annotated))
        people = list(annotated.values())
        for corners, row in zip(unlabeled, overlaps):
            if row.max() > SAME_PERSON:
                boxes[corners] = dataclasses.replace(boxes[corners], labels=people[row.argmax()].labels)
