"""Repeats the ablations of the paper's Table 5 at a small scale: the same changes of the network on made videos."""

import argparse
import pathlib
import shlex
import sys

from . import config, runtime
from .errors import InputError
from .training.ablations import DEFAULT, TABLES, chosen, run_table


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
    command = shlex.join(["python", "-m", "slowfast_tf.ablate", *(sys.argv[1:] if arguments is None else arguments)])
    base = pathlib.Path(options.config)
    chosen(options.table, options.rows)  # mistakes before TensorFlow is imported, which takes seconds
    config.load(base, options.set)
    runtime.import_tensorflow()
    text = run_table(options.table, options.rows, options.seeds, base, options.set, workdir, output, command)
    print(f"\n{text}\nWritten to {output}, and beside it as .json and .png")


if __name__ == "__main__":
    runtime.run(main)
