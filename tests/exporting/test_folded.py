"""Folding is checked before anything is exported."""

import numpy as np
import pytest

from slowfast_tf import SlowFast
from slowfast_tf.errors import InputError, RunError
from slowfast_tf.exporting import folded

# The fold


def test_a_fold_that_cannot_be_compared_is_refused():
    model = SlowFast("slowfast_2x16_demo", depth=10, width=8, crop_size=32, num_classes=4)
    folded.checked_fold(model)
    kernel, bias = model.get_layer("head").get_weights()
    model.get_layer("head").set_weights([np.full_like(kernel, 3e38), bias])  # the logits are infinite
    with pytest.raises(RunError, match="folding BatchNorm"):
        folded.checked_fold(model)
    # Logits that are all 0 can be compared.
    model.get_layer("head").set_weights([np.zeros_like(kernel), np.zeros_like(bias)])
    folded.checked_fold(model)


def test_a_folded_network_is_refused():
    model = SlowFast("slowfast_2x16_demo", depth=10, width=8, crop_size=32, num_classes=4, folded=True)
    with pytest.raises(InputError, match="folded already; give the one that was trained"):
        folded.checked_fold(model)
