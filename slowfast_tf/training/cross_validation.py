"""Cross-validation: each video is scored by networks that have not seen its fold, with several seeds.

`plan` checks the user's input without TensorFlow; `run_plan` trains and writes the page.
"""

import collections
import dataclasses
import json
import os
import pathlib
import typing
from collections.abc import Sequence

import numpy as np

from .. import config
from ..errors import InputError
from ..evaluation.scores import Scores, concatenate, load_scores
from ..files.atomic import write_text
from ..machine import core_count, cpu_name
from . import repeats
from .repeats import Estimate, Run

LISTED = 20  # maximum length of the page's lists of confused pairs and of misclassified videos


@dataclasses.dataclass(frozen=True)
class Plan:
    """The runs of a cross-validation.

    Attributes:
        name: name of the configuration.
        folds, seeds: number of folds and of seeds.
        runs: a run for each fold and seed, ordered by fold and then by seed.
    """

    name: str
    folds: int
    seeds: int
    runs: tuple[Run, ...]


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a cross-validation.

    Attributes:
        videos: number of videos; each is scored once per seed.
        metrics: mean and interval of each metric, by name.
        by_fold: number of videos in each fold, and each metric `[folds][seeds]`, by name.
        pairs: the most confused pairs, (true class, predicted class, count over all seeds); empty for several labels.
        mistaken: misclassified videos, (id, true class, most frequent wrong class, number of wrong predictions). The
            name is kept for the JSON files of earlier versions.
        seconds: computing time in seconds.
        scores: scores of all videos for the first seed.
    """

    videos: int
    metrics: dict[str, Estimate]
    by_fold: dict[str, typing.Any]
    pairs: list[tuple[str, str, int]]
    mistaken: list[tuple[str, str, str, int]]
    seconds: float
    scores: Scores


def plan(base: str | os.PathLike, overrides: Sequence[str], seeds: int, workdir: pathlib.Path) -> Plan:
    """Return the runs of a cross-validation, after checking all input.

    Args:
        base: the configuration: a path, or the name of a shipped configuration. Its `data.fold` gives the number of
            folds.
        overrides: changes of the configuration, "KEY=VALUE".
        seeds: runs of each fold.
        workdir: directory of all runs.

    Raises:
        InputError: if the configuration has no folds or keeps the best epoch, if a package for preparing the videos is
            missing, or if a work directory holds another run.

    Example:
        >>> len(plan("gestures", [], 3, pathlib.Path("runs/gestures")).runs)
        33
    """
    settings = config.load(base, overrides)
    if not settings.data.fold:
        raise InputError(f"{base}: cross-validation needs folds; set data.fold, such as [0, 5]", "overrides")
    runs = repeats.repeat(settings, seeds, workdir, workdir / "records")
    return Plan(settings.name, settings.data.fold[1], seeds, tuple(runs))


def run_plan(plan: Plan, output: pathlib.Path, command: str) -> str:
    """Train the runs of a plan; write the page as Markdown, with JSON and an HTML report of the first seed beside it.

    Complete runs are not repeated; an interrupted run is resumed.

    Args:
        plan: see `plan`.
        output: path of the Markdown page.
        command: the command that the page shows.

    Returns:
        The Markdown text of the page.
    """
    from ..evaluation.metrics import compute_metrics
    from ..evaluation.report import html

    repeats.prepare_videos(plan.runs)
    for number, run in enumerate(plan.runs, 1):
        print(f"\n{run.workdir.name} ({number} of {len(plan.runs)})", flush=True)
        repeats.train(run)
    result = summarize(plan)
    values = {field.name: getattr(result, field.name) for field in dataclasses.fields(result) if field.name != "scores"}
    values["metrics"] = {name: dataclasses.asdict(one) for name, one in result.metrics.items()}
    about = {"command": command, "machine": cpu_name(), "cores": core_count()}
    text = page(plan, result, command)
    write_text(output, text)  # first: `check_output` takes the files beside it for ours if it is there
    write_text(output.with_suffix(".json"), json.dumps({**about, **values}, indent=2) + "\n")
    title = f"the cross-validation of {plan.name}" + (", seed 0" if plan.seeds > 1 else "")
    html.save_report(result.scores, compute_metrics(result.scores), output.with_suffix(".html"), title)
    return text


def summarize(plan: Plan) -> Result:
    """Return the result of the complete runs of a plan.

    A metric is computed over all videos of a seed and averaged over seeds. Its interval comes from its values by fold.
    In a fold without the classes that it needs, a metric has no value: the AUC, for example, needs both classes.
    """
    from ..evaluation.metrics import compute_metrics, confused_pairs, single_labels

    parts = [
        [load_scores(run.workdir / "scores.npz") for run in plan.runs[seed :: plan.seeds]] for seed in range(plan.seeds)
    ]
    wholes = [concatenate(folds) for folds in parts]
    whole = [compute_metrics(scores) for scores in wholes]
    names = [name for name, value in whole[0].items() if isinstance(value, float)]
    folds = [[compute_metrics(parts[seed][fold]) for seed in range(plan.seeds)] for fold in range(plan.folds)]
    by_fold: dict[str, typing.Any] = {"videos": [scores.videos for scores in parts[0]]}
    metrics = {}
    for name in names:
        values = np.array([[one.get(name, np.nan) for one in fold] for fold in folds])
        by_fold[name] = [[None if np.isnan(value) else float(value) for value in fold] for fold in values]
        known = values[~np.isnan(values).any(1)]
        mean = float(np.mean([one[name] for one in whole]))
        enough = len(known) > 1 or len(values) == 1
        spread = repeats.estimate(known) if enough else Estimate(mean, None, None)
        metrics[name] = spread.around(mean).clipped()
    scores = concatenate(wholes)
    pairs, mistaken = [], []
    if scores.about.activation == "softmax":
        classes = scores.about.classes
        truth, values = single_labels(scores)
        pairs = [(classes[a], classes[b], n) for a, b, n, _ in confused_pairs(truth, values.argmax(1), LISTED)]
        mistaken = mistaken_videos(scores)
    seconds = sum(run.seconds for run in plan.runs)
    # The folds have different networks, so the report of the first seed states no weights.
    first = dataclasses.replace(wholes[0], about=dataclasses.replace(wholes[0].about, weights=""))
    return Result(first.videos, metrics, by_fold, pairs, mistaken, seconds, first)


def mistaken_videos(scores: Scores) -> list[tuple[str, str, str, int]]:
    """Return the misclassified videos.

    Args:
        scores: scores of videos with one class each; a video may occur several times.

    Returns:
        (id, true class, most frequent wrong class, number of wrong predictions) for each video with a wrong
        prediction, the most often misclassified first.
    """
    wrong = collections.defaultdict(collections.Counter)
    truth = {}
    for name, labels, values in zip(scores.ids, scores.labels, scores.scores):
        truth[name] = int(labels.argmax())
        if labels.any() and values.argmax() != truth[name]:
            wrong[name][int(values.argmax())] += 1
    classes = scores.about.classes
    found = [
        (name, classes[truth[name]], classes[counts.most_common(1)[0][0]], counts.total())
        for name, counts in wrong.items()
    ]
    return sorted(found, key=lambda row: (-row[3], row[0]))


def page(plan: Plan, result: Result, command: str) -> str:
    """Return the page as Markdown."""
    settings = plan.runs[0].settings
    seeds = "one seed" if plan.seeds == 1 else f"{plan.seeds} seeds"
    groups = f" No group (`{settings.data.groups}`) is in two folds." if settings.data.groups else ""
    main = next(iter(result.metrics))
    lines = [
        f"# Cross-validation of {plan.name}",
        "",
        f"    {command}",
        "",
        f"{result.videos} videos in {plan.folds} folds, {seeds}: each video is scored once per seed, by a network"
        f" that has not seen its fold.{groups}",
        "Each metric is computed over all videos and averaged over seeds. In brackets is its 95% interval, Student's t"
        " over folds, clipped to the range from 0 to 1.",
        f"{result.seconds / 3600:.1f} hours of computing on {core_count()} cores, {cpu_name()}.",
        "",
        "| metric | mean (95% interval) |",
        "|---|---|",
        *(f"| {name} | {one.text()} |" for name, one in result.metrics.items()),
        "",
        f"| fold | videos | {main}, {'each seed' if plan.seeds > 1 else 'its seed'} |",
        "|---|---|---|",
    ]
    for number, (videos, values) in enumerate(zip(result.by_fold["videos"], result.by_fold[main])):
        lines.append(f"| {number} | {videos} | {', '.join(map(_number, values))} |")
    if result.pairs:
        lines += [
            "",
            "## Most confused classes",
            "",
            f"| true | predicted | predictions, of {seeds} |",
            "|---|---|---|",
        ]
        lines += [f"| {true} | {predicted} | {count} |" for true, predicted, count in result.pairs]
    if result.mistaken:
        several = f"The first {LISTED} of {len(result.mistaken)}." if len(result.mistaken) > LISTED else ""
        lines += ["", "## Most often misclassified videos", "", *filter(None, [several])]
        lines += [
            *[""] * bool(several),
            f"| video | true | mostly predicted as | wrong, of {seeds} |",
            "|---|---|---|---|",
        ]
        lines += [f"| {name} | {a} | {b} | {count} |" for name, a, b, count in result.mistaken[:LISTED]]
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
