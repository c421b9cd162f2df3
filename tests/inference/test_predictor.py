"""From frames to scores."""

import numpy as np
import pytest

from slowfast_tf.inference import Predictor


@pytest.mark.legacy
def test_a_temporary_predictor(model, infer):
    clips = np.random.default_rng(0).integers(0, 256, (2, 16, 32, 32, 3), np.uint8)
    found = Predictor(model).score_clips(clips)  # of an object that nothing else holds
    np.testing.assert_allclose(found, infer(((clips / 255 - 0.45) / 0.225).astype(np.float32)), atol=1e-5)


@pytest.mark.legacy
def test_large_frames_are_averaged(model):
    """As when a file is decoded: a SavedModel, which takes whole frames, scores them as `predict` does."""
    size = model.spec.crop_size
    clips = np.random.default_rng(0).integers(0, 256, (2, 16, size, size + 8, 3), np.uint8)
    large = clips.repeat(2, 2).repeat(2, 3)
    np.testing.assert_allclose(Predictor(model).score_clips(large), Predictor(model).score_clips(clips), atol=1e-6)
