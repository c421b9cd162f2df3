"""The interface of a data set."""

import abc
import dataclasses
import os
import pathlib
import typing

import numpy as np

from .. import ava_csv
from ..reference import Video


@dataclasses.dataclass(frozen=True)
class Split:
    """The videos of a split of a data set ("train" or "val").

    Attributes:
        videos: references, in the order of the data set's own lists.
        labels: the class names.
        problems: a message "FILE:LINE: what is wrong" for each entry that was dropped ("FILE: entry N: ..." in JSON).
            If videos are missing, the last message has their number.
    """

    videos: tuple[Video, ...]
    labels: tuple[str, ...]
    problems: tuple[str, ...] = ()


class Annotations(typing.NamedTuple):
    """The annotations of "val" for a detection metric.

    Attributes:
        boxes: annotated boxes.
        names: names of the evaluated classes, by id, from 1.
        excluded: (video, second) of the frames that are not evaluated.
    """

    boxes: ava_csv.Boxes
    names: dict[int, str]
    excluded: set[tuple[str, float]]


class DataSet(abc.ABC):
    """A data set in the format of its publisher.

    Args:
        root: directory of the data set.

    Attributes:
        has_boxes: whether labels belong to boxes in key frames, not to videos. Such a data set needs a network with
            head "roi".

    Example:
        >>> DATASETS["folder"]("data/mine").read("train").labels
        ('jump', 'run')
    """

    has_boxes: typing.ClassVar[bool] = False

    def __init__(self, root: str | os.PathLike):
        self.root = pathlib.Path(root)

    @abc.abstractmethod
    def read(self, split: str) -> Split:
        """Return the videos of a split, "train" or "val".

        Raises:
            InputError: if the data set is not in `root`; the message names the expected files.
        """

    @staticmethod
    def own_metrics(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        """Return the metrics that are specific to this data set, by name.

        Args:
            truth: class indices, int `[N]`.
            predicted: class indices, int `[N]`.
        """
        return {}

    @classmethod
    def annotations(cls, root: str | os.PathLike) -> Annotations | None:
        """Return the annotations of "val" for the detection metric; None for data sets without boxes.

        Args:
            root: directory of the data set, or of records made from it that have the files of `annotation_texts`.
                Records may be at an address such as `s3://bucket/records`.

        Raises:
            InputError: if the annotations are missing, or if their format is wrong.
            RunError: if the annotations cannot be downloaded.
        """
        return None

    @classmethod
    def annotation_texts(cls, root: str | os.PathLike) -> dict[str, bytes]:
        """Return the files that records need in their directory `annotations`, by name.

        Args:
            root: directory of the data set.

        Raises:
            InputError: as `annotations`.
        """
        return {}
