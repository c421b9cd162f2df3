"""Tests a trained model: `python -m slowfast_tf.evaluate --config FILE --checkpoint FILE`."""

import json
import pathlib

from ..errors import InputError
from ..files.atomic import write_text


def evaluate(
    model, clips, shard=(0, 1), output=None, report=None, scores=None, detections=None, confusion=None, title=None
):
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
        InputError: where the model's classes are not those of the data set, no video can be read or has a label, or an
            unfinished test of something else is in the way.
        RunError: where scores are not finite, or the test was interrupted.
    """
    from ..evaluation import metrics, views

    if model.spec.num_classes != len(clips.labels):
        raise InputError(
            f"the model has {model.spec.num_classes} classes and the data set {len(clips.labels)};"
            f" give the checkpoint of a run on this data set"
        )
    if model.spec.head != clips.spec.head:
        raise InputError(
            f"the model has head {model.spec.head!r} and the configuration {clips.spec.head!r}; give the configuration"
            " that it was trained with"
        )
    partial = _partial(output, report, scores, detections, confusion)
    tested = views.score_videos(model, clips, shard, partial)
    if not tested.ids:
        raise InputError(f"none of the {clips.size(shard)} videos can be read: {next(iter(tested.skipped.values()))}")
    if scores:
        tested.save(scores)
    if shard[1] > 1:
        figures = {"videos": tested.videos, "skipped": len(tested.skipped), "views": tested.views}
        figures["part"] = f"{shard[0]}/{shard[1]}"
    else:
        figures = metrics.compute_metrics(tested)
        _write(tested, figures, output, report, detections=detections, confusion=confusion)
    if partial:
        partial.unlink(missing_ok=True)
    return figures, tested


def _write(tested, figures, output=None, report=None, scores=None, detections=None, confusion=None):
    from ..evaluation import ava, metrics
    from ..evaluation.report import html as pages
    from ..evaluation.report import plots

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
        write_text(output, json.dumps(figures, indent=2) + "\n")


def _partial(*files):
    """Where the scores of an unfinished test are: beside the first file that is asked for."""
    first = next((file for file in files if file), None)
    return first and pathlib.Path(f"{first}.partial.npz")
