"""Repeat the ablations of the paper's Table 5 at a small scale: the same changes to the network, on any videos.

`plan` checks the user's input without TensorFlow; `run_plan` trains and writes the table.
"""

import dataclasses
import itertools
import json
import os
import pathlib
import typing
from collections.abc import Mapping, Sequence

import numpy as np

from .. import config
from ..errors import InputError
from ..files.atomic import write_text
from ..machine import core_count, cpu_name
from ..models.cost import total
from ..models.spec import SlowFastSpec
from . import repeats
from .repeats import Estimate, Run

REFERENCE = "kinetics400/slowfast_4x16_r50"  # the network that every row changes


class Row(typing.NamedTuple):
    """A row of Table 5.

    Attributes:
        name: name of the row in the paper.
        config: name of the shipped full-size configuration.
        published: published top-1 on Kinetics-400, in %.
    """

    name: str
    config: str
    published: float


TABLES: dict[str, tuple[str, list[Row]]] = {
    "5a": (
        "lateral connections",
        [
            Row("Slow-only", "ablations/table5a_slow_only", 72.6),
            Row("Fast-only", "ablations/table5a_fast_only", 51.7),
            Row("no lateral connection", "ablations/table5a_no_lateral", 73.5),
            Row("TtoC, sum", "ablations/table5a_ttoc_sum", 74.5),
            Row("TtoC, concatenation", "ablations/table5a_ttoc_concat", 74.3),
            Row("T-sample", "ablations/table5a_t_sample", 75.4),
            Row("T-conv", REFERENCE, 75.6),
        ],
    ),
    "5b": (
        "channels of the Fast pathway",
        [
            Row("beta 1/4", "ablations/table5b_beta_4", 75.6),
            Row("beta 1/6", "ablations/table5b_beta_6", 75.8),
            Row("beta 1/8", REFERENCE, 75.6),
            Row("beta 1/12", "ablations/table5b_beta_12", 75.2),
            Row("beta 1/16", "ablations/table5b_beta_16", 75.1),
            Row("beta 1/32", "ablations/table5b_beta_32", 74.2),
        ],
    ),
    "5c": (
        "input of the Fast pathway",
        [
            Row("RGB", REFERENCE, 75.6),
            Row("half resolution, beta 1/4", "ablations/table5c_half_resolution", 74.7),
            Row("gray-scale", "ablations/table5c_gray_scale", 75.5),
            Row("time difference", "ablations/table5c_time_difference", 74.5),
            Row("optical flow", "ablations/table5c_optical_flow", 73.8),
        ],
    ),
}


