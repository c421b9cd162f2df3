"""Stochastic gradient descent with weight decay as PyTorch and PySlowFast have it."""

import re

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("slowfast_tf")
class SGD(keras.optimizers.SGD):
    """Keras' SGD, with weight decay added to the gradient (after clipping) and none on BatchNorm's gamma and beta.

    Keras' own weight decay is decoupled: it shrinks weights beside the gradient step, past momentum. The
    published recipes were tuned for this one. Arguments are those of `keras.optimizers.SGD`.
    """

    def update_step(self, gradient, variable, *args):  # Keras 3 gives the learning rate, Keras 2 does not
        # "gamma" in Keras 3, ".../gamma:0" in Keras 2, ".../gamma/replica_1:0" under a strategy.
        if self.weight_decay and not re.search(r"(^|/)(gamma|beta)(/replica_\d+)?(:\d+)?$", variable.name):
            decay = tf.cast(self.weight_decay, gradient.dtype)
            gradient = gradient + decay * tf.cast(variable, gradient.dtype)
        return super().update_step(gradient, variable, *args)

    def _apply_weight_decay(self, variables):
        """Nothing beside the gradient."""
