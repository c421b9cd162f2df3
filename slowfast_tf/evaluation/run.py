"""A test of a model, from its videos to metrics and files."""

import dataclasses
import json
import os
import typing
from collections.abc import Sequence

from ..data import ava_csv
from ..errors import InputError
from ..files.atomic import write_text
from ..models.spec import SlowFastSpec
from . import metrics, views
from .protocol import check_labels
from .report import html, plots
from .scores import Scores, fuse_scores, partial_file

if typing.TYPE_CHECKING:
    import keras

    from ..data import Clips

File = str | os.PathLike | None
Metrics = dict[str, typing.Any]


@dataclasses.dataclass(frozen=True)
class Outputs:
    """The files that a test writes; None for a file that is not wanted.

    Attributes:
        metrics: JSON file for the metrics.
        report: HTML file for the report.
        scores: `.npz` file for the scores.
        detections: csv file of AVA's format for the boxes of a detection model.
        confusion: PNG file for the confusion matrix, if each video has one class.
        title: name of the test in the heading of the report; the configuration's `name` by default.
    """

    metrics: File = None
    report: File = None
    scores: File = None
    detections: File = None
    confusion: File = None
    title: str | None = None

    def files(self) -> list[File]:
        """Return the paths in the order of the fields, as `partial_file` takes them."""
        return [self.metrics, self.report, self.scores, self.detections, self.confusion]


def evaluate(
    model: "keras.Model",
    clips: "Clips",
    shard: tuple[int, int] = (0, 1),
    outputs: Outputs = Outputs(),
    spec: SlowFastSpec | None = None,
) -> tuple[Metrics, Scores]:
    """Test a model on the videos of a split.

    Beside the first file that is asked for, `FILE.partial.npz` holds the scores of an unfinished test. The next call
    with the same files resumes from it.

    Args:
        model: a `SlowFast` with the classes of `clips`.
        clips: a `slowfast_tf.data.Clips`. The protocol of its configuration does not count.
        shard: number of the shard of the videos to test, and how many shards there are. One of several shards has no
            metrics of its own.
        outputs: the files to write.
        spec: the protocol to test by, such as one from `protocol.choose`; the model's own by default.

    Returns:
        The metrics by name (`top1`, `top5`, `mean_class_accuracy`, or `mAP`, for boxes with `AP` by class; `videos`,
        `skipped`, `views`; see `metrics.compute_metrics`), and the `Scores`.

    Raises:
        InputError: if the model's classes or head are not those of `clips`, no video can be read or has a label, no box
            has a score that counts, the annotation files of a detection data set cannot be read, or an unfinished test
            of something else is in the way.
        RunError: if scores are not finite, or the test was interrupted.

    Example:
        >>> clips = slowfast_tf.data.Clips(slowfast_tf.config.load("configs/demo.json"), "val")
        >>> found, scores = evaluate(slowfast_tf.load("runs/demo"), clips, outputs=Outputs(metrics="metrics.json"))
        >>> found["top1"]
        0.979
    """
    whole = shard[1] == 1
    clips = clips.with_spec(spec or model.spec)
    _check(model, clips)
    no_box = f"no box has a score of at least {clips.spec.person_score}; lower model.person_score"
    if not clips.count:
        raise InputError(no_box)
    if whole and model.spec.head == "roi":  # before hours of work
        metrics.read_annotations(clips.dataset, clips.config.data.root)
    partial = partial_file(*outputs.files())
    tested = views.score_videos(model, clips, shard, partial)
    if not tested.ids:
        reason = next(iter(tested.skipped.values()), no_box)
        raise InputError(f"none of the {clips.size(shard)} videos can be read: {reason}")
    if outputs.scores:
        tested.save(outputs.scores)
    if whole:
        found = metrics.compute_metrics(tested)
        write_results(tested, found, outputs)
    else:
        found = {"videos": tested.videos, "skipped": len(tested.skipped), "views": tested.views}
        found["part"] = f"{shard[0]}/{shard[1]}"
    if partial:
        partial.unlink(missing_ok=True)
    return found, tested


def evaluate_scores(paths: Sequence[str | os.PathLike], outputs: Outputs = Outputs()) -> tuple[Metrics, Scores]:
    """Compute the metrics of a test from the files of its shards, or from the one file of a whole test.

    Args:
        paths: paths of the `.npz` files that `evaluate` wrote.
        outputs: the files to write.

    Returns:
        As `evaluate`.

    Raises:
        InputError: for files that are not all shards of one test, and for detections of a classification model.

    Example:
        >>> found, scores = evaluate_scores(["part0.npz", "part1.npz"], Outputs(report="report.html"))
    """
    tested = fuse_scores(paths)
    if outputs.detections and tested.boxes is None:
        raise InputError("detections need a detection model; these scores are of whole videos", argument="detections")
    found = metrics.compute_metrics(tested)
    if outputs.scores:
        tested.save(outputs.scores)
    write_results(tested, found, outputs)
    return found, tested


def write_results(tested: Scores, found: Metrics, outputs: Outputs) -> None:
    """Write the files of a test that are asked for, except the scores.

    Args:
        tested: the scores.
        found: their metrics, from `metrics.compute_metrics`.
        outputs: the files.
    """
    if outputs.report:
        html.save_report(tested, found, outputs.report, outputs.title)
    if outputs.detections and tested.boxes is not None:
        ava_csv.write_csv(outputs.detections, metrics.detections(tested))
    if outputs.confusion and tested.about.activation == "softmax":
        truth, values = metrics.single_labels(tested)
        plots.save_confusion(truth, values.argmax(1), tested.about.classes, outputs.confusion)
    if outputs.metrics:
        write_text(outputs.metrics, json.dumps(found, indent=2) + "\n")


def _check(model: "keras.Model", clips: "Clips") -> None:
    """Raise an InputError unless the model, the clips and the data set fit together."""
    if model.spec.num_classes != len(clips.labels):
        raise InputError(
            f"the model has {model.spec.num_classes} classes and the data set {len(clips.labels)};"
            f" give the checkpoint of a run on this data set"
        )
    check_labels(model.spec.labels, clips.labels)
    configured = clips.config.spec().head
    if model.spec.head != configured:
        raise InputError(
            f"the model has head {model.spec.head!r} and the configuration {configured!r}; give the configuration"
            " that it was trained with"
        )
