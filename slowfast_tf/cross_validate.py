"""Train and test on every fold of a data set: `python -m slowfast_tf.cross_validate --config gestures`."""

import argparse
import pathlib
import shlex
import sys

from . import runtime
from .errors import InputError
from .files.atomic import check_output
from .training import cross_validation

ADVICE = {
    "overrides": "--set takes KEY=VALUE, such as --set 'data.fold=[0, 5]'",
    "workdir": "choose another --workdir or remove it",
    "output": "choose another --output",
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.cross_validate",
        description="Divides the training videos into folds. For each fold and seed, trains a network on the other"
        " folds and tests it on the fold. The same command resumes interrupted runs; complete runs are not repeated.",
        epilog="example: python -m slowfast_tf.cross_validate --config gestures --set 'data.fold=[0, 6]' --seeds 3",
    )
    parser.add_argument(
        "--config",
        required=True,
        help="a JSON file, or the name of a shipped configuration; data.fold gives the number of folds, and data.groups"
        " the videos that must be in the same fold",
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the configuration")
    parser.add_argument("--seeds", type=int, default=1, help="runs per fold (default: %(default)s)")
    parser.add_argument("--workdir", help="directory of all runs (runs/NAME_folds)")
    parser.add_argument(
        "--output", metavar="FILE.md", help="the result; .json and .html are beside it (WORKDIR/result.md)"
    )
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        raise InputError(f"--seeds must be at least 1; got {options.seeds}")
    name = pathlib.Path(options.config).stem
    workdir = pathlib.Path(options.workdir or f"runs/{name}_folds")
    output = pathlib.Path(options.output or workdir / "result.md")
    if output.suffix != ".md":
        raise InputError(f"--output must end in .md; got {output}")
    given = sys.argv[1:] if arguments is None else arguments
    command = shlex.join(["python", "-m", "slowfast_tf.cross_validate", *given])
    # Report errors before importing TensorFlow, which takes seconds.
    check_output(output, "# Cross-validation of ", ".json", ".html")
    plan = cross_validation.plan(options.config, options.set, options.seeds, workdir)
    runtime.import_tensorflow()
    page = cross_validation.run_plan(plan, output, command)
    print(f"\n{page}\nWritten to {output}, and beside it as .json and .html")


if __name__ == "__main__":
    runtime.run(main, ADVICE)
