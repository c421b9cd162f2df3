"""Mixed batches against cases worked by hand and the distributions of the papers."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from slowfast_tf.data import augment, mixing


def seeds(count, fixed=5):
    return [tf.constant([fixed, i], tf.int64) for i in range(count)]


def batch(size=4, fast=16):
    random = np.random.default_rng(1)
    inputs = {
        "slow": random.normal(size=(size, 2, 16, 16, 3)).astype(np.float32),
        "fast": random.normal(size=(size, 8, fast, fast, 3)).astype(np.float32),
    }
    return inputs, np.float32([[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]])[:size]


def shares(mixed):
    """The share of each clip in its mixture, from the labels (clips are mixed in the reverse order of the batch)."""
    assert mixed.dtype == tf.float32
    share = float(mixed[0, 0])
    np.testing.assert_allclose(
        mixed,
        [
            [share, 0, 0, 0, 0],
            [0, share, share, 1 - share, 0],
            [0, 1 - share, 1 - share, share, 0],
            [1 - share, 0, 0, 0, 0],
        ],
        atol=1e-6,
    )
    return share


def test_mixup():
    inputs, labels = batch()
    mixup = tf.function(mixing.mixup)
    drawn = []
    for s in seeds(300):
        mixed, mixed_labels = mixup(inputs, labels, 0.8, s)
        drawn.append(shares(mixed_labels))
    for name, x in inputs.items():
        np.testing.assert_allclose(mixed[name], drawn[-1] * x + (1 - drawn[-1]) * x[::-1], atol=1e-5)
    assert stats.kstest(drawn, stats.beta(0.8, 0.8).cdf).pvalue > 1e-3


@pytest.mark.parametrize("fast", [16, 8])
def test_cutmix(fast):
    """Each pixel is from a clip or its partner, in the shares of the labels, at the same places in all frames."""
    inputs, labels = batch(fast=fast)
    cutmix = tf.function(mixing.cutmix)
    drawn = []
    for s in seeds(200):
        mixed, mixed_labels = cutmix(inputs, labels, 1.0, s)
        drawn.append(share := shares(mixed_labels))
        places = {}
        for name, x in inputs.items():
            own = mixed[name].numpy() == x
            assert np.all(own | (mixed[name].numpy() == x[::-1]))
            place = own[0, 0, ..., 0]
            assert np.all(own == place[..., None])
            rows, columns = np.flatnonzero(~place.all(1)), np.flatnonzero(~place.all(0))
            assert (~place).sum() == (np.ptp(rows) + 1) * (np.ptp(columns) + 1) if len(rows) else place.all()
            assert abs(place.mean() - share) < 1e-6
            places[name] = place
        scale = 16 // fast
        np.testing.assert_array_equal(places["slow"], places["fast"].repeat(scale, 0).repeat(scale, 1))
    # The same distribution by NumPy: PySlowFast's rand_bbox cuts rectangles off at the border.
    random, expected = np.random.default_rng(0), []
    for _ in range(4000):
        half = int(fast * np.sqrt(1 - random.beta(1, 1))) // 2
        y, x = random.integers(0, fast, 2)
        sides = [min(c + half, fast) - max(c - half, 0) for c in (y, x)]
        expected.append(1 - sides[0] * sides[1] / fast**2)
    assert stats.ks_2samp(drawn, expected).pvalue > 1e-3


def test_cutmix_of_odd_sizes():
    inputs, labels = batch(fast=9)
    inputs["slow"] = np.pad(inputs["slow"], [(0, 0), (0, 0), (0, 1), (0, 1), (0, 0)])  # 17, and half of it rounded up
    for s in seeds(20):
        mixed, _ = mixing.cutmix(inputs, labels, 1.0, s)
        own = [(mixed[name].numpy() == x)[0, 0, ..., 0].mean() for name, x in inputs.items()]
        assert abs(own[0] - own[1]) < 0.12  # a row and a column of 17


def test_mix_draws_mixup_or_cutmix():
    inputs, labels = batch()
    x = inputs["slow"]

    def kinds(mixup_alpha, cutmix_alpha):
        found = []
        mix = tf.function(mixing.mix)
        for s in seeds(100):
            mixed = mix(inputs, labels, mixup_alpha, cutmix_alpha, s)[0]["slow"].numpy()
            found.append(bool(np.all((mixed == x) | (mixed == x[::-1]))))
        return sum(found)

    assert kinds(0.8, 0.0) == 0 and kinds(0.0, 1.0) == 100 and 30 < kinds(0.8, 1.0) < 70


def test_tiny_alphas_give_finite_numbers():
    inputs, labels = batch()
    for s in seeds(50):
        assert np.isfinite(mixing.mixup(inputs, labels, 1e-3, s)[1]).all()


def test_in_a_dataset():
    """As in a pipeline: in a graph, with unknown frame sizes and seeds from tensors. Shapes do not change."""

    def clip(i):
        seed = tf.stack([tf.constant(3, tf.int64), i])
        frames = tf.random.stateless_uniform([4, 24, 24 + tf.cast(i, tf.int32), 3], seed, 0, 256)
        frames = augment.rand_augment(augment.color_jitter(frames, 0.4, seed), 2, 9.0, seed + 1)[:, :, :24]
        frames = augment.random_erasing(frames / 128 - 1, 0.5, seed + 2)
        return {"slow": frames[::2], "fast": frames}, tf.one_hot(i % 3, 3)

    def dataset():
        data = tf.data.Dataset.range(16).map(clip, num_parallel_calls=2).batch(4, drop_remainder=True)
        return data.enumerate().map(lambda i, b: mixing.mix(*b, 0.8, 1.0, tf.stack([i, i])))

    first, again = list(dataset()), list(dataset())
    assert dataset().element_spec[0]["slow"].shape.as_list()[0::4] == [4, 3]
    for (inputs, labels), (inputs_again, labels_again) in zip(first, again):
        assert inputs["slow"].shape == (4, 2, 24, 24, 3) and labels.shape == (4, 3)
        np.testing.assert_allclose(tf.reduce_sum(labels, 1), 1, atol=1e-6)
        np.testing.assert_array_equal(inputs["fast"], inputs_again["fast"])
        np.testing.assert_array_equal(labels, labels_again)
