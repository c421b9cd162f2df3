"""The client of export/serving over real gRPC and HTTP, against a small server that runs the SavedModel."""

import base64
import contextlib
import http.server
import json
import pathlib
import runpy
import subprocess
import sys
import threading
import time
from concurrent import futures

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from helpers.coded_video import decode, write
from helpers.exports import fresh_environment
from helpers.pictures import picture

from slowfast_tf.data import transforms
from slowfast_tf.exporting import calibration

pytest.importorskip("tensorflow_serving.apis.predict_pb2")
from helpers.serving import serving  # noqa: E402

SERVING = pathlib.Path(__file__).parents[2] / "export" / "serving"


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    return write(path, [picture(5, t) for t in range(50)], pix_fmt="yuv444p", qp=1)


@pytest.fixture(scope="module")
def expected(model, video):
    (clip,) = calibration.read_calibration_clips([video], model.spec)
    return tf.nn.softmax(model(clip)).numpy()[0]


@pytest.fixture
def serve(signatures):
    with contextlib.ExitStack() as servers:
        yield lambda busy=0: servers.enter_context(serving(signatures, busy))


@pytest.fixture
def client(capsys, monkeypatch):
    """Runs the client: in this process, which has TensorFlow, or with the `python` of another."""

    def client(*arguments, python=None):
        command = [str(SERVING / "client.py"), *map(str, arguments)]
        if python:
            done = subprocess.run([python, *command], capture_output=True, text=True, timeout=120)
            code, out, err = done.returncode, done.stdout, done.stderr
        else:
            monkeypatch.setattr(sys, "argv", command)
            monkeypatch.setattr(sys, "path", list(sys.path))
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                runpy.run_path(command[0], run_name="__main__")
            code, (out, err) = ended.value.code, capsys.readouterr()
        return code, out.splitlines(), [line for line in err.splitlines() if line.startswith("error:")]

    return client


def scores(line, path):
    found = line.removeprefix(f"{path}: ").rsplit(" (", 1)[0].split(", ")
    return {label: float(score) for label, score in (entry.rsplit(" ", 1) for entry in found)}


def test_grpc_with_pixels(client, serve, model, video, expected):
    address, one = serve()
    code, lines, errors = client(video, "--server", address, "--raw", python=sys.executable)
    assert code == 0 and len(lines) == 1, errors
    found = scores(lines[0], video)
    np.testing.assert_allclose([found[label] for label in model.spec.labels], expected, atol=0.002)
    assert one.requests[0].model_spec.name == "slowfast"


def test_grpc_with_jpeg(client, serve, signatures, model, video):
    address, one = serve()
    code, lines, errors = client(video, "--server", address)
    assert code == 0 and len(lines) == 1, errors
    encoded = tf.make_ndarray(one.requests[0].inputs["frames"])[0]
    frames = np.stack([transforms.decode(frame).numpy() for frame in encoded])
    assert frames.shape == decode(video).shape
    assert np.abs(frames.astype(int) - decode(video)).mean() < 4
    expected = signatures["serving_default"](video=tf.constant(frames[None]))["scores"][0]
    found = scores(lines[0], video)
    np.testing.assert_allclose([found[label] for label in model.spec.labels], expected, atol=0.002)


