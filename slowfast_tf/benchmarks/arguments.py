"""The options of the command `python -m slowfast_tf.benchmark`."""

import argparse
import shlex
from collections.abc import Sequence

from .engines import ENGINES
from .measure import PRECISIONS
from .page import DEFAULTS
from .serving import PRESETS

PROGRAM = "python -m slowfast_tf.benchmark"
SECTION = "also write the Markdown to this file, where it replaces the section of this task"
OUTPUT = f"{SECTION}; a JSON file and a {{}} are written beside it"


def parser(description: str) -> argparse.ArgumentParser:
    """Return the parser of the command. The parsed attribute `task` is the name of the benchmark.

    Args:
        description: what the command does.
    """
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=description,
        epilog=f"example: {PROGRAM} inference --precision float32 --output benchmarks.md",
    )
    commands = parser.add_subparsers(dest="task", required=True)
    for task, about in (
        ("training", "time a training step"),
        ("inference", "time exported files in their runtimes, and PyTorch for comparison"),
        ("input", "time reading and preparing videos"),
        ("ava", "time AVA's evaluation, and a plain Python loop for comparison"),
    ):
        command = commands.add_parser(
            task, help=about, description=about, epilog=f"example: {PROGRAM} {task} --rounds 9"
        )
        command.add_argument("--rounds", type=int, default=5, help="measured rounds (default: %(default)s)")
        command.add_argument(
            "--output",
            metavar="FILE",
            help=OUTPUT.format("bar chart") if task in DEFAULTS else SECTION,
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
            help="skip engines that take more seconds per step (default: %(default)s)",
        )
        command.set_defaults(batch=defaults.batch, workdir=None)
        if task == "training":
            command.add_argument("--batch", type=int, help="clips per step (default: %(default)s)")
        else:
            command.add_argument("--workdir", metavar="DIR", help="keep exported files here, and reuse existing ones")
    _add_predict(commands)
    _add_learning(commands)
    _add_exports(commands)
    _add_scaling(commands)
    _add_serving(commands)
    return parser


def _add_predict(commands: "argparse._SubParsersAction") -> None:
    about = "time the whole command `predict`, and a PyTorch program for comparison"
    example = f"example: {PROGRAM} predict --rounds 3"
    command = commands.add_parser("predict", help=about, description=about, epilog=example)
    command.add_argument("--preset", default="slowfast_8x8_r50", help="network (default: %(default)s)")
    command.add_argument("--size", type=int, default=256, help="height and width of a crop (default: %(default)s)")
    command.add_argument("--rounds", type=int, default=3, help="measured rounds (default: %(default)s)")
    command.add_argument("--output", metavar="FILE", help=SECTION)


def _add_scaling(commands: "argparse._SubParsersAction") -> None:
    about = "time training with one and two workers on this machine, and estimate the throughput of many GPUs"
    example = f"example: {PROGRAM} scaling --output docs/multi_machine/scaling.md"
    command = commands.add_parser("scaling", help=about, description=about, epilog=example)
    command.add_argument("--preset", default="slowfast_8x8_r50", help="network (default: %(default)s)")
    command.add_argument("--batch", type=int, default=1, help="clips per worker and step (default: %(default)s)")
    command.add_argument("--size", type=int, default=112, help="height and width (default: %(default)s)")
    command.add_argument("--rounds", type=int, default=5, help="measured steps (default: %(default)s)")
    command.add_argument("--output", metavar="FILE", help="also write the Markdown to this file")


def _add_serving(commands: "argparse._SubParsersAction") -> None:
    about = "load a gRPC server with 1, 8 and 64 clients: latency, requests per second, refused requests and memory"
    example = f"example: {PROGRAM} serving --output docs/benchmarks_serving.md"
    command = commands.add_parser("serving", help=about, description=about, epilog=example)
    command.add_argument("--preset", nargs="+", default=list(PRESETS), help=f"networks (default: {' '.join(PRESETS)})")
    command.add_argument(
        "--seconds", type=int, default=60, help="duration per number of clients (default: %(default)s)"
    )
    command.add_argument("--output", metavar="FILE", help=SECTION)


def _add_learning(commands: "argparse._SubParsersAction") -> None:
    about = "train the Keras network and a PyTorch network on the same clips, and compare their losses and accuracies"
    example = f"example: {PROGRAM} learning --config ablations/gestures --seeds 5 --output docs/real_videos/pytorch.md"
    command = commands.add_parser("learning", help=about, description=about, epilog=example)
    _add_configuration(command)
    command.add_argument("--steps", type=int, default=50, help="steps whose loss is compared (default: %(default)s)")
    command.add_argument(
        "--seeds", type=int, default=5, help="full training runs of each network; 0: none (default: %(default)s)"
    )
    command.add_argument(
        "--workdir", default="runs/learning", metavar="DIR", help="keep results here, and do not repeat existing ones"
    )
    command.add_argument("--output", metavar="FILE", help=OUTPUT.format("chart"))


def _add_exports(commands: "argparse._SubParsersAction") -> None:
    about = "cross-validate a network, and test its exports in bfloat16 and int8 on the same clips"
    example = f"example: {PROGRAM} exports --config gestures --output docs/real_videos/exports.md"
    command = commands.add_parser("exports", help=about, description=about, epilog=example)
    _add_configuration(command)
    command.add_argument("--seeds", type=int, default=3, help="networks per fold (default: %(default)s)")
    command.add_argument(
        "--workdir",
        default="runs/gestures_folds",
        metavar="DIR",
        help="directory of the cross-validation; complete runs are not repeated (default: %(default)s)",
    )
    command.add_argument("--output", metavar="FILE", help=SECTION)


def _add_configuration(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", default="gestures", help="a JSON file, or the name of a shipped configuration")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the configuration")


def shown(arguments: Sequence[str]) -> str:
    """Return the command that the page shows, without paths of this machine and without prepared records.

    Example:
        >>> shown(["learning", "--set", "data.root=/mnt/clips", "--steps", "20", "--output", "/home/me/page.md"])
        'python -m slowfast_tf.benchmark learning --steps 20'
    """
    kept, arguments = [PROGRAM], list(arguments)
    while arguments:
        pair = arguments[:2]
        local = pair[0] == "--set" and pair[-1].startswith(("data.root=", "data.dataset="))
        if local or pair[0] in ("--output", "--workdir"):
            del arguments[:2]
        else:
            kept.append(shlex.quote(arguments.pop(0)))
    return " ".join(kept)
