"""Repeat the ablations of the paper's Table 5 at a small scale: the same changes of the network, on made videos.

`plan` checks the user's input without TensorFlow; `run_plan` trains and writes the table.
"""

import dataclasses
import itertools
import json
import math
import os
import pathlib
import statistics
import typing
from collections.abc import Mapping, Sequence

from .. import config
from ..data.records import prepare
from ..errors import InputError
from ..files.atomic import write_text
from ..models.cost import total
from ..models.spec import SlowFastSpec
from .workdir import check_workdir

DEFAULT = "ablations/demo"  # the shipped configuration that the rows change
ROWS = "ablations"  # directory of the rows' configurations
REFERENCE = "../kinetics400/slowfast_4x16_r50.json"  # the network that every row changes


class Row(typing.NamedTuple):
    """A row of Table 5.

    Attributes:
        name: its name in the paper.
        config: file of its full-size configuration.
        published: its top-1 on Kinetics-400, in %.
    """

    name: str
    config: str
    published: float


TABLES: dict[str, tuple[str, list[Row]]] = {
    "5a": (
        "lateral connections",
        [
            Row("Slow-only", "table5a_slow_only.json", 72.6),
            Row("Fast-only", "table5a_fast_only.json", 51.7),
            Row("no lateral connection", "table5a_no_lateral.json", 73.5),
            Row("TtoC, sum", "table5a_ttoc_sum.json", 74.5),
            Row("TtoC, concatenation", "table5a_ttoc_concat.json", 74.3),
            Row("T-sample", "table5a_t_sample.json", 75.4),
            Row("T-conv", REFERENCE, 75.6),
        ],
    ),
    "5b": (
        "channels of the Fast pathway",
        [
            Row("beta 1/4", "table5b_beta_4.json", 75.6),
            Row("beta 1/6", "table5b_beta_6.json", 75.8),
            Row("beta 1/8", REFERENCE, 75.6),
            Row("beta 1/12", "table5b_beta_12.json", 75.2),
            Row("beta 1/16", "table5b_beta_16.json", 75.1),
            Row("beta 1/32", "table5b_beta_32.json", 74.2),
        ],
    ),
    "5c": (
        "input of the Fast pathway",
        [
            Row("RGB", REFERENCE, 75.6),
            Row("half resolution, beta 1/4", "table5c_half_resolution.json", 74.7),
            Row("gray-scale", "table5c_gray_scale.json", 75.5),
            Row("time difference", "table5c_time_difference.json", 74.5),
            Row("optical flow", "table5c_optical_flow.json", 73.8),
        ],
    ),
}


@dataclasses.dataclass(frozen=True)
class RowResult:
    """The result of a row, as the JSON file holds it.

    Attributes:
        row: its name.
        config: file of its full-size configuration.
        change: the fields of the network that it changes, by name.
        multiply_adds: of the full-size network, for one 256 x 256 clip.
        published: top-1 in %.
        top1: of each seed, in %.
        mean: of `top1`.
        spread: sample standard deviation of `top1`; None for a single seed.
    """

    row: str
    config: str
    change: dict[str, typing.Any]
    multiply_adds: int
    published: float
    top1: Sequence[float]
    mean: float
    spread: float | None


@dataclasses.dataclass(frozen=True)
class Run:
    """A training run of a row.

    Attributes:
        row: the row.
        settings: its configuration, with the data set that the user named.
        workdir: its work directory.
        records: directory of the records that it reads.
    """

    row: Row
    settings: config.Config
    workdir: pathlib.Path
    records: pathlib.Path

    @property
    def sees_flow(self) -> bool:
        return not self.settings.spec().takes_video

    @property
    def from_records(self) -> config.Config:
        """The configuration of the run as it reads what `prepare_videos` writes."""
        if self.settings.data.dataset == "records":
            return self.settings
        data = {"dataset": "records", "root": str(self.records)}
        return self.settings.model_copy(update={"data": self.settings.data.model_copy(update=data)})


