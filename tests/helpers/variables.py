"""The TensorFlow variables of Keras variables, for a `tf.GradientTape`."""

import tensorflow as tf


def watched(variables):
    """TensorFlow's own variables; Keras 3 has others around them."""
    return [variable if isinstance(variable, tf.Variable) else variable.value for variable in variables]
