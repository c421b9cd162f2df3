"""Exported files in their own runtimes: the scores of the network that they were made of, and what is refused."""

import hashlib
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import write
from helpers.pictures import CLASSES, picture

from slowfast_tf import SlowFast, export
from slowfast_tf.data import transforms
from slowfast_tf.errors import InputError, RunError
from slowfast_tf.exporting import calibration, freeze, onnx, saved_model, tflite

ROOT = pathlib.Path(__file__).parents[1]
RUNNERS = {"tflite": ROOT / "export/tflite/run.py", "onnx": ROOT / "export/onnx/run.py"}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    sizes = [(40, 40, 48, 0), (50, 36, 64, 3), (9, 51, 35, 7)]
    return [
        write(root / f"v{n}.mp4", [picture(n, t, h, w) for t in range(count)], pix_fmt="yuv444p", qp=1, g=10, bf=2)
        for count, h, w, n in sizes
    ]


@pytest.fixture(scope="module")
def clips(model, videos):
    return calibration.read(videos, model.spec)


def scores_of(model, clips):
    return np.concatenate([tf.nn.softmax(model(clip, training=False)).numpy() for clip in clips])


def alike(found, expected, tolerance):
    """Whether logits are equal, but for a share of the largest."""
    return np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def run_command(*arguments, **options):
    command = [sys.executable, "-m", "slowfast_tf.export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=280, **options)


def refused(*arguments):
    """The one line of a user's mistake."""
    with pytest.raises(InputError) as error:
        export.main([str(a) for a in arguments])
    assert "\n" not in str(error.value)
    return str(error.value)


# The fold


def test_a_fold_that_cannot_be_compared_is_refused():
    model = SlowFast("slowfast_2x16_demo", depth=10, width=8, crop_size=32, num_classes=4)
    freeze.checked_fold(model)
    kernel, bias = model.get_layer("head").get_weights()
    model.get_layer("head").set_weights([kernel, np.full_like(bias, np.nan)])
    with pytest.raises(RunError, match="folding BatchNorm"):
        freeze.checked_fold(model)


def test_convolution_bias_residual_sum_and_relu_run_as_one(model):
    """TensorFlow's own optimiser leaves nothing to do between the convolutions, or CPUs would be idle there."""
    function = freeze.Network(model, batch=1, size=32).function
    inputs = freeze.random_inputs(model.spec, 1, 32)
    with tf.Graph().as_default():
        tf.import_graph_def(function.graph.as_graph_def(), name="")
        with tf.compat.v1.Session() as session:
            about = tf.compat.v1.RunMetadata()
            session.run(
                function.outputs[0].name,
                {tensor.name: inputs[name] for tensor, name in zip(function.inputs, model.spec.inputs)},
                options=tf.compat.v1.RunOptions(output_partition_graphs=True),
                run_metadata=about,
            )
    ops = [node.op for graph in about.partition_graphs for node in graph.node]
    if not any(op.startswith("_Mkl") for op in ops):
        pytest.skip("this TensorFlow has no oneDNN, which has the fused convolutions")
    assert sum("FusedConv3D" in op for op in ops) > 30
    assert not {"Relu", "AddV2", "BiasAdd", "_MklNativeConv3D"} & set(ops)


# SavedModel


def jpegs(frames):
    return np.array([[tf.io.encode_jpeg(frame, quality=100).numpy() for frame in video] for video in frames])


def decoded(frames):
    return np.stack([[transforms.decode(frame).numpy() for frame in video] for video in frames])


def test_jpeg_frames_score_as_the_video_that_they_hold(signatures):
    frames = np.stack([[picture(n, t) for t in range(40)] for n in (1, 6)])
    encoded = jpegs(frames)
    found = signatures["jpeg"](frames=tf.constant(encoded))
    expected = signatures["serving_default"](video=tf.constant(decoded(encoded)))
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)
    np.testing.assert_array_equal(found["labels"], expected["labels"])


