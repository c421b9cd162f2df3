"""Predictions of a saved network, from the command line and from a SavedModel alone."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import coded, decode, write
from helpers.pictures import CLASSES, picture

from slowfast_tf import SlowFast
from slowfast_tf.errors import InputError
from slowfast_tf.exporting import saved_model
from slowfast_tf.inference.predictor import Predictor

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Real files, with more or fewer frames than a clip's 32, of even and odd sizes."""
    root = tmp_path_factory.mktemp("videos")
    random = np.random.default_rng(0)
    paths = []
    for i, (count, height, width) in enumerate([(50, 40, 64), (9, 51, 35), (1, 32, 32), (33, 35, 51)]):
        texture = random.integers(0, 256, (height, width, 3))
        images = [((texture + coded(t % 256, height, width)) // 2).astype(np.uint8) for t in range(count)]
        paths.append(write(root / f"v{i}.mp4", images, pix_fmt="yuv444p", g=12, bf=2))
    return paths


def expected_scores(infer, path):
    """Scores of the middle clip and crop of a video, by plain code."""
    frames = decode(path)
    start = max(len(frames) - 32, 0) // 2
    clip = frames[np.minimum(start + np.arange(0, 32, 2), len(frames) - 1)]
    height, width = frames.shape[1:3]
    shape = (32, width * 32 // height) if height <= width else (height * 32 // width, 32)
    top, left = (int(np.ceil((side - 32) / 2)) for side in shape)
    clip = tf.image.resize(clip, shape).numpy()[None, :, top : top + 32, left : left + 32]
    return infer(((clip / 255 - 0.45) / 0.225).astype(np.float32))[0]


def test_a_predictor_need_not_be_kept(model, infer):
    clips = np.random.default_rng(0).integers(0, 256, (2, 16, 32, 32, 3), np.uint8)
    found = Predictor(model).score_clips(clips)  # of an object that nothing else holds
    np.testing.assert_allclose(found, infer(((clips / 255 - 0.45) / 0.225).astype(np.float32)), atol=1e-5)


def test_a_line_a_video(run_predict, infer, saved, videos):
    code, lines, errors = run_predict(*videos, "--model", saved, "--top-k", 3)
    assert code == 0 and errors == [] and len(lines) == 4
    for path, line in zip(videos, lines):
        scores = expected_scores(infer, path)
        best = np.argsort(-scores)
        assert line.startswith(f"{path}: {CLASSES[best[0]]} ")
        shown = [entry.rsplit(" ", 1) for entry in line.removeprefix(f"{path}: ").split(", ")]
        assert [name for name, _ in shown] == [CLASSES[i] for i in best[:3]]
        np.testing.assert_allclose([float(score) for _, score in shown], scores[best[:3]], atol=0.0006)


@pytest.fixture(scope="module")
def command(saved, videos, tmp_path_factory):
    """The command that users type, with two files among `videos` that cannot be read: what `subprocess.run` gives."""
    directory = tmp_path_factory.mktemp("command")
    (directory / "bad.mp4").write_text("no video")
    return subprocess.run(
        [sys.executable, "-m", "slowfast_tf.predict", videos[0], "bad.mp4", *videos[1:], "missing.mp4"]
        + ["--model", str(saved), "--json", "--top-k", "99"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_bad_files_among_good_ones(command, videos):
    assert command.returncode == 1
    assert [json.loads(line)["video"] for line in command.stdout.splitlines()] == videos
    errors = command.stderr.splitlines()
    assert len(errors) == 2, errors
    assert errors[0].startswith("error: bad.mp4: cannot be read as a video: ")
    assert errors[1].startswith("error: missing.mp4: ") and errors[1].endswith("No such file or directory")


def test_json(command, infer, videos):
    for path, line in zip(videos, command.stdout.splitlines(), strict=True):
        found = json.loads(line)["predictions"]
        scores = [p["score"] for p in found]
        assert len(scores) == 4 and scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1, abs=1e-5)
        expected = dict(zip(CLASSES, expected_scores(infer, path)))
        assert {p["label"]: p["score"] for p in found} == pytest.approx(expected, abs=1e-4)


def test_the_directory_of_a_run_and_other_labels(run_predict, infer, saved, videos, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").write_bytes(saved.read_bytes())
    (tmp_path / "names.txt").write_text("ameise\nbiene\n\nkatze \nhund, groß\n", encoding="utf-8")
    code, lines, errors = run_predict(
        videos[0], "--model", tmp_path / "run", "--labels", tmp_path / "names.txt", "--json"
    )
    assert code == 0 and errors == []
    expected = dict(zip(("ameise", "biene", "katze", "hund, groß"), expected_scores(infer, videos[0])))
    assert {p["label"]: p["score"] for p in json.loads(lines[0])["predictions"]} == pytest.approx(expected, abs=1e-4)


def refused(run_predict, *arguments):
    code, lines, errors = run_predict(*arguments)
    assert code == 2 and lines == [] and len(errors) == 1 and errors[0].startswith("error: ")
    return errors[0]


def test_mistakes(run_predict, saved, videos, tmp_path):
    (tmp_path / "three.txt").write_text("a\nb\nc\n")
    error = refused(run_predict, videos[0], "--model", saved, "--labels", tmp_path / "three.txt")
    assert "three.txt has 3 lines" in error and "4 classes" in error
    assert "none.txt" in refused(run_predict, videos[0], "--model", saved, "--labels", tmp_path / "none.txt")
    assert "none.keras" in refused(run_predict, videos[0], "--model", tmp_path / "none.keras")
    assert "model.keras" in refused(run_predict, videos[0], "--model", tmp_path)
    (tmp_path / "text.keras").write_text("no model")
    assert "text.keras" in refused(run_predict, videos[0], "--model", tmp_path / "text.keras")
    (tmp_path / "half.keras").write_bytes(saved.read_bytes()[:5000])
    assert "half.keras" in refused(run_predict, videos[0], "--model", tmp_path / "half.keras")
    assert "received 0" in refused(run_predict, videos[0], "--model", saved, "--top-k", 0)


# SavedModel


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model" / "1"
    saved_model.export(model, path)
    return path


ALONE = """
import json, sys

# None makes an import fail. TensorFlow imports Keras by itself where it can, and does without where it cannot.
sys.modules["keras"] = sys.modules["slowfast_tf"] = None
import av, numpy as np
import tensorflow as tf

path, *videos = sys.argv[1:]
loaded = tf.saved_model.load(path)
serve = loaded.signatures["serving_default"]
results = []
for video in videos:
    with av.open(video) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    found = serve(video=tf.constant(frames[None]))
    results.append({k: v.numpy().tolist() for k, v in found.items() if k != "labels"})
    results[-1]["labels"] = [[label.decode() for label in row] for row in found["labels"].numpy()]
names = [name for name, module in sys.modules.items() if module and name.split(".")[0] in ("slowfast_tf", "keras")]
print(json.dumps([results, names]))
"""


def test_saved_model_alone(exported, command, videos):
    """In a process that has neither this package nor Keras: the scores of `predict`."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(exported), *videos], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results, modules = json.loads(done.stdout.splitlines()[-1])
    assert modules == []
    for line, result in zip(command.stdout.splitlines(), results, strict=True):
        found = json.loads(line)["predictions"]
        by_label = {p["label"]: p["score"] for p in found}
        np.testing.assert_allclose(result["scores"], [[by_label[label] for label in CLASSES]], atol=1e-4)
        assert result["labels"] == [[p["label"] for p in found]]
        np.testing.assert_allclose(result["label_scores"], [[p["score"] for p in found]], atol=1e-4)


def described(tensors):
    return {name: (spec.dtype, spec.shape.as_list()) for name, spec in tensors.items()}


def test_signatures(exported):
    signatures = tf.saved_model.load(str(exported)).signatures
    assert sorted(signatures) == ["clips", "jpeg", "serving_default"]
    serve, clips = signatures["serving_default"], signatures["clips"]
    assert described(serve.structured_input_signature[1]) == {"video": (tf.uint8, [None, None, None, None, 3])}
    assert described(serve.structured_outputs) == {
        "scores": (tf.float32, [None, 4]),
        "labels": (tf.string, [None, 4]),
        "label_scores": (tf.float32, [None, 4]),
    }
    assert described(clips.structured_input_signature[1]) == {
        "slow": (tf.float32, [None, 2, None, None, 3]),
        "fast": (tf.float32, [None, 16, None, None, 3]),
    }
    assert described(clips.structured_outputs) == {"scores": (tf.float32, [None, 4])}


def operations(graph):
    """Names of all operations, also those inside functions."""
    ops = {node.op for node in graph.node}
    return ops | {node.op for function in graph.library.function for node in function.node_def}


def test_tensorflows_own_operations_only(exported):
    """What is written on the disk: nothing that needs Python."""
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    ops = operations(content.meta_graphs[0].graph_def)
    assert {"Conv3D", "ResizeBilinear", "TopKV2", "Softmax"} <= ops
    assert not [op for op in ops if "PyFunc" in op]


def test_batches_and_clips(exported, model, videos):
    signatures = tf.saved_model.load(str(exported)).signatures
    random = np.random.default_rng(0)
    for frames, height, width in ((40, 33, 47), (5, 64, 48), (1, 20, 20)):
        batch = random.integers(0, 256, (2, frames, height, width, 3), np.uint8)
        both = signatures["serving_default"](video=tf.constant(batch))
        for i in range(2):
            alone = signatures["serving_default"](video=tf.constant(batch[i : i + 1]))
            np.testing.assert_allclose(both["scores"][i], alone["scores"][0], atol=1e-5)
    inputs = {
        "slow": random.normal(size=(2, 2, 40, 48, 3)).astype(np.float32),
        "fast": random.normal(size=(2, 16, 40, 48, 3)).astype(np.float32),
    }
    scores = signatures["clips"](**{name: tf.constant(x) for name, x in inputs.items()})["scores"]
    np.testing.assert_allclose(scores, tf.nn.softmax(model(inputs)), atol=1e-5)


def test_a_network_of_many_classes_and_independent_scores(tmp_path, videos):
    """Sigmoid, seven unnamed classes, Slow-only, frames as PySlowFast takes them."""
    model = SlowFast(
        "slow_8x8_r50", depth=10, width=8, crop_size=32, num_classes=7, activation="sigmoid", frame_index="linspace"
    )
    saved_model.export(model, str(tmp_path / "exported"))
    found = tf.saved_model.load(str(tmp_path / "exported")).signatures["serving_default"](
        video=tf.constant(np.stack([picture(1, t) for t in range(40)])[None])
    )
    frames = np.stack([picture(1, t) for t in (0, 9, 18, 27, 36, 39, 39, 39)])
    resized = tf.image.resize(frames, (32, 38)).numpy()[None, :, :, 3:35]
    scores = tf.nn.sigmoid(model({"slow": (resized / 255 - 0.45) / 0.225})).numpy()
    np.testing.assert_allclose(found["scores"], scores, atol=1e-4)
    best = np.argsort(-scores[0], kind="stable")[:5]
    np.testing.assert_allclose(found["label_scores"][0], scores[0][best], atol=1e-4)
    assert found["labels"].shape == (1, 5) and set(found["labels"].numpy()[0]) <= {str(i).encode() for i in range(7)}
    for label, score in zip(found["labels"].numpy()[0], found["label_scores"].numpy()[0]):
        assert scores[0][int(label)] == pytest.approx(score, abs=1e-4)


def test_an_existing_path_is_left_alone(model, exported, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("keep")
    for path in (tmp_path / "there", str(tmp_path / "there"), exported):
        before = sorted(pathlib.Path(path).rglob("*"))
        with pytest.raises(InputError, match="exists already"):
            saved_model.export(model, path)
        assert sorted(pathlib.Path(path).rglob("*")) == before
