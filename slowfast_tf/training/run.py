"""A run, from a configuration to a tested and exported model."""

import contextlib
import json
import pathlib
import sys
import time

import keras
import tensorflow as tf

from .. import plugins
from ..config import Config
from ..data import datasets
from ..data.pipeline import Clips
from ..errors import InputError
from ..evaluation.report import plots
from ..evaluation.run import Outputs, evaluate
from ..exporting import saved_model
from ..files.atomic import write_text
from ..files.lock import hold
from ..models.slowfast import SlowFast, load_model
from . import agreement, losses, optimizers, schedules, strategies
from .checkpointing import Checkpoints, latest_checkpoint
from .fitting import fit
from .history import best_epoch, is_stopped, read_history
from .initialization import initialize
from .pictures import show_prediction
from .results import Result
from .workdir import check_workdir, different


def train(settings: Config, workdir: pathlib.Path, strict: bool = False) -> Result | None:
    """Train a model, test the best epoch and export it as configured. An existing run is resumed.

    Args:
        settings: the run's configuration.
        workdir: directory for `config.json`, `model.keras` (the best model), `metrics.json`, `history.csv`,
            `curves.png`, `confusion.png` (for a detection model `detections.csv`), `report.html`, `scores.npz`,
            `prediction.png`, `checkpoints/`, `tensorboard/` and `saved_model/`.
        strict: raise an error if an entry in the data set's lists is wrong. Otherwise wrong entries are skipped and
            printed.

    Returns:
        The result; None for all workers but the chief.

    Raises:
        InputError: if data or a starting checkpoint is missing or does not fit, if `workdir` holds another run, or if
            another process is training there.
        RunError: if the loss is not finite, or the run was interrupted.

    Example:
        >>> result = train(config.load("configs/demo.json"), pathlib.Path("runs/demo"))
        >>> result.metrics["top1"]
    """
    started = time.time()
    resolver = strategies.cluster()
    if resolver and is_trained(workdir, settings):  # the other workers may have ended, and the chief goes on alone
        if strategies.rank(resolver):
            return None
        strategy = tf.distribute.get_strategy()
    else:
        strategy = strategies.from_environment()
    chief = strategies.is_chief(strategy)
    with strategies.restarting(strategy), contextlib.ExitStack() as held:
        agreement.check_equal(strategy, settings)
        with agreement.all_or_none(strategy):
            check_workdir(workdir, settings)
            if chief:
                held.enter_context(hold(workdir / ".lock", wait=False))
            plugins.load_plugins(settings.plugins)
            clips, validation = load_clips(settings, strict, quiet=not chief)
            strategies.check_batch(strategy, settings.train)
        _fit(settings, workdir, strategy, clips, validation)
        return _test(settings, workdir, clips, validation, started) if chief else None


def is_trained(workdir: pathlib.Path, settings: Config) -> bool:
    """Return whether a work directory holds a run of this configuration that has no epoch left to train.

    Example:
        >>> is_trained(pathlib.Path("runs/none"), config.load("demo"))
        False
    """
    epoch = latest_checkpoint(workdir)[1].epoch
    if not epoch or not (workdir / "config.json").exists() or different(workdir, settings):
        return False
    monitor = losses.monitored(settings.train, settings.spec())
    return epoch >= settings.train.epochs or is_stopped(read_history(workdir)[:epoch], monitor, settings.train.patience)


