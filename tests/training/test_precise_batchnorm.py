"""BatchNorm's statistics, against those worked out from a convolution's outputs."""

import numpy as np
import pytest
from helpers.training import compare, compiled_network, train_section, values

from slowfast_tf.training import precise_batchnorm


@pytest.mark.legacy
def test_precise_batchnorm(batch):
    """The stem's statistics are those of the outputs of its convolution. A frozen layer keeps its statistics."""
    x, _ = batch
    model = compiled_network(train_section(freeze=["fast_stem"]), ("slow", "fast"))
    stem, frozen = (model.get_layer(name).conv for name in ("slow_stem", "fast_stem"))
    before = values([frozen.norm.moving_mean, frozen.norm.moving_variance])
    weights = values(model.trainable_variables)
    parts = [x["slow"][i:j] for i, j in ((0, 2), (2, 3), (3, 6), (6, 8))]  # batches of different sizes
    kernel = stem.conv.kernel.numpy()[0]  # 1 x 7 x 7
    seen = []
    for part in parts[:3]:
        padded = np.pad(part, [(0, 0), (0, 0), (3, 3), (3, 3), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), (2, 3))[:, :, ::2, ::2]
        found = np.einsum("bthwcij,ijcf->bthwf", windows, kernel).reshape(-1, kernel.shape[-1])
        seen.append(found)
    seen = np.concatenate(seen)  # six clips
    batches = [({"slow": p, "fast": x["fast"][: len(p)]}, None) for p in parts]
    precise_batchnorm.recompute(model, batches, 3)
    np.testing.assert_allclose(stem.norm.moving_mean.numpy(), seen.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stem.norm.moving_variance.numpy(), seen.var(0), rtol=1e-4)
    compare(values([frozen.norm.moving_mean, frozen.norm.moving_variance]), before)
    compare(values(model.trainable_variables), weights)
    assert stem.norm.momentum == 0.9 and stem.norm.observe is None
    with pytest.raises(ValueError, match="at least one"):
        precise_batchnorm.recompute(model, [], 3)
