"""Detection networks as ONNX files."""

import json

import numpy as np
import pytest
from helpers.detection import BOXES, clip_inputs

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
