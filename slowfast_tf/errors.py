"""The exceptions of the library. A message is one line: what is wrong, what was received, what to do."""


class InputError(ValueError):
    """An input of the caller cannot be used: a value, a file or a data set.

    A message names arguments and configuration keys, never an option of a command. A command adds advice about its
    options: `runtime.run` takes a text for each `argument`.

    Args:
        message: the message, one line.
        argument: name of the wrong argument, such as "output"; empty if the message is complete.

    Example:
        >>> raise InputError("scores.npz exists", argument="output")
    """

    def __init__(self, message: str, argument: str = ""):
        super().__init__(message)
        self.argument = argument


class RunError(RuntimeError):
    """Work could not be finished although the inputs are correct, such as after a failed download or an interrupt."""


class VideoError(RuntimeError):
    """A video cannot be read; the message is one line with the path and the cause."""


class OutsideError(VideoError):
    """A list refers to a time past the end of a video."""
