"""Detection networks as TFLite files."""

import numpy as np
import pytest
from helpers.detection import clip_inputs

from slowfast_tf.exporting import tflite


@pytest.mark.parametrize("quantize, tolerance", [("none", 1e-3), ("float16", 1e-2), ("dynamic", 0.1)])
def test_tflite(quantize, tolerance, detection_model, tmp_path):
    """Tolerances are shares of the largest logit."""
    tflite.export(detection_model, tmp_path / "model.tflite", quantize)
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    runner = interpreter.Interpreter(model_path=str(tmp_path / "model.tflite")).get_signature_runner()
    inputs = clip_inputs(detection_model.spec, 48, 48)
    expected = detection_model(inputs).numpy()
    assert np.abs(runner(**inputs)["logits"] - expected).max() < tolerance * np.abs(expected).max()
