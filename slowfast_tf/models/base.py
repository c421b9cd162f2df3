"""Base classes of all layers: registration with Keras, no XLA on CPUs, common options."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

# Keras writes a layer as "slowfast_tf>NAME" into saved models, wherever its class lives.
register = keras.saving.register_keras_serializable("slowfast_tf")

# As Keras passes shapes to layers: integers, or None where a dimension may vary.
Shape = tuple[Any, ...]

HAS_GPU = bool(tf.config.list_physical_devices("GPU"))


def sizes(x: tf.Tensor) -> list[Any]:
    """Return the dimensions of `x`: an integer if it is known, otherwise a scalar tensor."""
    dynamic = tf.shape(x)
    return [dynamic[i] if n is None else n for i, n in enumerate(x.shape)]


def per_frame(function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Apply a function of images `[N, H, W, C]` to every frame of `[B, T, H, W, C]`."""
    batch, time, *image = sizes(x)
    y = function(tf.reshape(x, [batch * time, *image]))
    return tf.reshape(y, [batch, time, *sizes(y)[1:]])


class Layer(keras.layers.Layer):
    """A Keras layer that keeps XLA off CPUs. Keras serializes its constructor's arguments by itself.

    On a CPU a SlowFast 8x8 R50 takes 2.2 s per clip with XLA and 0.40 s without. Keras'
    `compile(jit_compile="auto")` asks each layer, so a plain `model.compile(...)` in a notebook is also fast.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_jit = HAS_GPU


class Composite(Layer):
    """A layer made of other layers, which share its options.

    Args:
        options: a dictionary of `lowering` (of `Conv3D`), `folded` (convolutions with a bias and no
            BatchNorm, for inference) and `synchronized` (BatchNorm over all replicas); absent keys are
            "conv3d", False and False.
    """

    def __init__(self, options: dict[str, Any] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        dtype = kwargs.get("dtype")
        self._options: dict[str, Any] = {"options": options, "dtype": dtype}  # of composites inside
        self._conv_options: dict[str, Any] = {"lowering": (options or {}).get("lowering", "conv3d"), "dtype": dtype}
