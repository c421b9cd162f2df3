"""Trains, tests and exports a network: `python -m slowfast_tf.train --config FILE`.

The whole of a run can be read here from top to bottom.
"""

import argparse
import json
import pathlib
import sys
import time
import warnings

from . import cli, config


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.train",
        description="Trains a network, tests it and exports it. The same command goes on with a run that was stopped.",
        epilog="example: python -m slowfast_tf.train --config configs/demo.json --set train.epochs=30",
    )
    parser.add_argument("--config", required=True, help="JSON configuration")
    parser.add_argument("--workdir", help="where everything is written (runs/NAME)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the configuration")
    options = parser.parse_args(arguments)
    settings = config.load(options.config, options.set)
    workdir = pathlib.Path(options.workdir or f"runs/{settings.name}")
    check_workdir(workdir, settings)
    train(settings, workdir)
    print(
        "Next:\n"
        f"  python -m slowfast_tf.predict VIDEO --model {workdir}\n"
        f"  python -m slowfast_tf.describe {workdir}\n"
        f"  tensorboard --logdir {workdir}/tensorboard"
    )


def check_workdir(workdir, settings):
    """Refuses a work directory that holds the run of another configuration.

    Raises:
        UserError: naming the first section that differs.
    """
    path = workdir / "config.json"
    if not path.exists():
        return
    there, here = json.loads(path.read_text()), json.loads(settings.model_dump_json())
    for key in here:
        if there.get(key) != here[key]:
            raise cli.UserError(
                f"{workdir} holds a run of another configuration ({key}: {json.dumps(there.get(key))} there,"
                f" {json.dumps(here[key])} here); choose another --workdir or remove it"
            )


def train(settings, workdir):
    """A run: training, then a test of the best model, then what `export` asks for.

    Args:
        settings: a `slowfast_tf.config.Config`.
        workdir: directory for `config.json`, `model.keras` (best), `metrics.json`, `history.csv`, `curves.png`,
            `confusion.png`, `prediction.png`, `checkpoints/`, `tensorboard/` and `saved_model/`. A run that is
            found there is gone on with.

    Returns:
        The figures of the test, a dictionary.

    Raises:
        UserError: where data or a starting checkpoint is not there or does not fit.
        Failure: where the loss is no longer a number, or the run was interrupted.
    """
    started = time.time()
    cli.import_tensorflow()
    from .data import Clips

    clips, validation = Clips(settings, "train"), Clips(settings, "val")

    import keras
    import tensorflow as tf

    from . import load
    from .evaluate import evaluate
    from .evaluation import plots
    from .training import callbacks, optimizers, schedules  # noqa: F401, a checkpoint holds the latter two

    keras.utils.set_random_seed(settings.seed)
    checkpoint, first_epoch = callbacks.latest_checkpoint(workdir)
    with tf.distribute.MirroredStrategy().scope():
        if checkpoint:
            print(f"going on after epoch {first_epoch} of {settings.train.epochs}")
            model = load(checkpoint, compile=True)
        else:
            model = build(settings, clips)
    # Not before: the advice for a mistake up to here is to change the configuration.
    settings.save(workdir / "config.json")

    # Keras does not know beforehand how many validation videos can be read, and warns where they end.
    warnings.filterwarnings("ignore", "Your input ran out of data")
    epochs = range(first_epoch, settings.train.epochs)
    monitor = "val_top1" if model.spec.activation == "softmax" else "val_pr_auc"
    if epochs:
        try:
            model.fit(
                clips.train(epochs),
                steps_per_epoch=clips.steps,
                initial_epoch=epochs.start,
                epochs=epochs.stop,
                shuffle=False,  # the clips come in an order of their own
                validation_data=validation.validation(),
                callbacks=[
                    callbacks.StopOnNonFinite(),
                    callbacks.Checkpoints(workdir, monitor, first_epoch),
                    keras.callbacks.TensorBoard(str(workdir / "tensorboard"), write_graph=False),
                ],
                verbose=1 if sys.stdout.isatty() else 2,
            )
        except KeyboardInterrupt as error:
            done = callbacks.latest_checkpoint(workdir)[1]
            raise cli.Failure(f"interrupted; the same command goes on after epoch {done}") from error
        except tf.errors.InvalidArgumentError as error:
            if len(clips.skipped) < len(clips.videos):
                raise
            first = next(iter(clips.skipped.values()))
            raise cli.UserError(f"none of the {len(clips.videos)} training videos can be read: {first}") from error
    history = callbacks.read_history(workdir)
    plots.save_curves(history, workdir / "curves.png")

    best = load(workdir)
    figures, _ = evaluate(best, validation, plots=workdir)
    show_prediction(best, validation, workdir / "prediction.png")
    cli.write_text(workdir / "metrics.json", json.dumps(figures, indent=2) + "\n")

    exported = workdir / "saved_model" / "1"
    if "saved_model" in settings.export and not exported.exists():
        from .exporting import saved_model

        saved_model.export(best, exported)
    report(workdir, figures, history, monitor, {**clips.skipped, **validation.skipped}, time.time() - started)
    return figures


