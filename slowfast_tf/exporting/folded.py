"""A network without BatchNorm: the source of every export format."""

import os
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import RunError
from ..models.slowfast import SlowFast
from ..models.spec import SlowFastSpec
from .folding import fold

TOLERANCE = 1e-3


class Network:
    """A `SlowFast` without BatchNorm, as one graph. It is called like the model, with inputs, and returns logits.

    The weights stay variables, because TensorFlow copies constants about twenty times while it loads and optimizes a
    graph. For one clip of 8x8 R50, a SavedModel needs 1.2 GiB with variables and 4.3 GiB with constants. In exchange,
    oneDNN converts the kernels to its own layout in every call. This takes 0 to 2 % of the time in float32 and 5 % in
    bfloat16 (TensorFlow 2.21, 2 cores).

    Args:
        model: a `SlowFast`; its dtype policy does not matter.
        precision: "float32" or "bfloat16", for weights and convolutions. Logits are always float32.
        lowering: "conv3d" or "conv2d".
        batch: number of clips of the inputs; None if it varies.
        size: height and width of the inputs' frames, in pixels; None if they vary.

    Attributes:
        spec: the `SlowFastSpec`.
        function: the `tf.ConcreteFunction`, from the inputs in the order of `spec.inputs` to logits.
        weights: the `tf.Variable`s of `function`.

    Raises:
        RunError: if the logits of the folded network differ from those of `model`.
    """

    def __init__(
        self,
        model: SlowFast,
        precision: str = "float32",
        lowering: str = "conv3d",
        batch: int | None = None,
        size: int | None = None,
    ):
        self.spec = model.spec
        folded = checked_fold(model, lowering)
        if precision != "float32":
            weights = folded.get_weights()
            folded = type(folded)(**{**folded.get_config(), "preset": self.spec, "dtype": precision})
            folded.set_weights(weights)

        def logits(*inputs: tf.Tensor) -> tf.Tensor:
            return folded(dict(zip(self.spec.inputs, inputs)), training=False)

        # With XLA the function is slower on CPUs (see `models.base.Layer`), and TF Serving does not include XLA.
        function = tf.function(
            logits, input_signature=input_specs(self.spec, batch, size), jit_compile=False, autograph=False
        )
        self.function = function.get_concrete_function()
        order = {id(outer): i for i, (outer, _) in enumerate(self.function.graph.captures)}
        # TensorFlow's own order differs from run to run.
        self.weights = sorted(self.function.variables, key=lambda variable: order[id(variable.handle)])

    def __call__(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        return self.function(*(inputs[name] for name in self.spec.inputs))

    def save(self, path: str | os.PathLike, signatures: Any) -> None:
        """Write a SavedModel of functions that call this network.

        Args:
            path: the directory to create.
            signatures: one `tf.function`, or a dictionary from names to `tf.function`s, for `tf.saved_model.save`.
        """
        module: Any = tf.Module()
        module.weights = self.weights
        tf.saved_model.save(module, str(path), signatures=signatures)


def input_specs(spec: SlowFastSpec, batch: int | None = None, size: int | None = None) -> list[tf.TensorSpec]:
    """Return the named float32 `tf.TensorSpec`s of a network's inputs.

    `batch` and `size` are None if they vary. The number of boxes always varies.
    """
    shapes = {name: [batch, *spec.input_shape(name, size)] for name in spec.pathways}
    return [tf.TensorSpec(shapes.get(name, [batch, None, 4]), tf.float32, name) for name in spec.inputs]


def random_inputs(spec: SlowFastSpec, batch: int, size: int) -> dict[str, np.ndarray]:
    """Return random inputs of a network, like normalized clips, as float32 arrays by name; the same in every call.

    A clip of a detection network has 4 boxes.
    """
    random = np.random.default_rng(0)
    inputs = {}
    s: Any
    for s in input_specs(spec, batch, size):
        if s.name == "boxes":
            corners = np.sort(random.uniform(0, size, (batch, 4, 2, 2)), 2).reshape(batch, 4, 4)
            inputs[s.name] = corners.astype(np.float32)
        else:
            inputs[s.name] = random.normal(size=s.shape).astype(np.float32)
    return inputs


def checked_fold(model: SlowFast, lowering: str = "conv3d") -> SlowFast:
    """Return `fold(model)` in float32, after checking its logits on a random clip.

    Raises:
        InputError: if `model` is already folded.
        RunError: if a logit differs by more than 1e-3 of the largest logit.
    """
    reference = model
    if model.get_config()["dtype"] != "float32":
        reference = type(model)(**{**model.get_config(), "preset": model.spec, "dtype": "float32"})
        reference.set_weights(model.get_weights())
    folded = fold(reference, lowering)
    inputs = random_inputs(model.spec, 1, model.spec.crop_size)
    expected, found = (network(inputs, training=False).numpy() for network in (reference, folded))
    difference, limit = np.abs(found - expected).max(), TOLERANCE * np.abs(expected).max()
    if not difference <= limit < np.inf:  # NaN is refused as well; all logits may be 0
        raise RunError(
            f"folding BatchNorm into the convolutions changes the logits by {difference:.1e}, more than {limit:.1e}"
            f" ({TOLERANCE} of the largest); the checkpoint's weights are far out of range, so nothing was exported"
        )
    return folded
