"""Where downloads are kept."""

import os
import pathlib


def cache_directory(*parts: str) -> pathlib.Path:
    """Return a directory of this package in Keras' cache (`$KERAS_HOME`, or `~/.keras`); it is not made.

    Args:
        *parts: names of directories below it.

    Example:
        >>> cache_directory("models")
        PosixPath('/home/me/.keras/slowfast_tf/models')
    """
    return pathlib.Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser().joinpath("slowfast_tf", *parts)
