"""The clips from which precise BatchNorm computes its statistics."""

import pytest

from slowfast_tf.data import Clips
from slowfast_tf.data.multigrid import Phase, Shape
from slowfast_tf.training.fitting import statistics_clips


@pytest.mark.legacy
def test_precise_batchnorm_has_the_clip_shape_of_tests(configure):
    """Clips have the last shape of the short cycle, and as many are in a batch as BatchNorm sees in training."""
    overrides = ["train.batch_size=4", "train.gradient_accumulation=2"]
    settings = configure(*overrides)
    clips = Clips(settings, "train")
    cycle = Phase(range(1), (Shape(8, 2, 16), Shape(4, 2, 32)), 1.0)
    assert [x["fast"].shape for x, _ in clips.train(range(1), cycle)] == [(8, 16, 16, 16, 3)]
    assert [x["fast"].shape for x, _ in statistics_clips(settings, clips, cycle, 1)] == [(2, 16, 32, 32, 3)] * 4
    assert {len(y) for _, y in statistics_clips(settings, clips, cycle, 2)} == {1}
    together = configure(*overrides, "train.synchronize_batchnorm=true")
    assert {len(y) for _, y in statistics_clips(together, clips, cycle, 2)} == {2}
