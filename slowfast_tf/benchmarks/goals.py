"""The goals of the benchmarks, and the figures beside them."""

import typing
from collections.abc import Sequence

PAGE = "performance.md"  # says what limits the misses


class Goal(typing.NamedTuple):
    """A bound for a figure.

    Attributes:
        what: the figure, in words.
        bound: its bound: the largest good value, or the smallest if `least`.
        value: the measured figure; None if it was not measured.
        least: whether a larger figure is better.
        unit: unit of the figure, such as " GiB"; empty for a ratio.
    """

    what: str
    bound: float
    value: float | None
    least: bool = False
    unit: str = ""

    @property
    def reached(self) -> bool:
        """Whether the figure, as it is printed, is within the bound."""
        assert self.value is not None
        return (round(self.value, 2) >= self.bound) if self.least else (round(self.value, 2) <= self.bound)


def table(goals: Sequence[Goal]) -> list[str]:
    """Return the lines of a Markdown table of the measured goals, with an empty line before; none without any.

    Example:
        >>> table([Goal("time of a step, ratio to PyTorch", 0.75, 0.58)])[-1]
        '| time of a step, ratio to PyTorch | at most 0.75 | 0.58 | yes |'
    """
    measured = [goal for goal in goals if goal.value is not None]
    if not measured:
        return []
    lines = ["", "| goal | bound | measured | reached |", "|---|---|---|---|"]
    for goal in measured:
        bound = f"at {'least' if goal.least else 'most'} {goal.bound:g}{goal.unit}"
        answer = "yes" if goal.reached else f"[no]({PAGE})"
        lines.append(f"| {goal.what} | {bound} | {goal.value:.2f}{goal.unit} | {answer} |")
    return lines