def _fit(
    settings: Config, workdir: pathlib.Path, strategy: tf.distribute.Strategy, clips: Clips, validation: Clips
) -> None:
    """Train a new model, or resume from the newest checkpoint."""
    keras.utils.set_random_seed(settings.seed)
    checkpoint, position = agreement.checkpoint(strategy, workdir)
    with strategy.scope():
        if checkpoint:
            print(f"resuming after epoch {position.epoch} of {clips.phases[-1].epochs.stop}, from {checkpoint}")
            model = load_model(checkpoint, compile=True)
            model.state(clips.spec)
            optimizers.bring_up_to_date(model.optimizer)
        else:
            model = build(settings, clips)
    if strategies.is_chief(strategy):  # saved only now: after an error, the user may still change the configuration
        settings.save(workdir / "config.json")
    monitor = losses.monitored(settings.train, model.spec)
    fit(model, settings, clips, validation, Checkpoints(model, workdir, monitor, position))
    agreement.wait_for_all(strategy)  # a chief that is killed while it saves the last epoch needs the others again


def _test(settings: Config, workdir: pathlib.Path, clips: Clips, validation: Clips, started: float) -> Result:
    """Test the best model and write the files of the work directory."""
    history = read_history(workdir)
    plots.save_curves(history, workdir / "curves.png")
    best = load_model(workdir)
    best.state(clips.spec)
    metrics = test(best, validation, workdir, settings.name)
    show_prediction(best, validation, workdir / "prediction.png")
    write_text(workdir / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    if "saved_model" in settings.export and not (workdir / "saved_model" / "1").exists():
        saved_model.export(best, workdir / "saved_model" / "1")
    skipped = {**clips.skipped, **validation.skipped}
    if skipped:
        write_text(workdir / "skipped.txt", "".join(f"{cause}\n" for cause in skipped.values()))
    monitor = losses.monitored(settings.train, best.spec)
    return Result(workdir, metrics, best_epoch(history, monitor), skipped, time.time() - started)


def load_clips(settings: Config, strict: bool, quiet: bool) -> tuple[Clips, Clips]:
    """Return the training and the validation clips; print the problems of the data set's lists unless `quiet`."""
    clips, validation = Clips(settings, "train", strict), Clips(settings, "val", strict)
    if not quiet:
        for problem in (*clips.problems, *validation.problems):
            print(f"left out: {problem}", file=sys.stderr)
    return clips, validation


def build(settings: Config, clips: Clips) -> keras.Model:
    """Return a compiled `SlowFast` for a configuration, with the weights of `train.init` if set.

    Args:
        settings: the run's configuration.
        clips: the training clips; they give the classes and the number of steps.

    Raises:
        InputError: if `train.freeze` names no layer, if `train.init` does not fit, or if a video has several labels
            with `train.class_weights`.
    """
    train = settings.train
    try:
        model = SlowFast(
            clips.spec, dtype=train.precision, synchronized=train.synchronize_batchnorm, frozen=train.freeze
        )
    except ValueError as error:  # only `train.freeze` can be wrong: the configuration has checked all other fields
        raise InputError(f"train.freeze: {error}") from error
    if train.init:
        initialize(model, train.init)
    schedule = schedules.from_config(train, clips.phases, [clips.steps(phase) for phase in clips.phases])
    classes = clips.source.classes() if train.class_weights else ()
    datasets.check_single_labels(clips.source.names, classes)  # of records: files are checked in `Clips`
    loss, metrics, weighted_metrics = losses.from_config(train, clips.spec, classes)
    model.compile(optimizers.from_config(train, schedule), loss, metrics=metrics, weighted_metrics=weighted_metrics)
    return model


def test(model: keras.Model, validation: Clips, workdir: pathlib.Path, name: str) -> dict:
    """Test a model and write its report, its scores, and its confusion matrix or (for a detection model) detections.

    Args:
        model: a `SlowFast`.
        validation: the clips to test on.
        workdir: directory of the files to write.
        name: name of the run, for the report's title.

    Returns:
        Metrics by name.
    """
    boxes = model.spec.head == "roi"
    outputs = Outputs(
        report=workdir / "report.html",
        scores=workdir / "scores.npz",
        detections=workdir / "detections.csv" if boxes else None,
        confusion=None if boxes else workdir / "confusion.png",
        title=name,
    )
    return evaluate(model, validation, outputs=outputs)[0]
