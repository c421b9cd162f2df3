"""Folding is checked before anything is exported."""

import numpy as np
import pytest

from slowfast_tf import SlowFast
from slowfast_tf.errors import RunError
from slowfast_tf.exporting import folded

# The fold


def test_a_fold_that_cannot_be_compared_is_refused():
    model = SlowFast("slowfast_2x16_demo", depth=10, width=8, crop_size=32, num_classes=4)
    folded.checked_fold(model)
    kernel, bias = model.get_layer("head").get_weights()
    model.get_layer("head").set_weights([np.full_like(kernel, 3e38), bias])  # the logits are infinite
    with pytest.raises(RunError, match="folding BatchNorm"):
        folded.checked_fold(model)
