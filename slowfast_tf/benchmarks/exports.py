"""Test exported files on the clips of a cross-validation, to measure the accuracy that bfloat16 and int8 lose."""

import dataclasses
import pathlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import config
from ..checkpoints.names import load
from ..data import Clips
from ..evaluation.metrics import single_labels
from ..evaluation.run import Outputs, evaluate
from ..evaluation.scores import Scores, load_scores
from ..exporting import onnx, saved_model, tflite
from ..exporting.exported import Exported
from ..exporting.tflite import Clip
from ..machine import core_count, cpu_name
from ..models.slowfast import SlowFast
from ..runtime import without_remarks
from ..training import cross_validation, repeats
from ..training.repeats import Estimate, Run

CALIBRATION = 50  # number of training clips for the calibration of int8

# The file name of each format, and the function that writes it.
FORMATS: dict[str, tuple[str, Callable[[SlowFast, pathlib.Path, Sequence[Clip]], None]]] = {
    "SavedModel, bfloat16": ("1", lambda model, path, clips: saved_model.export(model, path, "bfloat16")),
    "TFLite, int8": ("int8.tflite", lambda model, path, clips: tflite.export(model, path, "int8", clips)),
    "ONNX, int8": ("int8.onnx", lambda model, path, clips: onnx.export(model, path, "int8", clips)),
}


@dataclasses.dataclass(frozen=True)
class ExportResult:
    """The accuracy of an export format, compared with that of the networks themselves.

    Attributes:
        form: a key of `FORMATS`.
        top1: top-1 of the exported files on all videos, the mean over seeds.
        difference: `top1` minus the top-1 of the networks, in percentage points.
        agreement: fraction of the videos for which file and network predict the same class.
    """

    form: str
    top1: float
    difference: Estimate
    agreement: float


def measure(plan: cross_validation.Plan) -> tuple[float, list[ExportResult]]:
    """Export the network of each fold and seed, and test the files on the videos of the fold.

    An incomplete cross-validation is resumed, and a tested export is not tested again.

    Returns:
        The top-1 of the networks on all videos, the mean over seeds, and the result of each format.

    Raises:
        InputError: if exported files of the networks cannot be tested.
    """
    repeats.prepare_videos(plan.runs)
    networks, exported = [], {form: [] for form in FORMATS}
    for number, run in enumerate(plan.runs, 1):
        repeats.train(run)
        networks.append(load_scores(run.workdir / "scores.npz"))
        for form, scores in exported.items():
            print(f"{form}: {run.workdir.name} ({number} of {len(plan.runs)})", file=sys.stderr, flush=True)
            scores.append(score_export(run, form))
    top1 = float(np.concatenate([correct(scores) for scores in networks]).mean())
    shape = (plan.folds, plan.seeds)
    return top1, [compare(form, networks, scores, shape) for form, scores in exported.items()]


def score_export(run: Run, form: str) -> Scores:
    """Return the scores of a run's network in an export format. They are stored in the work directory."""
    file, export = FORMATS[form]
    kept = run.workdir / "exports" / f"{file}.npz"
    if kept.exists():
        return load_scores(kept)
    settings = run.from_records
    model = load(run.workdir)
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / file
        with without_remarks():  # hide the converters' logs
            export(model, path, calibration_clips(settings))
        exported: Any = Exported(path, model.spec)  # has the interface of a network
        return evaluate(exported, Clips(settings, "val", spec=model.spec), outputs=Outputs(scores=kept))[1]


def calibration_clips(settings: config.Config) -> list[Clip]:
    """Return clips of the training videos; the test does not use these videos."""
    batches = Clips(settings, "train").train(range(1)).unbatch().batch(1).take(CALIBRATION)
    return [{name: x.numpy() for name, x in inputs.items()} for inputs, _ in batches]


def correct(scores: Scores) -> np.ndarray:
    """Return for each video whether its class has the best score, `[N]`."""
    truth, values = single_labels(scores)
    return values.argmax(1) == truth


def compare(form: str, networks: Sequence[Scores], exported: Sequence[Scores], shape: tuple[int, int]) -> ExportResult:
    """Compare the scores of each run's network with those of its exported file.

    Args:
        form: a key of `FORMATS`.
        networks, exported: scores of each run, ordered by fold and then by seed. Both score the same videos in the same
            order.
        shape: numbers of folds and seeds.
    """
    differences, hits, same = [], [], []
    for before, after in zip(networks, exported, strict=True):
        differences.append(100 * (correct(after).astype(float) - correct(before)))
        hits.append(correct(after))
        same.append(before.scores.argmax(1) == after.scores.argmax(1))
    spread = repeats.estimate(np.reshape([one.mean() for one in differences], shape))
    top1, mean, agreement = (float(np.concatenate(values).mean()) for values in (hits, differences, same))
    return ExportResult(form, top1, spread.around(mean), agreement)


def section(plan: cross_validation.Plan, top1: float, results: Sequence[ExportResult], command: str) -> str:
    """Return a Markdown section.

    Args:
        plan: plan of the cross-validation.
        top1, results: from `measure`.
        command: the command that writes the section.
    """
    lines = [
        "## Exports",
        "",
        f"    {command}",
        "",
        f"Each network of the cross-validation of `{plan.name}` (folds: {plan.folds}, seeds: {plan.seeds}) is exported"
        " and tested on the clips of its fold, which it has not seen. Int8 takes its scales from"
        f" {CALIBRATION} training clips. Differences are in percentage points, with a 95% interval (Student's t over"
        " folds).",
        f"{core_count()} threads, {cpu_name()}.",
        "",
        "| format | top-1, % | difference from the network | same class predicted, % |",
        "|---|---|---|---|",
        f"| the network, float32 | {100 * top1:.1f} | | |",
    ]
    for result in results:
        difference = result.difference.text(digits=1)
        lines.append(f"| {result.form} | {100 * result.top1:.1f} | {difference} | {100 * result.agreement:.1f} |")
    return "\n".join(lines)