@dataclasses.dataclass(frozen=True)
class Plan:
    """The runs of a table.

    Attributes:
        table: a key of `TABLES`.
        base: path of the configuration that the rows change.
        name: of that configuration, as the user gave it.
        runs: in the order of the rows, each with all its seeds.
    """

    table: str
    base: pathlib.Path
    name: str
    runs: tuple[Run, ...]


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
        seeds: runs of each row.
        base: the configuration without a change: a path, or the name of a shipped configuration.
        overrides: changes of that configuration, "KEY=VALUE".
        workdir: directory of all runs.

    Raises:
        InputError: if a row or the configuration is not usable, if a package is missing that prepares the videos, or if
            a work directory holds another run.

    Example:
        >>> len(plan("5a", ["Slow-only"], 3, "ablations/demo", [], pathlib.Path("runs/ablations")).runs)
        3
    """
    rows, path = choose_rows(table, names), config.find(base)
    config.load(path, overrides)  # report its mistakes before those of the rows
    runs = []
    for row, seed in itertools.product(rows, range(seeds)):
        place = workdir / pathlib.Path(row.config).stem / f"seed{seed}"
        run = Run(row, change(path, row, overrides, seed), place, workdir / "records")
        if run.sees_flow:  # computing it takes longest, so only a run that sees it has it
            run = dataclasses.replace(run, records=workdir / "records_flow")
        if run.settings.data.dataset != "records":
            prepare.check_installed(_prepare_settings(run))
        check_workdir(run.workdir, run.from_records)
        runs.append(run)
    return Plan(table, path, os.fspath(base), tuple(runs))


def run_plan(plan: Plan, output: pathlib.Path, command: str) -> str:
    """Train the runs of a plan and write the table as Markdown, JSON and a plot.

    Runs that are complete are not repeated; an interrupted run is resumed.

    Args:
        plan: see `plan`.
        output: path of the Markdown page; the JSON file and the plot are beside it.
        command: the command that the page shows.

    Returns:
        The page.
    """
    prepare_videos(plan.runs)
    accuracy: dict[Row, list[float]] = {}
    for number, one in enumerate(plan.runs, 1):
        print(f"\n{one.row.name}, seed {one.settings.seed} ({number} of {len(plan.runs)}): {one.workdir}", flush=True)
        accuracy.setdefault(one.row, []).append(train(one))
    results = summarize(plan.base, accuracy)

    from ..evaluation.report import plots

    rows, picture = [dataclasses.asdict(result) for result in results], output.with_suffix(".png")
    text = page(plan, command, results, picture.name)
    plots.save_ablation(rows, f"Table {plan.table}: {TABLES[plan.table][0]}", picture)
    write_text(output.with_suffix(".json"), json.dumps(rows, indent=2) + "\n")
    write_text(output, text)
    return text


def choose_rows(table: str, names: Sequence[str] | None) -> list[Row]:
    """Return the rows of a table with these names, in the table's order; all rows for None.

    Raises:
        InputError: for an unknown name.
    """
    rows = TABLES[table][1]
    for name in names or ():
        if name not in [row.name for row in rows]:
            known = ", ".join(repr(row.name) for row in rows)
            raise InputError(f"table {table} has no row {name!r}; it has {known}")
    return [row for row in rows if not names or row.name in names]


def full_size(base: pathlib.Path, row: Row) -> SlowFastSpec:
    """Return the network of a row as in the paper. The rows' files lie beside `base`, or in `ablations` there."""
    place = base.parent if base.parent.name == ROWS else base.parent / ROWS
    return config.load(place / row.config).spec()


def changed_fields(base: pathlib.Path, row: Row) -> dict[str, typing.Any]:
    """Return the fields of the network that a row changes, by name."""
    before, after = full_size(base, Row("", REFERENCE, 0)), full_size(base, row)
    fields = (field.name for field in dataclasses.fields(before))
    return {name: getattr(after, name) for name in fields if getattr(after, name) != getattr(before, name)}


