"""Models by name: published networks, repositories of the Hugging Face Hub, and names that are neither."""

import dataclasses
import json
import os
import pathlib
import pickle
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
from helpers.expected import write_videos
from helpers.files_server import serve_files
from helpers.golden import GOLDEN, golden, needs_golden, needs_torch
from helpers.processes import AS_COMMAND, QUICK_START

import slowfast_tf
from slowfast_tf import checkpoints
from slowfast_tf.checkpoints import names, zoo
from slowfast_tf.errors import InputError
from slowfast_tf.training.initialization import initialize

ROOT = pathlib.Path(__file__).parents[2]

# Golden recognition checkpoints, and what their files do not state.
SOFTMAX = {"activation": "softmax"}
FILES = {
    "mmaction2_slowfast_4x16_r101_r50_w8.pth": {},
    "mmaction2_slowfast_4x16_r50_w16.pth": SOFTMAX,
    "mmaction2_slowonly_nl_4x16_r50_w8.pth": {},
    "pyslowfast_charades_slowfast_16x8_r50_w8.pkl": {"frames": 16, "stride": 8, "alpha": 4, "activation": "sigmoid"},
    "pyslowfast_slow_8x8_r50_w16.pyth": {},
    "pyslowfast_slowfast_4x16_r50_nln_w16.pyth": {},
    "pyslowfast_slowfast_8x8_r101_50_101_w8.pyth": {},
    "pyslowfast_slowfast_8x8_r50_w16.pkl": {"frames": 8, "stride": 8, "alpha": 4, **SOFTMAX},
    "pyslowfast_slowfast_8x8_r50_w16.pyth": {},
    "pyslowfast_ssv2_slowfast_16x8_r50_w8.pyth": {},
    "pytorchvideo_slowfast_8x8_r50_w16.pyth": {"frames": 8, "stride": 8, "alpha": 4, **SOFTMAX},
}
DETECTION = (
    "mmaction2_ava_slowfast_4x16_r50_w8.pth",
    "mmaction2_ava_slowfast_8x8_r50_temporal_max_w8.pth",
    "mmaction2_ava_slowonly_nl_4x16_r50_w8.pth",
    "pyslowfast_ava_slowfast_32x2_r101_nl_w8.pyth",
    "pyslowfast_ava_slowfast_8x8_r50_w16.pyth",
)


def published(address, fields=None):
    """An entry of `MODELS`."""
    known = next(iter(zoo.MODELS.values()))
    return dataclasses.replace(known, address=address, fields=fields or {})


def run(*command, **environment):
    """Run Python with these arguments; return the result of `subprocess.run`."""
    environment = {key: str(value) for key, value in environment.items()}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp("videos"))[0]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "slowfast_tf"


# Published networks.

# The command, with one more published network; also saves the logits of the model that it loads.
PREDICT = """
import dataclasses
import numpy as np
from slowfast_tf import predict, runtime
from slowfast_tf.checkpoints import zoo

name, address, inputs, output, *arguments = sys.argv[1:]
known = next(iter(zoo.MODELS.values()))
zoo.MODELS[name] = dataclasses.replace(known, address=address, fields={})
load = predict.load

def load_and_save(name):
    model = load(name)
    np.save(output, model(dict(np.load(inputs)), training=False))
    return model

predict.load = load_and_save
runtime.run(lambda: predict.main([*arguments, "--model", name]), predict.ADVICE)
"""


@needs_golden
def test_every_golden_file_is_known():
    there = {path.name for path in GOLDEN.iterdir() if path.suffix in (".pkl", ".pth", ".pyth")}
    assert there == {*FILES, *DETECTION}


def load_by_name(file, monkeypatch, **published_fields):
    """Loads a golden file by a name that is published on a local server. It is downloaded once."""
    name = pathlib.Path(file).stem
    with serve_files() as server:
        server.files[f"/{file}"] = (GOLDEN / file).read_bytes()
        monkeypatch.setitem(zoo.MODELS, name, published(f"{server.address}/{file}", **published_fields))
        model = slowfast_tf.load(name)
        assert server.requests == [("GET", f"/{file}", None)]
    return model


