"""Tests a trained model: `python -m slowfast_tf.evaluate --config FILE --checkpoint FILE`."""

import argparse
import json
import os
import pathlib
import sys

from . import cli, config, plugins


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
    part = _check(options)
    files = {name: getattr(options, name) for name in ("output", "report", "scores", "detections")}
    if options.fuse:
        _check_files(files, options.overwrite)
        cli.import_tensorflow()
        from .evaluation import metrics, scores

        tested = scores.fuse(options.fuse)
        if options.detections and tested.boxes is None:
            raise cli.UserError("--detections is for a detection model; these scores are of whole videos")
        figures = metrics.figures(tested)
        _write(tested, figures, **files)
    else:
        settings = config.load(options.config, options.set)
        if options.detections and settings.spec().head != "roi":
            raise cli.UserError(f"--detections is for a detection model; {options.config} is of whole videos")
        _check_files(files, options.overwrite)
        cli.import_tensorflow()
        plugins.load(settings.plugins)
        from . import load
        from .data import Clips

        model, clips = load(options.checkpoint), Clips(settings, "val")
        for problem in clips.problems:
            print(f"left out: {problem}", file=sys.stderr)
        figures, _ = evaluate(model, clips, part, **files)
    print(json.dumps(figures, indent=2))


def evaluate(model, clips, part=(0, 1), output=None, report=None, scores=None, detections=None, confusion=None):
    """Tests a model on the videos of a split.

    Args:
        model: a `SlowFast` with the classes of `clips`.
        clips: a `slowfast_tf.data.Clips`.
        part: number of the part of the videos to test, and how many parts there are. A part has no figures of its own.
        output, report, scores, detections, confusion: where to write the figures (JSON), the report (HTML), the scores
            (`.npz`), for boxes AVA's csv and, for one class a video, the confusion matrix (PNG); or None. Beside the
            first of them are the scores of an unfinished test, as `FILE.partial.npz`, which the next call goes on from.

    Returns:
        A dictionary of figures by name (`top1`, `top5`, `mean_class_accuracy`, or `mAP`, for boxes with `AP` by class;
        `videos`, `skipped`, `views`; see `metrics.figures`), and a `slowfast_tf.evaluation.scores.Scores`.

    Raises:
        UserError: where the model's classes are not those of the data set, no video can be read or has a label, or an
            unfinished test of something else is in the way.
        Failure: where scores are not finite, or the test was interrupted.
    """
    from .evaluation import metrics, views

    if model.spec.num_classes != len(clips.labels):
        raise cli.UserError(
            f"the model has {model.spec.num_classes} classes and the data set {len(clips.labels)};"
            f" give the checkpoint of a run on this data set"
        )
    if model.spec.head != clips.spec.head:
        raise cli.UserError(
            f"the model has head {model.spec.head!r} and the configuration {clips.spec.head!r}; give the configuration"
            " that it was trained with"
        )
    partial = _partial(output, report, scores, detections, confusion)
    tested = views.score_videos(model, clips, part, partial)
    if not tested.ids:
        raise cli.UserError(f"none of the {clips.size(part)} videos can be read: {next(iter(tested.skipped.values()))}")
    if scores:
        tested.save(scores)
    if part[1] > 1:
        figures = {"videos": tested.videos, "skipped": len(tested.skipped), "views": tested.views}
        figures["part"] = f"{part[0]}/{part[1]}"
    else:
        figures = metrics.figures(tested)
        _write(tested, figures, output, report, detections=detections, confusion=confusion)
    if partial:
        partial.unlink(missing_ok=True)
    return figures, tested


def _write(tested, figures, output=None, report=None, scores=None, detections=None, confusion=None):
    from .evaluation import ava, metrics, plots
    from .evaluation import report as pages

    if scores:
        tested.save(scores)
    if report:
        pages.save(tested, figures, report)
    if detections and tested.boxes is not None:
        ava.write_csv(detections, metrics.detections(tested))
    if confusion and tested.about["activation"] == "softmax":
        truth, found = metrics.single_labels(tested)
        plots.save_confusion(truth, found.argmax(1), tested.about["classes"], confusion)
    if output:
        cli.write_text(output, json.dumps(figures, indent=2) + "\n")


def _partial(*files):
    """Where the scores of an unfinished test are: beside the first file that is asked for."""
    first = next((file for file in files if file), None)
    return first and pathlib.Path(f"{first}.partial.npz")


def _check(options):
    """The part to test, of options that go together.

    Raises:
        UserError: where they do not.
    """
    if options.fuse:
        if options.config or options.checkpoint or options.part or options.set:
            raise cli.UserError("--fuse reads scores; leave out --config, --checkpoint, --part and --set")
        return None
    if not (options.config and options.checkpoint):
        raise cli.UserError("give --config and --checkpoint, or --fuse with files of scores")
    if not options.part:
        return 0, 1
    number, _, count = options.part.partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise cli.UserError(f"--part takes N/M, N from 0 to M - 1, such as 0/4; received {options.part!r}")
    if not options.scores or options.output or options.report or options.detections:
        raise cli.UserError("--part gives scores only: add --scores FILE, and take the other files to --fuse")
    return int(number), int(count)


def _check_files(files, overwrite):
    """Before hours of work: can the files be written, and is nothing lost?

    Raises:
        UserError: where not.
    """
    going_on = _partial(*files.values())
    for option, file in files.items():
        path = pathlib.Path(file or os.devnull)
        if file and path.exists() and not overwrite and not going_on.exists():
            raise cli.UserError(f"{path} exists; give another --{option}, or --overwrite to replace it")
        if file and (path.is_dir() or not os.access(_first_there(path.parent), os.W_OK)):
            raise cli.UserError(f"cannot write {path}; choose another place for --{option}")


def _first_there(folder):
    return folder if folder.exists() else _first_there(folder.parent)


if __name__ == "__main__":
    cli.run(main)
