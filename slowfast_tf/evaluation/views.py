"""Testing with several views of each video (section 4): one score a class from all of them."""

import functools
import hashlib
import json
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf
import tqdm

from ..errors import InputError, RunError
from ..models.heads import activate
from .scores import Scores, load

SAVE_SECONDS = 60


def score_videos(model, clips, shard=(0, 1), partial=None):
    """Scores of the videos that can be read. In memory are the views of a few clips at a time.

    Args:
        model: a `SlowFast` with the classes of `clips`.
        clips: a `slowfast_tf.data.Clips`; `clips.config.test` says which views, and how their scores become one.
        part: number of the part of the videos to test, and how many there are.
        partial: a file for the scores so far, written once a minute. What is found there is gone on with; it is for
            the caller to remove it once the scores are safe. None: nothing is kept.

    Returns:
        A `Scores`.

    Raises:
        InputError: where `partial` is of another test, the part holds no video, or a video has several labels for
            softmax.
        RunError: where scores are not finite, or the test was interrupted.
    """
    total = clips.size(shard)
    if not total:
        raise InputError(
            f"part {shard[0]} of {shard[1]} holds no video: there are not enough to share; take fewer parts"
        )
    config = clips.config.model_dump(mode="json")
    about = {
        "weights": _digest(model),
        "activation": model.spec.activation,
        "dataset": clips.dataset,
        "classes": list(clips.labels),
        "config": config,
        "test": config["test"],
        "part": list(shard),
        "videos": clips.count,
    }
    about = json.loads(json.dumps(about))
    names, labels, scores, boxes = [], [], [], []
    if partial and pathlib.Path(partial).exists():
        earlier = load(partial)
        if earlier.about != about:
            raise InputError(
                f"{partial} was left by an interrupted test of another model or configuration; finish that one with"
                f" the command that began it, or remove the file"
            )
        names, labels, scores = list(earlier.ids), list(earlier.labels), list(earlier.scores)
        boxes = [] if earlier.boxes is None else list(earlier.boxes)
        clips.skipped.update(earlier.skipped)

    def so_far():
        shape = (-1, len(clips.labels))
        arrays = np.array(labels, np.uint8).reshape(shape), np.array(scores, np.float32).reshape(shape)
        places = np.array(boxes, np.float32).reshape(-1, 4) if detects else None
        return Scores(names, *arrays, dict(clips.skipped), about, places)

    detects = model.spec.head == "roi"
    scored, saved, done = (_score_boxes if detects else _score_views), time.monotonic(), set(names)
    try:
        with tqdm.tqdm(total=total, initial=len(done), desc="testing", unit="video", disable=None) as progress:
            for name, truth, fused, place in scored(model, clips, shard, done):
                if not np.isfinite(fused).all():
                    raise RunError(f"the scores of {name} are not finite; train the model again")
                if model.spec.activation == "softmax" and truth.sum() > 1:
                    raise InputError(f"{name} has several labels; train a model with model.activation sigmoid")
                names += [name] * len(truth)
                labels += list(truth)
                scores += list(fused)
                boxes += list(place)
                done.add(name)
                progress.update()
                if partial and time.monotonic() - saved > SAVE_SECONDS:
                    so_far().save(partial)
                    saved = time.monotonic()
    except KeyboardInterrupt as error:
        if not partial:
            raise
        so_far().save(partial)
        raise RunError(f"interrupted; the same command goes on after {len(done)} of {total} videos") from error
    return so_far()


def _score_views(model, clips, shard, done):
    """Yields of each video its id, labels `[1, classes]`, fused scores `[1, classes]`, and no boxes."""
    test, views = clips.config.test, []
    view_scores = _view_scores(model, whole=test.crops == 0)
    fuse = {"mean": np.mean, "max": np.max}[test.fuse]
    for inputs, truth, name in clips.views(shard, done):
        views.append(view_scores(inputs).numpy())
        if len(views) == test.clips:
            yield name.numpy().decode(), truth.numpy()[None], fuse(np.concatenate(views), 0, keepdims=True), ()
            views = []


def _score_boxes(model, clips, shard, done):
    """Yields of each key frame its id, and labels `[N, classes]`, scores `[N, classes]` and boxes `[N, 4]`."""
    box_scores = _view_scores(model, whole=False)
    for inputs, truth, boxes, name in clips.key_frames(shard, done):
        yield name.numpy().decode(), truth.numpy(), box_scores(inputs)[0].numpy(), boxes.numpy()


def _view_scores(model, whole):
    """A function from the inputs of some views to their scores, `[views, classes]`.

    With `whole` inputs are as wide (or high) as the video, and every crop-sized window of the features of res5 is a
    view: what crops are a sample of, for the price of a single pass.
    """
    activation = functools.partial(activate, activation=model.spec.activation)
    if not whole:
        return tf.function(
            lambda views: activation(model(views, training=False)), reduce_retracing=True, autograph=False
        )
    head = model.get_layer("head")
    features = keras.Model(model.inputs, head.input)
    window = model.spec.feature_shape(model.spec.pathways[0], 5, model.spec.crop_size)[1]

    @tf.function(reduce_retracing=True, autograph=False)
    def window_scores(views):
        pooled = [
            tf.nn.avg_pool2d(tf.reduce_mean(x, 1), window, 1, "VALID")
            for x in tf.nest.flatten(features(views, training=False))
        ]
        pooled = tf.concat(pooled, -1)
        return activation(head.classifier(tf.reshape(pooled, [-1, pooled.shape[-1]])))

    return window_scores


def _digest(model):
    """SHA-256 of the weights."""
    digest = hashlib.sha256()
    for weights in model.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    return digest.hexdigest()