@pytest.mark.slow
@needs_torch
@needs_golden
@pytest.mark.parametrize("file", DETECTION)
def test_golden_detection_by_name(file, cache, monkeypatch):
    """A network with boxes, whose logits `tests/models/test_detection.py` compares, is the converted file."""
    expected = checkpoints.read_checkpoint(GOLDEN / file)
    weights = checkpoints.build_model(expected).get_weights()
    model = load_by_name(file, monkeypatch)
    assert model.spec == expected.spec and model.spec.head == "roi"
    for found, value in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, value)


@pytest.mark.slow
@needs_torch
@needs_golden
@pytest.mark.parametrize("file", FILES)
def test_golden_by_name(file, cache, monkeypatch):
    name = pathlib.Path(file).stem
    inputs, expected, _ = golden(name)
    model = load_by_name(file, monkeypatch, fields=FILES[file])
    assert np.abs(np.asarray(model(inputs, training=False)) - expected).max() < 1e-4 * np.abs(expected).max()
    for field, value in FILES[file].items():
        assert getattr(model.spec, field) == value
    assert {path.name for path in cache.iterdir()} == {f"{name}{pathlib.Path(file).suffix}", f"{name}.keras"}


@pytest.mark.slow
@needs_torch
@needs_golden
def test_a_named_network_is_converted_once_and_predicts(video, cache, tmp_path, monkeypatch):
    file = next(iter(FILES))
    name = pathlib.Path(file).stem
    inputs, expected, _ = golden(name)

    def agrees(logits):
        assert np.abs(logits - expected).max() < 1e-4 * np.abs(expected).max()

    with serve_files() as server:
        server.files[f"/{file}"] = (GOLDEN / file).read_bytes()
        address = f"{server.address}/{file}"
        monkeypatch.setitem(zoo.MODELS, name, published(address, FILES[file]))
        for _ in range(2):
            model = slowfast_tf.load(name)
            agrees(np.asarray(model(inputs, training=False)))
            for field, value in FILES[file].items():
                assert getattr(model.spec, field) == value
        assert server.requests == [("GET", f"/{file}", None)]
    assert {path.name for path in cache.iterdir()} == {f"{name}{pathlib.Path(file).suffix}", f"{name}.keras"}

    np.savez(tmp_path / "inputs.npz", **inputs)
    files = tmp_path / "inputs.npz", tmp_path / "logits.npy"
    done = run("-c", AS_COMMAND + PREDICT, name, address, *files, video, "--views", "middle", "--json")
    assert done.returncode == 0, done.stderr
    agrees(np.load(tmp_path / "logits.npy"))
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["video"] == video


def test_a_file_that_is_not_a_checkpoint(cache, monkeypatch):
    with serve_files() as server:
        monkeypatch.setitem(zoo.MODELS, "made", published(f"{server.address}/a.pkl"))
        cache.mkdir(parents=True)
        (cache / "made.keras").write_bytes(b"no model")  # is converted again
        other = pickle.dumps({"blobs": {"x": np.zeros(3)}}, protocol=2)
        damaged = (b"no checkpoint", "is not a readable .*; download it again")
        for content, reason in (damaged, (other, "is no SlowFast")):
            server.files["/a.pkl"] = content
            for _ in range(2):
                with pytest.raises(InputError, match=f"^{cache}/made.pkl {reason}.*; remove the file and run again$"):
                    slowfast_tf.load("made")
            (cache / "made.pkl").unlink()


def test_a_missing_package_is_not_reported_as_a_bad_file(cache, monkeypatch):
    cache.mkdir(parents=True)
    with zipfile.ZipFile(cache / "made.pth", "w"):  # as torch.save writes
        pass
    monkeypatch.setitem(zoo.MODELS, "made", published("http://127.0.0.1:9/a.pth"))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"made.pth needs PyTorch: pip install 'slowfast_tf\[convert\]'$"):
        slowfast_tf.load("made")


def test_the_default_without_a_connection(video, tmp_path):
    proxy = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = run("-m", "slowfast_tf.predict", video, KERAS_HOME=tmp_path, no_proxy="", **proxy)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    key = zoo.published_name("slowfast_8x8_r50_k400")
    address = zoo.MODELS[key].address
    path = tmp_path / "slowfast_tf" / f"{key}{pathlib.PurePosixPath(address).suffix}"
    assert line.startswith(f"error: cannot download {address} (") and "refused" in line
    assert line.endswith(f"; check the connection and run again, or put the file at {path} yourself")


