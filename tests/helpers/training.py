"""Small compiled networks, a training step and its result."""

import keras
import numpy as np
import tensorflow as tf

from slowfast_tf import SlowFast, config
from slowfast_tf.training import losses, optimizers, schedules

VARIABLE = getattr(keras, "Variable", tf.Variable)  # Keras 2 has none of its own


def train_section(**values):
    return config.Train(**{"epochs": 2, "batch_size": 8, "learning_rate": 0.02, **values})


def compiled_network(train, pathways=("slow",), run_eagerly=True):
    """A small compiled network, the same for the same arguments; a graph would take longer to build than to run."""
    keras.utils.set_random_seed(0)
    changes = {"depth": 10, "width": 8, "crop_size": 32, "num_classes": 4, "pathways": pathways}
    model = SlowFast("slowfast_2x16_demo", dtype=train.precision, frozen=train.freeze, **changes)
    random = np.random.default_rng(0)
    # The last BatchNorm of a block starts at 0, and would hide what is inside.
    model.set_weights([random.uniform(0.5, 1.5, w.shape) if w.ndim < 2 else w for w in model.get_weights()])
    loss, metrics, weighted = losses.from_config(train, model.spec)
    schedule = schedules.Cosine(train.learning_rate, 100)
    optimizer = optimizers.from_config(train, schedule)
    model.compile(optimizer, loss, metrics=metrics, weighted_metrics=weighted, run_eagerly=run_eagerly)
    return model


def step(model, batch):
    x, y = batch
    return model.train_on_batch({name: x[name] for name in model.spec.pathways}, y, return_dict=True)


def values(variables):
    return [np.array(v.numpy()) for v in variables]


def compare(some, others, **tolerance):
    for a, b in zip(some, others, strict=True):
        np.testing.assert_allclose(a, b, **tolerance)
