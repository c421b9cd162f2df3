"""Time training, inference, the input pipeline and AVA's evaluation, compare with other libraries, and time scaling.

Compare training in Keras and PyTorch on the same clips, and measure the accuracy that exports in bfloat16 and int8
lose. Load a server of a SavedModel.
"""

import pathlib
import sys
import tempfile

from .benchmarks.arguments import parser, shown
from .benchmarks.measure import make_jobs, measure
from .benchmarks.page import check_writable, read_sections, section, write
from .errors import InputError
from .files.atomic import write_text
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
    if options.output and options.task != "scaling":
        read_sections(options.output)
    if options.task == "scaling":
        from .benchmarks import scaling

        print(text := scaling.page(options.preset, options.batch, options.size, options.rounds))
        return write_text(options.output, text) if options.output else 0
    command = shown(arguments)
    if options.task == "learning":
        from .benchmarks import learning

        workdir = pathlib.Path(options.workdir)
        found = learning.measure(options.config, options.set, options.steps, options.seeds, workdir)
        print(text := learning.section(found, options.config, options.set, command))
        if options.output:
            write(options.output, options.task, text + learning.write(pathlib.Path(options.output), found), [])
        return 0
    if options.task == "exports":
        from .training import cross_validation

        plan = cross_validation.plan(options.config, options.set, options.seeds, pathlib.Path(options.workdir))
        import_tensorflow()
        from .benchmarks import exports

        print(text := exports.section(plan, *exports.measure(plan), command))
        if options.output:
            write(options.output, options.task, text, [])
        return 0
    if options.task == "serving":
        from .benchmarks import serving

        results, text = [], serving.section(options.preset, options.seconds, command)
    elif options.task in ("input", "ava"):
        from .benchmarks import ava, reading

        module = {"input": reading, "ava": ava}[options.task]
        results, text = [], module.section(options.rounds)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            place = options.workdir or scratch
            network = options.preset, options.size, options.batch
            jobs = make_jobs(options.task, options.engine, options.precision, *network, place)
            results = measure(jobs, options.rounds, options.limit)
        text = section(results, options.rounds, options.limit, command)
    print(text)
    if options.output:
        write(options.output, options.task, text, results)
    return int(bool(results) and not any(result.seconds for result in results))


if __name__ == "__main__":
    run(main, ADVICE)
