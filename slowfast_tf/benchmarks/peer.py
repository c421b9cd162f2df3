"""The PyTorch network to compare with: the specs that it supports, and copying weights from and to a `SlowFast`."""

import typing

import numpy as np

from ..checkpoints import pyslowfast
from ..checkpoints.loading import names
from ..checkpoints.variables import assign, variables
from ..models.spec import SlowFastSpec

if typing.TYPE_CHECKING:
    import keras
    import torch

# The fields of a spec for which the PyTorch network supports only the default value.
FIXED = (
    "fast_depth",
    "lateral",
    "lateral_norm",
    "slow_kernels",
    "fast_kernels",
    "fast_res4_temporal_blocks",
    "nonlocal_kind",
    "slow_input",
    "fast_input",
    "head",
)


def unsupported(spec: SlowFastSpec) -> str | None:
    """Return one line that says why there is no PyTorch network for a spec and what to do; None if there is one."""
    plain = SlowFastSpec()
    if spec.pathways == ("fast",):
        return "the PyTorch network has no Fast-only form; give a network with a Slow pathway"
    for name in FIXED:
        value, default = getattr(spec, name), getattr(plain, name)
        if value != default:
            return f"the PyTorch network has {name} {default!r} only; got {value!r}"
    return None


def build(spec: SlowFastSpec) -> "torch.nn.Module":
    """Return the PyTorch network of a spec that it supports, with random weights, channels last."""
    import torch

    from .torch_slowfast import SlowFast

    network = SlowFast(**arguments(spec))
    return network.to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]: the fastest layout


def arguments(spec: SlowFastSpec) -> dict[str, typing.Any]:
    """Return the arguments of `torch_slowfast.SlowFast` for a spec that it supports."""
    return {
        "depth": spec.depth,
        "width": spec.width,
        "alpha": spec.alpha,
        "beta_inv": spec.beta_inv if "fast" in spec.pathways else None,
        "lateral_kernel": spec.lateral_kernel,
        "classes": spec.num_classes,
        "dropout": spec.dropout,
        "res4_temporal_blocks": spec.res4_temporal_blocks,
    }


def our_names(network: "torch.nn.Module") -> dict[str, str]:
    """Return a dictionary from the names of a PyTorch network's weights to the names in a `SlowFast`."""
    table = names(pyslowfast)
    return {name: table[name] for name in network.state_dict() if name in table}


def copy_to_torch(model: "keras.Model", network: "torch.nn.Module") -> None:
    """Copy all weights and running statistics of a `SlowFast` into the PyTorch network of its spec."""
    import torch

    values, state = variables(model), network.state_dict()
    for theirs, ours in our_names(network).items():
        value = values.pop(ours).numpy()
        state[theirs] = torch.from_numpy(np.ascontiguousarray(value.transpose(_order(value.ndim))))
    assert not values, f"without a name in PyTorch: {list(values)}"
    network.load_state_dict(state)


def copy_from_torch(network: "torch.nn.Module", model: "keras.Model") -> None:
    """Copy all weights and running statistics of the PyTorch network into a `SlowFast` of its spec."""
    state = network.state_dict()
    tensors = {}
    for theirs, ours in our_names(network).items():
        value = state[theirs].numpy()
        tensors[ours] = value.transpose(np.argsort(_order(value.ndim)))
    assign(variables(model), tensors, {}, "the PyTorch network")


def _order(rank: int) -> list[int]:
    """Return the axes of a Keras weight in PyTorch's order, `[out, in, T, H, W]`, `[out, in]` or `[out]`."""
    return {5: [4, 3, 0, 1, 2], 2: [1, 0], 1: [0]}[rank]
