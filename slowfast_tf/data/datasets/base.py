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
        problems: a line "FILE:LINE: what is wrong" for each entry that was dropped ("FILE: entry N: ..." in JSON).
            The last one counts the missing videos, if there are any.
    """

    videos: tuple[Video, ...]
    labels: tuple[str, ...]
    problems: tuple[str, ...] = ()


class Annotations(typing.NamedTuple):
    """The annotations of "val" that a detection metric compares with.

    Attributes:
        boxes: annotated boxes.
        names: class names by their ids, from 1, of the classes that count.
        excluded: (video, second) of the frames that do not count.
    """

    boxes: ava_csv.Boxes
    names: dict[int, str]
    excluded: set[tuple[str, float]]


class DataSet(abc.ABC):
    """A data set in the form in which its owners publish it.

    Args:
        root: directory of the data set.

    Attributes:
        has_boxes: whether labels belong to boxes of key frames, not to videos. It needs a network with head "roi".

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
            InputError: if the data set is not in `root`; the message says which files were looked for.
        """

    @staticmethod
    def own_metrics(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        """Return metrics, by name, that only this data set has.

        Args:
            truth: class indices, int `[N]`.
            predicted: class indices, int `[N]`.
        """
        return {}

    @classmethod
    def annotations(cls, root: str | os.PathLike) -> Annotations | None:
        """Return what the detection metric of "val" compares with; None for data sets without boxes.

        Args:
            root: directory of the data set, or of records made of it, beside which `annotation_texts` were written;
                for records it may be an address such as `s3://bucket/records`.

        Raises:
            InputError: if the annotations are not there, or are of another form.
            RunError: if they cannot be downloaded.
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
