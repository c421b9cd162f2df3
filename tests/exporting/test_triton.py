"""The SavedModel on NVIDIA's Triton Inference Server, in a separate environment, called by Triton's client."""

import contextlib
import json
import os
import pathlib
import platform
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import decode, write
from helpers.exports import fresh_environment, jpegs
from helpers.pictures import picture

from slowfast_tf.inference import Predictor, read_clip

ROOT = pathlib.Path(__file__).parents[2]
SERVER = ROOT / "export" / "serving" / "triton.py"
PAGE = ROOT / "docs" / "serving.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.version_info >= (3, 13) or sys.platform != "linux" or platform.machine() != "x86_64",
        reason="nvidia-pytriton has wheels for Linux on x86-64, and needs NumPy 1, which has none for Python 3.13",
    ),
]

# Calls by HTTP: first one after the other, then many at once. Prints the answers and the errors as JSON.
CALLS = """
import json, sys
import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

KINDS = {"uint8": "UINT8", "float32": "FP32", "object": "BYTES"}
client = triton.InferenceServerClient(sys.argv[1], concurrency=64, network_timeout=300)

def start(signature, **arrays):
    inputs = []
    for name, x in arrays.items():
        inputs.append(triton.InferInput(name, x.shape, KINDS[str(x.dtype)]))
        inputs[-1].set_data_from_numpy(x)
    return client.async_infer(signature, inputs)

def finish(call):
    try:
        answer = call.get_result()
    except InferenceServerException as error:
        return str(error)
    found = {x["name"]: answer.as_numpy(x["name"]) for x in answer.get_response()["outputs"]}
    return {name: (x.astype(str) if x.dtype == object else x).tolist() for name, x in found.items()}

given = dict(np.load(sys.argv[2], allow_pickle=True))
video, frames, rate = given["video"], given["frames"], given["rate"]
answers = {
    "rated": finish(start("rated", video=video, rate=rate)),
    "rated_jpeg": finish(start("rated_jpeg", frames=frames, rate=rate)),
    "clips": finish(start("clips", slow=given["slow"], fast=given["fast"])),
    "wrong rate": finish(start("rated", video=video, rate=rate * np.nan)),
    "batch": finish(start("rated", video=video.repeat(2, 0), rate=rate.repeat(2, 0))),
    "many": list(map(finish, [start("rated", video=video, rate=rate) for _ in range(64)])),
}
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of an environment with Triton, whose server starts, and with what its client needs."""
    place = tmp_path_factory.mktemp("triton") / "venv"
    python = fresh_environment(place, SERVER)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-compile", "av"]
    subprocess.run(pip, check=True, capture_output=True, timeout=300)
    (binary,) = place.glob("lib/python*/site-packages/pytriton/tritonserver/bin/tritonserver")
    done = subprocess.run([binary, "--help"], capture_output=True, text=True, timeout=60)
    if "Usage" not in done.stdout + done.stderr:
        pytest.skip(f"Triton's server does not start here: {done.stderr[-500:]}")
    return python


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [s.getsockname()[1] for s in sockets]


@pytest.fixture(scope="module")
def addresses(python, served, tmp_path_factory):
    """The addresses of a server of `served`, by protocol. Few requests may wait."""
    home = tmp_path_factory.mktemp("home")
    ports = dict(zip(("HTTP", "GRPC", "METRICS"), free_ports(3)))
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        **{f"PYTRITON_TRITON_CONFIG_{name}_PORT": str(port) for name, port in ports.items()},
        "PYTRITON_HOME": str(home),
    }
    with open(home.parent / "log", "w+") as log:
        server = subprocess.Popen(
            [python, SERVER, served, "--queue", "4"], stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        words = (home.parent / "log").read_text
        try:
            while words().count("successfully loaded '") < 5:  # signatures
                assert server.poll() is None, words()[-3000:]
                time.sleep(0.5)
            yield {name: f"127.0.0.1:{port}" for name, port in ports.items()}
            server.send_signal(signal.SIGTERM)
            assert server.wait(120) == 0
            assert not list(home.iterdir())
        finally:
            server.kill()


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    return write(path, [picture(5, t) for t in range(50)], pix_fmt="yuv444p", qp=1)


def test_the_client_of_the_page(python, addresses, video, model, signatures):
    """The answer is that of the SavedModel and of `predict`."""
    (script,) = re.findall(r"^```\n(import sys.*?)^```", PAGE.read_text(), re.M | re.S)
    for name, here in (("holiday.mp4", str(video)), ("localhost:8001", addresses["GRPC"])):
        assert name in script
        script = script.replace(name, here)
    done = subprocess.run([python, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    labels, found = re.fullmatch(r"\[\[(.*)\]\] \[\[(.*)\]\]", " ".join(done.stdout.split())).groups()
    labels, found = re.findall(r"b'(\w+)'", labels), np.array(found.split(), float)
    expected = signatures["rated"](video=tf.constant(decode(video)[None]), rate=tf.constant([25.0]))
    assert labels == expected["labels"].numpy()[0].astype(str).tolist()
    np.testing.assert_allclose(found, expected["label_scores"][0], atol=1e-5)
    scores = Predictor(model).score_clips(read_clip(video, model.spec)[None]).numpy()[0]
    scores = dict(zip(model.spec.labels, scores))
    np.testing.assert_allclose(found, [scores[label] for label in labels], atol=0.002)


def test_signatures_rules_and_overload(python, addresses, video, model, signatures, tmp_path):
    frames, rate = decode(video)[None], np.array([[25.0]], np.float32)
    fast = np.random.default_rng(0).normal(size=(1, 16, 32, 32, 3)).astype(np.float32)
    encoded = jpegs(frames).astype(object)
    given = {"video": frames, "frames": encoded, "rate": rate, "slow": fast[:, ::8], "fast": fast}
    np.savez(tmp_path / "given.npz", **given)
    command = [python, "-c", CALLS, addresses["HTTP"], tmp_path / "given.npz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    rate = tf.constant([25.0])
    expected = {
        "rated": signatures["rated"](video=tf.constant(frames), rate=rate),
        "rated_jpeg": signatures["rated_jpeg"](frames=tf.constant(encoded), rate=rate),
        "clips": signatures["clips"](slow=tf.constant(given["slow"]), fast=tf.constant(fast)),
    }
    for name, outputs in expected.items():
        assert answers[name].keys() == outputs.keys()
        for key, x in outputs.items():
            if key == "labels":
                assert answers[name][key] == x.numpy().astype(str).tolist()
            else:
                np.testing.assert_allclose(answers[name][key], x, atol=1e-5)
    assert "[rate is one number for each video, frames a second; got] [nan]" in answers["wrong rate"]
    assert "batch-size must be <= 1" in answers["batch"]
    answered = [answer for answer in answers["many"] if isinstance(answer, dict)]
    refused = [answer for answer in answers["many"] if isinstance(answer, str)]
    assert answered and refused and all("Exceeds maximum queue size" in message for message in refused)
    for answer in answered:
        np.testing.assert_allclose(answer["scores"], expected["rated"]["scores"], atol=1e-5)
