"""The format version of the files that this package writes: models, the index of records, SavedModels."""

import os

from ..errors import InputError

# Increase this number when an older package would misread a new file. Files of 0.1.0 have no number, which means 0.
FORMAT = 1
ABOUT = "assets.extra/format.json"  # file with the format version of a SavedModel


def check_format(version: int, name: str | os.PathLike) -> None:
    """Check that this version of the package can read a file.

    Args:
        version: format version of the file; 0 if the file has none.
        name: name of the file, for the message.

    Raises:
        InputError: if a newer version of the package wrote the file; the message says to upgrade.
    """
    if version > FORMAT:
        raise InputError(
            f"{name} was written by a newer slowfast_tf, in format {version}; this one reads formats up to {FORMAT}:"
            " upgrade slowfast_tf"
        )
