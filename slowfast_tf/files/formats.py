"""The version of the files that this package writes: models, the index of records, SavedModels."""

import os

from ..errors import InputError

# Raise it when an older package would misread a new file. Files of 0.1.0 state no format; it counts as 0.
FORMAT = 1
ABOUT = "assets.extra/format.json"  # holds the format of a SavedModel


def check_format(version: int, name: str | os.PathLike) -> None:
    """Raise an InputError if a newer package wrote a file.

    Args:
        version: the file's format; 0 if it states none.
        name: name of the file, for the message.

    Raises:
        InputError: with the advice to upgrade.
    """
    if version > FORMAT:
        raise InputError(
            f"{name} was written by a newer slowfast_tf, in format {version}; this one reads formats up to {FORMAT}:"
            " upgrade slowfast_tf"
        )
