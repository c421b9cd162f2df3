"""Testing with several views of each video (section 4): one score a class from all of them."""

import numpy as np
import tensorflow as tf
import tqdm

VIEWS_AT_ONCE = 10


def score_videos(model, clips, fuse="mean"):
    """Scores of the videos that can be read.

    Args:
        model: a `SlowFast`.
        clips: a `slowfast_tf.data.Clips`; `clips.config.test` says which views.
        fuse: "mean" or "max" of the views' scores (after softmax or sigmoid).

    Returns:
        Indices of the videos, int64 `[N]`, and scores, float32 `[N, classes]`.
    """
    activation = {"softmax": tf.nn.softmax, "sigmoid": tf.nn.sigmoid}[model.spec.activation]
    fuse = {"mean": tf.reduce_mean, "max": tf.reduce_max}[fuse]

    @tf.function(reduce_retracing=True)
    def view_scores(views):
        return activation(model(views, training=False))

    indices, scores = [], []
    for views, index in tqdm.tqdm(clips.views(), "testing", len(clips.videos), unit="video"):
        count = len(next(iter(views.values())))
        parts = [
            view_scores({name: x[i : i + VIEWS_AT_ONCE] for name, x in views.items()})
            for i in range(0, count, VIEWS_AT_ONCE)
        ]
        indices.append(int(index))
        scores.append(fuse(tf.concat(parts, 0), 0).numpy())
    shape = (-1, len(clips.labels))
    return np.array(indices, np.int64), np.array(scores, np.float32).reshape(shape)
