"""The SavedModel's signatures, views, warm-up requests and hostile requests."""

import io
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers.detection import BOXES, clip_inputs
from helpers.exports import jpegs
from helpers.pictures import picture

from slowfast_tf import SlowFast
from slowfast_tf.data import transforms
from slowfast_tf.errors import InputError
from slowfast_tf.exporting import folded, saved_model
from slowfast_tf.inference.predictor import Predictor
from slowfast_tf.models.views import Views
from slowfast_tf.video.decode import read_frames


def test_convolution_bias_residual_sum_and_relu_run_as_one(model, tmp_path):
    """TensorFlow's own optimiser leaves nothing to do between the convolutions, or CPUs would be idle there."""
    network = folded.Network(model, batch=1, size=32)
    network.save(tmp_path, tf.function(network.function, input_signature=folded.input_specs(model.spec, 1, 32)))
    inputs = folded.random_inputs(model.spec, 1, 32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path)).signature_def["serving_default"]
        about = tf.compat.v1.RunMetadata()
        session.run(
            signature.outputs["output_0"].name,
            {signature.inputs[name].name: x for name, x in inputs.items()},
            options=tf.compat.v1.RunOptions(output_partition_graphs=True),
            run_metadata=about,
        )
    ops = [node.op for graph in about.partition_graphs for node in graph.node]
    if not any(op.startswith("_Mkl") for op in ops):
        pytest.skip("this TensorFlow has no oneDNN, which has the fused convolutions")
    assert sum("FusedConv3D" in op for op in ops) > 30
    assert not {"Relu", "AddV2", "BiasAdd", "_MklNativeConv3D"} & set(ops)


def test_the_graph_holds_no_weights(served):
    """A runtime copies a graph's constants many times, and variables never."""
    from tensorflow.core.protobuf import saved_model_pb2

    graph = saved_model_pb2.SavedModel.FromString((served / "saved_model.pb").read_bytes()).meta_graphs[0].graph_def
    nodes = [node for part in (graph.node, *(f.node_def for f in graph.library.function)) for node in part]
    constants = [tf.make_ndarray(node.attr["value"].tensor) for node in nodes if node.op == "Const"]
    assert len(constants) > 100 and max(x.size for x in constants) < 100


def decoded(frames):
    return np.stack([[transforms.decode(frame).numpy() for frame in video] for video in frames])


@pytest.mark.legacy
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
    saved_model.export(other, tmp_path / "views", views=Views(3, 3, fuse=fuse.__name__))
    video = np.stack([picture(4, t % 50, 32, 56) for t in range(62)])
    found = tf.saved_model.load(str(tmp_path / "views")).signatures["serving_default"](video=tf.constant(video[None]))
    scores = []
    for start in (0, 10, 20):  # of 30 frames of room
        for left in (0, 12, 24):
            clip = ((video[start : start + 32 : 2, :, left : left + 32] / 255 - 0.45) / 0.225).astype(np.float32)[None]
            logits = other({"slow": clip[:, ::8], "fast": clip})
            scores.append((tf.nn.softmax if activation == "softmax" else tf.nn.sigmoid)(logits).numpy()[0])
    np.testing.assert_allclose(found["scores"][0], fuse(scores, 0), atol=1e-4)


@pytest.mark.legacy
def test_bfloat16_gives_float32_scores_that_are_near(model, signatures, tmp_path):
    saved_model.export(model, tmp_path / "half", precision="bfloat16")
    half = tf.saved_model.load(str(tmp_path / "half")).signatures["serving_default"]
    video = tf.constant(np.stack([[picture(n, t) for t in range(40)] for n in range(4)]))
    found, expected = (f(video=video)["scores"] for f in (half, signatures["serving_default"]))
    assert found.dtype == tf.float32
    # 8 bits of mantissa: a 256th at each rounding, and more where a CPU without bfloat16 adds up in it.
    np.testing.assert_allclose(found, expected, atol=0.15)
    assert np.abs(found.numpy() - expected.numpy()).max() > 0
    weights = tmp_path / "half" / "variables" / "variables.data-00000-of-00001"
    assert weights.stat().st_size < 0.75 * sum(4 * np.prod(w.shape) for w in model.get_weights())


