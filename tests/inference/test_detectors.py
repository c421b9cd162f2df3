"""Detectors of all forms find the same people."""

import sys
import types
import zipfile

import numpy as np
import onnx
import pytest
import tensorflow as tf
import tf2onnx
from helpers.detector import Detector, save_detector

from slowfast_tf.errors import InputError
from slowfast_tf.inference.detectors import PUBLISHED, check_detector, load_detector

IMAGE = np.full((90, 160, 3), 40, np.uint8)
IMAGE[30:60, 20:100] = 220
CORNERS = 20 / 160, 30 / 90, 100 / 160, 60 / 90


def bright(image):
    """Return the corners x1, y1, x2, y2, in pixels, of the bright area of an image `[H, W, 3]` of values up to 1."""
    places = tf.where(image[:, :, 0] > 0.7)
    low, high = tf.reduce_min(places, 0), tf.reduce_max(places, 0) + 1
    return tf.cast(tf.stack([low[1], low[0], high[1], high[0]]), tf.float32)


def to_onnx(function, shape, dtype, path, **metadata):
    spec = [tf.TensorSpec(shape, dtype, "image")]
    model, _ = tf2onnx.convert.from_function(tf.function(function), spec, opset=17)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def torchvision(image):
    """Of an image `[3, H, W]`, a person and a dog."""
    corners = bright(tf.transpose(image, [1, 2, 0]))
    return {
        "boxes": tf.stack([corners, corners]),
        "labels": tf.constant([1, 18], tf.int64),
        "scores": tf.constant([0.95, 0.9]),
    }


def yolo(image):
    """Of an image `[1, 3, 64, 64]` a person twice, and a dog: center, size, and a score for each class."""
    corners = bright(tf.transpose(image[0], [1, 2, 0]))
    box = tf.concat([(corners[:2] + corners[2:]) / 2, corners[2:] - corners[:2]], 0)
    scores = tf.constant([[0.95, 0.9, 0.02], [0.0, 0.0, 0.9]])  # classes by boxes
    return {"output0": tf.concat([tf.stack([box, box + 0.5, box], 1), scores], 0)[None]}


def yolo_without_duplicates(image):
    corners = bright(tf.transpose(image[0], [1, 2, 0]))
    rows = [tf.concat([corners, row], 0) for row in ([0.95, 7.0], [0.9, 3.0])]
    return {"output0": tf.stack(rows)[None]}


def test_onnx(tmp_path):
    detector = Detector()
    files = [
        to_onnx(detector.__call__, [1, None, None, 3], tf.uint8, tmp_path / "tensorflow.onnx"),
        to_onnx(torchvision, [3, None, None], tf.float32, tmp_path / "torchvision.onnx"),
        to_onnx(yolo, [1, 3, 64, 64], tf.float32, tmp_path / "yolo.onnx"),
        to_onnx(
            yolo_without_duplicates, [1, 3, 64, 64], tf.float32, tmp_path / "v10.onnx", names="{3: 'dog', 7: 'person'}"
        ),
    ]
    for path in files:
        exact = "yolo" not in path.name and "v10" not in path.name
        (corners, scores), other = load_detector(path).find(np.stack([IMAGE, IMAGE[:, ::-1]]))
        assert scores[0] == np.float32(0.95), path
        # A form for 64 x 64 sees the image at 0.4 of its size.
        np.testing.assert_allclose(corners[0], CORNERS, atol=1e-6 if exact else 1.5 / 36, err_msg=str(path))
        np.testing.assert_allclose(other.corners[0][0], 60 / 160, atol=1e-6 if exact else 1.5 / 64)
        assert len(scores) == 1 + (path.name == "tensorflow.onnx")  # which has one of 0.45 as well


