"""Tests a trained model: `python -m slowfast_tf.evaluate --config FILE --checkpoint FILE`."""

import argparse
import json
import os
import pathlib
import sys

from . import config, plugins, runtime
from .errors import InputError
from .evaluation.run import _partial, _write, evaluate


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.evaluate",
        description="Tests a trained model on the validation videos, several views of each. With a file to write to,"
        " the same command goes on with a test that was stopped. Several machines can share a test: each makes a part"
        " of the scores, and --fuse gives the figures of all.",
        epilog="example: python -m slowfast_tf.evaluate --config configs/demo.json --checkpoint runs/demo/model.keras"
        " --report report.html",
    )
    parser.add_argument("--config", help="JSON configuration; its data and test sections count")
    parser.add_argument("--checkpoint", help="a .keras file, or the directory of a run")
    parser.add_argument("--output", metavar="FILE", help="a JSON file to write the figures to")
    parser.add_argument("--report", metavar="FILE", help="an HTML file for figures, plots, classes and confusions")
    parser.add_argument("--scores", metavar="FILE", help="an .npz file for ids, labels and scores of the videos")
    parser.add_argument(
        "--detections", metavar="FILE", help="of a detection model, a csv file of boxes and scores in AVA's form"
    )
    parser.add_argument("--part", metavar="N/M", help="test only part N, from 0, of M; needs --scores")
    parser.add_argument(
        "--fuse", nargs="+", metavar="FILE", help="in place of a test: the scores of all parts, or of a whole test"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the configuration")
    options = parser.parse_args(arguments)
    shard = _check(options)
    files = {name: getattr(options, name) for name in ("output", "report", "scores", "detections")}
    if options.fuse:
        _check_files(files, options.overwrite)
        runtime.import_tensorflow()
        from .evaluation import metrics, scores

        tested = scores.fuse(options.fuse)
        if options.detections and tested.boxes is None:
            raise InputError("--detections is for a detection model; these scores are of whole videos")
        figures = metrics.compute_metrics(tested)
        _write(tested, figures, **files)
    else:
        settings = config.load(options.config, options.set)
        if options.detections and settings.spec().head != "roi":
            raise InputError(f"--detections is for a detection model; {options.config} is of whole videos")
        _check_files(files, options.overwrite)
        runtime.import_tensorflow()
        plugins.load(settings.plugins)
        from . import load
        from .data import Clips

        model, clips = load(options.checkpoint), Clips(settings, "val")
        for problem in clips.problems:
            print(f"left out: {problem}", file=sys.stderr)
        figures, _ = evaluate(model, clips, shard, **files)
    print(json.dumps(figures, indent=2))


def _check(options):
    """The part to test, of options that go together.

    Raises:
        InputError: where they do not.
    """
    if options.fuse:
        if options.config or options.checkpoint or options.part or options.set:
            raise InputError("--fuse reads scores; leave out --config, --checkpoint, --part and --set")
        return None
    if not (options.config and options.checkpoint):
        raise InputError("give --config and --checkpoint, or --fuse with files of scores")
    if not options.part:
        return 0, 1
    number, _, count = options.part.partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise InputError(f"--part takes N/M, N from 0 to M - 1, such as 0/4; received {options.part!r}")
    if not options.scores or options.output or options.report or options.detections:
        raise InputError("--part gives scores only: add --scores FILE, and take the other files to --fuse")
    return int(number), int(count)


def _check_files(files, overwrite):
    """Before hours of work: can the files be written, and is nothing lost?

    Raises:
        InputError: where not.
    """
    going_on = _partial(*files.values())
    for option, file in files.items():
        path = pathlib.Path(file or os.devnull)
        if file and path.exists() and not overwrite and not going_on.exists():
            raise InputError(f"{path} exists; give another --{option}, or --overwrite to replace it")
        if file and (path.is_dir() or not os.access(_first_there(path.parent), os.W_OK)):
            raise InputError(f"cannot write {path}; choose another place for --{option}")


def _first_there(folder):
    return folder if folder.exists() else _first_there(folder.parent)


if __name__ == "__main__":
    runtime.run(main)
