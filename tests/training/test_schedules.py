"""Published learning rates at named epochs."""

import pathlib

import pytest

from slowfast_tf import config
from slowfast_tf.data.multigrid import Phase, Shape
from slowfast_tf.training import schedules

ROOT = pathlib.Path(__file__).parents[2]


def rates(name, steps, *overrides):
    """The learning rate by epoch of a configuration, with so many steps an epoch."""
    train = config.load(ROOT / f"configs/{name}.json", overrides).train
    phases = [Phase(range(train.epochs), (Shape(train.batch_size, 4, 224),), 1.0)]
    schedule = schedules.from_config(train, phases, [steps])
    return lambda epoch: float(schedule(round(epoch * steps)))


def test_the_papers_kinetics_schedule():
    """1.6 at 1024 clips, linear over the first 8k iterations, half a cosine over 256 epochs of 240k videos."""
    steps = 240_000 // 1024
    rate = rates("kinetics400/slowfast_4x16_r50", steps, "train.batch_size=1024")
    assert 34 * steps == pytest.approx(8000, rel=0.01)
    # cos(pi * 34 / 256) = 0.914210; 1.6 * 0.5 * 1.914210 = 1.531368
    expected = {0: 0.16, 17: (0.16 + 1.531368) / 2, 34: 1.531368, 128: 0.8, 256: 0.0}
    # cos(pi * 3 / 4) = -0.707107
    expected[192] = 0.8 * (1 - 0.707107)
    for epoch, value in expected.items():
        assert rate(epoch) == pytest.approx(value, rel=1e-5, abs=1e-6), epoch


@pytest.mark.legacy
@pytest.mark.parametrize("batch", [64, 8, 256])
def test_the_published_8x8_schedule(batch):
    """0.1 at 64 clips, from 0.01 over 34 of 196 epochs; in proportion to the batch."""
    rate = rates("kinetics400/slowfast_8x8_r50", 10, f"train.batch_size={batch}")
    # cos(pi * 34 / 196) = 0.855143; 0.05 * 1.855143 = 0.092757
    expected = {0: 0.01, 17: 0.0513786, 34: 0.092757, 49: 0.05 * 1.707107, 98: 0.05, 196: 0.0}
    for epoch, value in expected.items():
        assert rate(epoch) == pytest.approx(value * batch / 64, rel=1e-4, abs=1e-6), epoch


def test_kinetics_600_takes_twice_as_long_at_half_the_rate():
    first, second = rates("kinetics400/slowfast_16x8_r101", 10), rates("kinetics600/slowfast_16x8_r101", 10)
    for epoch in (0, 5, 34, 60, 98, 150):
        assert second(2 * epoch) == pytest.approx(first(epoch) / 2, rel=1e-5)


@pytest.mark.parametrize(
    "name, expected",
    [
        pytest.param(
            "charades",
            {0: 1e-4, 2: 0.0188, 4: 0.0375, 40.99: 0.0375, 41: 0.00375, 48.99: 0.00375, 49: 0.000375},
            marks=pytest.mark.legacy,
        ),
        pytest.param(
            "ava/slowfast_4x16_r50",
            {0: 0.000125, 2.5: 0.0500625, 5: 0.1, 9.99: 0.1, 10: 0.01, 15: 0.001, 19.99: 0.001},
            marks=pytest.mark.legacy,
        ),
        ("kinetics400/slowfast_8x8_r50_stepwise", {0: 0.01, 17: 0.055, 34: 0.1, 94: 0.01, 154: 1e-3, 196: 1e-4}),
    ],
)
def test_steps(name, expected):
    rate = rates(name, 100)
    for epoch, value in expected.items():
        assert rate(epoch) == pytest.approx(value, rel=1e-5), epoch
    assert rates(name, 100, "train.batch_size=4")(34.5) == pytest.approx(
        rate(34.5) * 4 / config.load(ROOT / f"configs/{name}.json").train.batch_size
    )
