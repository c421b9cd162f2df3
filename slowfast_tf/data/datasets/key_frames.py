"""Key frames and the boxes of the people in them."""

import dataclasses
import typing
from collections.abc import Mapping

import numpy as np

from ..boxes import iou
from ..reference import Box

# Seconds of a film before and after a key frame. The longest clip of the paper, 128 frames, is 5.4 s at 24 frames/s.
MARGIN = 3.0
SAME_PERSON = 0.9  # least IoU with an annotated box, as in the predicted boxes of PySlowFast (iou90)

Corners: typing.TypeAlias = tuple[float, float, float, float]
Boxes: typing.TypeAlias = dict[Corners, Box]


def take_labels(boxes: Boxes, annotated: Mapping[Corners, Box]) -> None:
    """Copy the labels of annotated boxes to the predicted boxes without labels that show the same person.

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
