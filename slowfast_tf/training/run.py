"""Trains, tests and exports a network: `python -m slowfast_tf.train --config FILE`.

The whole of a run can be read here from top to bottom.
"""

import json
import sys
import time
import warnings

from .. import plugins, runtime
from ..errors import InputError, RunError
from ..files.atomic import write_text


def check_workdir(workdir, settings):
    """Refuses a work directory that holds the run of another configuration.

    Raises:
        InputError: naming the first section that differs.
    """
    path = workdir / "config.json"
    if not path.exists():
        return
    there, here = json.loads(path.read_text()), json.loads(settings.model_dump_json())
    for key in here:
        if there.get(key) != here[key]:
            raise InputError(
                f"{workdir} holds a run of another configuration ({key}: {json.dumps(there.get(key))} there,"
                f" {json.dumps(here[key])} here); choose another --workdir or remove it"
            )


def train(settings, workdir, strict=False):
    """A run: training, then a test of the best model, then what `export` asks for.

    Args:
        settings: a `slowfast_tf.config.Config`.
        workdir: directory for `config.json`, `model.keras` (best), `metrics.json`, `history.csv`, `curves.png`,
            `confusion.png` (of a detection network `detections.csv`), `report.html`, `scores.npz`, `prediction.png`,
            `checkpoints/`, `tensorboard/` and `saved_model/`. A run that is found there is gone on with.
        strict: take anything wrong in the data set's lists for an error; otherwise it is left out, and printed.

    Returns:
        The figures of the test, a dictionary; empty for all workers but the chief.

    Raises:
        InputError: where data or a starting checkpoint is not there or does not fit.
        RunError: where the loss is no longer a number, or the run was interrupted.
    """
    started = time.time()
    runtime.import_tensorflow()
    from ..training import strategies

    strategy = strategies.from_environment()
    plugins.load(settings.plugins)

    import keras
    import tensorflow as tf

    from .. import load
    from ..data import Clips, service
    from ..evaluation.report import plots
    from ..evaluation.run import evaluate
    from ..training import (
        accumulation,  # noqa: F401, a checkpoint holds the latter three
        averaging,  # noqa: F401, a checkpoint holds the latter three
        callbacks,  # noqa: F401, a checkpoint holds the latter three
        losses,  # noqa: F401, a checkpoint holds the latter three
        optimizers,  # noqa: F401, a checkpoint holds the latter three
        schedules,  # noqa: F401, a checkpoint holds the latter three
    )

    clips, validation = Clips(settings, "train", strict), Clips(settings, "val", strict)
    chief = strategies.is_chief(strategy)
    if chief:
        for problem in (*clips.problems, *validation.problems):
            print(f"left out: {problem}", file=sys.stderr)
    check_replicas(strategy, settings)
    keras.utils.set_random_seed(settings.seed)
    checkpoint, first_epoch, first_step = callbacks.latest_checkpoint(workdir)
    with strategy.scope():
        if checkpoint:
            print(f"going on after epoch {first_epoch} of {clips.phases[-1].epochs.stop}, {checkpoint}")
            model = load(checkpoint, compile=True)
        else:
            model = build(settings, clips)
    # Not before: the advice for a mistake up to here is to change the configuration.
    if chief:
        settings.save(workdir / "config.json")

    accumulation.in_parts(model, settings.train.gradient_accumulation)
    if settings.train.multigrid:
        model.input_spec = None  # Keras would insist on the frames of a full clip
    # Keras does not know beforehand how many validation videos can be read, and warns where they end.
    warnings.filterwarnings("ignore", "Your input ran out of data")
    monitor = "val_top1" if model.spec.activation == "softmax" else "val_pr_auc"
    saving = callbacks.Checkpoints(model, workdir, monitor, first_epoch, first_step)
    for phase in clips.phases:
        epochs = range(max(first_epoch, phase.epochs.start), phase.epochs.stop)
        if not epochs:
            continue
        skip = first_step if first_epoch in epochs else 0
        steps = clips.steps(phase)
        after = [
            callbacks.StopOnNonFinite(),
            callbacks.Progress(phase.shapes[-1].batch, steps, skip, clips.phases[-1].epochs.stop, quiet=not chief),
            averaging.TestedWeights(
                statistics_clips(settings, clips, phase, strategy.num_replicas_in_sync),
                settings.train.precise_batchnorm,
            ),
            saving,
        ]
        if chief:
            after.append(keras.callbacks.TensorBoard(str(workdir / "tensorboard"), write_graph=False))
            if not epochs.start:
                after.append(
                    callbacks.ExampleClips(clips.train(epochs, phase), clips.spec, workdir / "tensorboard/train")
                )
        try:
            # An epoch that is gone on with is shorter, and Keras has one length for all epochs of a call.
            for some in [epochs[:1], epochs[1:]] if skip else [epochs]:
                if some:
                    model.fit(
                        strategies.training_data(strategy, clips, some, phase, skip),
                        steps_per_epoch=steps - skip,
                        initial_epoch=some.start,
                        epochs=some.stop,
                        shuffle=False,  # the clips come in an order of their own
                        validation_data=strategies.validation_data(validation),
                        callbacks=after,
                        verbose=0,
                    )
                skip = 0
        except (callbacks.Interrupted, KeyboardInterrupt) as error:
            raise RunError(f"interrupted; {error or 'the same command goes on after the last epoch'}") from error
        except tf.errors.InvalidArgumentError as error:
            if service.NOTHING in str(error):
                raise InputError(
                    f"{service.NOTHING}: they have to see {settings.data.root} at the same place, and whole; their logs"
                    " tell what they could not read"
                ) from error
            if len(clips.skipped) < clips.count:
                raise
            first = next(iter(clips.skipped.values()))
            raise InputError(f"none of the {clips.count} training videos can be read: {first}") from error
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
            if strategies.shard(strategy)[1] > 1:
                strategies.start_anew(error)
            raise
    if not chief:
        return {}
    history = callbacks.read_history(workdir)
    plots.save_curves(history, workdir / "curves.png")

    best = load(workdir)
    tested = {"report": "report.html", "scores": "scores.npz"}
    tested.update({"detections": "detections.csv"} if best.spec.head == "roi" else {"confusion": "confusion.png"})
    figures, _ = evaluate(best, validation, **{name: workdir / file for name, file in tested.items()})
    show_prediction(best, validation, workdir / "prediction.png")
    write_text(workdir / "metrics.json", json.dumps(figures, indent=2) + "\n")

    exported = workdir / "saved_model" / "1"
    if "saved_model" in settings.export and not exported.exists():
        from ..exporting import saved_model

        saved_model.export(best, exported)
    report(workdir, figures, history, monitor, {**clips.skipped, **validation.skipped}, time.time() - started)
    return figures


