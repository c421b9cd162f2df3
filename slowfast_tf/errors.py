"""What the library raises. A message is one line: what is wrong, what was received, what to do."""


class InputError(ValueError):
    """Something that the caller gave cannot be used: a value, a file, a data set.

    A message names arguments and configuration keys, never an option of a command. A command adds that advice itself:
    `runtime.run` takes a text for each `argument`.

    Args:
        message: one line.
        argument: name of the argument that was wrong, such as "output"; empty where the message says all.

    Example:
        >>> raise InputError("scores.npz exists", argument="output")
    """

    def __init__(self, message: str, argument: str = ""):
        super().__init__(message)
        self.argument = argument


class RunError(RuntimeError):
    """Work that could not be finished, through no mistake in what the caller gave: a failed download, an interrupt."""


class VideoError(RuntimeError):
    """A video that cannot be read; the message is one line with the path and the cause."""


class OutsideError(VideoError):
    """A list takes from a video what lies past its end."""
