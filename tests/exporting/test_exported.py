"""Exported files are tested like their network."""

import sys

import numpy as np
import pytest

from slowfast_tf import SlowFast
from slowfast_tf.data import Clips
from slowfast_tf.errors import InputError
from slowfast_tf.evaluation.run import evaluate
from slowfast_tf.exporting import saved_model
from slowfast_tf.exporting.exported import Exported
from slowfast_tf.files import formats


@pytest.fixture(scope="module")
def tested(model, configure):
    clips = Clips(configure(), "val")
    return clips, evaluate(model, clips)[1]


@pytest.mark.parametrize(
    "file, tolerance",
    [("none.tflite", 1e-4), ("float16.tflite", 2e-3), ("tiny.onnx", 1e-4), ("saved_model", 1e-4)],
)
def test_scores_are_those_of_the_network(file, tolerance, model, tested, files, tmp_path):
    path = files / file
    if file == "saved_model":
        path = tmp_path / "1"
        saved_model.export(model, path)
    clips, expected = tested
    metrics, scores = evaluate(Exported(path, model.spec), clips)
    assert scores.ids == expected.ids and metrics["videos"] == 4
    np.testing.assert_allclose(scores.scores, expected.scores, atol=tolerance)
    if file == "saved_model":
        about = path / formats.ABOUT
        about.write_text(about.read_text().replace("1", "2"))
        with pytest.raises(InputError, match=f"{path} was written by a newer slowfast_tf, in format 2"):
            Exported(path, model.spec)
    assert scores.about.weights != expected.about.weights  # a partial test of the one is not resumed with the other


def test_inputs_and_logits_in_int8(model, tested, files):
    """The same quantized network: only who quantizes its inputs differs."""
    outside, inside = (
        evaluate(Exported(files / f"{name}.tflite", model.spec), tested[0])[1] for name in ("int8_io", "int8")
    )
    np.testing.assert_allclose(outside.scores, inside.scores, atol=1e-3)


def test_mistakes(model, files, tmp_path, monkeypatch):
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    for path in (tmp_path / "broken.onnx", tmp_path / "none.tflite", tmp_path):
        with pytest.raises(InputError, match="is not an exported file of this network: .") as error:
            Exported(path, model.spec)
        assert "\n" not in str(error.value)
    other = SlowFast("slowfast_2x16_demo", depth=10, width=8, crop_size=32, num_classes=3).spec
    with pytest.raises(InputError, match="has 4 classes, and its network 3"):
        Exported(files / "none.tflite", other)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"needs onnxruntime: pip install 'slowfast_tf\[export\]'"):
        Exported(files / "tiny.onnx", model.spec)
