"""Time training, inference, `predict`, input and AVA's evaluation beside other libraries, and time scaling.

Compare training in Keras and PyTorch on the same clips, and measure the accuracy that exports in bfloat16 and int8
lose. Load a server of a SavedModel.
"""

import argparse
import pathlib
import sys
import tempfile
from collections.abc import Sequence

from .benchmarks.arguments import parser, shown
from .benchmarks.measure import Result, make_jobs, measure
from .benchmarks.page import check_writable, read_sections, section, write
from .errors import InputError
from .files.atomic import check_output, write_text
from .runtime import import_tensorflow, run

ADVICE = {
    "output": "choose another --output",
    "overrides": "--set takes KEY=VALUE, such as --set train.epochs=3",
    "workdir": "choose another --workdir or remove it",
}


def main(arguments: list[str] | None = None) -> int | None:
    """Run the command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = parser(__doc__ or "").parse_args(arguments)
    names = ["rounds", "batch", "size", "limit", "steps", "seconds"]
    for name in (*names, *(["seeds"] if options.task == "exports" else [])):
        if getattr(options, name, 1) <= 0:
            raise InputError(f"--{name} must be at least 1; got {getattr(options, name)}")
    if options.output:
        check_writable(options.output)
        if options.task == "scaling":
            check_output(pathlib.Path(options.output), "# Scaling")
        else:
            read_sections(options.output)
    results, text = _measure(options, shown(arguments))
    print(text)
    if options.output and options.task == "scaling":
        write_text(options.output, text)
    elif options.output:
        write(options.output, options.task, text, results)
    return int(bool(results) and not any(result.seconds for result in results))


def _measure(options: argparse.Namespace, command: str) -> tuple[Sequence[Result], str]:
    """Return the results of engines, and the Markdown section of a task."""
    match options.task:
        case "scaling":
            from .benchmarks import scaling

            return [], scaling.page(options.preset, options.batch, options.size, options.rounds)
        case "learning":
            from .benchmarks import learning

            change = options.config, options.set
            found = learning.measure(*change, options.steps, options.seeds, pathlib.Path(options.workdir))
            text = learning.section(found, *change, command)
            return [], text + learning.write(pathlib.Path(options.output), found) if options.output else text
        case "exports":
            from .training import cross_validation

            plan = cross_validation.plan(options.config, options.set, options.seeds, pathlib.Path(options.workdir))
            import_tensorflow()
            from .benchmarks import exports

            return [], exports.section(plan, *exports.measure(plan), command)
        case "predict":
            from .benchmarks import predicting

            return [], predicting.section(options.preset, options.size, options.rounds, command)
        case "serving":
            from .benchmarks import serving

            return [], serving.section(options.preset, options.seconds, command)
        case "input":
            from .benchmarks import reading

            return [], reading.section(options.rounds)
        case "ava":
            from .benchmarks import ava

            return [], ava.section(options.rounds)
    with tempfile.TemporaryDirectory() as scratch:
        place = options.workdir or scratch
        network = options.preset, options.size, options.batch
        jobs = make_jobs(options.task, options.engine, options.precision, *network, place)
        results = measure(jobs, options.rounds, options.limit)
    return results, section(results, options.rounds, options.limit, command)


if __name__ == "__main__":
    run(main, ADVICE)
