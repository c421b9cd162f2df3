"""Inflate Keras Applications' ImageNet ResNet50 into a Slow pathway."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..models.spec import SlowFastSpec
from .variables import assign, variables

if TYPE_CHECKING:
    from ..models.slowfast import SlowFast

# The layer names of Keras Applications and of this package. `{j}` counts blocks from 1, `{i}` from 0.
NAMES = (
    ("conv1", "slow_stem/conv1"),
    ("conv{stage}_block{j}_0", "slow_res{stage}/block{i}/shortcut"),
    ("conv{stage}_block{j}_1", "slow_res{stage}/block{i}/a"),
    ("conv{stage}_block{j}_2", "slow_res{stage}/block{i}/b"),
    ("conv{stage}_block{j}_3", "slow_res{stage}/block{i}/c"),
)

# What `keras.applications.resnet50.preprocess_input` subtracts from blue, green and red (0 to 255).
_MEAN = np.array([103.939, 116.779, 123.68])
_EPSILON = 1.001e-5


def inflate_imagenet(path: str | os.PathLike, model: "SlowFast") -> None:
    """Initialize the Slow pathway from an image network (Carreira and Zisserman, arXiv 1705.07750, section 2.4).

    A kernel of temporal size kT repeats the image network's kernel kT times and divides it by kT. On a video of equal
    frames, the output is therefore that of the image network. Biases of convolutions are moved into BatchNorm's moving
    mean, and the stem is adapted to the model's normalization and channel order, so that the result is exact. The
    weights for the channels of lateral connections start at 0. All other weights, including the classifier's, do not
    change.

    One difference remains. Keras' ResNet50 has the stride of a stage in its first 1x1 convolution, SlowFast in the 3x3
    convolution. So res3 to res5 sample other positions of their inputs and need training.

    Args:
        path: `resnet50_weights_tf_dim_ordering_tf_kernels.h5`, or the same file with `_notop`, as published by Keras
            Applications.
        model: a `SlowFast` with a Slow pathway of depth 50, width 64 and RGB video, not folded; changed in place.

    Raises:
        InputError: if the file or the model does not fit.

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
    if spec.slow_input != "rgb":
        raise InputError(f"a ResNet50 of ImageNet takes RGB video; the network has slow_input {spec.slow_input!r}")
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
    """Return the tensors of one convolution and its BatchNorm, in float64."""
    kernel, bias = (value.astype("float64") for value in image[theirs + "_conv"])
    gamma, beta, mean, variance = (value.astype("float64") for value in image[theirs + "_bn"])
    if theirs == "conv1":
        # The input of the image network is 255 * bgr - mean, that of `model` (rgb - spec.mean) / spec.std.
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
        ours + "/norm/moving_variance": variance + _EPSILON - 1e-5,  # BatchNorm adds 1e-5
    }


def _resnet50(path: str | os.PathLike) -> dict[str, list[np.ndarray]]:
    """Return weights by layer name. Keras reads the file by the order of layers: the file has older layer names."""
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
