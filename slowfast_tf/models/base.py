"""What all layers of a network share: registration with Keras, XLA kept off CPUs, common options."""

from typing import Any

import keras
import tensorflow as tf

# Keras writes a layer as "slowfast_tf>NAME" into saved models, wherever its class lives.
register = keras.saving.register_keras_serializable("slowfast_tf")

# As Keras passes shapes to layers: integers, or None where a dimension may vary.
Shape = tuple[Any, ...]

HAS_GPU = bool(tf.config.list_physical_devices("GPU"))


def sizes(x: tf.Tensor) -> list[Any]:
    """Return the dimensions of `x`: an integer where it is known, otherwise a scalar tensor."""
    dynamic = tf.shape(x)
    return [dynamic[i] if n is None else n for i, n in enumerate(x.shape)]


class Layer(keras.layers.Layer):
    """A Keras layer that keeps XLA off CPUs. Keras serializes its constructor's arguments by itself.

    With XLA a SlowFast 8x8 R50 takes 2.2 s a clip on a CPU, without 0.40 s. Keras' `compile(jit_compile="auto")` asks
    each layer, so a plain `model.compile(...)` in a notebook is fast as well.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_jit = HAS_GPU


class Composite(Layer):
    """A layer made of layers, with the options that all of them share.

    Args:
        options: a dictionary of `lowering` (of `Conv3D`), `folded` (convolutions with a bias and no
            BatchNorm, for inference) and `synchronized` (BatchNorm over all replicas); absent keys are
            "conv3d", False and False.
    """

    def __init__(self, options: dict[str, Any] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self._options: dict[str, Any] = {"options": options, "dtype": kwargs.get("dtype")}
