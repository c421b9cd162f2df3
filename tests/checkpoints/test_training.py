"""A converted network trains as PyTorch's does."""

import collections
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.golden import GOLDEN, ROOT, SLOWFAST, golden, load, needs_golden, needs_torch, torch, torch_slowfast
from helpers.processes import QUICK_START

from slowfast_tf import checkpoints
from slowfast_tf.training.optimizers import SGD

# The oracle, folding's counterpart in training: one step of gradient descent.


@needs_torch
@needs_golden
@pytest.mark.parametrize("name, beta_inv", [(SLOWFAST, 8), ("pyslowfast_slow_8x8_r50_w16", None)])
def test_oracle(name, beta_inv):
    network = torch_slowfast.SlowFast(width=16, beta_inv=beta_inv, classes=20).eval()
    network.load_state_dict(load(GOLDEN / f"{name}.pyth")["model_state"])
    inputs, logits, _ = golden(name)
    with torch.no_grad():
        outputs = network(*(torch.from_numpy(x).permute(0, 4, 1, 2, 3) for x in inputs.values())).numpy()
    assert np.abs(outputs - logits).max() < 1e-5 * np.abs(logits).max()


@needs_torch
def test_gradient_step(tmp_path):
    torch.manual_seed(0)
    network = torch_slowfast.SlowFast(18, width=16, beta_inv=4, lateral_kernel=5, classes=6, dropout=0.0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    torch.nn.init.normal_(network.head.projection.weight, std=0.1)
    path = tmp_path / "network.pyth"

    def tensors():
        torch.save(network.state_dict(), path)
        return checkpoints.read_checkpoint(path, frames=2, stride=8, alpha=4, activation="softmax", dropout=0.0)

    before = tensors()
    model = checkpoints.build_model(before)
    model.compile(
        SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # tracing takes longer than the step
    )
    optimizer = torch.optim.SGD(
        [
            {"params": [p for name, p in network.named_parameters() if "bn" not in name], "weight_decay": 1e-4},
            {"params": [p for name, p in network.named_parameters() if "bn" in name]},
        ],
        lr=0.05,
        momentum=0.9,
        nesterov=True,
    )
    rng = np.random.default_rng(0)
    # Few pixels: where a sum of float32 falls on either side of a ReLU, gradients differ by percents.
    fast = rng.normal(size=(4, 8, 32, 32, 3)).astype("float32")
    slow, labels = fast[:, ::4], np.array([0, 1, 2, 3])
    network.train()
    loss = torch.nn.functional.cross_entropy(
        network(*(torch.from_numpy(x).permute(0, 4, 1, 2, 3) for x in (slow, fast))), torch.from_numpy(labels)
    )
    loss.backward()
    optimizer.step()
    assert model.train_on_batch({"slow": slow, "fast": fast}, labels) == pytest.approx(loss.item(), rel=1e-4)
    worst = collections.Counter()
    after, found = tensors().tensors, checkpoints.variables(model)
    for name, expected in after.items():
        value = found[name].numpy()
        worst["weights"] = max(worst["weights"], np.abs(value - expected).max() / np.abs(expected).max())
        moved = np.abs(expected - before.tensors[name]).max()
        assert moved > 0
        worst["steps"] = max(worst["steps"], np.abs(value - expected).max() / moved)
    print(f"relative differences after one step: {dict(worst)}")
    assert worst["weights"] < 1e-3 and worst["steps"] < 1e-3


@pytest.mark.legacy
@needs_torch
def test_optimizer():
    """Momentum and weight decay over several steps equal PyTorch's, but gamma and beta do not decay."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
    optimizer = SGD(0.5, momentum=0.9, nesterov=True, weight_decay=0.1, clipnorm=1.0)
    optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(optimizer, SGD)
    rng = np.random.default_rng(0)
    names = ["kernel", "bias", "gamma", "beta"]
    assert [re.search(r"(\w+)(:0)?$", v.name)[1] for v in model.trainable_variables] == names
    peers = [torch.nn.Parameter(torch.from_numpy(v.numpy().copy())) for v in model.trainable_variables]
    peer = torch.optim.SGD(
        [{"params": peers[:2], "weight_decay": 0.1}, {"params": peers[2:]}], lr=0.5, momentum=0.9, nesterov=True
    )
    for _ in range(4):
        gradients = [rng.normal(size=v.shape).astype("float32") for v in model.trainable_variables]
        for parameter, gradient in zip(peers, gradients):
            parameter.grad = torch.from_numpy(gradient.copy())
            torch.nn.utils.clip_grad_norm_([parameter], 1.0)
        peer.step()
        optimizer.apply_gradients(zip([tf.constant(g) for g in gradients], model.trainable_variables))
    for variable, parameter in zip(model.trainable_variables, peers):
        np.testing.assert_allclose(variable.numpy(), parameter.detach().numpy(), rtol=1e-4, atol=1e-5)


MIRRORED = """
import keras, numpy as np, tensorflow as tf
from slowfast_tf.training.optimizers import SGD

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")

def train(strategy, copies):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(3)]
        model = keras.Sequential([keras.Input((3,)), *layers])
        model.compile(SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.5), "mse")
    data = np.concatenate([x] * copies)
    model.fit(tf.data.Dataset.from_tensor_slices((data, data)).batch(len(data)), epochs=3, verbose=0)
    return model.get_weights()

# Each replica sees what the one device sees, so that the results must be the same.
for a, b in zip(train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), 2), train(tf.distribute.get_strategy(), 1)):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
"""


def test_optimizer_on_two_replicas():
    result = subprocess.run([sys.executable, "-c", QUICK_START + MIRRORED], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