def change(base: pathlib.Path, row: Row, overrides: Sequence[str], seed: int) -> config.Config:
    """Return the configuration of a run.

    Raises:
        InputError: if the row does not fit the configuration, or its model is not trained for top-1.
    """
    changes = [f"model.{name}={json.dumps(value)}" for name, value in changed_fields(base, row).items()]
    try:
        settings = config.load(base, [*overrides, *changes, f"seed={seed}"])
    except InputError as error:
        raise InputError(f"{row.name}: {error}") from error
    if settings.spec().activation != "softmax":
        raise InputError(f"{base}: the table is of top-1; give a configuration with model.activation softmax")
    return settings


def prepare_videos(runs: Sequence[Run]) -> None:
    """Prepare the videos as records, once for all runs: decoding them takes longer than training such networks."""
    for one in {one.records: one for one in runs if one.settings.data.dataset != "records"}.values():
        settings = one.settings.model_copy(update={"prepare": _prepare_settings(one)})
        prepare.prepare(settings, str(one.records))


def _prepare_settings(run: Run) -> config.Prepare:
    return run.settings.prepare.model_copy(update={"flow": run.sees_flow})


def train(run: Run) -> float:
    """Train a run, or what is left of it, and return its top-1 in %."""
    path = run.workdir / "metrics.json"
    if not path.exists():
        import keras

        from . import run as training

        keras.backend.clear_session()
        if result := training.train(run.from_records, run.workdir):
            print(result.summary())
    return 100 * json.loads(path.read_text())["top1"]


def summarize(base: pathlib.Path, accuracy: Mapping[Row, Sequence[float]]) -> list[RowResult]:
    """Return the result of each row.

    Args:
        base: path of the configuration.
        accuracy: top-1 in % of each run of each row.
    """
    return [
        RowResult(
            row=row.name,
            config=row.config,
            change=changed_fields(base, row),
            multiply_adds=total(full_size(base, row))["multiply_adds"],
            published=row.published,
            top1=values,
            mean=statistics.mean(values),
            spread=statistics.stdev(values) if len(values) > 1 else None,
        )
        for row, values in accuracy.items()
    ]


def otherwise_ordered(results: Sequence[RowResult]) -> list[str]:
    """Return a line for each pair of rows whose order differs from the published one."""
    lines = []
    for one, two in itertools.combinations(results, 2):
        if one.published < two.published:
            one, two = two, one
        excess, gap = two.mean - one.mean, one.published - two.published
        if not gap or excess <= 0:
            continue
        line = f"- {two.row} is {excess:.1f} above {one.row}, published {gap:.1f} below"
        if one.spread is not None and two.spread is not None and excess < math.hypot(one.spread, two.spread):
            line += "; within the spread of the seeds"
        lines.append(line)
    return lines


def page(plan: Plan, command: str, results: Sequence[RowResult], picture: str) -> str:
    """Return the table as Markdown.

    Args:
        plan: of the runs.
        command: that writes the page.
        results: of the rows.
        picture: path of the plot, from the page.
    """
    settings = plan.runs[0].settings
    spec = settings.spec()
    lines = [
        f"# Table {plan.table}: {TABLES[plan.table][0]}",
        "",
        f"    {command}",
        "",
        "Published: top-1 in % on Kinetics-400 of the 4x16 R50 form, whose multiply-adds (G, one 256 x 256 clip) are",
        "counted by this package. Here: top-1 in % of small networks with the same change, on videos that are made,",
        "mean and sample standard deviation over seeds. Without a change they are",
        f"`{plan.name}`: depth {spec.depth}, width {spec.width}, {spec.frames}x{spec.stride}, {settings.train.epochs}"
        " epochs.",
        "Compare orders, not figures.",
        "",
        "| row | multiply-adds | published | here, mean | spread | each seed |",
        "|---|---|---|---|---|---|",
    ]
    for row in results:
        spread = "" if row.spread is None else f"{row.spread:.1f}"
        seeds = ", ".join(f"{value:.1f}" for value in row.top1)
        cost = row.multiply_adds / 1e9
        lines.append(f"| {row.row} | {cost:.1f} | {row.published:.1f} | {row.mean:.1f} | {spread} | {seeds} |")
    others = otherwise_ordered(results)
    lines += ["", "In another order than published:" if others else "All rows are in the published order.", *others]
    return "\n".join([*lines, "", f"![Accuracy against cost]({picture})"]) + "\n"
