"""Keras Applications' ImageNet ResNet50 (its layer names and ours), inflated into a Slow pathway."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..models.spec import SlowFastSpec
from .variables import assign, variables

if TYPE_CHECKING:
    from ..models.slowfast import SlowFast

# `{j}` counts blocks from 1.
NAMES = (
    ("conv1", "slow_stem/conv1"),
    ("conv{stage}_block{j}_0", "slow_res{stage}/block{i}/shortcut"),
    ("conv{stage}_block{j}_1", "slow_res{stage}/block{i}/a"),
    ("conv{stage}_block{j}_2", "slow_res{stage}/block{i}/b"),
    ("conv{stage}_block{j}_3", "slow_res{stage}/block{i}/c"),
)

# What `keras.applications.resnet50.preprocess_input` takes from blue, green and red, of 255.
_MEAN = np.array([103.939, 116.779, 123.68])
_EPSILON = 1.001e-5


def inflate_imagenet(path: str | os.PathLike, model: "SlowFast") -> None:
    """Initialize the Slow pathway from an image network (Carreira and Zisserman, arXiv 1705.07750, section 2.4).

    A kernel of size kT in time is the image network's, divided by kT, at each of its kT places: on a still
    video the output is the image network's. Biases of convolutions go into BatchNorm's moving mean, and the
    stem is adapted to the model's own normalization and channel order, so that the result is exact. If a
    convolution also sees channels of a lateral connection, their weights start at 0. All other weights,
    including the classifier's, stay as they were.

    One difference remains: Keras' ResNet50 has the stride of a stage in its first 1x1 convolution, SlowFast in
    the 3x3 one, so res3 to res5 sample other positions of their inputs and need training.

    Args:
        path: `resnet50_weights_tf_dim_ordering_tf_kernels.h5`, or its `_notop` form, as Keras Applications
            publishes them.
        model: a `SlowFast` with a Slow pathway of depth 50 and width 64, not folded; changed in place.

    Raises:
        InputError: for another file or model.

    Example:
        >>> file = "resnet50_weights_tf_dim_ordering_tf_kernels.h5"
        >>> inflate_imagenet(file, slowfast_tf.SlowFast("slow_8x8_r50"))  # doctest: +SKIP
    """
    spec = model.spec
    if "slow" not in spec.pathways or spec.depth != 50 or spec.width != 64:
        raise InputError(
            f"a ResNet50 fits a Slow pathway of depth 50 and width 64; the network has pathways {spec.pathways},"
            f" depth {spec.depth} and width {spec.width}"
        )
    image = _resnet50(path)
    targets = {name: v for name, v in variables(model).items() if name.startswith("slow_") and "nonlocal" not in name}
    tensors = {}
    for theirs, ours in NAMES:
        for stage, blocks in zip((2, 3, 4, 5), spec.blocks("slow")):
            for i in range(blocks):
                place = {"stage": stage, "i": i, "j": i + 1}
                name = theirs.format(**place)
                if name + "_conv" in image:
                    tensors.update(_layer(image, name, ours.format(**place), spec, targets))
    assign(targets, tensors, {}, path)


def _layer(
    image: dict[str, list[np.ndarray]], theirs: str, ours: str, spec: SlowFastSpec, targets: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Return the tensors of one convolution and its BatchNorm, in float64 until they are assigned."""
    kernel, bias = (value.astype("float64") for value in image[theirs + "_conv"])
    gamma, beta, mean, variance = (value.astype("float64") for value in image[theirs + "_bn"])
    if theirs == "conv1":
        # The image network takes 255 * bgr - mean, where ours takes (rgb - spec.mean) / spec.std.
        order = [0, 1, 2] if spec.channel_order == "bgr" else [2, 1, 0]
        kernel = kernel[:, :, order]
        bias = bias + np.einsum("hwio,i->o", kernel, 255 * np.array(spec.mean) - _MEAN[order])
        kernel = kernel * 255 * np.array(spec.std)[:, None]
    time, _, _, channels, _ = targets[ours + "/conv/kernel"].shape
    kernel = np.repeat(kernel[None] / time, time, axis=0)
    kernel = np.pad(kernel, [(0, 0)] * 3 + [(0, channels - kernel.shape[3]), (0, 0)])
    return {
        ours + "/conv/kernel": kernel,
        ours + "/conv/bias": bias,
        ours + "/norm/gamma": gamma,
        ours + "/norm/beta": beta,
        ours + "/norm/moving_mean": mean,
        ours + "/norm/moving_variance": variance + _EPSILON - 1e-5,  # ours adds 1e-5
    }


def _resnet50(path: str | os.PathLike) -> dict[str, list[np.ndarray]]:
    """Return weights by layer name. Keras itself reads the file, by order: its layers were once named otherwise."""
    import keras

    for include_top in (False, True):
        try:
            model = keras.applications.ResNet50(include_top=include_top, weights=str(path))
        except (ValueError, OSError, KeyError):
            continue
        return {layer.name: layer.get_weights() for layer in model.layers}
    raise InputError(
        f"{path} does not hold the weights of keras.applications.ResNet50;"
        " give resnet50_weights_tf_dim_ordering_tf_kernels.h5, as Keras publishes it"
    )
