"""BatchNorm's statistics, against those worked out from a convolution's outputs."""

import numpy as np
import pytest
from helpers.training import compare, compiled_network, train_section, values

from slowfast_tf.training import precise_batchnorm


@pytest.mark.legacy
def test_precise_batchnorm(batch):
    """The stem's statistics, from the outputs of its convolution; those of a frozen layer stay."""
    x, _ = batch
    model = compiled_network(train_section(freeze=["fast_stem"]), ("slow", "fast"))
    stem, frozen = (model.get_layer(name).conv for name in ("slow_stem", "fast_stem"))
    before = values([frozen.norm.moving_mean, frozen.norm.moving_variance])
    weights = values(model.trainable_variables)
    parts = [x["slow"][i : i + 2] for i in range(0, 8, 2)]
    kernel = stem.conv.kernel.numpy()[0]  # 1 x 7 x 7
    means, variances = [], []
    for part in parts[:3]:
        padded = np.pad(part, [(0, 0), (0, 0), (3, 3), (3, 3), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), (2, 3))[:, :, ::2, ::2]
        found = np.einsum("bthwcij,ijcf->bthwf", windows, kernel).reshape(-1, kernel.shape[-1])
        means.append(found.mean(0))
        variances.append(found.var(0, ddof=1))
    batches = [({"slow": p, "fast": x["fast"][:2]}, None) for p in parts]
    precise_batchnorm.recompute(model, batches, 3)
    np.testing.assert_allclose(stem.norm.moving_mean.numpy(), np.mean(means, 0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stem.norm.moving_variance.numpy(), np.mean(variances, 0), rtol=1e-4)
    compare(values([frozen.norm.moving_mean, frozen.norm.moving_variance]), before)
    compare(values(model.trainable_variables), weights)
    assert stem.norm.momentum == 0.9
    with pytest.raises(ValueError, match="at least one"):
        precise_batchnorm.recompute(model, [], 3)
