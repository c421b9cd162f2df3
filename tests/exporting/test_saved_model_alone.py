"""A SavedModel alone gives the scores of `predict`."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers.expected import write_videos
from helpers.pictures import CLASSES, picture

from slowfast_tf import SlowFast
from slowfast_tf.errors import InputError
from slowfast_tf.exporting import saved_model
from slowfast_tf.models.views import MIDDLE

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


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp("videos"))


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model" / "1"
    saved_model.export(model, path)
    return path


@pytest.mark.legacy
def test_saved_model_alone(run_predict, saved, exported, videos):
    """In a process that has neither this package nor Keras: the scores of `predict`."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(exported), *videos], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results, modules = json.loads(done.stdout.splitlines()[-1])
    assert modules == []
    code, lines, _ = run_predict(*videos, "--model", saved, "--json", "--top-k", 99)
    assert code == 0
    for line, result in zip(lines, results, strict=True):
        found = json.loads(line)["predictions"]
        by_label = {p["label"]: p["score"] for p in found}
        np.testing.assert_allclose(result["scores"], [[by_label[label] for label in CLASSES]], atol=1e-4)
        assert result["labels"] == [[p["label"] for p in found]]
        np.testing.assert_allclose(result["label_scores"], [[p["score"] for p in found]], atol=1e-4)


def described(tensors):
    return {name: (spec.dtype, spec.shape.as_list()) for name, spec in tensors.items()}


@pytest.mark.legacy
def test_signatures(exported):
    signatures = tf.saved_model.load(str(exported)).signatures
    assert sorted(signatures) == ["clips", "jpeg", "rated", "rated_jpeg", "serving_default"]
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


@pytest.mark.legacy
def test_tensorflows_own_operations_only(exported):
    """The files on the disk need no Python."""
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel.FromString((exported / "saved_model.pb").read_bytes())
    ops = operations(content.meta_graphs[0].graph_def)
    assert {"Conv3D", "ResizeBilinear", "TopKV2", "Softmax"} <= ops
    assert not [op for op in ops if "PyFunc" in op]


@pytest.mark.legacy
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


@pytest.mark.legacy
def test_a_network_with_many_classes_and_sigmoid(tmp_path, videos):
    """Sigmoid, seven unnamed classes, Slow-only, frames as PySlowFast takes them."""
    changes = {"depth": 10, "width": 8, "crop_size": 32, "num_classes": 7, "frame_index": "linspace"}
    model = SlowFast("slow_8x8_r50", **changes, activation="sigmoid", views=MIDDLE)
    random = np.random.default_rng(0)  # as it is initialized, the network gives nearly the same scores for any video
    model.set_weights([random.uniform(0.5, 1.5, w.shape) if w.ndim < 2 else w for w in model.get_weights()])
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


@pytest.mark.legacy
def test_an_existing_path_is_left_alone(model, exported, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("keep")
    for path in (tmp_path / "there", str(tmp_path / "there"), exported):
        before = sorted(pathlib.Path(path).rglob("*"))
        with pytest.raises(InputError, match="exists already"):
            saved_model.export(model, path)
        assert sorted(pathlib.Path(path).rglob("*")) == before
