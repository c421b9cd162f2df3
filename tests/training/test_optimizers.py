"""The optimizers against PyTorch and cases worked by hand, and the loss scale of float16."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.training import VARIABLE, compare, compiled_network, step, train_section, values

from slowfast_tf import load
from slowfast_tf.training import optimizers


@pytest.mark.legacy
def test_adamw_is_pytorchs_but_for_batchnorm():
    torch = pytest.importorskip("torch")
    names = ("kernel", "gamma")
    starts = [np.array([1.0, -2.0, 3.0], np.float32), np.array([0.5, 0.25], np.float32)]
    variables = [VARIABLE(x, name=name) for x, name in zip(starts, names)]
    optimizer = optimizers.from_config(train_section(optimizer="adamw", weight_decay=0.1), 0.05)
    tensors = [torch.tensor(x, requires_grad=True) for x in starts]
    groups = [{"params": [x], "weight_decay": decay} for x, decay in zip(tensors, (0.1, 0.0))]
    other = torch.optim.AdamW(groups, lr=0.05)
    for i in range(5):
        gradients = [np.cos(x + i) for x in starts]
        optimizer.apply_gradients(zip(gradients, variables))
        for tensor, gradient in zip(tensors, gradients):
            tensor.grad = torch.tensor(gradient)
        other.step()
    compare(values(variables), [x.detach().numpy() for x in tensors], rtol=1e-5)


@pytest.mark.legacy
def test_gradients_are_clipped_before_the_decay():
    """Gradients 3 and 4 have the norm 5: clipped to 1 they are 0.6 and 0.8. Then decay 0.5 of 2 and 1, rate 0.1."""
    variables = [VARIABLE([2.0], name="kernel"), VARIABLE([1.0], name="beta")]
    optimizer = optimizers.from_config(train_section(clip_norm=1.0, weight_decay=0.5, momentum=0.0), 0.1)
    optimizer.apply_gradients(zip([tf.constant([3.0]), tf.constant([4.0])], variables))
    compare(values(variables), [[2 - 0.1 * (0.6 + 0.5 * 2)], [1 - 0.1 * 0.8]], rtol=1e-6)


def test_float16_scales_its_loss(batch, tmp_path):
    model = compiled_network(train_section(precision="mixed_float16"))
    assert math.isfinite(step(model, batch)["loss"])
    before = values(model.trainable_variables)
    model.optimizer.dynamic_scale.assign(1e30)  # gradients overflow: the step must not count
    step(model, batch)
    compare(values(model.trainable_variables), before)
    assert float(model.optimizer.dynamic_scale.numpy()) == pytest.approx(5e29)
    model.optimizer.dynamic_scale.assign(1024.0)
    step(model, batch)
    assert any((a != b).any() for a, b in zip(before, values(model.trainable_variables)))
    model.save(tmp_path / "half.keras")
    again = load(tmp_path / "half.keras", compile=True)
    compare(values(again.optimizer.variables), values(model.optimizer.variables))
    # Both networks alone, or Keras would wrap the one of the file once more.
    assert type(again.optimizer) is type(model.optimizer) is keras.mixed_precision.LossScaleOptimizer
    assert isinstance(again.optimizer.inner_optimizer, optimizers.SGD)
