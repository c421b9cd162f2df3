"""Repeats the ablations of the paper's Table 5 at a small scale: the same changes of the network on made videos."""

import argparse
import json
import pathlib
import shlex
import sys

from . import config, runtime
from .errors import InputError
from .files.atomic import write_text
from .training.ablations import DEFAULT, TABLES, change, chosen, from_records, page, prepared, results, top1


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.ablate",
        description="Trains the networks of a part of the paper's Table 5 at a small scale, with several seeds each,"
        " and sets their accuracy beside the published one, as a table and as a plot against cost (Figure 2). The same"
        " command goes on with what was stopped; runs that are done are not repeated, also not for another table.",
        epilog="example: python -m slowfast_tf.ablate --table 5a --seeds 3 --output docs/ablations.md",
    )
    parser.add_argument("--table", required=True, choices=TABLES, help="lateral connections, beta or Fast inputs")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="these rows of it only, by their names in the table")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each row (default: %(default)s)")
    parser.add_argument(
        "--config",
        default=DEFAULT,
        help="what is trained, without a change; rows lie beside it, or in ablations/ there (default: %(default)s)",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change that configuration")
    parser.add_argument("--workdir", default="runs/ablations", help="of all runs (default: %(default)s)")
    parser.add_argument(
        "--output", metavar="FILE.md", help="the table; .json and .png are beside it (WORKDIR/TABLE.md)"
    )
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        raise InputError(f"--seeds must be at least 1; got {options.seeds}")
    workdir = pathlib.Path(options.workdir)
    output = pathlib.Path(options.output or workdir / f"{options.table}.md")
    if output.suffix != ".md":
        raise InputError(f"--output must end in .md; got {output}")
    rows = chosen(options.table, options.rows)
    base = pathlib.Path(options.config)
    config.load(base, options.set)  # its mistakes before those of the rows
    settings = {row: [change(base, row, options.set, seed) for seed in range(options.seeds)] for row in rows}
    prepared(settings, workdir)

    from .training.workdir import check_workdir

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
    command = shlex.join(["python", "-m", "slowfast_tf.ablate", *(sys.argv[1:] if arguments is None else arguments)])
    found = results(base, accuracy)
    text = page(options.table, command, base, settings[rows[0]][0], found, output.with_suffix(".png").name)
    from .evaluation.report import plots

    plots.save_ablation(found, f"Table {options.table}: {TABLES[options.table][0]}", output.with_suffix(".png"))
    write_text(output.with_suffix(".json"), json.dumps(found, indent=2) + "\n")
    write_text(output, text)
    print(f"\n{text}\nWritten to {output}, and beside it as .json and .png")


if __name__ == "__main__":
    runtime.run(main)
