"""Calibration clips from records, and the networks that cannot have them."""

import pathlib
import weakref

import numpy as np
import pytest
import tensorflow as tf
from helpers.exports import jpegs

from slowfast_tf.errors import InputError
from slowfast_tf.exporting import calibration, folded, onnx, onnx_graph, onnx_int8, tflite
from slowfast_tf.models.presets import get_spec
from slowfast_tf.video.decode import read_frames


@pytest.mark.legacy
def test_records_are_calibration_clips(model, videos, clips, tmp_path):
    """The frames of a video as MediaSequence stores them."""

    frames = read_frames(videos[0], range(40))
    feature = tf.train.Feature
    encoded = [feature(bytes_list=tf.train.BytesList(value=[f])) for f in jpegs(frames[None])[0]]
    record = tf.train.SequenceExample(
        feature_lists=tf.train.FeatureLists(feature_list={"image/encoded": tf.train.FeatureList(feature=encoded)})
    )
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(record.SerializeToString())
    (found,) = calibration.read_calibration_clips([tmp_path / "a.tfrecord"], model.spec)
    # JPEG loses a little.
    np.testing.assert_allclose(found["fast"], clips[0]["fast"], atol=0.2)
    assert found["fast"].shape == clips[0]["fast"].shape and found["slow"].shape == clips[0]["slow"].shape


def test_tflite_holds_few_clips(network, clips):
    """All clips calibrate, and are freed on the way; a list of the same clips gives the same file."""
    alive, most = [], 0

    def one_by_one():
        nonlocal most
        for clip in clips * 3:
            copies = {name: values.copy() for name, values in clip.items()}
            alive.append(weakref.ref(copies["fast"]))
            yield copies
            del copies
            most = max(most, sum(reference() is not None for reference in alive))

    assert tflite.convert(network, "int8", one_by_one()) == tflite.convert(network, "int8", clips * 3)
    assert len(alive) == 3 * len(clips) and most <= 2


def test_boxes_are_refused_with_int8(detection_model, tmp_path):
    for form in (tflite, onnx):
        with pytest.raises(InputError, match="corners of boxes"):
            form.export(detection_model, tmp_path / "model", "int8", [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pathway", ["slow", "fast"])
def test_optical_flow_is_refused_with_int8(pathway):
    spec = get_spec("slowfast_2x16_demo", pathways=(pathway,), **{f"{pathway}_input": "flow"})
    calibration.check_quantize("float16", ("float16", "int8"), spec, None)
    with pytest.raises(InputError, match="calibrated on RGB video, and this network takes optical flow; export"):
        calibration.check_quantize("int8", ("float16", "int8"), spec, [])


def test_unusable_quantizations_are_refused(model, tmp_path):
    for form, known in ((tflite, "none, float16, dynamic, int8"), (onnx, "none, int8")):
        with pytest.raises(InputError, match=f"quantize must be one of {known}; got 'INT8'"):
            form.export(model, tmp_path / "model", "INT8")
        with pytest.raises(InputError, match="int8 needs clips for its calibration"):
            form.export(model, tmp_path / "model", "int8")
    assert not list(tmp_path.iterdir())


def test_int8_without_a_clip_is_refused(model, tmp_path):
    for form in (tflite, onnx):
        for clips in ([], (clip for clip in ())):
            with pytest.raises(InputError, match="int8 got no clip .* a generator can be read only once"):
                form.export(model, tmp_path / "model", "int8", clips)
    assert not list(tmp_path.iterdir())


def test_options_of_int8_are_refused_without_it(model, tmp_path):
    for options in ({"int8_io": True}, {"report": tmp_path / "layers.csv"}):
        with pytest.raises(InputError, match="int8_io and report are for quantize 'int8'; got 'float16'"):
            tflite.export(model, tmp_path / "model.tflite", "float16", **options)
    assert not list(tmp_path.iterdir())


def test_a_report_that_cannot_be_written_keeps_the_file(model, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(tflite, "layer_errors", lambda network, clips: [{"layer": "a", "error": 0.3}])
    (tmp_path / "text").write_text("no directory")
    with pytest.raises(InputError, match="cannot write .*layers.csv"):
        tflite.export(model, tmp_path / "m.tflite", "int8", clips, report=tmp_path / "text" / "layers.csv")
    tflite.export(model, tmp_path / "n.tflite", "int8", iter(clips), report=tmp_path / "layers.csv")
    assert (tmp_path / "layers.csv").read_text() == "layer,error\na,0.3\n"
    assert (tmp_path / "m.tflite").read_bytes() == (tmp_path / "n.tflite").read_bytes()


def test_int8_is_that_of_onnx_runtimes_own_calibration(model, clips, tmp_path):
    format, quantization = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime.quantization")
    source = onnx_graph.convert(folded.Network(model, lowering="conv2d", size=32))
    format.save(source, tmp_path / "float32.onnx")

    class Reader(quantization.CalibrationDataReader):
        left = iter(clips)

        def get_next(self):
            return next(self.left, None)

    unsigned, signed = quantization.QuantType.QUInt8, quantization.QuantType.QInt8
    files = tmp_path / "float32.onnx", tmp_path / "int8.onnx"
    types = {"activation_type": unsigned, "weight_type": signed}
    quantization.quantize_static(*files, Reader(), per_channel=True, reduce_range=True, **types)
    expected, found = (
        {tensor.name: format.numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
        for quantized in (format.load(files[1]), onnx_int8.quantize(source, iter(clips)))
    )
    assert set(found) == set(expected) and sum(name.endswith("_scale") for name in found) > 50
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_int8_holds_one_clip_and_few_activations():
    """50 activations of 8 MB, for each of 4 clips of 8 MB."""
    format, resets = pytest.importorskip("onnx"), pathlib.Path("/proc/self/clear_refs")
    if not resets.exists():
        pytest.skip("peak memory is read from /proc")
    make, kind = format.helper, format.TensorProto.FLOAT
    nodes = [make.make_node("Add", [f"x{i}", "one"], [f"x{i + 1}"]) for i in range(50)]
    ends = [make.make_tensor_value_info(name, kind, [1, 2**21]) for name in ("x0", "x50")]
    one = format.numpy_helper.from_array(np.ones(1, np.float32), "one")
    graph = make.make_graph(nodes, "sums", ends[:1], ends[1:], [one])
    sums = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)

    def memory(field):
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
        return int(dict(line.split(":", 1) for line in lines)[field].split()[0]) / 1024  # kB to MB

    resets.write_text("5")  # the peak becomes the present
    before = memory("VmRSS")
    onnx_int8.quantize(sums, ({"x0": np.full((1, 2**21), i, np.float32)} for i in range(4)))
    assert memory("VmHWM") - before < 200
