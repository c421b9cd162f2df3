"""Test a trained model: `python -m slowfast_tf.evaluate --config FILE --checkpoint FILE`."""

import argparse
import json
import sys

from . import config, plugins, runtime
from .checkpoints.names import FORMS, check_name, load
from .errors import InputError
from .evaluation.scores import check_outputs

ADVICE = {
    "paths": "give files that --scores wrote",
    "labels": "--scores saves them",
    "shard": "give a smaller M in --part N/M",
    "detections": "leave out --detections",
    "existing": "give another file, or --overwrite to replace it",
    "overrides": "--set takes KEY=VALUE, such as --set test.clips=1",
}


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    shard = _check(options)
    files = options.output, options.report, options.scores, options.detections
    if options.fuse:
        check_outputs(files, options.overwrite)
        runtime.import_tensorflow()
        from .evaluation.run import Outputs, evaluate_scores

        found, _ = evaluate_scores(options.fuse, Outputs(*files))
    else:
        settings = config.load(options.config, options.set)
        if options.detections and settings.spec().head != "roi":
            raise InputError(f"--detections is for a detection model; {options.config} is of whole videos")
        check_outputs(files, options.overwrite)
        check_name(options.checkpoint)
        runtime.import_tensorflow()
        plugins.load_plugins(settings.plugins)
        from .data import Clips
        from .evaluation import protocol
        from .evaluation.run import Outputs, evaluate

        model = load(options.checkpoint)
        spec, lines = protocol.choose(model.spec, settings.spec(), config.overridden(options.set), model.unstated)
        clips = Clips(settings, "val", spec=spec)
        for line in (*lines, *(f"left out: {problem}" for problem in clips.problems)):
            print(line, file=sys.stderr)
        if options.exported:
            from .exporting.exported import Exported

            model = Exported(options.exported, spec)
        found, _ = evaluate(model, clips, shard, Outputs(*files), spec)
    print(json.dumps(found, indent=2))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.evaluate",
        description="Tests a trained model on the validation videos, with several views of each. If a file is written,"
        " the same command resumes a test that was stopped. Several machines can share a test: each scores a shard of"
        " the videos, and --fuse computes the metrics of all shards.",
        epilog="example: python -m slowfast_tf.evaluate --config configs/demo.json --checkpoint runs/demo/model.keras"
        " --report report.html",
    )
    parser.add_argument("--config", help="data: a JSON file or shipped configuration; the model has the protocol")
    parser.add_argument("--checkpoint", help=FORMS)
    parser.add_argument("--exported", metavar="FILE", help="test this .tflite, .onnx or SavedModel of --checkpoint")
    parser.add_argument("--output", metavar="FILE", help="JSON file for the metrics")
    parser.add_argument("--report", metavar="FILE", help="HTML file for metrics, plots, classes and confused pairs")
    parser.add_argument("--scores", metavar="FILE", help=".npz file for ids, labels and scores of the videos")
    parser.add_argument(
        "--detections", metavar="FILE", help="csv file in AVA's format for boxes and scores of a detection model"
    )
    parser.add_argument("--part", metavar="N/M", help="test only shard N (from 0) of M; needs --scores")
    parser.add_argument(
        "--fuse", nargs="+", metavar="FILE", help="compute metrics from files of --scores: all shards, or a whole test"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the configuration")
    return parser.parse_args(arguments)


def _check(options: argparse.Namespace) -> tuple[int, int]:
    """Return the shard to test; raise an InputError if the options contradict each other."""
    if options.fuse:
        if options.config or options.checkpoint or options.exported or options.part or options.set:
            raise InputError("--fuse reads scores; leave out --config, --checkpoint, --exported, --part and --set")
        return 0, 1
    if not (options.config and options.checkpoint):
        raise InputError("give --config and --checkpoint, or --fuse with files of scores")
    if not options.part:
        return 0, 1
    number, _, count = options.part.partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise InputError(f"--part takes N/M, N from 0 to M - 1, such as 0/4; received {options.part!r}")
    if not options.scores or options.output or options.report or options.detections:
        raise InputError("--part gives scores only: add --scores FILE, and give the other files with --fuse")
    return int(number), int(count)


if __name__ == "__main__":
    runtime.run(main, ADVICE)
