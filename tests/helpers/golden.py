"""The golden files: small networks of other implementations, with their logits."""

import functools
import pathlib

import numpy as np
import pytest

try:
    import torch

    from slowfast_tf.benchmarks import torch_slowfast  # noqa: F401, what needs_torch needs
except ImportError:
    torch = None

ROOT = pathlib.Path(__file__).resolve().parents[2]

GOLDEN = ROOT.parent / "shared" / "golden"

needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed: pip install 'slowfast_tf[convert]'")

needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden vectors are not there: ../shared/golden")

SLOWFAST = "pyslowfast_slowfast_8x8_r50_w16"


@functools.cache
def golden(name):
    """The model's inputs and the logits that the other implementation gives for them."""
    data = np.load(GOLDEN / f"{name}.npz")
    clip = data["clip"].astype("float32")
    inputs = {"slow": clip[:, data["slow_index"]], "fast": clip} if "slow_index" in data else {"slow": clip}
    return inputs, data["logits"], tuple(data["slow_index"]) if "slow_index" in data else None


def load(path):
    return torch.load(path, map_location="cpu", weights_only=True)