def build(settings, clips):
    """A compiled model for a configuration, with the weights of `train.init` if it names any."""
    import keras

    from .models.slowfast import SlowFast
    from .training import optimizers, schedules

    train = settings.train
    model = SlowFast(clips.spec, dtype=train.precision)
    if train.init:
        initialize(model, train.init)
    if clips.spec.activation == "softmax":
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=train.label_smoothing)
        metrics = [keras.metrics.CategoricalAccuracy("top1"), keras.metrics.TopKCategoricalAccuracy(5, "top5")]
    else:
        loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=train.label_smoothing)
        metrics = [
            keras.metrics.AUC(
                curve="PR", multi_label=True, num_labels=len(clips.labels), from_logits=True, name="pr_auc"
            )
        ]
    optimizer = optimizers.SGD(
        schedules.from_config(train, clips.steps),
        momentum=train.momentum,
        nesterov=True,
        weight_decay=train.weight_decay,
    )
    model.compile(optimizer, loss, metrics=metrics)
    return model


def initialize(model, path):
    """Takes the weights of a saved model, but for its classifier where the number of classes differs."""
    from . import load

    source = load(path)
    for layer in model.layers:
        if layer.name == "head" and source.spec.num_classes != model.spec.num_classes:
            continue
        try:
            layer.set_weights(source.get_layer(layer.name).get_weights())
        except ValueError as error:
            raise cli.UserError(
                f"train.init {path}: is another network than the configuration's, at {layer.name}; its depth, width,"
                f" pathways and lateral connections must be the same"
            ) from error


def show_prediction(model, clips, path):
    """A picture of one validation video and what the model says of it."""
    from .evaluation import plots
    from .inference import Predictor
    from .predict import read_clip

    readable = [v for v in clips.videos if v.path not in clips.skipped]
    shown = readable[len(readable) // 2]
    frames = read_clip(shown.path, model.spec)
    predictor = Predictor(model)
    scores = predictor.score_clips(frames[None])[0].numpy()
    truth = ", ".join(sorted({clips.labels[label[0]] for label in shown.labels}))
    seen = {"slow": model.spec.slow_index, "fast": range(len(frames))}
    seen = {pathway.title(): seen[pathway] for pathway in model.spec.pathways}
    plots.save_prediction(frames, seen, scores, clips.labels, f"{shown.path} ({truth})", path)


def report(workdir, figures, history, monitor, skipped, seconds):
    """Prints what was reached and where everything is."""
    best = max(history, key=lambda row: row[monitor])
    reached = ", ".join(f"{k} {v:.3f}" for k, v in figures.items() if isinstance(v, float))
    print(f"\n{reached} on {figures['videos']} videos ({figures['views']} views), after {seconds / 60:.1f} minutes")
    if skipped:
        text = "".join(f"{cause}\n" for cause in skipped.values())
        cli.write_text(workdir / "skipped.txt", text)
        print(f"{len(skipped)} videos could not be read and were skipped ({workdir}/skipped.txt):\n{text}", end="")
    about = {
        "model.keras": f"the best model, of epoch {int(best['epoch']) + 1}",
        "metrics.json": "these figures",
        "curves.png": "loss and accuracy by epoch, from history.csv",
        "confusion.png": "which classes are taken for which",
        "prediction.png": "a video and what the network says of it",
        "saved_model/1": "for TF Serving",
    }
    for name, what in about.items():
        if (workdir / name).exists():
            print(f"  {workdir / name}: {what}")


if __name__ == "__main__":
    cli.run(main)
