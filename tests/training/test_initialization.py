"""Training starts from the weights of another network."""

import numpy as np
import pytest
from helpers.training import compare, values

from slowfast_tf import SlowFast, load
from slowfast_tf.checkpoints import loading
from slowfast_tf.data import Clips
from slowfast_tf.errors import InputError
from slowfast_tf.training.run import build, initialize


def test_training_starts_from_a_classification_network(tmp_path):
    """As AVA's recipes from Kinetics: all but the classifier, whose classes differ."""
    slow = {"preset": "slowfast_2x16_demo", "pathways": ["slow"], "depth": 10, "width": 8}
    source = SlowFast(**slow, num_classes=4)
    source.save(tmp_path / "source.keras")
    model = SlowFast(**slow, head="roi", num_classes=80, activation="sigmoid")
    before = model.get_layer("head").get_weights()
    initialize(model, tmp_path / "source.keras")
    for name in ("slow_stem", "slow_res2", "slow_res5"):
        for found, expected in zip(model.get_layer(name).get_weights(), source.get_layer(name).get_weights()):
            np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(model.get_layer("head").get_weights()[0], before[0])


@pytest.mark.legacy
def test_weights_of_a_frozen_network_come_from_a_file(configure, saved):
    settings = configure(f"train.init={saved}", 'train.freeze=["slow_*", "norm"]')
    model, source = build(settings, Clips(settings, "train")), load(saved)
    ours, theirs = loading.variables(model), loading.variables(source)
    assert list(ours) == list(theirs)
    compare(values(ours.values()), values(theirs.values()))


@pytest.mark.legacy
def test_other_colours_are_refused(configure, saved):
    settings = configure(f"train.init={saved}", "model.channel_order=bgr")
    with pytest.raises(InputError, match='trained with channel_order "rgb", the configuration has "bgr"'):
        build(settings, Clips(settings, "train"))
