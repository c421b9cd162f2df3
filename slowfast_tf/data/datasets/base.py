"""The interface of a data set."""

import abc
import dataclasses
import os
import pathlib
import typing

import numpy as np

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


class AnnotationFiles(typing.NamedTuple):
    """The files of "val", in AVA's form, that the detection metric is computed from.

    Attributes:
        annotations: the csv file of boxes and their actions.
        label_map: the `.pbtxt` file of the classes that count.
        exclusions: the csv file of excluded time stamps.
    """

    annotations: pathlib.Path
    label_map: pathlib.Path
    exclusions: pathlib.Path


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

    @staticmethod
    def annotation_files(root: str | os.PathLike) -> AnnotationFiles | tuple[()]:
        """Return the files that the detection metric is computed from, of a data set with boxes.

        Args:
            root: directory of the data set or of records made of it; for records it may be an address such as
                `s3://bucket/records`.

        Raises:
            InputError: if they are not there.
        """
        return ()
