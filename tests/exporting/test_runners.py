"""TFLite and ONNX files by the programs for devices, against the network."""

import importlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import av
import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import write
from helpers.damage import streams_with_another
from helpers.exports import ROOT, fresh_environment
from helpers.pictures import CLASSES, picture

from slowfast_tf import SlowFast
from slowfast_tf.data import transforms
from slowfast_tf.exporting import calibration, folded, tflite
from slowfast_tf.exporting.metadata import metadata
from slowfast_tf.models.presets import get_spec
from slowfast_tf.video import decode
from slowfast_tf.video.probe import probe

RUNNERS = {"tflite": ROOT / "export/tflite/run.py", "onnx": ROOT / "export/onnx/run.py"}


def scores_of(model, clips):
    return np.concatenate([tf.nn.softmax(model(clip, training=False)).numpy() for clip in clips])


def alike(found, expected, tolerance):
    """Return whether logits are equal to within a share of the largest one."""
    return np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def ran(kind, file, *videos, python=sys.executable):
    """Return the lines that a runner prints for videos."""
    done = subprocess.run(
        [python, RUNNERS[kind], file, *videos, "--json", "--threads", "2"],
        capture_output=True,
        text=True,
        timeout=200,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize(
    "file, tolerance",
    [
        pytest.param("none", 1e-4, marks=pytest.mark.legacy),
        pytest.param("float16", 2e-3, marks=pytest.mark.legacy),
        ("int8", 0.1),
        ("int8_io", 0.1),
        pytest.param("tiny.onnx", 1e-4, marks=pytest.mark.legacy),
        ("int8.onnx", 0.1),
    ],
)
def test_a_runner_gives_the_networks_scores(model, clips, videos, files, file, tolerance):
    """The loss of int8 is tested below, by its logits."""
    kind = "onnx" if file.endswith(".onnx") else "tflite"
    code, lines, errors = ran(kind, files / (file if kind == "onnx" else f"{file}.tflite"), *videos)
    assert code == 0, errors
    for line, scores in zip(lines, scores_of(model, clips), strict=True):
        found = {p["label"]: p["score"] for p in line["predictions"]}
        np.testing.assert_allclose([found[label] for label in CLASSES], scores, atol=tolerance)
        assert [p["score"] for p in line["predictions"]] == sorted(found.values(), reverse=True)


@pytest.fixture(scope="module")
def near(videos):
    """Clips `[18, 16, 32, 32, 3]` of `videos`, at other times than the calibration clips."""
    shown = [(n, time) for n in (0, 3, 7) for time in (0, 1, 2, 6, 7, 8)]
    clips = [[picture(n, time + 2 * t)[4:36, 8:40] for t in range(16)] for n, time in shown]
    return ((np.array(clips) / 255 - 0.45) / 0.225).astype(np.float32)


def tflite_logits(content, clips):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    run = litert.Interpreter(model_content=content, num_threads=2).get_signature_runner()
    return np.concatenate([run(slow=clip[:, ::8], fast=clip)["logits"] for clip in clips[:, None]])


def signal_to_noise(found, expected):
    """The variance of logits `[clips, classes]` between clips over their mean squared error, in dB."""
    return 10 * np.log10(np.mean((expected - expected.mean(0)) ** 2) / np.mean((found - expected) ** 2))


def test_quantized_logits(model, files, near):
    """Measured: 107, 49, 15 to 20 and 10 to 12 dB; 8 dB for ONNX, whose weights have 7 bits. An int8 file that was
    calibrated on clips of a fifth of the contrast had -5 dB.
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


@pytest.mark.legacy
def test_layer_errors(network, files, clips):
    """The report lists every layer of the int8 file. The error is about that of rounding, 0.29 of a step, except for
    the classifier: `model` has large weights there, so that nearly equal features give different scores.
    """
    rows = tflite.layer_errors(network, clips)
    names, _ = operators(files / "int8.tflite")
    for name in ("CONV_2D", "FULLY_CONNECTED", "ADD"):
        assert [row["op"] for row in rows].count(name) == names.count(name) > 0
    worst = max(rows, key=lambda row: row["error"])
    assert worst["op"] == "FULLY_CONNECTED" and worst["error"] > 2 and worst["snr"] < 25
    assert all(0.1 < row["error"] < 1 and row["snr"] > 25 for row in rows if row is not worst)
    assert sum("slow_res4" in row["layer"] and "block0" in row["layer"] for row in rows) == 5  # a, b, c, shortcut, sum


@pytest.mark.legacy
def test_a_runner_skips_unreadable_videos_and_refuses_unreadable_models(files, videos, tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    (tmp_path / "bad.onnx").write_text("no model")
    for kind, good in (("tflite", "none.tflite"), ("onnx", "tiny.onnx")):
        code, lines, errors = ran(kind, files / good, tmp_path / "bad.mp4", videos[0])
        assert code == 1 and len(lines) == 1 and "bad.mp4: cannot be read as a video" in errors
        for path in (tmp_path / "bad.onnx", tmp_path / "none"):
            code, lines, errors = ran(kind, path, videos[0])
            assert code == 2 and lines == [] and errors.count("\n") == 1 and str(path) in errors


@pytest.mark.legacy
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


@pytest.mark.legacy
def test_tflite_has_only_accelerated_operations(files):
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


@pytest.mark.legacy
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


@pytest.mark.legacy
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
        inputs = folded.random_inputs(model.spec, batch, 32)
        assert alike(session.run(["logits"], inputs)[0], model(inputs).numpy(), 1e-4)


@pytest.mark.legacy
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
    code, lines, errors = ran("tflite", tmp_path / "model.tflite", *videos, "--views", "middle")
    assert code == 0, errors
    expected = [
        tf.nn.sigmoid(model(clip)).numpy()[0] for clip in calibration.read_calibration_clips(videos, model.spec)
    ]
    for line, scores in zip(lines, expected, strict=True):
        found = {p["label"]: p["score"] for p in line["predictions"]}
        np.testing.assert_allclose([found[str(i)] for i in range(4)], scores, atol=1e-4)


def test_crops_are_those_of_the_library(monkeypatch):
    """One pixel beside each other for some numbers of crops, if the place were rounded differently."""
    monkeypatch.syspath_prepend(ROOT / "export")
    frames = importlib.import_module("frames")
    random = np.random.default_rng(0)
    sizes = [(32, width, 32) for width in range(32, 60)] + [(56, 40, 32), (57, 33, 33), (120, 211, 64)]
    for height, width, size in sizes:
        clip = random.integers(0, 256, (1, height, width, 3), np.uint8)
        for count in range(1, 11):
            places = [0.5] if count == 1 else np.arange(count) / (count - 1)
            found = [frames.crop(clip.astype(np.float32), size, place) for place in places]
            expected = transforms.test_crops(clip, size, count)
            np.testing.assert_allclose(found, expected, atol=0.05, err_msg=f"{height}x{width}, {count} crops")


@pytest.mark.parametrize(
    "name, options", [("a.mp4", {"bf": 2, "g": 10}), ("a.avi", {"codec": "mjpeg", "pix_fmt": "yuvj420p"})]
)
def test_a_damaged_packet_loses_no_other_frame(name, options, tmp_path, monkeypatch):
    """The frames equal those of the library: FFmpeg refuses a packet of zeros, and decodes the next packets."""
    monkeypatch.syspath_prepend(ROOT / "export")
    frames = importlib.import_module("frames")
    path = pathlib.Path(write(tmp_path / name, [picture(1, time, 64, 80) for time in range(30)], **options))
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content, (start, size) = bytearray(path.read_bytes()), packets[12]
    content[start : start + size] = bytes(size)
    path.write_bytes(content)
    found = frames.read_frames(str(path), range(30))
    np.testing.assert_array_equal(found, decode.read_frames(path, range(30)))
    assert len(np.unique(found, axis=0)) >= 20
    for start, size in packets:
        content[start : start + size] = bytes(size)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="a.*: no frame can be decoded: Invalid data found"):
        frames.read_frames(str(path), range(30))


@pytest.mark.parametrize("name, b_frames", [("a.mp4", 0), ("a.mkv", 0), ("a.mp4", 2), ("a.avi", 0)])
def test_frame_times_of_mpeg4(name, b_frames, tmp_path, monkeypatch):
    """The frame rate equals the library's: times of MPEG-4 count only without B-frames, and never in AVI."""
    monkeypatch.syspath_prepend(ROOT / "export")
    frames = importlib.import_module("frames")
    images, times = [picture(1, time, 64, 80) for time in range(30)], [33 * i + 400 * (i > 20) for i in range(30)]
    path = write(tmp_path / name, images, codec="mpeg4", bf=b_frames, times=None if name == "a.avi" else times)
    info = probe(path)
    assert (info.times is not None) == (b_frames == 0 and name != "a.avi")
    assert frames.probe(path) == (info.frames, info.rate)
    np.testing.assert_array_equal(frames.read_frames(path, range(30)), decode.read_frames(path, range(30)))


def test_a_damaged_packet_of_a_transport_stream(tmp_path, monkeypatch):
    """A flipped bit in the stream number of a packet adds a stream, at whose end PyAV raises an IndexError."""
    monkeypatch.syspath_prepend(ROOT / "export")
    frames = importlib.import_module("frames")
    path = pathlib.Path(write(tmp_path / "v.ts", [picture(1, time, 64, 80) for time in range(30)], bf=2, g=15))
    at_ends = 0
    for _ in streams_with_another(path, every=5):
        at_ends += 1
        np.testing.assert_array_equal(frames.read_frames(str(path), range(20)), decode.read_frames(path, range(20)))
    assert at_ends


def test_the_accuracy_that_a_page_computes(monkeypatch, capsys):
    """The awk command of docs/tflite.md, on lines of the runner: one of two videos has the label of its directory."""
    if not shutil.which("awk"):
        pytest.skip("needs awk")
    (program,) = re.findall(r"awk '(.*?)'", (ROOT / "docs/tflite.md").read_text())
    monkeypatch.syspath_prepend(ROOT / "export")
    runner = importlib.import_module("runner")
    for number, views in enumerate([(10, 3), (1, 1)]):
        runner._print(f"data/more/val/{CLASSES[number]}/7.mp4", [(CLASSES[1], 0.9)], views, 12.0, False)
    done = subprocess.run(["awk", program], input=capsys.readouterr().out, capture_output=True, text=True, check=True)
    assert done.stdout == "0.5\n"


@pytest.mark.parametrize("pathways, kind", [(("slow",), "flow"), (("fast",), "flow"), (("slow", "fast"), "half")])
def test_unknown_inputs_are_refused_before_anything_is_read(pathways, kind, tmp_path, monkeypatch, capsys):
    """The runners compute neither optical flow nor frames of half the size: one line names the kind of the input."""
    monkeypatch.syspath_prepend(ROOT / "export")
    runner = importlib.import_module("runner")
    about = metadata(get_spec("slowfast_2x16_demo", pathways=pathways, **{f"{pathways[-1]}_input": kind}))
    (tmp_path / "model").touch()
    for words in ("none.mp4", "benchmark"):
        monkeypatch.setattr(sys, "argv", ["run.py", str(tmp_path / "model"), words])
        with pytest.raises(SystemExit) as end:
            runner.main("", lambda path, threads: (about, None))
        (line,) = capsys.readouterr().err.splitlines()
        expected = f"the network's {pathways[-1]} input is of kind {kind!r}, which this program does not compute"
        assert (end.value.code, line) == (2, f"error: {tmp_path / 'model'}: {expected}")


@pytest.mark.slow
@pytest.mark.parametrize("kind, file", [("tflite", "none.tflite"), ("onnx", "tiny.onnx")])
def test_a_runner_in_a_fresh_environment(model, clips, files, videos, tmp_path, kind, file):
    python = fresh_environment(tmp_path / "venv", RUNNERS[kind])
    code, lines, errors = ran(kind, files / file, *videos, python=python)
    assert code == 0, errors
    for line, scores in zip(lines, scores_of(model, clips), strict=True):
        assert line["predictions"][0]["label"] == CLASSES[scores.argmax()]
