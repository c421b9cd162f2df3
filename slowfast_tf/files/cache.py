"""The cache directory for downloads."""

import os
import pathlib


def cache_directory(*parts: str) -> pathlib.Path:
    """Return the path of a directory of this package in Keras' cache (`$KERAS_HOME` or `~/.keras`); do not create it.

    Args:
        *parts: names of directories below the package's directory.

    Example:
        >>> cache_directory("models")
        PosixPath('/home/me/.keras/slowfast_tf/models')
    """
    return pathlib.Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser().joinpath("slowfast_tf", *parts)