# Names that are no models.


@pytest.mark.parametrize(
    "name, message",
    [
        ("nowhere/model.keras", "no such file, and no published network of that name; give a .keras file, a run's"),
        (
            "slowfast_8x8_r50_k40",
            "no such file, and no published network of that name; did you mean 'slowfast_8x8_r50_k",
        ),
        ("slowfast_8x8_r50", "a preset, which has no weights; the nearest published network is slowfast_8x8_r50_k400"),
        ("slow_4x16_r50", "a preset, which has no weights; the nearest published network is slow_4x16_r50_k400"),
        ("slowfast_8x8_r50_nl", "a preset, which has no weights; the nearest published network is slowfast_8x8_r50_"),
        ("hf://slowfast", "not a repository of the Hugging Face Hub; give hf://OWNER/REPO[@REVISION]"),
        ("hf://me/slowfast@", "not a repository of the Hugging Face Hub; give hf://OWNER/REPO[@REVISION]"),
        ("x" * 5000, "no such file, and no published network of that name; give"),
    ],
)
def test_no_model(name, message, model):
    for call in (names.check_name, slowfast_tf.load, lambda n: initialize(model, n)):
        with pytest.raises(InputError) as error:
            call(name)
        assert str(error.value).startswith(f"{name}: {message}") and "\n" not in str(error.value)


def test_names_similar_to_models(tmp_path):
    (tmp_path / "run").mkdir()
    for name in (tmp_path / "run", "s3://bucket/model.keras", "hf://me/a@v1", "slowfast_8x8_r50_k400", *zoo.MODELS):
        names.check_name(name)
    names.check_name("slowfast_8x8_r50", presets=True)
    with pytest.raises(InputError, match="nor a preset; did you mean 'slowfast_8x8_r50'"):
        names.check_name("slowfast_8x8_r5", presets=True)