@pytest.mark.parametrize("activation, fuse", [("softmax", np.mean), ("sigmoid", np.max)])
def test_views_are_fused(model, tmp_path, activation, fuse):
    """3x3 views by a SavedModel, and by the network on clips and crops cut by hand."""
    other = SlowFast(model.spec, activation=activation)
    other.set_weights(model.get_weights())
    saved_model.export(other, tmp_path / "views", views=(3, 3))
    video = np.stack([picture(4, t % 50, 32, 56) for t in range(62)])
    found = tf.saved_model.load(str(tmp_path / "views")).signatures["serving_default"](video=tf.constant(video[None]))
    scores = []
    for start in (0, 10, 20):  # of 30 frames of room
        for left in (0, 12, 24):
            clip = ((video[start : start + 32 : 2, :, left : left + 32] / 255 - 0.45) / 0.225).astype(np.float32)[None]
            logits = other({"slow": clip[:, ::8], "fast": clip})
            scores.append((tf.nn.softmax if activation == "softmax" else tf.nn.sigmoid)(logits).numpy()[0])
    np.testing.assert_allclose(found["scores"][0], fuse(scores, 0), atol=1e-4)


def test_bfloat16_gives_float32_scores_that_are_near(model, signatures, tmp_path):
    saved_model.export(model, tmp_path / "half", precision="bfloat16")
    half = tf.saved_model.load(str(tmp_path / "half")).signatures["serving_default"]
    video = tf.constant(np.stack([[picture(n, t) for t in range(40)] for n in range(4)]))
    found, expected = (f(video=video)["scores"] for f in (half, signatures["serving_default"]))
    assert found.dtype == tf.float32
    # 8 bits of mantissa: a 256th at each rounding, and more where a CPU without bfloat16 adds up in it.
    np.testing.assert_allclose(found, expected, atol=0.15)
    assert np.abs(found.numpy() - expected.numpy()).max() > 0
    graphs = [(p / "saved_model.pb").stat().st_size for p in (tmp_path / "half",)]
    assert graphs[0] < 0.7 * sum(4 * np.prod(w.shape) for w in model.get_weights())


