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
    return importlib.import_module(f"{__name__}.{dataset}").load(root, split)
