"""Records and checkpoints at addresses: on a local S3 server (moto's), a web server and an Azure server (Azurite)."""

import importlib.util
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

import boto3
import flask
import moto.server
import numpy as np
import pytest
import werkzeug.serving
from helpers.files_server import serve_files
from helpers.processes import QUICK_START

import slowfast_tf
from slowfast_tf import config
from slowfast_tf.data import Clips
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.errors import InputError, RunError
from slowfast_tf.files import remote

ROOT = pathlib.Path(__file__).parents[2]
IO = importlib.util.find_spec("tensorflow_io")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A bucket on a separate server, whose address all S3 clients of this and of started processes use."""
    server = moto.server.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            # tensorflow-io's own
            "S3_ENDPOINT": f"http://{host}:{port}",
            "S3_USE_HTTPS": "0",
            "S3_VERIFY_SSL": "0",
            "KERAS_HOME": str(tmp_path_factory.mktemp("cache")),
        }.items():
            patch.setenv(name, value)
        s3 = boto3.resource("s3")
        yield s3.create_bucket(Bucket="videos")
    server.stop()


@pytest.fixture(scope="module")
def records(bucket, configure, tmp_path_factory):
    """Records of `folder`, in a directory and in the bucket."""
    directory = tmp_path_factory.mktemp("records") / "tiny"
    prepare(configure("prepare.shards=2"), str(directory))
    for path in directory.iterdir():
        bucket.upload_file(str(path), f"tiny/{path.name}")
    return directory


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras/slowfast_tf/remote"


def read(configure, root):
    clips = Clips(configure("data.dataset=records", f"data.root={root}"), "train")
    return [(inputs["fast"].numpy(), labels.numpy()) for inputs, labels in clips.train(range(2))], clips.skipped


def test_batches_are_those_of_local_records(records, configure, cache):
    here, there = (read(configure, root) for root in (records, "s3://videos/tiny"))
    assert len(here[0]) == 4 and not there[1]
    for (a, b), (c, d) in zip(here[0], there[0], strict=True):
        assert np.array_equal(a, c) and np.array_equal(b, d)
    # What clips need is read there; of files the index alone is copied.
    assert [path.name for path in cache.rglob("*") if path.is_file()] == ["index.json"]


def test_a_lost_shard_is_named(records, configure, bucket, cache):
    shard = json.loads((records / "index.json").read_text())["splits"]["train"]["shards"][0]["file"]
    for path in records.iterdir():
        if path.name != shard:
            bucket.upload_file(str(path), f"lost/{path.name}")
    batches, skipped = read(configure, "s3://videos/lost")
    assert len(batches) == 4  # what there is takes its place
    assert skipped and set(skipped.values()) == {f"s3://videos/lost/{shard}: cannot be read: no such file there"}


def test_a_checkpoint(saved, model, bucket, cache):
    bucket.upload_file(str(saved), "runs/tiny.keras")
    for _ in range(2):
        found = slowfast_tf.load("s3://videos/runs/tiny.keras")
    assert len(list(cache.rglob("*.keras"))) == 1
    for a, b in zip(found.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    (copy,) = cache.rglob("*.keras")
    other = copy.parent / "other.txt"
    other.write_text("another version")
    bucket.upload_file(str(other), "runs/tiny.keras")
    assert remote.fetch_file("s3://videos/runs/tiny.keras").read_text() == "another version"  # no stale copy


@pytest.mark.parametrize(
    "address, said",
    [
        ("s3://videos/nothing.keras", "cannot be read"),
        ("s3://nowhere/nothing.keras", "cannot be read"),
        ("nonsense://videos/tiny.keras", "nothing that reads nonsense:// is installed"),
    ],
)
def test_what_cannot_be_had(address, said, bucket, cache):
    with pytest.raises(InputError, match=said) as error:
        slowfast_tf.load(address)
    assert address in str(error.value) and "\n" not in str(error.value)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_a_run_from_records_and_weights_there(values, records, saved, bucket, tmp_path):
    """Run the command in a separate process; with tensorflow-io and tensorflow-addons if they are installed."""
    bucket.upload_file(str(saved), "runs/start.keras")
    mine = {**values, "data": {**values["data"], "dataset": "records", "root": "s3://videos/tiny"}}
    mine["train"] = {**values["train"], "init": "s3://videos/runs/start.keras"}
    if IO:
        mine["plugins"] = ["tensorflow_addons", "tensorflow_io"]
        mine["train"]["optimizer"] = {"class_name": "Addons>LAMB"}
    (tmp_path / "c.json").write_text(json.dumps(mine))
    command = [sys.executable, "-m", "slowfast_tf.train", "--config", "c.json", "--workdir", "run"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600)
    assert process.returncode == 0, process.stderr[-3000:]
    figures = json.loads((tmp_path / "run/metrics.json").read_text())
    assert figures["videos"] == 4 and figures["skipped"] == 0
    assert config.load(tmp_path / "run/config.json").data.root == "s3://videos/tiny"
    assert not list(pathlib.Path(os.environ["KERAS_HOME"]).rglob("*.tfrecord"))


@pytest.mark.skipif(not IO, reason="tensorflow-io is not installed (extra legacy)")
def test_records_are_written_there(values, records, bucket, tmp_path):
    (tmp_path / "c.json").write_text(json.dumps({**values, "plugins": ["tensorflow_io"], "prepare": {"shards": 2}}))
    command = [sys.executable, "-m", "slowfast_tf.prepare", "--config", "c.json", "--output", "s3://videos/written"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600)
    assert process.returncode == 0, process.stderr[-3000:]
    written = {
        item.key.removeprefix("written/"): item.get()["Body"].read()
        for item in bucket.objects.filter(Prefix="written/")
    }
    for path in records.glob("*.tfrecord"):
        assert written[path.name] == path.read_bytes()
    assert "index.json" in written


READ = """
import sys
import numpy as np
import tensorflow as tf
import slowfast_tf
from slowfast_tf import config, plugins
from slowfast_tf.data import Clips
from slowfast_tf.data.records.prepare import prepare