HOSTILE = {
    "no frame": {"video": np.zeros((1, 0, 8, 8, 3), np.uint8)},
    "no pixel": {"video": np.zeros((1, 4, 0, 8, 3), np.uint8)},
    "no video": {"video": np.zeros((0, 4, 8, 8, 3), np.uint8)},
    "a ribbon": {"video": np.zeros((1, 2, 1, 10_000, 3), np.uint8)},
    "wrong rank": {"video": np.zeros((4, 8, 8, 3), np.uint8)},
    "four channels": {"video": np.zeros((1, 4, 8, 8, 4), np.uint8)},
    "wrong type": {"video": np.zeros((1, 4, 8, 8, 3), np.float32)},
    "broken JPEG": {"frames": np.array([[b"\xff\xd8\xff\xe0 no picture"] * 4])},
    "empty JPEG": {"frames": np.array([[b""]], object)},
    "no JPEG": {"frames": np.zeros((1, 0), object)},
    "half a JPEG": {"frames": np.array([[tf.io.encode_jpeg(picture(0, 0)).numpy()[:300]]])},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_requests_give_an_error_and_the_next_one_an_answer(signatures, name):
    request = HOSTILE[name]
    signature = signatures["jpeg" if "frames" in request else "serving_default"]
    key = next(iter(request))
    dtype = tf.string if key == "frames" else None
    with pytest.raises((tf.errors.OpError, TypeError, ValueError)):
        signature(**{key: tf.constant(request[key], dtype)})
    video = np.stack([picture(2, t) for t in range(40)])[None]
    assert np.isfinite(signatures["serving_default"](video=tf.constant(video))["scores"]).all()


def test_a_picture_that_claims_to_be_huge_is_not_decoded(signatures):
    claim = bytearray(tf.io.encode_jpeg(picture(0, 0)).numpy())
    at = claim.index(b"\xff\xc0") + 5  # start of frame: height and width
    claim[at : at + 4] = b"\xfd\xe8\xfd\xe8"
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 33177600 pixels"):
        signatures["jpeg"](frames=tf.constant([[bytes(claim)]]))


def test_a_million_frames_and_a_single_pixel_are_answered(signatures):
    """Any number of frames and any size are what the signature promises."""
    for shape in ((1, 1_000_000, 1, 1, 3), (1, 1, 1, 1, 3), (1, 3, 4, 64, 3)):
        scores = signatures["serving_default"](video=tf.zeros(shape, tf.uint8))["scores"]
        assert scores.shape == (1, 4) and np.isfinite(scores).all()


def test_warmup_requests_are_answered(served, signatures):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    requests = [
        logs.PredictionLog.FromString(record.numpy()).predict_log.request
        for record in tf.data.TFRecordDataset(str(served / "assets.extra" / "tf_serving_warmup_requests"))
    ]
    assert [r.model_spec.signature_name for r in requests] == ["serving_default", "jpeg"]
    for request in requests:
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        scores = signatures[request.model_spec.signature_name](**inputs)["scores"]
        assert scores.shape == (1, 4) and np.isfinite(scores).all()


C_LOADER = """
import ctypes, io, json, pathlib, sys
import numpy as np

library, path, feed, shape, *fetches = sys.argv[1:]
tf = ctypes.CDLL(library)
for name in ("TF_NewStatus", "TF_NewGraph", "TF_NewSessionOptions", "TF_LoadSessionFromSavedModel", "TF_AllocateTensor",
             "TF_TensorData", "TF_GraphOperationByName", "TF_Message"):
    getattr(tf, name).restype = ctypes.c_void_p
tf.TF_TensorByteSize.restype = ctypes.c_size_t
p = ctypes.c_void_p

class Output(ctypes.Structure):
    _fields_ = [("oper", p), ("index", ctypes.c_int)]

status = p(tf.TF_NewStatus())
def check():
    assert tf.TF_GetCode(status) == 0, ctypes.string_at(tf.TF_Message(status))

graph = p(tf.TF_NewGraph())
tags = (ctypes.c_char_p * 1)(b"serve")
options = p(tf.TF_NewSessionOptions())
session = p(tf.TF_LoadSessionFromSavedModel(options, None, path.encode(), tags, 1, graph, None, status))
check()

def output(name):
    operation, index = name.split(":")
    found = tf.TF_GraphOperationByName(graph, operation.encode())
    assert found, operation
    return Output(found, int(index))

shape = json.loads(shape)
video = np.load(io.BytesIO(sys.stdin.buffer.read()))
dims = (ctypes.c_int64 * 5)(*shape)
tensor = p(tf.TF_AllocateTensor(4, dims, 5, ctypes.c_size_t(video.nbytes)))
ctypes.memmove(p(tf.TF_TensorData(tensor)), video.tobytes(), video.nbytes)
outputs = (Output * len(fetches))(*map(output, fetches))
values = (p * len(fetches))()
feeds, tensors, count = (Output * 1)(output(feed)), (p * 1)(tensor), len(fetches)
tf.TF_SessionRun(session, None, feeds, tensors, 1, outputs, values, count, None, 0, None, status)
check()
found = []
for value in values:
    size = tf.TF_TensorByteSize(p(value))
    found.append(np.frombuffer(ctypes.string_at(tf.TF_TensorData(p(value)), size), np.float32).tolist())
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
print(json.dumps(found))
"""


def test_tensorflows_c_library_runs_it_without_python(served, signatures):
    """As TF Serving does: session and graph from the directory, by the library alone."""
    libraries = sorted(pathlib.Path(tf.sysconfig.get_lib()).glob("libtensorflow_cc.*"))
    if not libraries:
        pytest.skip("this TensorFlow has no libtensorflow_cc")
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((served / "saved_model.pb").read_bytes())
    signature = content.meta_graphs[0].signature_def["serving_default"]
    video = np.stack([[picture(n, t) for t in range(40)] for n in (1, 6)])
    file = io.BytesIO()
    np.save(file, video)
    names = [signature.inputs["video"].name, json.dumps(video.shape)]
    names += [signature.outputs[key].name for key in ("scores", "label_scores")]
    done = subprocess.run(
        [sys.executable, "-c", C_LOADER, str(libraries[0]), str(served), *names],
        input=file.getvalue(),
        capture_output=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:].decode()
    expected = signatures["serving_default"](video=tf.constant(video))
    for found, key in zip(json.loads(done.stdout), ("scores", "label_scores")):
        np.testing.assert_allclose(found, expected[key].numpy().ravel(), atol=1e-5)


def test_saved_model_cli_runs_it(served, signatures, tmp_path):
    video = np.stack([picture(3, t) for t in range(40)])[None]
    np.save(tmp_path / "video.npy", video)
    command = pathlib.Path(sys.executable).parent / "saved_model_cli"
    done = subprocess.run(
        [command, "run", "--dir", served, "--tag_set", "serve", "--signature_def", "serving_default"]
        + ["--inputs", f"video={tmp_path / 'video.npy'}", "--outdir", tmp_path],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    expected = signatures["serving_default"](video=tf.constant(video))
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected["scores"], atol=1e-5)
    assert np.load(tmp_path / "labels.npy", allow_pickle=True).tolist() == expected["labels"].numpy().tolist()


# TFLite and ONNX


QUANTIZE = {"none": "none", "float16": "float16", "dynamic": "dynamic", "int8": "int8", "int8_io": "int8"}


@pytest.fixture(scope="module")
def network(model):
    return freeze.Network(model, lowering="conv2d", batch=1, size=32)


@pytest.fixture(scope="module")
def files(model, network, clips, tmp_path_factory):
    """Every form of a file, as `tflite.export` writes it of one `Network`, and ONNX."""
    root = tmp_path_factory.mktemp("files")
    for name, quantize in QUANTIZE.items():
        (root / f"{name}.tflite").write_bytes(tflite.convert(network, quantize, clips, int8_io=name == "int8_io"))
    onnx.export(model, root / "tiny.onnx")
    onnx.export(model, root / "int8.onnx", "int8", clips)
    return root


def ran(kind, file, *videos, python=sys.executable):
    """What a runner prints of videos."""
    done = subprocess.run(
        [python, RUNNERS[kind], file, *videos, "--json", "--threads", "2"],
        capture_output=True,
        text=True,
        timeout=200,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize(
    "file, tolerance",
    [("none", 1e-4), ("float16", 2e-3), ("int8", 0.1), ("int8_io", 0.1), ("tiny.onnx", 1e-4), ("int8.onnx", 0.1)],
)
def test_a_runner_gives_the_networks_scores(model, clips, videos, files, file, tolerance):
    """What int8 loses is tested below, by its logits."""
    kind = "onnx" if file.endswith(".onnx") else "tflite"
    code, lines, errors = ran(kind, files / (file if kind == "onnx" else f"{file}.tflite"), *videos)
    assert code == 0, errors
    for line, scores in zip(lines, scores_of(model, clips), strict=True):
        found = {p["label"]: p["score"] for p in line["predictions"]}
        np.testing.assert_allclose([found[label] for label in CLASSES], scores, atol=tolerance)
        assert [p["score"] for p in line["predictions"]] == sorted(found.values(), reverse=True)


@pytest.fixture(scope="module")
def near(videos):
    """Clips `[18, 16, 32, 32, 3]` of what `videos` show, at other times than those that calibrate."""
    shown = [(n, time) for n in (0, 3, 7) for time in (0, 1, 2, 6, 7, 8)]
    clips = [[picture(n, time + 2 * t)[4:36, 8:40] for t in range(16)] for n, time in shown]
    return ((np.array(clips) / 255 - 0.45) / 0.225).astype(np.float32)


def tflite_logits(content, clips):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    run = litert.Interpreter(model_content=content, num_threads=2).get_signature_runner()
    return np.concatenate([run(slow=clip[:, ::8], fast=clip)["logits"] for clip in clips[:, None]])


def signal_to_noise(found, expected):
    """Of logits `[clips, classes]`, dB: how far clips lie apart, against the error."""
    return 10 * np.log10(np.mean((expected - expected.mean(0)) ** 2) / np.mean((found - expected) ** 2))


def test_quantized_logits(model, files, near):
    """Seen: 107, 49, 15 to 20, 10 to 12 dB, and 8 in ONNX, whose weights have 7 bits; -5 where int8 was calibrated on
    clips of a fifth of the contrast.
    """
    expected = tf.function(model)({"slow": near[:, ::8], "fast": near}).numpy()
    for name, decibels, agreement in (("none", 80, 1), ("float16", 40, 1), ("dynamic", 12, 0.75), ("int8", 8, 0.8)):
        found = tflite_logits((files / f"{name}.tflite").read_bytes(), near)
        assert signal_to_noise(found, expected) > decibels, name
        assert (found.argmax(1) == expected.argmax(1)).mean() >= agreement, name
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(files / "int8.onnx"))
    found = session.run(["logits"], {"slow": near[:, ::8], "fast": near})[0]  # the batch as a whole
    assert signal_to_noise(found, expected) > 5
    assert (found.argmax(1) == expected.argmax(1)).mean() >= 0.8


def test_onnx_convolutions_in_int8(files):
    """Each takes uint8 activations and int8 weights, with a scale for every output channel."""
    onnx = pytest.importorskip("onnx")
    loaded = onnx.load(files / "int8.onnx")
    onnx.checker.check_model(loaded, full_check=True)
    makers = {value: node for node in loaded.graph.node for value in node.output}
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in loaded.graph.initializer}
    convolutions = [node for node in loaded.graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 30
    for node in convolutions:
        x, kernel = (makers[value] for value in node.input[:2])
        assert x.op_type == kernel.op_type == "DequantizeLinear"
        weights, scales = (tensors[value] for value in kernel.input[:2])
        assert tensors[x.input[2]].dtype == np.uint8 and weights.dtype == np.int8 and weights.ndim == 4
        assert scales.shape == weights.shape[:1] and 63 <= np.abs(weights).max() <= 64


def test_layer_errors(network, files, clips):
    """Every layer of the int8 file is there and loses about what rounding makes of it, 0.29 of a step; but the report
    finds the classifier, whose weights `model` blew up until the scores of its nearly equal features differ.
    """
    rows = tflite.layer_errors(network, clips)
    names, _ = operators(files / "int8.tflite")
    for name in ("CONV_2D", "FULLY_CONNECTED", "ADD"):
        assert [row["op"] for row in rows].count(name) == names.count(name) > 0
    worst = max(rows, key=lambda row: row["error"])
    assert worst["op"] == "FULLY_CONNECTED" and worst["error"] > 2 and worst["snr"] < 25
    assert all(0.1 < row["error"] < 1 and row["snr"] > 25 for row in rows if row is not worst)
    assert sum("slow_res4" in row["layer"] and "block0" in row["layer"] for row in rows) == 5  # a, b, c, shortcut, sum


def test_a_runner_skips_what_is_no_video_and_refuses_what_is_no_model(files, videos, tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    (tmp_path / "bad.onnx").write_text("no model")
    for kind, good in (("tflite", "none.tflite"), ("onnx", "tiny.onnx")):
        code, lines, errors = ran(kind, files / good, tmp_path / "bad.mp4", videos[0])
        assert code == 1 and len(lines) == 1 and "bad.mp4: cannot be read as a video" in errors
        for path in (tmp_path / "bad.onnx", tmp_path / "none"):
            code, lines, errors = ran(kind, path, videos[0])
            assert code == 2 and lines == [] and errors.count("\n") == 1 and str(path) in errors


def test_a_runners_benchmark(files):
    for kind, file in (("tflite", "int8.tflite"), ("onnx", "tiny.onnx")):
        done = subprocess.run(
            [sys.executable, RUNNERS[kind], files / file, "benchmark", "--rounds", "2"],
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0 and "ms a clip of 16x32x32 (median of 2" in done.stdout, done.stderr


def operators(path):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = litert.Interpreter(model_path=str(path))
    return [op["op_name"] for op in interpreter._get_ops_details()], interpreter


def test_tflite_holds_what_litert_accelerates(files):
    for path in files.glob("*.tflite"):
        names, _ = operators(path)
        assert not [n for n in names if "3D" in n or n.startswith("Flex") or n == "PADV2"], path
        assert names.count("CONV_2D") > 30


def test_int8_all_the_way(files):
    """Convolutions take and give int8, with a scale for every output channel."""
    _, interpreter = operators(files / "int8_io.tflite")
    assert {d["dtype"] for d in interpreter.get_input_details() + interpreter.get_output_details()} == {np.int8}
    tensors = {t["index"]: t for t in interpreter.get_tensor_details()}
    convolutions = [op for op in interpreter._get_ops_details() if op["op_name"] == "CONV_2D"]
    for op in convolutions:
        x, kernel = (tensors[i] for i in op["inputs"][:2])
        assert x["dtype"] == kernel["dtype"] == np.int8
        assert len(kernel["quantization_parameters"]["scales"]) == kernel["shape"][0]


def test_metadata_travels_inside(model, files):
    onnxruntime = pytest.importorskip("onnxruntime")
    with zipfile.ZipFile(files / "int8.tflite") as archive:
        inside = json.loads(archive.read("slowfast.json"))
        assert archive.read("labels.txt").decode().split() == list(CLASSES)
    session = onnxruntime.InferenceSession(str(files / "tiny.onnx"))
    assert json.loads(session.get_modelmeta().custom_metadata_map["slowfast"]) == inside
    assert inside["labels"] == list(CLASSES) and inside["inputs"] == ["slow", "fast"]
    assert inside["frames"] == list(range(0, 32, 2)) and inside["slow_index"] == [0, 8]
    assert inside["mean"] == [0.45] * 3 and inside["std"] == [0.225] * 3 and inside["clip_span"] == 32


def test_onnx_takes_any_batch(model, files):
    onnxruntime = pytest.importorskip("onnxruntime")
    import onnx

    loaded = onnx.load(files / "tiny.onnx")
    onnx.checker.check_model(loaded, full_check=True)
    assert loaded.opset_import[0].version >= 17
    assert {op.domain for op in loaded.opset_import} <= {"", "ai.onnx.ml"}
    session = onnxruntime.InferenceSession(str(files / "tiny.onnx"))
    assert [x.shape[0] for x in session.get_inputs()] == ["batch"] * 2
    for batch in (1, 3):
        inputs = freeze.random_inputs(model.spec, batch, 32)
        assert alike(session.run(["logits"], inputs)[0], model(inputs).numpy(), 1e-4)


@pytest.mark.parametrize(
    "fast_input, pathways", [("gray", ("slow", "fast")), ("difference", ("fast",)), ("rgb", ("slow",))]
)
def test_other_inputs(fast_input, pathways, videos, tmp_path):
    """Networks of one pathway, of other Fast inputs, of BGR and of PySlowFast's frames, by the TFLite runner."""
    model = SlowFast(
        "slowfast_2x16_demo",
        depth=10,
        width=8,
        crop_size=32,
        num_classes=4,
        pathways=pathways,
        fast_input=fast_input,
        frame_index="linspace",
        channel_order="bgr",
        mean=(0.4, 0.45, 0.5),
        activation="sigmoid",
    )
    tflite.export(model, tmp_path / "model.tflite")
    code, lines, errors = ran("tflite", tmp_path / "model.tflite", *videos)
    assert code == 0, errors
    expected = [tf.nn.sigmoid(model(clip)).numpy()[0] for clip in calibration.read(videos, model.spec)]
    for line, scores in zip(lines, expected, strict=True):
        found = {p["label"]: p["score"] for p in line["predictions"]}
        np.testing.assert_allclose([found[str(i)] for i in range(4)], scores, atol=1e-4)


def fresh_environment(path, runner):
    """The Python of a new environment that holds what a runner's first lines say, and nothing else."""
    (command,) = [line.split() for line in runner.read_text().splitlines() if line.startswith("pip install ")]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True, timeout=100)
    # With the pip that is here and without bytecode, which both take longer than the packages.
    pip = [sys.executable, "-m", "pip", "--python", path / "bin/python", *command[1:], "--no-compile"]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=900)
    if "No matching distribution" in done.stderr or "Connection" in done.stderr:
        pytest.skip("no package index here")
    assert done.returncode == 0, done.stderr[-2000:]
    return path / "bin/python"


@pytest.mark.slow
@pytest.mark.parametrize("kind, file", [("tflite", "none.tflite"), ("onnx", "tiny.onnx")])
def test_a_runner_in_a_fresh_environment(model, clips, files, videos, tmp_path, kind, file):
    python = fresh_environment(tmp_path / "venv", RUNNERS[kind])
    code, lines, errors = ran(kind, files / file, *videos, python=python)
    assert code == 0, errors
    for line, scores in zip(lines, scores_of(model, clips), strict=True):
        assert line["predictions"][0]["label"] == CLASSES[scores.argmax()]


# The command


def sha(path):
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return [(str(p.relative_to(path)), hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]


def test_twice_is_identical(saved, files, videos, tmp_path):
    """TFLite by the command in a process of its own, and here after other networks."""
    output = tmp_path / "int8.tflite"
    done = run_command(
        *("--checkpoint", saved, "--format", "tflite", "--output", output),
        *("--quantize", "int8", "--calibration", *videos),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {output}\n"
    assert list(tmp_path.iterdir()) == [output]
    assert sha(output) == sha(files / "int8.tflite")


BOTH = """
import sys
from slowfast_tf import export
checkpoint, folder, *videos = sys.argv[1:]
int8 = ["--quantize", "int8", "--calibration", *videos]
for form, name, more in ("saved_model", "1", []), ("onnx", "tiny.onnx", []), ("onnx", "int8.onnx", int8):
    export.main(["--checkpoint", checkpoint, "--format", form, "--output", f"{folder}/{name}", *more])
"""


def test_two_processes_write_the_same(saved, videos, tmp_path):
    """SavedModel and ONNX by two, since TensorFlow numbers functions and nodes throughout a process."""
    names = "1", "tiny.onnx", "int8.onnx"
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        done = subprocess.run(
            [sys.executable, "-c", BOTH, saved, folder, *videos],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=280,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "".join(f"wrote {folder / name}\n" for name in names)
        assert {path.name for path in folder.iterdir()} == set(names)
    for name in names:
        assert sha(folders[0] / name) == sha(folders[1] / name)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_export_leaves_nothing_half_written(saved, tmp_path, number):
    output = tmp_path / "models" / "1"
    arguments = ["--checkpoint", str(saved), "--format", "saved_model", "--output", str(output)]
    process = subprocess.Popen(
        [sys.executable, "-m", "slowfast_tf.export", *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.time() + 100
    while not list(output.parent.glob(".1.*")):
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0 and not output.exists()
    # What TF Serving would take for a version is a number.
    assert not [p for p in output.parent.iterdir() if p.name.isdigit()]
    if number == signal.SIGTERM:
        assert list(output.parent.iterdir()) == []


def test_mistakes_are_named(saved, videos, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "text.tfrecord").write_text("no record")
    (tmp_path / "there.onnx").write_text("mine")
    to = ["--checkpoint", saved, "--output", tmp_path / "m.tflite", "--format", "tflite"]
    int8 = [*to, "--quantize", "int8", "--calibration"]
    assert "text.mp4: cannot be read as a video" in refused(*int8, tmp_path / "text.mp4")
    assert "text.tfrecord" in refused(*int8, videos[0], tmp_path / "text.tfrecord")
    assert "none.mp4" in refused(*int8, tmp_path / "none.mp4")
    assert "needs --calibration" in refused(*to, "--quantize", "int8")
    assert "goes with --quantize int8; received float16" in refused(*to, "--quantize", "float16", "--int8-io")
    assert "received --format tflite" in refused(*to, "--precision", "bfloat16")
    float16 = refused(*to, "--format", "onnx", "--quantize", "float16")
    assert "--quantize float16 is for --format tflite; received --format onnx" in float16
    int8_io = refused(*int8, videos[0], "--int8-io", "--format", "onnx", "--output", tmp_path / "m.onnx")
    assert "--int8-io is for --format tflite; received --format onnx" in int8_io
    assert "--views takes CLIPSxCROPS, such as 10x3; received '10'" in refused(*to, "--views", "10")
    assert "must end in .tflite" in refused(*to, "--output", tmp_path / "m.bin")
    assert "exists already" in refused(*to, "--format", "onnx", "--output", tmp_path / "there.onnx")
    assert (tmp_path / "there.onnx").read_text() == "mine"
    assert "did you mean 'slowfast_8x8_r50'" in refused(*to, "--checkpoint", "slowfast_8x8_r5")
    assert "cannot write" in refused(*to, "--output", tmp_path / "text.mp4" / "m.tflite")
    if sys.platform == "linux":  # where not even root may write
        assert "cannot write /proc/m.tflite" in refused(*to, "--output", "/proc/m.tflite")
    assert "goes with --quantize int8; received none" in refused(*to, "--report", tmp_path / "layers.csv")
    assert "there.onnx exists already" in refused(*int8, videos[0], "--report", tmp_path / "there.onnx")
    assert "cannot write" in refused(*to, "--format", "saved_model", "--output", tmp_path / "text.mp4" / "1")
    assert not (tmp_path / "m.tflite").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_target_without_write_permission(saved, tmp_path):
    tmp_path.chmod(0o500)
    try:
        output = tmp_path / "m.onnx"
        assert "cannot write" in refused("--checkpoint", saved, "--format", "onnx", "--output", output)
    finally:
        tmp_path.chmod(0o700)


def test_a_mistake_is_one_line_and_exit_code_2(saved, tmp_path):
    done = run_command("--checkpoint", tmp_path / "none.keras", "--format", "onnx", "--output", tmp_path / "m.onnx")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1


def test_records_are_calibration_clips(model, videos, clips, tmp_path):
    """The frames of a video as MediaSequence stores them."""
    from slowfast_tf.video.decode import read_frames

    frames = read_frames(videos[0], range(40))
    feature = tf.train.Feature
    encoded = [feature(bytes_list=tf.train.BytesList(value=[f])) for f in jpegs(frames[None])[0]]
    record = tf.train.SequenceExample(
        feature_lists=tf.train.FeatureLists(feature_list={"image/encoded": tf.train.FeatureList(feature=encoded)})
    )
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(record.SerializeToString())
    (found,) = calibration.read([tmp_path / "a.tfrecord"], model.spec)
    # JPEG loses a little.
    np.testing.assert_allclose(found["fast"], clips[0]["fast"], atol=0.2)
    assert found["fast"].shape == clips[0]["fast"].shape and found["slow"].shape == clips[0]["slow"].shape
