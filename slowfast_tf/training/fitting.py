"""Fit a model phase by phase: set up the callbacks and the data, and turn errors into one clear line."""

import contextlib
import signal
import warnings
from collections.abc import Iterator

import keras
import tensorflow as tf

from ..config import Config
from ..data.multigrid import Phase
from ..data.pipeline import Clips
from ..errors import InputError, RunError
from ..files.full_disk import writing
from ..interrupts import handle_signals
from ..models.base import HAS_GPU
from . import accumulation, strategies
from .averaging import TestedWeights
from .checkpointing import Checkpoints, Interrupted, Position
from .progress import Progress
from .stopping import StopEarly, StopOnNonFinite
from .tensorboard import ExampleClips, TensorBoard


def fit(model: keras.Model, settings: Config, clips: Clips, validation: Clips, checkpoints: Checkpoints) -> None:
    """Train a compiled model from `checkpoints.position` to the end of the run.

    Args:
        model: a compiled `SlowFast`, created in the scope of its strategy.
        settings: the run's configuration.
        clips: the training clips.
        validation: the validation clips.
        checkpoints: callback that saves the run and stops it on a signal.

    Raises:
        InputError: if no training video can be read.
        RunError: if the loss is not finite, the run was interrupted, or the disk is full.
    """
    if model.distribute_strategy.num_replicas_in_sync > 1:
        # XLA cannot compile a step that exchanges gradients (https://github.com/keras-team/keras/issues/20763).
        model.jit_compile = False
    accumulation.in_parts(model, settings.train.gradient_accumulation)
    if settings.train.multigrid:
        model.input_spec = None  # otherwise Keras accepts only clips with the full number of frames
    with (
        writing(checkpoints.workdir),  # TensorBoard's files
        _clear_errors(clips, checkpoints),
        handle_signals(checkpoints.on_signal, signal.SIGINT, signal.SIGTERM),
        warnings.catch_warnings(),
    ):
        # Keras warns at the end of each validation, because the number of readable videos is not known in advance.
        warnings.filterwarnings("ignore", "Your input ran out of data")
        early = StopEarly(checkpoints, settings.train.patience)
        for phase in clips.phases:
            _fit_phase(model, phase, settings, clips, validation, checkpoints, early)
        checkpoints.stop_if_asked()


def _fit_phase(
    model: keras.Model,
    phase: Phase,
    settings: Config,
    clips: Clips,
    validation: Clips,
    checkpoints: Checkpoints,
    early: StopEarly,
) -> None:
    strategy, position, steps = model.distribute_strategy, checkpoints.position, clips.steps(phase)
    epochs = range(max(position.epoch, phase.epochs.start), phase.epochs.stop)
    if not epochs:
        return
    skip = position.step if position.epoch in epochs else 0
    chief = strategies.is_chief(strategy)
    statistics = statistics_clips(settings, clips, phase, strategy.num_replicas_in_sync)
    callbacks = [
        StopOnNonFinite(),
        Progress([shape.batch for shape in phase.shapes], steps, skip, clips.phases[-1].epochs.stop, quiet=not chief),
        TestedWeights(statistics, settings.train.precise_batchnorm),
    ]
    if chief:
        logs = checkpoints.workdir / "tensorboard"
        callbacks.append(TensorBoard(str(logs), write_graph=False))
        if position == Position():
            callbacks.append(ExampleClips(clips.train(epochs, phase), clips.spec, logs / "train"))
    callbacks += [checkpoints, early]  # last, because they stop the run: the other callbacks must see the epoch first
    if HAS_GPU:
        # The host, which would be the bottleneck, only decodes and cuts, and sends a fifth of the bytes. Without a
        # GPU, the pipeline does this work in parallel with the step, which is faster. With several GPUs, mixup and
        # CutMix mix only the clips of the same GPU.
        model.finish = clips.finish(phase)
        model.make_train_function(force=True)  # the function of the previous phase has its own `finish`
    # A resumed epoch has fewer steps, but all epochs of one call of `fit` have the same number of steps.
    for some in [epochs[:1], epochs[1:]] if skip else [epochs]:
        if some and not early.is_stopped:
            model.fit(
                strategies.training_data(strategy, clips, some, phase, skip, finished=not HAS_GPU),
                steps_per_epoch=steps - skip,
                initial_epoch=some.start,
                epochs=some.stop,
                shuffle=False,  # the clips are shuffled already
                validation_data=strategies.validation_data(strategy, validation),
                callbacks=callbacks,
                verbose=0,  # pyright: ignore[reportArgumentType]
            )
        skip = 0


def statistics_clips(settings: Config, clips: Clips, phase: Phase, replicas: int) -> tf.data.Dataset:
    """Return training batches for precise BatchNorm.

    The clips have the last shape of the phase's short cycle; without multigrid training this is its only shape. The
    batch size is the number of clips that BatchNorm sees in training: the clips of all devices with
    `train.synchronize_batchnorm`; otherwise the clips of one device, divided by `train.gradient_accumulation`.

    Args:
        settings: the run's configuration.
        clips: the training clips.
        phase: the phase whose epochs to read.
        replicas: number of devices.
    """
    shape = phase.shapes[-1]
    parts = settings.train.gradient_accumulation * (1 if settings.train.synchronize_batchnorm else replicas)
    return clips.train(phase.epochs, phase._replace(shapes=(shape._replace(batch=shape.batch // parts),)))


@contextlib.contextmanager
def _clear_errors(clips: Clips, checkpoints: Checkpoints) -> Iterator[None]:
    """Turn errors of `fit` into errors with one clear line."""
    try:
        with checkpoints.stopping():
            yield
    except (Interrupted, KeyboardInterrupt) as error:
        raise RunError(f"interrupted; {str(error) or 'the same command resumes after the last epoch'}") from error
    except tf.errors.InvalidArgumentError as error:
        if len(clips.skipped) < clips.count:
            raise
        first = next(iter(clips.skipped.values()))
        raise InputError(f"none of the {clips.count} training videos can be read: {first}") from error
