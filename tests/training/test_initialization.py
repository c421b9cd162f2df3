"""Training starts from the weights of another network."""

import numpy as np

from slowfast_tf.models.slowfast import SlowFast
from slowfast_tf.training.run import initialize


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
