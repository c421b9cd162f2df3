"""SavedModel for TF Serving: raw video in, labels out, TensorFlow's own ops only."""

import pathlib

import tensorflow as tf

from ..cli import UserError, atomic
from ..inference import Predictor

TOP = 5


def export(model, path):
    """Writes a SavedModel with two signatures.

    `serving_default`: `video` uint8 `[B, frames, H, W, 3]`, any number of frames and any size; samples the middle
    clip, resizes, crops and normalises as `slowfast_tf.predict` does. Gives `scores` float32 `[B, classes]`, and
    the top five (or fewer, if there are fewer classes) `labels` (strings) and `label_scores` `[B, 5]`.

    `clips`: the model's own inputs, `slow` and `fast`; gives `scores`.

    Args:
        model: a `SlowFast`.
        path: the directory to make; for TF Serving it ends in a version number.

    Raises:
        UserError: where `path` exists or cannot be written.
    """
    predictor = Predictor(model)
    spec = model.spec

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, None, 3], tf.uint8, "video")], jit_compile=False)
    def serve(video):
        scores = predictor.score_clips(predictor.sample(video))
        top = tf.math.top_k(scores, min(TOP, spec.num_classes))
        return {"scores": scores, "labels": tf.gather(predictor.labels, top.indices), "label_scores": top.values}

    shapes = {
        name: [None, spec.clip_frames if name == "fast" else spec.frames, None, None, spec.input_channels(name)]
        for name in spec.pathways
    }

    @tf.function(
        input_signature=[{name: tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()}],
        jit_compile=False,
    )
    def clips(inputs):
        return {"scores": predictor.score_inputs(inputs)}

    if pathlib.Path(path).exists():
        raise UserError(f"{path} exists already; choose another place or remove it")
    with atomic(path) as temporary:
        tf.saved_model.save(predictor, str(temporary), signatures={"serving_default": serve, "clips": clips})
