"""Repeats the ablations of the paper's Table 5 at a small scale: the same changes of the network on made videos."""

import dataclasses
import itertools
import json
import math
import pathlib
import statistics
import typing

from .. import config
from ..errors import InputError
from ..files.atomic import write_text
from ..models.cost import total

DEFAULT = "configs/ablations/demo.json"


ROWS = "ablations"  # directory of the rows' configurations


REFERENCE = "../kinetics400/slowfast_4x16_r50.json"  # the network that every row changes


class Row(typing.NamedTuple):
    """A row of Table 5: what it is called there, its full-size configuration, and its top-1 on Kinetics-400 in %."""

    name: str
    config: str
    published: float


TABLES = {
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


def run_table(
    table: str,
    names: list[str] | None,
    seeds: int,
    base: pathlib.Path,
    overrides: list[str],
    workdir: pathlib.Path,
    output: pathlib.Path,
    command: str,
) -> str:
    """Train the rows of a table and write it as Markdown, JSON and a plot.

    Runs that are complete are not repeated; an interrupted run is resumed.

    Args:
        table: a key of `TABLES`.
        names: rows of the table by name; all rows for None.
        seeds: runs of each row.
        base: path of the configuration without a change.
        overrides: changes of that configuration, "KEY=VALUE".
        workdir: directory of all runs.
        output: path of the Markdown page; the JSON file and the plot are beside it.
        command: the command that the page shows.

    Returns:
        The page.

    Raises:
        InputError: if a row or the configuration is not usable, or a work directory holds another run.
    """
    rows = chosen(table, names)
    config.load(base, overrides)  # its mistakes before those of the rows
    settings = {row: [change(base, row, overrides, seed) for seed in range(seeds)] for row in rows}
    prepared(settings, workdir)

    from .run import check_workdir

    runs = [
        (row, from_records(run, workdir), workdir / pathlib.Path(row.config).stem / f"seed{run.seed}")
        for row in rows
        for run in settings[row]
    ]
    for _, run, place in runs:  # before hours of work
        check_workdir(place, run)
    accuracy = {row: [] for row in rows}
    for number, (row, run, place) in enumerate(runs, 1):
        print(f"\n{row.name}, seed {run.seed} ({number} of {len(runs)}): {place}", flush=True)
        accuracy[row].append(top1(run, place))
    found = results(base, accuracy)
    text = page(table, command, base, settings[rows[0]][0], found, output.with_suffix(".png").name)

    from ..evaluation.report import plots

    plots.save_ablation(found, f"Table {table}: {TABLES[table][0]}", output.with_suffix(".png"))
    write_text(output.with_suffix(".json"), json.dumps(found, indent=2) + "\n")
    write_text(output, text)
    return text


def chosen(table, names):
    """The rows of a table that are asked for, in its order; all for None."""
    rows = TABLES[table][1]
    for name in names or ():
        if name not in [row.name for row in rows]:
            known = ", ".join(repr(row.name) for row in rows)
            raise InputError(f"table {table} has no row {name!r}; it has {known}")
    return [row for row in rows if not names or row.name in names]


def full_size(base, row):
    """The `SlowFastSpec` of a row as the paper has it. Rows lie beside `base`, or in `ablations` there."""
    place = base.parent if base.parent.name == ROWS else base.parent / ROWS
    return config.load(place / row.config).spec()


def changed(base, row):
    """The fields of the network that a row changes, by name."""
    before, after = full_size(base, Row("", REFERENCE, 0)), full_size(base, row)
    fields = (field.name for field in dataclasses.fields(before))
    return {name: getattr(after, name) for name in fields if getattr(after, name) != getattr(before, name)}


def change(base, row, overrides, seed):
    """The configuration of a run."""
    changes = [f"model.{name}={json.dumps(value)}" for name, value in changed(base, row).items()]
    try:
        run = config.load(base, [*overrides, *changes, f"seed={seed}"])
    except InputError as error:
        raise InputError(f"{row.name}: {error}") from error
    if run.spec().activation != "softmax":
        raise InputError(f"{base}: the table is of top-1; give a configuration with model.activation softmax")
    return run


def sees_flow(run):
    return "fast" in run.spec().pathways and run.spec().fast_input == "flow"


def records(run, workdir):
    """Where the records of a run are. Optical flow takes longest to compute, so only a run that sees it has it."""
    return workdir / ("records_flow" if sees_flow(run) else "records")


def prepared(settings, workdir):
    """Prepares the videos as records, once for all runs: decoding videos takes longer than training such networks."""
    for run in {records(run, workdir): run for runs in settings.values() for run in runs}.values():
        if run.data.dataset == "records":
            continue
        from ..data.records import prepare

        place = records(run, workdir)
        run = run.model_copy(update={"prepare": run.prepare.model_copy(update={"flow": sees_flow(run)})})
        prepare.check_installed(run.prepare)
        prepare.prepare(run, str(place))


def from_records(run, workdir):
    """The configuration of a run as it reads what `prepared` wrote."""
    data = {"dataset": "records", "root": str(records(run, workdir))}
    return run if run.data.dataset == "records" else run.model_copy(update={"data": run.data.model_copy(update=data)})


def top1(run, place):
    """The accuracy of a run in %; trains it, or what is left of it."""
    path = place / "metrics.json"
    if not path.exists():
        import keras

        from ..training.run import train

        keras.backend.clear_session()
        train(run, place)
    return 100 * json.loads(path.read_text())["top1"]


def results(base, accuracy):
    """What was found of each row, as JSON holds it.

    Args:
        base: path of the configuration.
        accuracy: top-1 in % of each run of each row.

    Returns:
        A list of dictionaries: "row", "config", "change" (fields of the network), "multiply_adds" (of the full-size
        form and one 256 x 256 clip), "published" (top-1 in %), "top1" (of each seed), "mean" and "spread" (sample
        standard deviation; None for a single seed).
    """
    return [
        {
            "row": row.name,
            "config": row.config,
            "change": changed(base, row),
            "multiply_adds": total(full_size(base, row))["multiply_adds"],
            "published": row.published,
            "top1": values,
            "mean": statistics.mean(values),
            "spread": statistics.stdev(values) if len(values) > 1 else None,
        }
        for row, values in accuracy.items()
    ]


def otherwise(found):
    """A line for each pair of rows that is in another order here than in the paper."""
    lines = []
    for one, two in itertools.combinations(found, 2):
        if one["published"] < two["published"]:
            one, two = two, one
        less, spreads = two["mean"] - one["mean"], (one["spread"], two["spread"])
        if one["published"] == two["published"] or less <= 0:
            continue
        gap = one["published"] - two["published"]
        line = f"- {two['row']} is {less:.1f} above {one['row']}, published {gap:.1f} below"
        if None not in spreads and less < math.hypot(*spreads):
            line += "; within the spread of the seeds"
        lines.append(line)
    return lines


def page(table, command, base, run, found, picture):
    """The table as Markdown.

    Args:
        table: a key of `TABLES`.
        command: that writes it.
        base: path of the configuration.
        run: one of the runs' configurations.
        found: of `results`.
        picture: path of the plot, from the page.
    """
    spec = run.spec()
    lines = [
        f"# Table {table}: {TABLES[table][0]}",
        "",
        f"    {command}",
        "",
        "Published: top-1 in % on Kinetics-400 of the 4x16 R50 form, whose multiply-adds (G, one 256 x 256 clip) are",
        "counted by this package. Here: top-1 in % of small networks with the same change, on videos that are made,",
        "mean and sample standard deviation over seeds. Without a change they are",
        f"`{base}`: depth {spec.depth}, width {spec.width}, {spec.frames}x{spec.stride}, {run.train.epochs} epochs.",
        "Compare orders, not figures.",
        "",
        "| row | multiply-adds | published | here, mean | spread | each seed |",
        "|---|---|---|---|---|---|",
    ]
    for row in found:
        spread = "" if row["spread"] is None else f"{row['spread']:.1f}"
        seeds = ", ".join(f"{value:.1f}" for value in row["top1"])
        cost = row["multiply_adds"] / 1e9
        lines.append(f"| {row['row']} | {cost:.1f} | {row['published']:.1f} | {row['mean']:.1f} | {spread} | {seeds} |")
    others = otherwise(found)
    lines += ["", "In another order than published:" if others else "All rows are in the published order.", *others]
    return "\n".join([*lines, "", f"![Accuracy against cost]({picture})"]) + "\n"
