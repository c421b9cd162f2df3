"""What `test_stacks` has another Python environment do: `python other_stack.py DIRECTORY`.

There are `here.keras`, `here` (a SavedModel) and `inputs.npz`. It writes what they say, and the same of a network of
its own: `there.keras`, `there` and `there.npz`.
"""

import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

import slowfast_tf
from slowfast_tf.exporting import saved_model


def outputs(model, directory, inputs):
    """Outputs by name: the logits of a `.keras` file's model, and the scores of two signatures of its SavedModel."""
    signatures = tf.saved_model.load(str(directory)).signatures
    clips = {name: tf.constant(inputs[name]) for name in ("slow", "fast")}
    video = tf.constant(inputs["video"])
    return {
        "logits": model(clips, training=False).numpy(),
        "clips": signatures["clips"](**clips)["scores"].numpy(),
        "scores": signatures["serving_default"](video=video)["scores"].numpy(),
    }


def main(directory):
    inputs = np.load(directory / "inputs.npz")
    here = slowfast_tf.load(directory / "here.keras")
    np.savez(directory / "there_of_here.npz", **outputs(here, directory / "here", inputs))
    keras.utils.set_random_seed(1)
    there = slowfast_tf.SlowFast("slowfast_2x16_demo", width=8, crop_size=32, num_classes=4)
    random = np.random.default_rng(1)
    there.set_weights([random.uniform(0.5, 1.5, w.shape) if w.ndim < 2 else w for w in there.get_weights()])
    there.compile(slowfast_tf.training.optimizers.SGD(0.01, momentum=0.9), "mse")
    there.save(directory / "there.keras")
    saved_model.export(there, directory / "there")
    np.savez(directory / "there.npz", **outputs(there, directory / "there", inputs), keras=keras.__version__)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
