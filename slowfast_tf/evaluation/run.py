"""Test a model: score the videos, compute the metrics and write files."""

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
    """The files that a test writes; None to skip a file.

    Attributes:
        metrics: JSON file for the metrics.
        report: HTML file for the report.
        scores: `.npz` file for the scores.
        detections: csv file in AVA's format for the boxes of a detection model.
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
        """Return the paths in the order of the fields, for `partial_file`."""
        return [self.metrics, self.report, self.scores, self.detections, self.confusion]


def evaluate(
    model: "keras.Model",
    clips: "Clips",
    shard: tuple[int, int] = (0, 1),
    outputs: Outputs = Outputs(),
    spec: SlowFastSpec | None = None,
) -> tuple[Metrics, Scores]:
    """Test a model on the videos of a split.

    The scores of an unfinished test are in `FILE.partial.npz`, beside the first of the output files. The next call with
    the same files resumes from it.

    Args:
        model: a `SlowFast` with the classes of `clips`.
        clips: a `slowfast_tf.data.Clips`. The protocol of its configuration is not used.
        shard: number of the shard of the videos to test, and the number of shards. A shard that is one of several has
            no metrics.
        outputs: the files to write.
        spec: spec with the protocol of the test, such as from `protocol.choose`; the model's own by default.

    Returns:
        The metrics by name, see `metrics.compute_metrics`, and the `Scores`.

    Raises:
        InputError: if the model's classes or head are not those of `clips`, if no video can be read or has a label, if
            no box has a score of at least `person_score`, if the annotation files of a detection data set cannot be
            read, or if the partial file is of another test.
        RunError: if scores are not finite, or if the test was interrupted.

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
    if whole and model.spec.head == "roi":  # fail before the test, which may take hours
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
    """Compute the metrics of a test from the files of its shards, or from the single file of a whole test.

    Args:
        paths: paths of the `.npz` files that `evaluate` wrote.
        outputs: the files to write.

    Returns:
        The metrics by name and the `Scores`, as `evaluate`.

    Raises:
        InputError: if the files are not all shards of one test, or if `outputs.detections` is set for a classification
            model.

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
    """Write the files in `outputs`, except the scores.

    Args:
        tested: the scores.
        found: metrics of the scores, from `metrics.compute_metrics`.
        outputs: the files to write.
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
    """Raise an InputError unless the model has the classes and the head of the clips."""
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