@pytest.fixture
def read(monkeypatch):
    """The function of the client that reads a video."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    return runpy.run_path(str(SERVING / "client.py"))["read"]


def test_the_client_sends_seconds(read, tmp_path, capsys):
    """The same part of a video at any rate: of two seconds the middle one."""
    images = [picture(5, t) for t in range(48)]
    once = write(tmp_path / "once.mp4", images, rate=24, pix_fmt="yuv444p", qp=1)
    doubled = [image for image in images for _ in range(2)]
    twice = write(tmp_path / "twice.mp4", doubled, rate=48, pix_fmt="yuv444p", qp=1)
    (slow, rate), (fast, double) = read(once, 1.0, 256), read(twice, 1.0, 256)
    assert (rate, double) == (24, 48)
    np.testing.assert_array_equal(slow, decode(once)[12:36])
    np.testing.assert_array_equal(fast, decode(twice)[24:72])
    assert "once.mp4: sends the middle 1.0 of 2.0 seconds; --seconds sends more" in capsys.readouterr().err
    for seconds in (2.0, float("inf")):
        assert len(read(once, seconds, 256)[0]) == 48
    assert capsys.readouterr().err == ""
    assert len(read(once, 1e-6, 256)[0]) == 2  # an even number has two in the middle


def test_a_request_to_a_full_server_is_repeated(client, serve, video):
    address, one = serve(busy=2)
    code, lines, errors = client(video, "--server", address)
    assert code == 0 and len(lines) == 1 and len(one.requests) == 3, errors


@pytest.mark.parametrize("raw, advice", [(True, "fewer --seconds, or leave out --raw"), (False, "fewer --seconds")])
def test_a_request_above_the_limit_is_not_sent(serve, video, raw, advice):
    address, one = serve()
    names = runpy.run_path(str(SERVING / "client.py"))
    names["ask_grpc"].__globals__["MAX_BYTES"] = 2**16
    clip = np.random.default_rng(0).integers(0, 256, (50, 64, 64, 3), np.uint8)
    with pytest.raises(names["ServerError"], match=rf"has 0\.\d MiB, and the limit is 0\.1 MiB; give {advice}$"):
        names["ask_grpc"](address, "slowfast", clip, 25.0, raw, 30)
    assert not one.requests


def test_what_goes_wrong_is_one_line(client, serve, video, tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    address, one = serve(busy=100)
    code, lines, errors = client(tmp_path / "bad.mp4", video, "--server", address, "--deadline", "1")
    assert code == 1 and lines == [] and len(errors) == 2
    assert "bad.mp4: cannot be read as a video" in errors[0] and "UNAVAILABLE: full" in errors[1]
    code, lines, errors = client(video, "--server", "localhost:1", "--deadline", "0.5")
    assert code == 1 and len(errors) == 1
    code, lines, errors = client(video, "--server", "http://localhost:1", "--deadline", "0.5")
    assert code == 1 and len(errors) == 1 and "refused" in errors[0]
    code, lines, errors = client(video, "--server", "http://localhost:abc", "--deadline", "0.5")
    assert code == 1 and errors == ["error: http://localhost:abc: nonnumeric port: 'abc'"]
    code, lines, errors = client(video, "--server", "httpd:1", "--deadline", "0.5")  # a host, not an address
    assert code == 1 and ("UNAVAILABLE" in errors[0] or "DEADLINE_EXCEEDED" in errors[0])
    assert client(video, "--deadline", "0")[0] == 2


def test_overload_is_answered(client, signatures, video):
    """While the queue is full, the client repeats the request until its deadline, and then prints one line."""
    free = threading.Event()

    def held(**inputs):
        free.wait(60)
        return signatures["rated_jpeg"](**inputs)

    queue = 2
    with serving({"rated_jpeg": held}, queue=queue) as (address, one), futures.ThreadPoolExecutor(queue) as others:
        read, ask = (runpy.run_path(str(SERVING / "client.py"))[name] for name in ("read", "ask_grpc"))
        waiting = [others.submit(ask, address, "slowfast", *read(video, 10, 256), False, 60) for _ in range(queue)]
        while len(one.requests) < queue:
            time.sleep(0.01)
        began = time.monotonic()
        code, lines, errors = client(video, "--server", address, "--deadline", "1")
        assert code == 1 and lines == [] and len(errors) == 1 and "RESOURCE_EXHAUSTED: " in errors[0]
        assert time.monotonic() - began < 10 and len(one.requests) == queue  # none of its requests was queued
        threading.Timer(1, free.set).start()
        code, lines, errors = client(video, "--server", address)
        assert code == 0 and len(lines) == 1, errors
        assert all(future.result() for future in waiting) and len(one.requests) == queue + 1


@pytest.mark.slow
def test_the_client_in_a_fresh_environment(client, serve, video, tmp_path):
    python = fresh_environment(tmp_path / "venv", SERVING / "client.py")
    address, _ = serve()
    code, lines, errors = client(video, "--server", address, python=python)
    assert code == 0 and len(lines) == 1, errors


@pytest.fixture
def rest(signatures):
    """TF Serving's REST interface, as its page on the RESTful API has the row format."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append(self.path)
            instances = body["instances"]
            rate = tf.constant([row["rate"] for row in instances], tf.float32)
            if body["signature_name"] == "rated_jpeg":
                value = tf.constant([[base64.b64decode(f["b64"]) for f in row["frames"]] for row in instances])
                found = signatures["rated_jpeg"](frames=value, rate=rate)
            else:
                video = np.array([row["video"] for row in instances], np.uint8)
                found = signatures["rated"](video=tf.constant(video), rate=rate)
            row = {
                "labels": [label.decode() for label in found["labels"].numpy()[0]],
                "label_scores": found["label_scores"].numpy()[0].tolist(),
            }
            answer = json.dumps({"predictions": [row]}).encode()
            self.send_response(200 if len(seen) > 1 else 503)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def test_rest(client, rest, model, video, expected):
    address, seen = rest
    code, lines, errors = client(video, "--server", address)
    assert code == 0, errors
    found = scores(lines[0], video)
    np.testing.assert_allclose([found[label] for label in model.spec.labels], expected, atol=0.15)  # JPEG
    assert seen == ["/v1/models/slowfast:predict"] * 2  # refused once


def test_model_config_is_read_by_the_real_proto():
    from tensorflow_serving.config import model_server_config_pb2

    text = (SERVING / "config" / "models.config").read_text()
    (config,) = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    assert (config.name, config.base_path, config.model_platform) == ("slowfast", "/models/slowfast", "tensorflow")
    assert config.model_version_policy.latest.num_versions == 1


def message(name, fields, **nested):
    """A message that the wheel of tensorflow-serving-api leaves out, by the names and numbers of its .proto file."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="as_published", syntax="proto3")
    for message_name, members in {**nested, name: fields}.items():
        found = file.message_type.add(name=message_name)
        for number, (field, kind) in enumerate(members.items(), 1):
            types = {"int64": 3, "bool": 8, "string": 9}
            field = found.field.add(name=field, number=number, label=1, type=types.get(kind, 11))
            if kind not in types:
                field.type_name = f".as_published.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"as_published.{name}"))()


def test_batching_and_monitoring_config():
    names = "max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"
    batching = message("BatchingParameters", dict.fromkeys(names, "Int64Value"), Int64Value={"value": "int64"})
    text_format.Parse((SERVING / "config" / "batching.config").read_text(), batching)
    assert all(getattr(batching, name).value > 0 for name in names)
    monitoring = message(
        "MonitoringConfig",
        {"prometheus_config": "PrometheusConfig"},
        PrometheusConfig={"enable": "bool", "path": "string"},
    )
    text_format.Parse((SERVING / "config" / "monitoring.config").read_text(), monitoring)
    assert monitoring.prometheus_config.enable
    assert monitoring.prometheus_config.path in (SERVING / "config" / "prometheus.yaml").read_text()


def test_compose_names_existing_files():
    yaml = pytest.importorskip("yaml")
    serving = yaml.safe_load((SERVING / "docker-compose.yaml").read_text())["services"]["serving"]
    files = [word.split("=")[1] for word in serving["command"] if "=/config/" in word]
    assert len(files) == 2 and all((SERVING / f.lstrip("/")).is_file() for f in files)
