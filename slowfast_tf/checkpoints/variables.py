"""Read and assign the variables of a network by this package's names."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    import keras

WEIGHTS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")


def variables(model: "keras.Model") -> dict[str, Any]:
    """Return the weights of a model by path, such as "slow_res2/block0/a/conv/kernel", the same in Keras 2 and 3.

    Example:
        >>> model = slowfast_tf.SlowFast("slowfast_2x16_demo", num_classes=3)
        >>> variables(model)["head/classifier/bias"].shape
        TensorShape([3])
    """
    found = {}

    def walk(layer: Any, path: str) -> None:
        for name in WEIGHTS:
            variable = getattr(layer, name, None)
            if variable is not None:
                found[f"{path}{name}"] = variable
        # Keras 2 has no paths for the weights of inner layers, and no public way to iterate over inner layers.
        for inner in layer._flatten_layers(include_self=False, recursive=False):
            walk(inner, f"{path}{inner.name}/")

    walk(model, "")
    return found


def assign(
    targets: dict[str, Any], tensors: dict[str, np.ndarray], leftover: dict[str, tuple[int, ...]], path: object
) -> None:
    """Assign values to all variables or, after an error, to none.

    Args:
        targets: variables by name.
        tensors: arrays by name. The bias of a convolution before BatchNorm has no variable: it is subtracted from the
            moving mean, which gives the same outputs.
        leftover: shapes of parameters in the file that are known to be unused, by name.
        path: path of the file, for messages.

    Raises:
        InputError: if names or shapes differ, or values are not finite.

    Example:
        >>> model = slowfast_tf.SlowFast("slowfast_2x16_demo", num_classes=3)
        >>> targets = {"bias": variables(model)["head/classifier/bias"]}
        >>> assign(targets, {"bias": np.ones(3, np.float32)}, {}, "weights.npz")
        >>> targets["bias"].numpy()
        array([1., 1., 1.], dtype=float32)
    """
    tensors = dict(tensors)
    for name in [n for n in tensors if n.endswith("/conv/bias") and n not in targets]:
        mean = name.replace("/conv/bias", "/norm/moving_mean")
        if mean in tensors and tensors[mean].shape == tensors[name].shape:
            tensors[mean] = tensors[mean] - tensors.pop(name)
    leftover = {**leftover, **{name: value.shape for name, value in tensors.items() if name not in targets}}
    shapes = {name: tuple(variable.shape) for name, variable in targets.items()}
    problems = {
        "missing": [f"{name} {shape}" for name, shape in shapes.items() if name not in tensors],
        "left over": [f"{name} {tuple(shape)}" for name, shape in leftover.items()],
        "of another shape": [
            f"{name} {tensors[name].shape} for {shape}"
            for name, shape in shapes.items()
            if name in tensors and tensors[name].shape != shape
        ],
        "with NaN or infinite values": [name for name in shapes if not np.isfinite(tensors.get(name, 0)).all()],
    }
    found = [f"{len(names)} {what}: {some(names)}" for what, names in problems.items() if names]
    if found:
        raise InputError(f"the parameters of {path} do not fit the network: {'; '.join(found)}")
    for name, variable in targets.items():
        variable.assign(tensors[name])


def some(names: list[str], most: int = 12) -> str:
    """Return the first names of a list as text, for a message.

    Example:
        >>> some(["a", "b", "c"], most=2)
        'a, b and 1 more'
    """
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
