"""The videos and labels of a data set; one module for each."""

import dataclasses
import importlib


@dataclasses.dataclass(frozen=True)
class Video:
    """A video and what happens in it.

    Attributes:
        path: of the file.
        labels: a tuple of (class index, start, end), in seconds from the start of the video.
    """

    path: str
    labels: tuple


def load(dataset, root, split):
    """The videos of a split.

    Args:
        dataset: name of a module of this package.
        root: directory of the data set.
        split: "train" or "val".

    Returns:
        A list of `Video`, and the class names in order.

    Raises:
        UserError: where the data set is not there; says which files were looked for.
    """
    return _module(dataset).load(root, split)


def figures(dataset, truth, predicted):
    """Figures that only this data set has, by name; none for most.

    Args:
        dataset: name of a module of this package.
        truth, predicted: class indices `[N]`.
    """
    own = getattr(_module(dataset), "figures", None)
    return own(truth, predicted) if own else {}


def _module(dataset):
    return importlib.import_module(f"{__name__}.{dataset}")
