"""Print the results of predictions to standard output."""

import json
import sys
from collections.abc import Iterable
from typing import Any, Protocol

from ..errors import VideoError


class Result(Protocol):
    """A result that can be printed: a `Prediction`, `Moment`, `Scene` or `Annotation`."""

    def line(self, count: int) -> str:
        """Return a line of text with the `count` best classes."""
        ...

    def as_json(self, count: int) -> dict[str, Any]:
        """Return a dictionary that JSON can hold, with the `count` best classes."""
        ...


def print_results(results: Iterable[Result | VideoError], count: int, as_json: bool = False) -> int:
    """Print one line for each result as it arrives; errors go to standard error and do not stop the others.

    Args:
        results: results and errors, such as `predict_files` yields; a `VideoError` that the iterator raises ends it.
        count: number of classes to print.
        as_json: print JSON objects.

    Returns:
        The number of errors.

    Example:
        >>> print_results(predict_files(model, ["holiday.mp4"], class_names(model.spec)), 1)
        holiday.mp4 (10x3 views): surfing water 0.931
        0
    """
    errors = []
    try:
        for result in results:
            if isinstance(result, VideoError):
                errors.append(result)
                print(f"error: {result}", file=sys.stderr)
            else:
                print(json.dumps(result.as_json(count)) if as_json else result.line(count), flush=True)
    except VideoError as error:
        errors.append(error)
        print(f"error: {error}", file=sys.stderr)
    return len(errors)
