"""Repeat the ablations of the paper's Table 5 at a small scale: `python -m slowfast_tf.ablate --table 5a`."""

import argparse
import pathlib
import shlex
import sys

from . import runtime
from .errors import InputError
from .files.atomic import check_output
from .training import ablations

ADVICE = {
    "overrides": "--set takes KEY=VALUE, such as --set train.epochs=3",
    "workdir": "choose another --workdir or remove it",
    "output": "choose another --output",
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.ablate",
        description="Trains the networks of a part of the paper's Table 5 at a small scale, with several seeds each."
        " Writes their accuracy and the published accuracy as a table and as a plot against cost (Figure 2). The same"
        " command resumes interrupted runs; complete runs are not repeated, even for another table.",
        epilog="example: python -m slowfast_tf.ablate --table 5a --config ablations/gestures --seeds 3",
    )
    parser.add_argument(
        "--table", required=True, choices=ablations.TABLES, help="lateral connections, beta or Fast inputs"
    )
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="only these rows, by their names in the table")
    parser.add_argument("--seeds", type=int, default=3, help="runs per row and fold (default: %(default)s)")
    parser.add_argument(
        "--config",
        required=True,
        help="the unchanged configuration: a JSON file, or the name of a shipped configuration. If it has data.fold,"
        " each row is trained on every fold",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the configuration")
    parser.add_argument("--workdir", default="runs/ablations", help="directory of all runs (default: %(default)s)")
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
    command = shlex.join(["python", "-m", "slowfast_tf.ablate", *(sys.argv[1:] if arguments is None else arguments)])
    # Report errors before importing TensorFlow, which takes seconds.
    check_output(output, f"# Table {options.table}: ", ".json", ".png")
    plan = ablations.plan(options.table, options.rows, options.seeds, options.config, options.set, workdir)
    runtime.import_tensorflow()
    page = ablations.run_plan(plan, output, command)
    print(f"\n{page}\nWritten to {output}, and beside it as .json and .png")


if __name__ == "__main__":
    runtime.run(main, ADVICE)
