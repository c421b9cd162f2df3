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
    """As in AVA's recipes, which start from Kinetics: all weights except the classifier, whose classes differ."""
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


def test_fields_that_change_no_shape_are_compared(tmp_path):
    """The kind of the non-local blocks, and the input of the Fast pathway."""
    tiny = {"preset": "slowfast_2x16_demo", "depth": 10, "width": 8, "num_classes": 4, "fast_input": "gray"}
    tiny.update(nonlocal_kind="dot_product", nonlocal_blocks=((), (0,), (), ()), nonlocal_pool=(2, 2, 2))
    SlowFast(**tiny).save(tmp_path / "source.keras")
    for field, here, there in (
        ("nonlocal_pool", (1, 2, 2), r"\[2, 2, 2\]"),
        ("nonlocal_kind", "softmax", '"dot_product"'),
        ("nonlocal_pool_last", True, "false"),
        ("fast_input", "difference", '"gray"'),
    ):
        with pytest.raises(InputError, match=f"was trained with {field} {there}, .*; set model.{field} to {there} as"):
            initialize(SlowFast(**{**tiny, field: here}), tmp_path / "source.keras")
    with pytest.raises(InputError, match="another network than the configuration's, at slow_res3"):
        initialize(SlowFast(**{**tiny, "nonlocal_kind": "none"}), tmp_path / "source.keras")
    initialize(SlowFast(**{**tiny, "nonlocal_pool": [2, 2, 2]}), tmp_path / "source.keras")


@pytest.mark.legacy
def test_weights_of_a_frozen_network_come_from_a_file(configure, saved):
    settings = configure(f"train.init={saved}", 'train.freeze=["slow_*", "norm"]')
    model, source = build(settings, Clips(settings, "train")), load(saved)
    ours, theirs = loading.variables(model), loading.variables(source)
    assert list(ours) == list(theirs)
    compare(values(ours.values()), values(theirs.values()))


@pytest.mark.legacy
def test_another_channel_order_is_refused(configure, saved):
    settings = configure(f"train.init={saved}", "model.channel_order=bgr")
    with pytest.raises(InputError, match='trained with channel_order "rgb", the configuration has "bgr"'):
        build(settings, Clips(settings, "train"))
