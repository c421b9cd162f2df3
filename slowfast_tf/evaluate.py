"""Tests a trained model: `python -m slowfast_tf.evaluate --config FILE --checkpoint FILE`."""

import argparse
import json
import pathlib

from . import cli, config


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.evaluate",
        description="Tests a trained model on the validation videos, several views of each.",
        epilog="example: python -m slowfast_tf.evaluate --config configs/demo.json --checkpoint runs/demo/model.keras",
    )
    parser.add_argument("--config", required=True, help="JSON configuration; its data and test sections count")
    parser.add_argument("--checkpoint", required=True, help="a .keras file, or the directory of a run")
    parser.add_argument("--output", help="a JSON file to write the figures to")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the configuration")
    options = parser.parse_args(arguments)
    settings = config.load(options.config, options.set)

    cli.import_tensorflow()
    from . import load
    from .data import Clips

    model = load(options.checkpoint)
    figures, _ = evaluate(model, Clips(settings, "val"))
    text = json.dumps(figures, indent=2)
    print(text)
    if options.output:
        cli.write_text(options.output, text + "\n")


def evaluate(model, clips, plots=None):
    """Tests a model on the videos of a split.

    Args:
        model: a `SlowFast` with the classes of `clips`.
        clips: a `slowfast_tf.data.Clips`.
        plots: a directory to write `confusion.png` to (for one class a video), or None.

    Returns:
        A dictionary of figures by name (`top1`, `top5`, `mean_class_accuracy`, or `mAP`; `videos`,
        `skipped`, `views`), and the scores, float32 `[videos, classes]`.

    Raises:
        UserError: where the model's classes are not those of the data set, or no video can be read.
    """
    import numpy as np

    from .data import datasets
    from .evaluation import metrics, views
    from .evaluation import plots as plotting

    if model.spec.num_classes != len(clips.labels):
        raise cli.UserError(
            f"the model has {model.spec.num_classes} classes and the data set {len(clips.labels)};"
            f" give the checkpoint of a run on this data set"
        )
    test = clips.config.test
    indices, scores = views.score_videos(model, clips, test.fuse)
    if not len(indices):
        raise cli.UserError(f"none of the {len(clips.videos)} videos can be read: {next(iter(clips.skipped.values()))}")
    truth = np.zeros(scores.shape, np.int64)
    for row, index in enumerate(indices):
        truth[row, [label[0] for label in clips.videos[index].labels]] = 1
    if model.spec.activation == "sigmoid":
        figures = metrics.multi_label(truth, scores)
    else:
        figures = metrics.classification(truth.argmax(1), scores)
        figures.update(datasets.figures(clips.config.data.dataset, truth.argmax(1), scores.argmax(1)))
        if plots:
            path = pathlib.Path(plots) / "confusion.png"
            plotting.save_confusion(truth.argmax(1), scores.argmax(1), clips.labels, path)
    figures.update(videos=len(indices), skipped=len(clips.skipped), views=f"{test.clips}x{test.crops}")
    return figures, scores


if __name__ == "__main__":
    cli.run(main)
