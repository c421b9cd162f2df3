"""A batch in parts is the batch."""

import pytest
from helpers.training import compare, compiled_network, step, train_section, values

from slowfast_tf.training import accumulation


@pytest.mark.legacy
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_parts_of_a_batch_are_the_batch(batch, precision):
    """BatchNorm is frozen here: its statistics would differ."""
    made = []
    for parts in (1, 4):
        train = train_section(gradient_accumulation=parts, freeze=["norm"], clip_norm=1.0, precision=precision)
        model = compiled_network(train, run_eagerly=precision != "float32")
        accumulation.in_parts(model, parts)
        logs = [step(model, batch) for _ in range(3)]
        made.append((logs, values(model.trainable_variables)))
    (whole, weights), (parts, others) = made
    tolerance = 1e-4 if precision == "float32" else 2e-2
    for a, b in zip(whole, parts):
        assert a == pytest.approx(b, rel=tolerance)
    compare(weights, others, rtol=tolerance, atol=tolerance / 10)
