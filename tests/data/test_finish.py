"""Batches that are finished on the device equal batches that are finished on the host."""

import pytest
import tensorflow as tf
from helpers.detection import DEMO, SMALL

from slowfast_tf import config
from slowfast_tf.data import Clips
from slowfast_tf.data.records.prepare import prepare

CASES = {
    "plain": [],
    "colors": ["data.color_jitter=0.4", "data.rand_augment_layers=2", "data.random_erasing=1"],
    "mixed": ["data.mixup=0.8", "data.cutmix=1"],
    "half resolution": ["model.fast_input=half"],
    "gray": ["model.fast_input=gray"],
    "segments, BGR": [
        "model.frame_index=segments",
        "test.clips=1",
        "model.channel_order=bgr",
        "model.mean=[0.1, 0.2, 0.3]",
    ],
    "multigrid": [
        *["train.multigrid=true", "train.epochs=4", "train.batch_size=1", "train.schedule=steps"],
        *["train.step_epochs=[3]", "train.step_rates=[0.1]", "model.frames=4", "model.stride=8"],
    ],
}


def check(settings, batches):
    """Compare the first batches of each phase; their windows must differ in size."""
    clips, sides = Clips(settings, "train"), set()
    for phase in [phase for phase in clips.phases if phase.steps(clips.count)]:
        finish = tf.function(clips.finish(phase))
        finished, raw = (clips.train(phase.epochs, phase, finished=kind).take(batches) for kind in (True, False))
        pairs = list(zip(finished, raw, strict=True))
        for expected, (windows, *labels) in pairs:
            assert windows.frames.dtype == tf.uint8
            sides.update(windows.side.numpy().tolist())
            found = finish(windows, *labels)
            tf.nest.assert_same_structure(found, expected)
            for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
                assert one.shape == other.shape
                tf.debugging.assert_near(one, other, atol=1e-5)
    assert len(sides) > 1


@pytest.mark.legacy
@pytest.mark.parametrize("case", CASES)
def test_classification(configure, case):
    check(configure(*CASES[case]), 2)


def test_boxes(films):
    check(config.load(DEMO, [f"data.root={films}", *SMALL, "data.short_sides=[40, 60]"]), 1)


def test_optical_flow(configure, tmp_path):
    prepare(configure("prepare.flow=true"), str(tmp_path / "records"))
    records = ["data.dataset=records", f"data.root={tmp_path / 'records'}"]
    check(configure(*records, "model.fast_input=flow", "data.short_sides=[32, 60]"), 2)