where, root, checkpoint, output = sys.argv[1:]
settings = config.load(where, ["data.dataset=records", f"data.root={root}"])
plugins.load_plugins(settings.plugins)
if root.startswith("az:"):
    content, checkpoint = open(checkpoint, "rb").read(), f"{root}/tiny.keras"
    with tf.io.gfile.GFile(checkpoint, "wb") as file:
        file.write(content)
clips = Clips(settings, "train")
batches = [inputs["fast"].numpy() for inputs, _ in clips.train(range(2))]
assert not clips.skipped
np.savez(output, *batches, *slowfast_tf.load(checkpoint).get_weights())
"""


@pytest.fixture
def reads(values, records, configure, saved, model, tmp_path):
    """Return whether a separate process reads the batches of `records` and the weights of `saved` at an address."""
    here, _ = read(configure, records)
    expected = [*(fast for fast, _ in here), *model.get_weights()]
    (tmp_path / "c.json").write_text(json.dumps({**values, "plugins": ["tensorflow_io"] if IO else []}))

    def run(root, checkpoint):
        command = [sys.executable, "-c", QUICK_START + READ, "c.json", root, str(checkpoint), "found.npz"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600)
        assert process.returncode == 0, process.stderr[-3000:]
        with np.load(tmp_path / "found.npz") as found:
            return all(np.array_equal(a, b) for a, b in zip(found.values(), expected, strict=True))

    return run


def test_http(records, saved, reads, tmp_path):
    shutil.copytree(records, tmp_path / "site/tiny")
    shutil.copy(saved, tmp_path / "site")
    app = flask.Flask(__name__, static_folder=str(tmp_path / "site"), static_url_path="/")  # which knows of ranges
    server = werkzeug.serving.make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    assert reads(f"{address}/tiny", f"{address}/{saved.name}")
    server.shutdown()


@pytest.mark.parametrize("header", ["ETag", "Last-Modified", None])
def test_a_changed_file_of_a_web_server(header, cache):
    """Another file of the same size; a server that states neither header is asked for the file each time."""
    pytest.importorskip("fsspec.implementations.http")
    with serve_files() as server:
        address = f"{server.address}/a.txt"
        for number, content in enumerate((b"first", b"other")):
            server.files["/a.txt"] = content
            server.headers["/a.txt"] = {header: f"Mon, 30 Nov 2026 10:00:0{number} GMT"} if header else {}
            server.requests.clear()
            for _ in range(2):
                assert remote.fetch_file(address).read_bytes() == content
            assert [method for method, *_ in server.requests].count("GET") == (1 if header else 2)
        with pytest.raises(InputError, match="none.txt: cannot be read: no such file there"):
            remote.fetch_file(f"{server.address}/none.txt")
    with pytest.raises(RunError, match="a.txt: cannot be downloaded"):
        remote.fetch_file(address)


def test_a_signed_address(saved, model, cache):
    pytest.importorskip("fsspec.implementations.http")
    with serve_files() as server:
        server.files["/runs/tiny.keras"] = saved.read_bytes()
        found = slowfast_tf.load(f"{server.address}/runs/tiny.keras?X-Amz-Date=1&X-Amz-Signature=ab/c")
    for a, b in zip(found.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.skipif(not IO, reason="tensorflow-io is not installed (extra legacy)")
@pytest.mark.skipif(not shutil.which("azurite-blob"), reason="needs Azure's storage server for tests: npm's azurite")
def test_azure(values, saved, reads, tmp_path, monkeypatch):
    """Written there, and read."""
    port = 10000  # which tensorflow-io takes for granted
    words = ["--blobPort", str(port), "--location", str(tmp_path / "blobs"), "--silent", "--skipApiVersionCheck"]
    server = subprocess.Popen(["azurite-blob", *words, "--disableTelemetry"])
    monkeypatch.setenv("TF_AZURE_USE_DEV_STORAGE", "1")
    (tmp_path / "p.json").write_text(json.dumps({**values, "plugins": ["tensorflow_io"], "prepare": {"shards": 2}}))
    root = "az://devstoreaccount1/videos/written"
    try:
        while server.poll() is None and socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.1)
        command = [sys.executable, "-m", "slowfast_tf.prepare", "--config", "p.json", "--output", root]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600)
        assert process.returncode == 0, process.stderr[-3000:]
        assert reads(root, saved)
    finally:
        server.terminate()
        server.wait()