@dataclasses.dataclass(frozen=True)
class RowResult:
    """The result of a row, as stored in the JSON file.

    Attributes:
        row: name of the row.
        config: name of the shipped full-size configuration.
        change: the fields of the network that the row changes, by name.
        multiply_adds: multiply-adds of the full-size network, for one 256 x 256 clip.
        published: published top-1, in %.
        top1: top-1 of each run in %, `[folds][seeds]`; a single fold if the data set has its own validation videos.
        estimate: mean of `top1` with its 95% interval.
    """

    row: str
    config: str
    change: dict[str, typing.Any]
    multiply_adds: int
    published: float
    top1: Sequence[Sequence[float]]
    estimate: Estimate


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two rows, paired over folds and seeds.

    Attributes:
        row, other: names of the rows; `row` has the higher published accuracy.
        published: difference of the published top-1, in percentage points.
        difference: difference of the top-1 in these runs, in percentage points, with its 95% interval.
    """

    row: str
    other: str
    published: float
    difference: Estimate

    @property
    def verdict(self) -> str:
        """Text that says whether the order of the two rows is the published one."""
        low, high = self.difference.low, self.difference.high
        if low is None or high is None or low <= 0 <= high:
            return "not resolved"
        if not self.published:
            return "published as equal"
        return "as published" if low > 0 else "the other way round"


@dataclasses.dataclass(frozen=True)
class Plan:
    """The runs of a table.

    Attributes:
        table: a key of `TABLES`.
        name: name of the configuration that the rows change, as the user gave it.
        seeds: runs of each row and fold.
        runs: runs of each row, ordered by fold and then by seed.
    """

    table: str
    name: str
    seeds: int
    runs: Mapping[Row, tuple[Run, ...]]


def plan(
    table: str,
    names: Sequence[str] | None,
    seeds: int,
    base: str | os.PathLike,
    overrides: Sequence[str],
    workdir: pathlib.Path,
) -> Plan:
    """Return the runs of a table, after checking all input.

    Args:
        table: a key of `TABLES`.
        names: rows of the table by name; all rows for None.
        seeds: runs of each row, and of each fold of the configuration's `data.fold`.
        base: the unchanged configuration: a path, or the name of a shipped configuration.
        overrides: changes of that configuration, "KEY=VALUE".
        workdir: directory of all runs.

    Raises:
        InputError: if a row or the configuration cannot be used, if a package for preparing the videos is missing, or
            if a work directory holds another run.

    Example:
        >>> runs = plan("5a", ["Slow-only"], 3, "gestures", [], pathlib.Path("runs/ablations")).runs
        >>> [len(runs_of_row) for runs_of_row in runs.values()]
        [33]
    """
    rows = choose_rows(table, names)
    config.load(base, overrides)  # report errors of the configuration before errors of the rows
    runs = {}
    for row in rows:
        place = workdir / pathlib.PurePath(row.config).name
        runs[row] = tuple(repeats.repeat(change(base, table, row, overrides), seeds, place, workdir / "records"))
    return Plan(table, os.fspath(base), seeds, runs)


def run_plan(plan: Plan, output: pathlib.Path, command: str) -> str:
    """Train the runs of a plan and write the table as Markdown, JSON and a plot.

    Complete runs are not repeated; an interrupted run is resumed. All rows train with one fold and seed before the
    next fold or seed starts.

    Args:
        plan: see `plan`.
        output: path of the Markdown page; the JSON file and the plot are written beside it.
        command: the command that the page shows.

    Returns:
        The Markdown text of the page.
    """
    order = [(row, run) for runs in zip(*plan.runs.values()) for row, run in zip(plan.runs, runs)]
    repeats.prepare_videos([run for _, run in order])
    accuracy: dict[Row, list[float]] = {row: [] for row in plan.runs}
    for number, (row, run) in enumerate(order, 1):
        print(f"\n{row.name}, {run.workdir.name} ({number} of {len(order)}): {run.workdir}", flush=True)
        accuracy[row].append(100 * repeats.train(run)["top1"])
    results = summarize({row: np.reshape(top1, (-1, plan.seeds)) for row, top1 in accuracy.items()})
    comparisons = compare(results)

    from ..evaluation.report import plots

    rows, picture = [dataclasses.asdict(result) for result in results], output.with_suffix(".png")
    hours = sum(run.seconds for _, run in order) / 3600
    text = page(plan, command, results, comparisons, hours, picture.name)
    write_text(output, text)  # first: `check_output` takes the files beside it for ours if it is there
    plots.save_ablation(rows, f"Table {plan.table}: {TABLES[plan.table][0]}", picture)
    pairs = [{**dataclasses.asdict(pair), "verdict": pair.verdict} for pair in comparisons]
    about = {"command": command, "machine": cpu_name(), "cores": core_count(), "hours": hours}
    write_text(output.with_suffix(".json"), json.dumps({**about, "rows": rows, "comparisons": pairs}, indent=2) + "\n")
    return text


def choose_rows(table: str, names: Sequence[str] | None) -> list[Row]:
    """Return the rows of a table with the given names, in the table's order; all rows if `names` is None.

    Raises:
        InputError: if the table has no row with one of the names.
    """
    rows = TABLES[table][1]
    for name in names or ():
        if name not in [row.name for row in rows]:
            known = ", ".join(repr(row.name) for row in rows)
            raise InputError(f"table {table} has no row {name!r}; it has {known}")
    return [row for row in rows if not names or row.name in names]


def full_size(row: Row) -> SlowFastSpec:
    """Return the full-size network of a row, as in the paper."""
    return config.load(row.config).spec()


def changed_fields(row: Row) -> dict[str, typing.Any]:
    """Return the fields of the network that a row changes, by name."""
    before, after = full_size(Row("", REFERENCE, 0)), full_size(row)
    fields = (field.name for field in dataclasses.fields(before))
    return {name: getattr(after, name) for name in fields if getattr(after, name) != getattr(before, name)}


def change(base: str | os.PathLike, table: str, row: Row, overrides: Sequence[str]) -> config.Config:
    """Return the configuration of a row's runs: every field that the table changes has the row's value.

    Raises:
        InputError: if the row does not fit the configuration, or if the model's activation is not softmax.
    """
    names = dict.fromkeys(name for other in TABLES[table][1] for name in changed_fields(other))
    changes = [f"model.{name}={json.dumps(getattr(full_size(row), name))}" for name in names]
    try:
        settings = config.load(base, [*overrides, *changes])
    except InputError as error:
        raise InputError(f"{row.name}: {error}") from error
    if settings.spec().activation != "softmax":
        raise InputError(f"{base}: the table is of top-1; give a configuration with model.activation softmax")
    return settings


def summarize(accuracy: Mapping[Row, np.ndarray]) -> list[RowResult]:
    """Return the result of each row, given its top-1 in %, `[folds, seeds]`."""
    return [
        RowResult(
            row=row.name,
            config=row.config,
            change=changed_fields(row),
            multiply_adds=total(full_size(row))["multiply_adds"],
            published=row.published,
            top1=values.tolist(),
            estimate=repeats.estimate(values),
        )
        for row, values in accuracy.items()
    ]


def compare(results: Sequence[RowResult]) -> list[Comparison]:
    """Return the comparison of each pair of rows, the largest published difference first."""
    pairs = []
    for one, two in itertools.combinations(results, 2):
        if one.published < two.published:
            one, two = two, one
        difference = repeats.estimate(np.subtract(one.top1, two.top1))
        pairs.append(Comparison(one.row, two.row, one.published - two.published, difference))
    return sorted(pairs, key=lambda pair: -pair.published)


def page(
    plan: Plan,
    command: str,
    results: Sequence[RowResult],
    comparisons: Sequence[Comparison],
    hours: float,
    picture: str,
) -> str:
    """Return the table as Markdown.

    Args:
        plan: plan of the runs.
        command: command that writes the page.
        results: results of the rows.
        comparisons: comparisons of the pairs of rows.
        hours: computing time in hours.
        picture: path of the plot, relative to the page.
    """
    settings = next(iter(plan.runs.values()))[0].settings
    spec, fold = settings.spec(), settings.data.fold
    units = "Student's t over folds, each the mean of its seeds" if fold else "Student's t over seeds"
    seeds = "1 seed" if plan.seeds == 1 else f"{plan.seeds} seeds"
    times = f"{fold[1]} folds and {seeds}" if fold else seeds
    lines = [
        f"# Table {plan.table}: {TABLES[plan.table][0]}",
        "",
        f"    {command}",
        "",
        "published: top-1 in % of 4x16 R50 on Kinetics-400. multiply-adds: in G, for one 256 x 256 clip, counted by",
        "this package.",
        f"here: top-1 in % on `{settings.data.dataset}` of small networks with the same change, mean over {times},",
        f"with its 95% interval ({units}). The unchanged network is `{plan.name}`:",
        f"depth {spec.depth}, width {spec.width}, {spec.frames}x{spec.stride}, {settings.train.epochs} epochs.",
        f"{hours:.1f} hours of computing on {core_count()} cores, {cpu_name()}.",
        "",
        "| row | multiply-adds | published | here |",
        "|---|---|---|---|",
    ]
    for row in results:
        cost = row.multiply_adds / 1e9
        lines.append(f"| {row.row} | {cost:.1f} | {row.published:.1f} | {row.estimate.text(digits=1)} |")
    if comparisons:
        lines += ["", "Differences in points, paired over folds and seeds:", ""]
        lines += ["| row | against | published | here | order |", "|---|---|---|---|---|"]
    for pair in comparisons:
        here = pair.difference.text(digits=1)
        lines.append(f"| {pair.row} | {pair.other} | {pair.published:.1f} | {here} | {pair.verdict} |")
    return "\n".join([*lines, "", f"![Accuracy against cost]({picture})"]) + "\n"