def test_a_path_has_priority_over_a_name(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path(names.DEFAULT).mkdir()
    pathlib.Path(names.DEFAULT, "model.keras").write_bytes(saved.read_bytes())
    expected = slowfast_tf.load(saved).spec
    assert slowfast_tf.load(names.DEFAULT).spec == names.read_spec(names.DEFAULT) == expected


@pytest.mark.parametrize(
    "command, arguments",
    [
        ("predict", ["VIDEO", "--model", "NAME"]),
        ("demo", ["--model", "NAME", "--port", "0"]),
        ("export", ["--checkpoint", "NAME", "--format", "onnx", "--output", "none.onnx"]),
        ("evaluate", ["--config", "demo", "--checkpoint", "NAME"]),
        ("train", ["--config", "demo", "--workdir", "none", "--set", "train.init=NAME"]),
    ],
)
def test_commands_check_names_before_tensorflow(command, arguments, video):
    """The message is the same if TensorFlow cannot be imported."""
    arguments = [a.replace("VIDEO", video).replace("NAME", "slowfast_8x8_r50_k40") for a in arguments]
    script = "import runpy, sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; sys.argv[0] = 'slowfast_tf';"
    script += f"runpy.run_module('slowfast_tf.{command}', run_name='__main__')"
    done = run("-c", script, *arguments)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    start = "train.init slowfast" if command == "train" else "slowfast"
    assert line.startswith(f"error: {start}_8x8_r50_k40: no such file, and no published network of that name")
    assert line.endswith("; did you mean 'slowfast_8x8_r50_k400'?")


# The Hugging Face Hub.

COMMIT = "0123456789abcdef0123456789abcdef01234567"

# Prints for each name the class names of the model, or the error.
LOAD = """
import json, sys
import slowfast_tf
for name in sys.argv[1:]:
    try:
        print(json.dumps(slowfast_tf.load(name).spec.labels))
    except slowfast_tf.errors.InputError as error:
        print(json.dumps(str(error)))
"""


def publish(server, repository, files, revision="main"):
    """Serves a repository as the Hub does."""
    api = f"/api/models/{repository}"
    about = {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
    for path in (f"{api}/revision/{revision}", *([api] if revision == "main" else ())):
        server.files[path] = json.dumps(about).encode()
        server.headers[path] = {"Content-Type": "application/json"}
    for name, content in files.items():
        path = f"/{repository}/resolve/{revision}/{name}"
        server.files[path] = content
        server.headers[path] = {"ETag": f'"{abs(hash(content)):x}"', "X-Repo-Commit": COMMIT}


def lambda_file(path):
    """A Keras file that would write `path` with `.ran` when its model is called."""
    x = keras.Input((2,))
    ran = str(path) + ".ran"
    keras.Model(x, keras.layers.Lambda(lambda x: open(ran, "w") and x)(x)).save(path)
    pathlib.Path(ran).unlink()
    return path.read_bytes()


def test_hub(saved, model, video, tmp_path):
    content = saved.read_bytes()
    environment = {"HF_HOME": tmp_path / "hub", "HF_HUB_DISABLE_TELEMETRY": 1, "HF_TOKEN": ""}
    good = ["hf://me/run", "hf://me/run@v1", "hf://me/one"]
    bad = ["hf://me/two", "hf://me/none", "hf://me/lambda", "hf://me/missing", "hf://me/run@v2", "hf://me/-bad-"]
    with serve_files() as server:
        publish(server, "me/run", {"model.keras": content, "other.keras": b"other"})
        publish(server, "me/run", {"model.keras": content}, "v1")
        publish(server, "me/one", {"README.md": b"", "tiny.keras": content})
        publish(server, "me/two", {"a.keras": content, "b.keras": content})
        publish(server, "me/none", {"README.md": b""})
        publish(server, "me/lambda", {"model.keras": lambda_file(tmp_path / "lambda.keras")})
        for path, code in (("/api/models/me/missing", "RepoNotFound"), ("/api/models/me/run/revision/v2", "Revision")):
            server.headers[path] = {"X-Error-Code": code.removesuffix("NotFound") + "NotFound"}
        environment["HF_ENDPOINT"] = address = server.address
        done = run("-c", QUICK_START + LOAD, *good, *bad, **environment)
        assert done.returncode == 0, done.stderr
        said = [json.loads(line) for line in done.stdout.splitlines()]
        assert said[:3] == [list(model.spec.labels)] * 3
        fetched = [path for method, path, _ in server.requests if method == "GET" and path.endswith(".keras")]
        assert fetched.count("/me/run/resolve/main/model.keras") == 1 and not any("other" in path for path in fetched)
    for message, expected in zip(
        said[3:],
        (
            "hf://me/two: has no model.keras, but a.keras, b.keras; download a .keras file yourself and give its path",
            "hf://me/none: has no model.keras, but no other .keras file; download",
            str(tmp_path / "hub"),
            f"hf://me/missing: no repository {address}/me/missing, or your token may not read it",
            f"hf://me/run@v2: no revision v2 at {address}/me/run",
            "hf://me/-bad-: not a name of a repository: ",
        ),
        strict=True,
    ):
        assert message.startswith(expected) and "\n" not in message
    assert "it holds a Functional" in said[5] and not (tmp_path / "lambda.keras.ran").exists()

    # The server is gone.
    done = run("-m", "slowfast_tf.predict", video, "--model", "hf://me/one", **environment)
    assert done.returncode == 0 and done.stdout.startswith(video), done.stderr
    done = run("-m", "slowfast_tf.describe", "hf://me/one", "--json", **environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spec"]["labels"] == list(model.spec.labels)
    environment["HF_HOME"] = tmp_path / "new"
    done = run("-m", "slowfast_tf.predict", video, "--model", "hf://me/run", **environment)
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: hf://me/run: cannot download model.keras from {address}/me/run (")
    assert line.endswith("); check the connection and run again, or download it yourself and give its path")


def test_hub_without_its_library(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for call in (names.check_name, slowfast_tf.load):
        with pytest.raises(
            InputError, match=r"pip install 'slowfast_tf\[hub\]', or download model.keras from https://h"
        ):
            call("hf://me/slowfast@v1")


def test_a_published_network_has_priority_over_a_preset(tmp_path, monkeypatch):
    """`slow_4x16_r50_ava` is both. Every command loads the published weights; none takes random ones."""
    monkeypatch.chdir(tmp_path)
    assert not names.is_preset("slow_4x16_r50_ava") and names.is_preset("slow_4x16_r50")
    assert names.read_spec("slow_4x16_r50_ava").labels and not names.read_spec("slow_4x16_r50").labels
    pathlib.Path("slow_4x16_r50").mkdir()
    assert not names.is_preset("slow_4x16_r50")
