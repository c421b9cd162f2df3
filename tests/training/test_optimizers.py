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
@pytest.mark.parametrize("scale", [1.0, 1e-6])  # small gradients show where epsilon is added
def test_adamw_equals_pytorchs_except_for_batchnorm(scale):
    torch = pytest.importorskip("torch")
    names = ("kernel", "gamma")
    starts = [np.array([1.0, -2.0, 3.0], np.float32), np.array([0.5, 0.25], np.float32)]
    variables = [VARIABLE(x, name=name) for x, name in zip(starts, names)]
    optimizer = optimizers.from_config(train_section(optimizer="adamw", weight_decay=0.1), 0.05)
    tensors = [torch.tensor(x, requires_grad=True) for x in starts]
    groups = [{"params": [x], "weight_decay": decay} for x, decay in zip(tensors, (0.1, 0.0))]
    other = torch.optim.AdamW(groups, lr=0.05)
    for i in range(5):
        gradients = [np.float32(scale) * np.cos(x + i) for x in starts]
        optimizer.apply_gradients(zip(gradients, variables))
        for tensor, gradient in zip(tensors, gradients):
            tensor.grad = torch.tensor(gradient)
        other.step()
    compare(values(variables), [x.detach().numpy() for x in tensors], rtol=1e-5)


RATES = (0.1, 0.1, 0.1, 0.01, 0.01, 0.02, 0.02, 0.02)


class Steps(keras.optimizers.schedules.LearningRateSchedule):
    """A drop to a tenth, and a rise."""

    def __call__(self, step):
        return tf.gather(tf.constant(RATES), tf.cast(step, tf.int32))

    def get_config(self):
        return {}


@pytest.mark.legacy
@pytest.mark.parametrize("nesterov", [True, False])
def test_sgd_equals_pytorchs_when_the_rate_changes(nesterov):
    torch = pytest.importorskip("torch")
    start = np.array([1.0, -2.0, 3.0], np.float32)
    variable, tensor = VARIABLE(start, name="kernel"), torch.tensor(start, requires_grad=True)
    optimizer = optimizers.SGD(Steps(), momentum=0.9, nesterov=nesterov, weight_decay=0.1)
    keras_own = keras.optimizers.SGD(Steps(), momentum=0.9, nesterov=nesterov)
    other = torch.optim.SGD([tensor], 0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.1)
    own = VARIABLE(start, name="kernel")
    for number, rate in enumerate(RATES):
        gradient = np.cos(start + number)
        optimizer.apply_gradients([(tf.constant(gradient), variable)])
        keras_own.apply_gradients([(tf.constant(gradient + 0.1 * values([own])[0]), own)])
        other.param_groups[0]["lr"] = rate
        tensor.grad = torch.tensor(gradient)
        other.step()
        compare(values([variable]), [tensor.detach().numpy()], rtol=1e-5)
    assert np.abs(values([own])[0] - values([variable])[0]).max() > 0.01  # Keras' own SGD would fail


def test_the_optimizer_state_of_an_earlier_version(tmp_path):
    """A file without `velocity` has Keras' velocity, a sum of steps. Loading converts it to a sum of gradients."""
    variable = VARIABLE([1.0], name="kernel")
    keras_own = keras.optimizers.SGD(Steps(), momentum=0.9, nesterov=True)
    optimizer = optimizers.SGD(Steps(), momentum=0.9, nesterov=True)
    settings = {name: value for name, value in optimizer.get_config().items() if name != "velocity"}
    settings["learning_rate"] = Steps()
    earlier = optimizers.SGD.from_config(settings)
    for one in (keras_own, optimizer):
        for gradient in (1.0, 2.0, 3.0, -1.0):
            one.apply_gradients([(tf.constant([gradient]), variable)])
    earlier.build([variable])
    store = {}
    keras_own.save_own_variables(store)
    earlier.load_own_variables(store)
    (found,) = values(earlier.momentums)
    # The sum of steps at the rates 0.1, 0.1, 0.1 and 0.01, divided by the last rate.
    assert found == pytest.approx((0.9**3 * 1 + 0.9**2 * 2 + 0.9 * 3) * 10 - 1, rel=1e-5)
    store.clear()
    optimizer.save_own_variables(store)
    again = optimizers.SGD.from_config({**optimizer.get_config(), "learning_rate": Steps()})
    again.build([variable])
    again.load_own_variables(store)
    assert values(again.momentums)[0] == pytest.approx(0.9**3 * 1 + 0.9**2 * 2 + 0.9 * 3 - 1, rel=1e-6)

    # A LossScaleOptimizer loads the variables of its inner optimizer by itself.
    inner = optimizers.SGD.from_config(settings)
    scaled = keras.mixed_precision.LossScaleOptimizer(inner)
    scaled.build([variable])
    for target, value in zip(inner.momentums, keras_own.momentums, strict=True):
        target.assign(value)
    inner.iterations.assign(4)
    assert values(inner.momentums) == values(keras_own.momentums) != pytest.approx(found)
    optimizers.bring_up_to_date(scaled)
    assert values(inner.momentums)[0] == pytest.approx(found, rel=1e-6)


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
