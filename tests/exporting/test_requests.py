"""A request whose scores would be meaningless gives an error that names the rule; the next request is answered."""

import numpy as np
import pytest
import tensorflow as tf
from helpers.detection import BOXES, clip_inputs

from slowfast_tf import SlowFast
from slowfast_tf.exporting import folded, saved_model
from slowfast_tf.exporting.signatures import signatures as make_signatures

RELATIVE = r"boxes are \(x1, y1, x2, y2\) relative to the frame, from 0 to 1, with x1 < x2 and y1 < y2, or zeros"
PIXELS = r"boxes are \(x1, y1, x2, y2\) in pixels of the frame, with x1 < x2 and y1 < y2, or zeros"
GOOD = [0.1, 0.2, 0.5, 0.9]
WRONG = {
    "NaN": [0.1, np.nan, 0.5, 0.9],
    "all NaN": [np.nan] * 4,
    "infinite": [0.1, 0.2, np.inf, 0.9],
    "x swapped": [0.5, 0.2, 0.1, 0.9],
    "y swapped": [0.1, 0.9, 0.5, 0.2],
    "negative": [-0.1, 0.2, 0.5, 0.9],
    "outside": [0.1, 0.2, 0.5, 1.1],
    "in pixels": [10, 20, 50, 90],
    "without area": [0.1, 0.2, 0.1, 0.9],
}


@pytest.fixture(scope="module")
def detect(detection_model, tmp_path_factory):
    """The signatures of a detection network's SavedModel, loaded."""
    path = tmp_path_factory.mktemp("detect") / "1"
    saved_model.export(detection_model, path)
    return tf.saved_model.load(str(path)).signatures


@pytest.mark.legacy
@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("signature", ["serving_default", "rated"])
def test_boxes_of_a_video(detect, signature, name):
    request = {"video": tf.zeros([1, 20, 48, 64, 3], tf.uint8)}
    if signature == "rated":
        request["rate"] = tf.constant([25.0])
    with pytest.raises(tf.errors.InvalidArgumentError, match=RELATIVE) as error:
        detect[signature](**request, boxes=tf.constant([[GOOD, [0] * 4, WRONG[name]]], tf.float32))
    if name == "in pixels":
        assert "[[10 20 50 90]]" in str(error.value)  # only the wrong box
    assert np.isfinite(detect[signature](**request, boxes=tf.constant([[GOOD, [0] * 4]], tf.float32))["scores"]).all()


@pytest.mark.legacy
@pytest.mark.parametrize("name", [name for name in WRONG if name != "in pixels"])
def test_boxes_of_a_clip(detect, detection_model, name):
    boxes = np.array([[GOOD, [0] * 4, WRONG[name]]], np.float32)
    inputs = {key: tf.constant(x) for key, x in clip_inputs(detection_model.spec, 40, 72, boxes).items()}
    with pytest.raises(tf.errors.InvalidArgumentError, match=PIXELS):
        detect["clips"](**inputs)


def test_boxes_at_the_edge(detect, detection_model):
    """Corners may lie on the edge, or beyond it by rounding, and a request may have no box."""
    edge = np.array([[[0, 0, 1, 1], [-1e-5, -1e-5, 1 + 1e-5, 1 + 1e-5]]], np.float32)
    for boxes in (edge, np.zeros((1, 0, 4), np.float32), BOXES):
        inputs = {key: tf.constant(x) for key, x in clip_inputs(detection_model.spec, 40, 72, boxes).items()}
        scores = (
            detect["clips"](**inputs)["scores"],
            detect["serving_default"](video=tf.zeros([1, 20, 40, 72, 3], tf.uint8), boxes=tf.constant(boxes))["scores"],
        )
        assert all(x.shape[1] == boxes.shape[1] and np.isfinite(x).all() for x in scores)


def test_boxes_of_a_fast_pathway_at_half_the_size():
    """Boxes are in pixels of the whole frame, which is twice as large as the only input."""
    changes = {"depth": 10, "width": 16, "frames": 2, "stride": 8, "alpha": 2, "crop_size": 48, "num_classes": 3}
    model = SlowFast("slowfast_8x8_r50_ava", pathways=("fast",), fast_input="half", labels=(), **changes)
    score = make_signatures(model)["clips"]
    fast = tf.zeros([1, 4, 24, 24, 3])
    assert score({"fast": fast, "boxes": tf.constant([[[0.0, 0, 48, 48]]])})["scores"].shape == (1, 1, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=PIXELS):
        score({"fast": fast, "boxes": tf.constant([[[0.0, 0, 50, 48]]])})


@pytest.mark.legacy
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("pathway", ["slow", "fast"])
def test_clips_that_are_not_finite(signatures, model, pathway, value):
    inputs = folded.random_inputs(model.spec, 2, 32)
    expected = tf.nn.softmax(model(inputs)).numpy()
    wrong = {**inputs, pathway: inputs[pathway].copy()}
    wrong[pathway][1, -1, 31, 31, 2] = value
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=f"every number is finite; got NaN or infinity in.*{pathway}"
    ):
        signatures["clips"](**{name: tf.constant(x) for name, x in wrong.items()})
    found = signatures["clips"](**{name: tf.constant(x) for name, x in inputs.items()})["scores"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
