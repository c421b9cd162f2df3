"""Class names of the data sets of published networks, in the order of their classifiers. Needs no TensorFlow.

A text file for each data set has one name per line: the Kinetics sets (sorted by name; Kinetics-710 in the order of
MMAction2), Charades (c000 to c156), AVA (action ids 1 to 80), Something-Something V2 (ids 0 to 173) and
MultiSports (in the order of MMAction2).
"""

import functools
import pathlib

FOLDER = pathlib.Path(__file__).parent
DATASETS = {
    "kinetics400": 400,
    "kinetics600": 600,
    "kinetics700": 700,
    "kinetics710": 710,
    "charades": 157,
    "ava": 80,
    "ssv2": 174,
    "multisports": 66,
}
BOXES = ("ava", "multisports")  # data sets whose labels belong to boxes


@functools.cache
def dataset_labels(name: str) -> tuple[str, ...]:
    """Return the class names of a data set.

    Args:
        name: a key of `DATASETS`.

    Raises:
        ValueError: if the name is unknown.

    Example:
        >>> dataset_labels("kinetics400")[:2]
        ('abseiling', 'air drumming')
    """
    if name not in DATASETS:
        raise ValueError(f"no class names of {name!r}; known: {', '.join(DATASETS)}")
    return tuple((FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines())


def guess_labels(num_classes: int, head: str = "pool") -> tuple[str, ...]:
    """Return the class names of a published network, given its number of classes.

    Args:
        num_classes: number of classes of the network.
        head: "pool", or "roi" for data sets with boxes.

    Returns:
        The names, or an empty tuple if no data set has that number of classes.

    Example:
        >>> guess_labels(174)[0]
        'Approaching something with your camera'
    """
    for name, classes in DATASETS.items():
        if classes == num_classes and (name in BOXES) == (head == "roi"):
            return dataset_labels(name)
    return ()