@pytest.mark.parametrize("order", [("boxes", "classes", "scores", "count"), ("scores", "boxes", "count", "classes")])
@pytest.mark.parametrize("dtype", [tf.uint8, tf.float32])
def test_tflite(order, dtype, tmp_path):
    def model(image):
        pixels = tf.cast(image[0], tf.float32)
        x1, y1, x2, y2 = tf.unstack(bright(pixels / 255 if dtype == tf.uint8 else (pixels + 1) / 2) / [64, 48, 64, 48])
        found = {
            "boxes": tf.stack([y1, x1, y2, x2]) * tf.constant([[[1.0], [1.0], [0.5]]]),
            "classes": tf.constant([[0.0, 16.0, 0.0]]),
            "scores": tf.constant([[0.95, 0.9, 0.8]]),
            "count": tf.constant([2.0]),  # the third is none
        }
        return [found[name] for name in order]

    function = tf.function(model, input_signature=[tf.TensorSpec([1, 48, 64, 3], dtype)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    path = tmp_path / "detector.tflite"
    path.write_bytes(converter.convert())
    ((corners, scores),) = load_detector(path).find(IMAGE[None])
    assert scores == [np.float32(0.95)]
    np.testing.assert_allclose(corners[0], CORNERS, atol=1 / 48)

    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labelmap.txt", "???\nbicycle\ncar\n")
    with pytest.raises(InputError, match="has no class 'person'; its labels begin with"):
        load_detector(path)


def test_a_saved_model_of_one_size(tmp_path):
    class Fixed(tf.Module):
        def __init__(self):
            self.one = Detector()

        @tf.function(input_signature=[tf.TensorSpec([None, 48, 64, 3], tf.uint8)])
        def __call__(self, images):
            found = [self.one(images[i][None]) for i in range(2)]
            return {name: tf.concat([one[name] for one in found], 0) for name in found[0]}

    tf.saved_model.save(Fixed(), str(tmp_path / "fixed"))
    found = load_detector(tmp_path / "fixed", person_score=0.3).find(np.stack([IMAGE, IMAGE[::-1]]))
    for (corners, scores), expected in zip(found, (CORNERS, CORNERS)):  # the square is in the middle
        np.testing.assert_allclose(scores, [0.95, 0.45])
        np.testing.assert_allclose(corners[0], expected, atol=1 / 48)


def test_faults(tmp_path):
    """Each fault gives one line with the name of the file."""

    def save(name, function, spec):
        module = tf.Module()
        module.call = tf.function(function, input_signature=[spec])
        tf.saved_model.save(module, str(tmp_path / name), signatures=module.call)
        return tmp_path / name

    image = tf.TensorSpec([1, None, None, 3], tf.uint8)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "text.tflite").write_text("no model")
    for path, message in (
        (tmp_path / "empty", "is not a SavedModel of a detector"),
        (tmp_path / "text.onnx", "is not an ONNX file"),
        (tmp_path / "text.tflite", "is not a TFLite file of a detector"),
        (save("other", lambda x: {"scores": x}, image), "does not give detection_boxes, detection_classes"),
        (save("floats", lambda x: {"x": x}, tf.TensorSpec([1, 8, 8, 3])), "its input is float32"),
        (
            to_onnx(yolo, [1, 3, 64, 64], tf.float32, tmp_path / "faces.onnx", names="{0: 'face', 1: 'dog'}"),
            "has no class 'person'; its names begin with",
        ),
        (
            to_onnx(lambda x: {"y": x}, [1, 3, 64, 64], tf.float32, tmp_path / "copy.onnx"),
            "returns y; expected TensorFlow's, torchvision's or YOLO's",
        ),
    ):
        with pytest.raises(InputError, match=message) as error:
            load_detector(path)
        assert path.name in str(error.value) and "\n" not in str(error.value)

    def broken(image):
        return {**Detector()(image), "detection_boxes": tf.fill([1, 3, 4], np.nan)}

    with pytest.raises(InputError, match="broken gives boxes or scores that are not finite"):
        load_detector(save("broken", broken, image)).find(IMAGE[None])


def test_a_published_detector(tmp_path, monkeypatch):
    """It is downloaded by kagglehub, which is not asked about files that exist."""
    save_detector(tmp_path / "model")
    asked = []

    def model_download(handle):
        asked.append(handle)
        if handle.endswith("d7/1"):
            raise OSError("Max retries exceeded with url: /v1 (Caused by ...)") from OSError("no connection\nmore")
        return str(tmp_path / "model")

    module = types.ModuleType("kagglehub")
    module.model_download = model_download
    module.__spec__ = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    detector = load_detector("efficientdet_d0")
    assert asked == ["tensorflow/efficientdet/tensorFlow2/d0/1"] and detector.person_score == 0.5
    assert detector.find(IMAGE[None])[0].scores[0] == np.float32(0.95) and detector.seconds > 0
    message = r"cannot download the detector efficientdet_d7 \(no connection\); .* https://www.kaggle.com/models/"
    with pytest.raises(InputError, match=message):
        load_detector("efficientdet_d7")
    with pytest.raises(InputError, match="did you mean 'efficientdet_d"):
        check_detector("efficientdet_d9")
    assert len(PUBLISHED) == 8
