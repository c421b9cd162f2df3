"""Multigrid schedules against the paper's shapes, PySlowFast's published schedule and cases worked by hand."""

import itertools
import json

import pytest

from slowfast_tf import config
from slowfast_tf.data import multigrid
from slowfast_tf.data.multigrid import Shape
from slowfast_tf.errors import InputError


@pytest.fixture(scope="module")
def kinetics():
    """SLOWFAST_8x8_R50_stepwise_multigrid.yaml: 239 epochs without multigrid, a tenth from 94, 154 and 196 on."""
    return multigrid.schedule(64, 32, 224, 239, [94, 154, 196], [0.1, 0.01, 0.001])


def test_shapes_are_the_papers(kinetics):
    """Long cycle: 8B x T/4 x S/sqrt 2, 4B x T/2 x S/sqrt 2, 2B x T/2 x S, BTS; short cycle: S/2, S/sqrt 2 and its own.

    With S 224, S/sqrt 2 is 158, and a short cycle's batch is the long one's times the whole number nearest to
    the ratio of areas: 158^2 / 112^2 = 1.99, 224^2 / 112^2 = 4 and 224^2 / 158^2 = 2.01.
    """
    assert [phase.shapes for phase in kinetics[:4]] == [
        (Shape(1024, 8, 112), Shape(512, 8, 158), Shape(512, 8, 158)),
        (Shape(512, 16, 112), Shape(256, 16, 158), Shape(256, 16, 158)),
        (Shape(512, 16, 112), Shape(256, 16, 158), Shape(128, 16, 224)),
        (Shape(256, 32, 112), Shape(128, 32, 158), Shape(64, 32, 224)),
    ]
    assert [phase.shapes for phase in kinetics[4:8]] == [phase.shapes for phase in kinetics[:4]]
    assert all(phase.shapes == kinetics[3].shapes for phase in kinetics[11:])
    assert [kinetics[2].shape(step).size for step in range(5)] == [112, 158, 224, 112, 158]


def test_epochs_and_rates_of_kinetics(kinetics):
    """The mean batch sizes are in the ratio 32/3 : 16/3 : 14/3 : 7/3, in sum 23.

    So 94 epochs are divided as 32 : 16 : 14 : 7. Each shape takes 94 / 23 steps' worth, a saving of 23 / 4; the
    last 43 epochs with the same saving are 43 * 4 / 23 * 7 / 3 = 17.45. These 213.45 epochs are stretched to
    1.5 * 239 = 358.5, and so by 1.6796: the first shape ends at 94 * 32 / 69 * 1.6796 = 73.2, the next ones at
    109.8, 141.9 and 157.9, and so on to 329.2; half of what is left, to 358.5, has the rate from before.
    """
    stops = [73, 110, 142, 158, 205, 228, 248, 259, 291, 308, 322, 329, 343, 358]
    assert [phase.epochs for phase in kinetics] == [range(*pair) for pair in itertools.pairwise([0, *stops])]
    rates = [8, 4, 2, 1, 0.8, 0.4, 0.2, 0.1, 0.08, 0.04, 0.02, 0.01, 0.01, 0.001]
    assert [phase.rate for phase in kinetics] == pytest.approx(rates)