def test_an_unknown_precision_is_refused(model, tmp_path):
    for precision in ("float16", "mixed_bfloat16"):
        with pytest.raises(InputError, match=f"precision must be float32 or bfloat16; got '{precision}'"):
            saved_model.export(model, tmp_path / "1", precision)
    assert not list(tmp_path.iterdir())


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


@pytest.mark.legacy
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


@pytest.mark.legacy
def test_a_picture_that_claims_to_be_huge_is_not_decoded(signatures):
    claim = bytearray(tf.io.encode_jpeg(picture(0, 0)).numpy())
    at = claim.index(b"\xff\xc0") + 5  # start of frame: height and width
    claim[at : at + 4] = b"\xfd\xe8\xfd\xe8"
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 33177600 pixels"):
        signatures["jpeg"](frames=tf.constant([[bytes(claim)]]))


@pytest.mark.legacy
def test_a_million_frames_and_a_single_pixel_are_answered(signatures):
    """The signature promises to accept any number of frames and any size."""
    for shape in ((1, 1_000_000, 1, 1, 3), (1, 1, 1, 1, 3), (1, 3, 4, 64, 3)):
        scores = signatures["serving_default"](video=tf.zeros(shape, tf.uint8))["scores"]
        assert scores.shape == (1, 4) and np.isfinite(scores).all()


@pytest.mark.legacy
def test_warmup_requests_are_answered(served, signatures):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    requests = [
        logs.PredictionLog.FromString(record.numpy()).predict_log.request
        for record in tf.data.TFRecordDataset(str(served / "assets.extra" / "tf_serving_warmup_requests"))
    ]
    assert [r.model_spec.signature_name for r in requests] == ["serving_default", "rated_jpeg"]
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


@pytest.mark.legacy
def test_tensorflows_c_library_runs_it_without_python(served, signatures):
    """As in TF Serving, only the library loads session and graph from the directory."""
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


@pytest.mark.legacy
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


def test_saved_model(detection_model, films, tmp_path):
    saved_model.export(detection_model, tmp_path / "1")
    signatures = tf.saved_model.load(str(tmp_path / "1")).signatures
    assert set(signatures) == {"serving_default", "rated", "clips"}
    inputs = clip_inputs(detection_model.spec, 40, 72)
    expected = tf.nn.sigmoid(detection_model(inputs))
    found = signatures["clips"](**{name: tf.constant(x) for name, x in inputs.items()})["scores"]
    np.testing.assert_allclose(found[:, ::2], expected[:, ::2], atol=1e-5)

    raw = read_frames(films / "videos_15min" / "demo_val_00.mp4", range(60, 101))[:, :, :90]  # the middle one is 80
    found = signatures["serving_default"](video=tf.constant(raw[None]), boxes=tf.constant(BOXES))
    expected = Predictor(detection_model).score_boxes(tf.constant(raw[None, [20 - 16, 20]]), tf.constant(BOXES)).numpy()
    np.testing.assert_allclose(found["scores"][0, ::2], expected[0, ::2], atol=1e-4)
    assert not found["scores"][0, 1].numpy().any() and found["labels"].shape == (1, 3, 5)
    best = expected[0, 0].argmax()
    assert found["labels"][0, 0, 0].numpy().decode() == detection_model.spec.labels[best]
    with pytest.raises(tf.errors.InvalidArgumentError, match="a request needs a video, a frame and a pixel"):
        signatures["serving_default"](video=tf.zeros([1, 0, 8, 8, 3], tf.uint8), boxes=tf.constant(BOXES))
