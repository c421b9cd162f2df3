"""Fold BatchNorm into the convolutions before it, for inference."""

import numpy as np

from ..checkpoints.variables import assign, variables
from ..errors import InputError
from ..models.layers import BatchNorm
from ..models.slowfast import SlowFast


def fold(model: SlowFast, lowering: str = "conv3d") -> SlowFast:
    """Return a network without BatchNorm with the same outputs as `model` in inference.

    The kernel of each convolution is multiplied by gamma / sqrt(variance + epsilon), and the rest of BatchNorm becomes
    a bias. This is computed in float64. `model` does not change.

    Args:
        model: a `SlowFast`, not folded.
        lowering: lowering of the result, "conv3d" or "conv2d".

    Returns:
        A `SlowFast` with the same spec and dtype policy, built with `folded=True`.

    Raises:
        InputError: if `model` is already folded.

    Example:
        >>> fast = fold(slowfast_tf.load("runs/demo"))
    """
    config = model.get_config()
    if config["folded"]:
        raise InputError("the network is folded already; give the one that was trained")
    tensors = {path: variable.numpy().astype("float64") for path, variable in variables(model).items()}
    for path in [path for path in tensors if path.endswith("/norm/gamma")]:
        place = path.removesuffix("/norm/gamma")
        gamma, beta, mean, variance = (
            tensors.pop(f"{place}/norm/{name}") for name in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + BatchNorm().epsilon)
        tensors[f"{place}/conv/kernel"] *= scale
        tensors[f"{place}/conv/bias"] = beta - mean * scale
    folded = SlowFast(model.spec, lowering=lowering, folded=True, dtype=config["dtype"], name=model.name)
    assign(variables(folded), tensors, {}, model.name)
    return folded