def test_a_run_takes_three_tenths_of_the_steps(kinetics):
    clips = 240_000
    steps = sum(len(phase.epochs) * phase.steps(clips) for phase in kinetics)
    assert 239 * (clips // 64) / steps == pytest.approx(5.75 / 1.6796, rel=0.01)
    # At the first learning rate, all shapes have about the same number of steps.
    shares = [len(phase.epochs) * phase.steps(clips) for phase in kinetics[:4]]
    assert max(shares) < 1.03 * min(shares)


@pytest.mark.parametrize("batch, frames, size", [(8, 4, 224), (16, 16, 224), (64, 8, 256), (2, 8, 112), (64, 8, 48)])
@pytest.mark.parametrize(
    "epochs, step_epochs", [(57, [41, 49]), (100, [100 / 3]), (10, [4, 6, 8]), (239, [94, 154, 196]), (2, [1])]
)
def test_any_schedule(batch, frames, size, epochs, step_epochs):
    rates = [0.1 ** (i + 1) for i in range(len(step_epochs))]
    phases = multigrid.schedule(batch, frames, size, epochs, step_epochs, rates)
    # One after the other without a gap, 1.5 times the epochs, and the full shape at the end.
    assert phases[0].epochs.start == 0 and phases[-1].epochs.stop == round(1.5 * epochs)
    assert all(one.epochs.stop == two.epochs.start for one, two in itertools.pairwise(phases))
    assert all(len(phase.epochs) for phase in phases)
    assert phases[-1].shapes[-1] == (batch, frames, size) and phases[-1].rate == rates[-1]
    for phase in phases:
        long = phase.shapes[-1]
        assert phase.rate / (long.batch / batch) in [1.0, *rates]  # linear in the batch
        for shape in phase.shapes:
            assert shape.batch % batch == 0
            cost = shape.batch * shape.frames * shape.size**2
            assert 0.95 < cost / (batch * frames * size**2) < 1.05  # a step costs the same


def test_steps_of_an_epoch(kinetics):
    for phase, clips in itertools.product(kinetics[:4], [0, 1, 63, 64, 511, 512, 1023, 1024, 5000, 20011]):
        left, steps = clips, 0
        while left >= phase.shape(steps).batch:
            left -= phase.shape(steps).batch
            steps += 1
        assert phase.steps(clips) == steps


def test_what_a_clip_spans():
    """A clip of a quarter of the frames may be as dense as a full one, or span as many raw frames."""
    assert multigrid.strides(2, 32, Shape(512, 8, 158)) == (2, 8)
    assert multigrid.strides(8, 8, Shape(256, 4, 158)) == (8, 16)
    assert multigrid.strides(8, 8, Shape(64, 8, 224)) == (8, 8)


def test_short_sides():
    """256 to 320 for crops of 224 (slowfast/datasets/kinetics.py)."""
    assert multigrid.short_sides([256, 320], 224, Shape(1, 8, 224)) == [256, 320]
    assert multigrid.short_sides([256, 320], 224, Shape(1, 8, 158)) == [181, 320]
    assert multigrid.short_sides([256, 320], 224, Shape(1, 8, 112)) == [128, 320]


STEPS = {"epochs": 10, "schedule": "steps", "step_epochs": [4, 6], "step_rates": [0.1, 0.01], "multigrid": True}


@pytest.mark.parametrize(
    "train, said",
    [
        ({}, None),
        ({"schedule": "cosine", "step_epochs": [], "step_rates": []}, "got schedule 'cosine'"),
        ({"step_epochs": [6, 4]}, "step_epochs [6.0, 4.0]"),
        ({"step_epochs": [4, 10]}, "between 0 and epochs 10"),
        ({"step_epochs": [0, 4]}, "between 0 and epochs 10"),
        ({"multigrid": 1}, "train.multigrid"),
    ],
)
def test_configuration(tmp_path, train, said):
    values = {
        "name": "n",
        "model": {"preset": "slowfast_4x16_r50"},
        "data": {"dataset": "folder", "root": "videos"},
        "train": {"batch_size": 8, "learning_rate": 0.1, **STEPS, **train},
    }
    path = tmp_path / "c.json"
    path.write_text(json.dumps(values))
    if said is None:
        settings = config.load(path)
        phases = multigrid.schedule(
            8, settings.spec().frames, 224, settings.train.epochs, settings.train.step_epochs, settings.train.step_rates
        )
        assert phases[0].shapes[0].frames == 1
        with pytest.raises(InputError, match="multiples of 4.*got 6"):
            config.load(path, ["model.frames=6"])
    else:
        with pytest.raises(InputError) as error:
            config.load(path)
        assert said in str(error.value)
