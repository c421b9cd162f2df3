"""Detection networks as ONNX files."""

import json

import numpy as np
import pytest
from helpers.detection import BOXES, clip_inputs
from helpers.networks import randomize

from slowfast_tf import SlowFast
from slowfast_tf.exporting import onnx


def test_onnx(detection_model, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx.export(detection_model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    for height, width in ((48, 48), (48, 85)):  # any size, any number of boxes
        inputs = clip_inputs(detection_model.spec, height, width, BOXES[:, : 3 if width == 48 else 1])
        np.testing.assert_allclose(session.run(["logits"], inputs)[0], detection_model(inputs), atol=1e-3)
    about = json.loads(session.get_modelmeta().custom_metadata_map["slowfast"])
    assert about["inputs"] == ["slow", "boxes"]


def test_the_context_of_frames_of_any_size(tmp_path):
    """Bins of the context overlap if height and width of the features are not multiples of the number of bins."""
    onnxruntime = pytest.importorskip("onnxruntime")
    tiny = {"pathways": ("slow",), "depth": 10, "width": 8, "crop_size": 32, "num_classes": 4}
    boxes = {"head": "roi", "activation": "sigmoid", "roi_bins": 8, "roi_dilation": 1, "roi_context": True}
    model = SlowFast("slowfast_2x16_demo", **tiny, **boxes)
    randomize(model)
    onnx.export(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    for height, width in ((32, 32), (144, 200)):
        inputs = clip_inputs(model.spec, height, width, BOXES)
        np.testing.assert_allclose(session.run(["logits"], inputs)[0], model(inputs), atol=1e-3)
