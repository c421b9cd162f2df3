"""Base classes of all layers: they register with Keras, disable XLA on CPUs and have common options."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

# Keras stores a layer as "slowfast_tf>NAME" in saved models, independent of the module of its class.
register = keras.saving.register_keras_serializable("slowfast_tf")

# A shape as Keras passes it to layers: integers, or None for a dimension that may vary.
Shape = tuple[Any, ...]

HAS_GPU = bool(tf.config.list_physical_devices("GPU"))


def sizes(x: tf.Tensor) -> list[Any]:
    """Return the dimensions of `x`: integers if they are known, otherwise scalar tensors."""
    dynamic = tf.shape(x)
    return [dynamic[i] if n is None else n for i, n in enumerate(x.shape)]


def per_frame(function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Apply a function of images `[N, H, W, C]` to every frame of `[B, T, H, W, C]`."""
    batch, time, *image = sizes(x)
    y = function(tf.reshape(x, [batch * time, *image]))
    return tf.reshape(y, [batch, time, *sizes(y)[1:]])


_zeros = contextvars.ContextVar("zeros", default=False)


@contextlib.contextmanager
def without_random_weights() -> Iterator[None]:
    """Let new layers start with zeros, for weights that are read from a file: saves 0.7 of 1.8 s for 8x8 R50."""
    token = _zeros.set(True)
    try:
        yield
    finally:
        _zeros.reset(token)


class Layer(keras.layers.Layer):
    """A Keras layer that disables XLA on CPUs. Keras serializes the arguments of its constructor automatically.

    On a CPU a SlowFast 8x8 R50 takes 2.2 s per clip with XLA and 0.40 s without XLA. Keras'
    `compile(jit_compile="auto")` asks each layer, so a plain `model.compile(...)` in a notebook is also fast.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_jit = HAS_GPU

    def add_weight(self, *args: Any, **kwargs: Any) -> Any:
        if _zeros.get():
            kwargs["initializer"] = "zeros"
        return super().add_weight(*args, **kwargs)


class Composite(Layer):
    """A layer made of other layers, which share its options.

    Args:
        options: a dictionary with the optional keys `lowering` (see `Conv3D`; default "conv3d"), `folded` (convolutions
            with a bias and no BatchNorm, for inference; default False) and `synchronized` (BatchNorm over all replicas;
            default False).
    """

    def __init__(self, options: dict[str, Any] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        dtype = kwargs.get("dtype")
        self._options: dict[str, Any] = {"options": options, "dtype": dtype}  # arguments of inner composites
        self._conv_options: dict[str, Any] = {"lowering": (options or {}).get("lowering", "conv3d"), "dtype": dtype}