def check_replicas(strategy, settings):
    """Refuses what cannot be divided among the devices.

    Raises:
        InputError: with the numbers.
    """
    replicas = strategy.num_replicas_in_sync
    parts = replicas * settings.train.gradient_accumulation
    if settings.train.batch_size % parts:
        raise InputError(
            f"train.batch_size {settings.train.batch_size} cannot be divided among {replicas} devices, in"
            f" {settings.train.gradient_accumulation} parts each; give a multiple of {parts}"
        )
    if settings.train.multigrid and replicas > 1:
        raise InputError(
            f"train.multigrid, whose batches change from step to step, is for one device; there are {replicas}:"
            " show it one with CUDA_VISIBLE_DEVICES=0"
        )


def statistics_clips(settings, clips, phase, replicas):
    """Training batches for precise BatchNorm: of the shape that is tested, with as many clips as BatchNorm trains on.

    Multigrid training ends each short cycle with that shape. A batch is a device's share, or what is put together of
    all devices (`train.synchronize_batchnorm`), and a part of it where gradients are accumulated.
    """
    shape = phase.shapes[-1]
    parts = settings.train.gradient_accumulation * (1 if settings.train.synchronize_batchnorm else replicas)
    return clips.train(phase.epochs, phase._replace(shapes=(shape._replace(batch=shape.batch // parts),)))


def build(settings, clips):
    """A compiled model for a configuration, with the weights of `train.init` if it names any."""
    from ..models.slowfast import SlowFast
    from ..training import losses, optimizers, schedules

    train = settings.train
    try:
        model = SlowFast(
            clips.spec, dtype=train.precision, synchronized=train.synchronize_batchnorm, frozen=train.freeze
        )
    except ValueError as error:  # the configuration has checked everything else
        raise InputError(f"train.freeze: {error}") from error
    if train.init:
        initialize(model, train.init)
    schedule = schedules.from_config(train, clips.phases, [clips.steps(phase) for phase in clips.phases])
    loss, metrics, weighted_metrics = losses.from_config(train, clips.spec)
    model.compile(optimizers.from_config(train, schedule), loss, metrics=metrics, weighted_metrics=weighted_metrics)
    return model


def initialize(model, path):
    """Takes the weights of a saved model, but for its classifier where the number of classes differs.

    Raises:
        InputError: where it is another network, or saw other colours.
    """
    from .. import load
    from ..checkpoints.loading import variables

    source = load(path)
    names = {layer.name for layer in source.layers}
    for name in ("channel_order", "mean", "std"):
        there, here = getattr(source.spec, name), getattr(model.spec, name)
        if there != here:
            value = json.dumps(there)
            raise InputError(
                f"train.init {path}: was trained with {name} {value}, the configuration has {json.dumps(here)}; say the"
                f" same with --set 'model.{name}={value}'"
            )
    for layer in model.layers:
        if not layer.weights:  # such as the input of boxes, which a classification network has not
            continue
        if layer.name == "head" and source.spec.num_classes != model.spec.num_classes:
            continue
        # By name: Keras 2 lists the weights of frozen layers after all others.
        here = variables(layer)
        there = variables(source.get_layer(layer.name)) if layer.name in names else {}
        if {name: v.shape for name, v in here.items()} != {name: v.shape for name, v in there.items()}:
            raise InputError(
                f"train.init {path}: is another network than the configuration's, at {layer.name}; its depth, width,"
                f" pathways and lateral connections must be the same"
            )
        for name, variable in here.items():
            variable.assign(there[name])


def show_prediction(model, clips, path):
    """A picture of one validation clip and what the model says of it."""
    from ..data.transforms import denormalize
    from ..evaluation.report import plots
    from ..inference.predictor import Predictor

    if model.spec.head == "roi":
        return show_boxes(model, clips, path)
    spec = model.spec
    inputs, truth = next(iter(clips.validation()))
    middle = len(truth) // 2
    inputs = {name: x[middle : middle + 1] for name, x in inputs.items()}
    scores = Predictor(model).score_inputs(inputs)[0].numpy()
    seen = {
        pathway.title(): indices
        for pathway, indices in zip(("slow", "fast"), (spec.slow_index, range(spec.clip_frames)))
    }
    if spec.fast_input == "rgb":
        frames = inputs[spec.pathways[-1]]
        seen = {name: indices for name, indices in seen.items() if name.lower() in spec.pathways}
    else:  # the Fast pathway sees no picture
        frames, seen = inputs["slow"], {"Slow": range(spec.frames)}
    frames = denormalize(frames[0], spec)
    title = ", ".join(name for name, happens in zip(clips.labels, truth[middle].numpy()) if happens)
    plots.save_prediction(frames, seen, scores, clips.labels, title, path)


def show_boxes(model, clips, path):
    """A picture of the first key frame with its boxes and the best actions of each, drawn large enough to read."""
    from PIL import Image

    from ..data.transforms import denormalize
    from ..files.atomic import atomic
    from ..inference import people as detection
    from ..inference.predictor import Predictor

    spec = model.spec
    inputs, _, boxes, _ = next(iter(clips.key_frames()))
    scores = Predictor(model).score_inputs(inputs)[0].numpy()
    name = spec.pathways[-1] if spec.fast_input == "rgb" else "slow"
    frame = denormalize(inputs[name][0, inputs[name].shape[1] // 2].numpy(), spec)
    scale = -(-480 // min(frame.shape[:2]))
    people = []
    for number, (corners, row) in enumerate(zip(boxes.numpy(), scores)):
        best = [(clips.labels[i], float(row[i])) for i in (-row).argsort()[:3]]
        people.append(detection.Person(0.0, tuple(corners), track=number, actions=tuple(best)))
    with atomic(path) as temporary:
        Image.fromarray(detection.draw(frame.repeat(scale, 0).repeat(scale, 1), people)).save(temporary)


def report(workdir, figures, history, monitor, skipped, seconds):
    """Prints what was reached and where everything is."""
    best = max(history, key=lambda row: row[monitor])
    reached = ", ".join(f"{k} {v:.3f}" for k, v in figures.items() if isinstance(v, float))
    print(f"\n{reached} on {figures['videos']} videos ({figures['views']} views), after {seconds / 60:.1f} minutes")
    if skipped:
        text = "".join(f"{cause}\n" for cause in skipped.values())
        write_text(workdir / "skipped.txt", text)
        print(f"{len(skipped)} videos could not be read and were skipped ({workdir}/skipped.txt):\n{text}", end="")
    about = {
        "model.keras": f"the best model, of epoch {int(best['epoch']) + 1}",
        "metrics.json": "these figures",
        "report.html": "the figures of each class, and what is taken for what; scores.npz holds the scores",
        "curves.png": "loss and accuracy by epoch, from history.csv",
        "confusion.png": "which classes are taken for which",
        "detections.csv": "boxes and scores in AVA's form",
        "prediction.png": "a video and what the network says of it",
        "saved_model/1": "for TF Serving",
    }
    for name, what in about.items():
        if (workdir / name).exists():
            print(f"  {workdir / name}: {what}")
