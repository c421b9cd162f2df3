"""Time training, inference, the input pipeline and AVA's evaluation beside other libraries, and training's scaling."""

import argparse
import sys
import tempfile

from .benchmarks.engines import ENGINES
from .benchmarks.measure import PRECISIONS, make_jobs, measure
from .benchmarks.page import DEFAULTS, check_writable, read_sections, section, write
from .errors import InputError
from .files.atomic import write_text
from .runtime import run

ADVICE = {"output": "choose another --output"}


def main(arguments: list[str] | None = None) -> int | None:
    """Run the command and return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    for name in ("rounds", "batch", "size", "limit"):
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
    command = "python -m slowfast_tf.benchmark " + " ".join(_without_output(arguments))
    if options.task in ("input", "ava"):
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


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.benchmark",
        description=__doc__,
        epilog="example: python -m slowfast_tf.benchmark inference --precision float32 --output docs/inference.md",
    )
    commands = parser.add_subparsers(dest="task", required=True)
    for task, about in (
        ("training", "time a training step"),
        ("inference", "time exported files in their runtimes, beside PyTorch"),
        ("input", "time reading and preparing videos"),
        ("ava", "time AVA's evaluation, beside a plain loop"),
    ):
        command = commands.add_parser(
            task, help=about, description=about, epilog=f"example: python -m slowfast_tf.benchmark {task} --rounds 9"
        )
        command.add_argument("--rounds", type=int, default=5, help="measured rounds (default: %(default)s)")
        command.add_argument(
            "--output",
            metavar="FILE",
            help="also write the Markdown to this file, in place of its section of this task; a JSON file and a bar"
            " chart are written beside it",
        )
        if task in ("input", "ava"):
            continue
        defaults, engines = DEFAULTS[task], ENGINES[task]
        precisions = [p for p in PRECISIONS if any(p in engine.precisions for engine in engines.values())]
        command.add_argument("--preset", default="slowfast_8x8_r50", help="network (default: %(default)s)")
        command.add_argument("--engine", nargs="+", choices=engines, default=list(engines), help="(default: all)")
        command.add_argument("--precision", nargs="+", choices=precisions, default=precisions, help="(default: all)")
        command.add_argument("--size", type=int, default=defaults.size, help="height and width (default: %(default)s)")
        command.add_argument(
            "--limit",
            type=float,
            default=defaults.limit,
            help="leave out engines that take more seconds per step (default: %(default)s)",
        )
        command.set_defaults(batch=defaults.batch, workdir=None)
        if task == "training":
            command.add_argument("--batch", type=int, help="clips per step (default: %(default)s)")
        else:
            command.add_argument("--workdir", metavar="DIR", help="keep exported files here, and reuse existing ones")
    about = "time training with one and two workers on this machine, and estimate the throughput of many GPUs"
    example = "example: python -m slowfast_tf.benchmark scaling --output docs/multi_machine/scaling.md"
    command = commands.add_parser("scaling", help=about, description=about, epilog=example)
    command.add_argument("--preset", default="slowfast_8x8_r50", help="network (default: %(default)s)")
    command.add_argument("--batch", type=int, default=1, help="clips per worker and step (default: %(default)s)")
    command.add_argument("--size", type=int, default=112, help="height and width (default: %(default)s)")
    command.add_argument("--rounds", type=int, default=5, help="measured steps (default: %(default)s)")
    command.add_argument("--output", metavar="FILE", help="also write the Markdown to this file")
    return parser


def _without_output(arguments):
    """Return the arguments that the page shows: without paths of this machine."""
    arguments = list(arguments)
    for name in ("--output", "--workdir"):
        if name in arguments:
            at = arguments.index(name)
            del arguments[at : at + 2]
    return arguments


if __name__ == "__main__":
    run(main, ADVICE)
