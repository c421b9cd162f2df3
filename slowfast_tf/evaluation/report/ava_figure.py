"""Compare the average precision by category of two runs (Figure 3 of the paper)."""

import html
import json
import os
import pathlib
import typing
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ...errors import InputError
from ...files.atomic import write_text
from ...inference.plots import save_figure

# The result of AVA's evaluation, or the path of a JSON file with it.
Result = Mapping[str, typing.Any] | str | os.PathLike
# Category, first AP, second AP, gain.
Row = tuple[str, float, float, float]
COLORS = ("#a6bddb", "#045a8d")
_PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 14px/1.4 sans-serif; margin: 2em; color: #222; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: 1px 10px 1px 0; text-align: right; white-space: nowrap; }}
td:first-child, th:first-child {{ text-align: left; }}
td.bars {{ width: 420px; text-align: left; }}
i {{ display: block; height: 6px; }}
.first {{ background: {0}; }} .second {{ background: {1}; }}
.key {{ display: inline-block; width: 12px; height: 12px; margin: 0 6px 0 14px; }}
.gain {{ color: #1a7a33; }} .loss {{ color: #b2182b; }}
</style>
<h1>{title}</h1>
<p>Average precision in %, by gain. <i class="key first"></i>{first}, mAP {first_map}
<i class="key second"></i>{second}, mAP {second_map}. {summary}</p>
<table><tr><th>category<th>{first}<th>{second}<th>gain<th></tr>
{rows}
</table></html>
"""


def compare(first: Result, second: Result) -> list[Row]:
    """Compare two runs by category.

    Args:
        first, second: result of `ava.mean_average_precision`, or the path of a JSON file with this result or with the
            metrics of a test.

    Returns:
        A list of (category, first AP, second AP, gain) for the categories that both runs have, the largest gain first.

    Raises:
        InputError: if a file has another format, or if the runs have no category in common.

    Example:
        >>> compare({"mAP": 0.2, "sit": 0.2}, {"mAP": 0.3, "sit": 0.3})
        [('sit', 0.2, 0.3, 0.09999999999999998)]
    """
    before, after = _read_precisions(first), _read_precisions(second)
    both = [name for name in before if name != "mAP" and None not in (before[name], after.get(name))]
    if not both:
        raise InputError("the two runs have no category in common; give two results of AVA's evaluation")
    rows = [(name, before[name], after[name], after[name] - before[name]) for name in both]
    return sorted(rows, key=lambda row: (-row[3], row[0]))


def save_comparison(first: Result, second: Result, names: Sequence[str], path: str | os.PathLike) -> list[Row]:
    """Write the figure as `path`.png and, self-contained, as `path`.html.

    Args:
        first, second: as for `compare`.
        names: names of the two runs.
        path: path of the files, without suffix.

    Returns:
        The result of `compare`.

    Example:
        >>> rows = save_comparison("slow.json", "slowfast.json", ["Slow-only", "SlowFast"], "figure3")
    """
    rows = compare(first, second)
    _save_png(rows, names, f"{path}.png")
    _save_html(rows, names, f"{path}.html")
    return rows


def _read_precisions(source: Result) -> dict[str, typing.Any]:
    """Return the average precision by category."""
    try:
        found = source if isinstance(source, Mapping) else json.loads(pathlib.Path(source).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read the metrics {source}: {error}") from error
    if not isinstance(found, Mapping) or "mAP" not in found:
        raise InputError(f"{source} is not a result of AVA's evaluation: it has no mAP")
    found = found.get("AP", found)
    return {name: value for name, value in found.items() if value is None or isinstance(value, (int, float))}


def _means(rows: Sequence[Row]) -> list[float]:
    return [100 * float(np.mean(precisions)) for precisions in ([row[1] for row in rows], [row[2] for row in rows])]


def _summary(rows: Sequence[Row]) -> str:
    gained, lost = sum(row[3] > 0 for row in rows), sum(row[3] < 0 for row in rows)
    return f"{gained} of {len(rows)} categories gain, {lost} lose."


def _save_png(rows: Sequence[Row], names: Sequence[str], path: str) -> None:
    figure = Figure(figsize=(max(6, 2 + 0.26 * len(rows)), 6.5), layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(rows))
    for i, (name, mean, color) in enumerate(zip(names, _means(rows), COLORS)):
        heights = [100 * row[1 + i] for row in rows]
        axis.bar(places + (i - 0.5) * 0.4, heights, 0.4, color=color, label=f"{name}, mAP {mean:.1f}")
    highest = 100 * max(max(row[1:3]) for row in rows)
    for place, row in enumerate(rows):
        color = "#1a7a33" if row[3] > 0 else "#b2182b" if row[3] < 0 else "#666666"
        top = 100 * max(row[1:3]) + 0.01 * highest
        axis.text(place, top, f"{100 * row[3]:+.1f}", rotation=90, ha="center", va="bottom", fontsize=7, color=color)
    axis.set_xticks(places, [row[0] for row in rows], rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    axis.set_xlim(-0.8, len(rows) - 0.2)
    axis.set_ylim(0, 1.12 * highest or 1)
    axis.set_ylabel("average precision (%)")
    axis.set_title(_summary(rows), fontsize=10, loc="left")
    axis.grid(axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="upper right")
    save_figure(figure, path)


def _save_html(rows: Sequence[Row], names: Sequence[str], path: str) -> None:
    highest = max(max(row[1:3]) for row in rows) or 1
    lines = []
    for name, before, after, gain in rows:
        bars = "".join(
            f'<i class="{kind}" style="width:{100 * value / highest:.1f}%"></i>'
            for kind, value in (("first", before), ("second", after))
        )
        kind = "gain" if gain > 0 else "loss" if gain < 0 else ""
        lines.append(
            f"<tr><td>{html.escape(name)}<td>{100 * before:.1f}<td>{100 * after:.1f}"
            f'<td class="{kind}">{100 * gain:+.1f}<td class="bars">{bars}</tr>'
        )
    first, second = (html.escape(name) for name in names)
    means = [f"{mean:.1f}" for mean in _means(rows)]
    page = _PAGE.format(
        *COLORS,
        title=f"{first} and {second} on AVA",
        first=first,
        second=second,
        first_map=means[0],
        second_map=means[1],
        summary=_summary(rows),
        rows="\n".join(lines),
    )
    write_text(path, page)
