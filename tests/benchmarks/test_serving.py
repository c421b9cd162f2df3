"""A gRPC server under load. How fast it is is not tested: timings belong to benchmarks."""

import concurrent.futures
import pathlib
import runpy
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers.benchmarks import rows
from helpers.exports import jpegs
from helpers.pictures import picture

from slowfast_tf import benchmark
from slowfast_tf.benchmarks import serving
from slowfast_tf.benchmarks.process import Process
from slowfast_tf.errors import InputError, RunError

pytest.importorskip("tensorflow_serving.apis.predict_pb2")
from slowfast_tf.benchmarks.grpc_server import QUEUE  # noqa: E402

CLIENT = pathlib.Path(__file__).parents[2] / "export" / "serving" / "client.py"
VIDEOS = np.array([[picture(n, t) for t in range(40)] for n in range(4)])


@pytest.fixture(scope="module")
def server(served):
    """The process of a server."""
    server = Process("serving", str(served))
    yield server
    server.close()


@pytest.fixture(scope="module")
def address(server):
    return server.answer()


@pytest.fixture(scope="module")
def request_of_video():
    """A request of 40 frames."""
    request = serving.make_request(1)
    request.inputs["frames"].CopyFrom(tf.make_tensor_proto(jpegs(VIDEOS[:1])))
    return request


@pytest.mark.slow
def test_load(address, request_of_video, signatures):
    """The server answers what it accepts, correctly, and refuses what its queue does not hold."""
    found = signatures["rated_jpeg"](frames=tf.constant(jpegs(VIDEOS[:1])), rate=tf.constant([30.0]))
    with serving.asking(address, request_of_video) as ask:

        def ask_and_compare():
            scores = tf.make_ndarray(ask().outputs["label_scores"])
            np.testing.assert_allclose(scores, found["label_scores"], atol=1e-5)

        loads = [serving.load(ask_and_compare, clients, 2) for clients in serving.CLIENTS]
    for load in loads:
        assert load.latencies and min(load.latencies) > 0 and load.seconds >= 2
        assert bool(load.refused) == (load.clients > QUEUE)


@pytest.mark.slow
def test_memory(server, address, request_of_video):
    """After 300 requests, 1,000 more take less memory than half of their bytes: the server keeps none of them."""
    with serving.asking(address, request_of_video) as ask:

        def send(count):
            while count > 0:
                count -= len(serving.load(ask, 8, 0.5).latencies)

        send(300)
        before = server.ask()
        send(1000)
    assert server.ask() - before < 1000 * request_of_video.ByteSize() / 2


@pytest.mark.slow
def test_all_clients_are_answered(address, signatures, monkeypatch):
    """64 of the deployers' clients at once, four times as many as the server accepts: each gets its own answer."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    ask = runpy.run_path(str(CLIENT))["ask_grpc"]
    expected = []
    for video in VIDEOS:
        found = signatures["rated"](video=tf.constant(video[None]), rate=tf.constant([25.0]))
        expected.append(dict(zip(found["labels"].numpy()[0].astype(str), found["label_scores"].numpy()[0])))
    assert len({tuple(scores.values()) for scores in expected}) == 4
    with concurrent.futures.ThreadPoolExecutor(64) as clients:
        answers = list(clients.map(lambda n: ask(address, "slowfast", VIDEOS[n % 4], 25.0, True, 60), range(64)))
    for n, answer in enumerate(answers):
        assert dict(answer) == pytest.approx(expected[n % 4], abs=1e-5)


def test_an_error_ends_the_load():
    with pytest.raises(ZeroDivisionError):
        serving.load(lambda: 1 // 0, 8, 100)


@pytest.mark.slow
def test_a_server_that_cannot_start_is_told(tmp_path):
    server = Process("serving", str(tmp_path))
    with pytest.raises(RunError, match="SavedModel"):
        server.answer()
    server.close()


def test_mistakes():
    with pytest.raises(InputError, match="did you mean 'slowfast_8x8_r50'"):
        benchmark.main(["serving", "--preset", "slowfast_8x8_r5"])
    with pytest.raises(InputError, match="--seconds must be at least 1; got 0"):
        benchmark.main(["serving", "--seconds", "0"])


@pytest.mark.slow
def test_table(tmp_path, capsys):
    output = tmp_path / "page.md"
    benchmark.main(["serving", "--preset", "slowfast_2x16_demo", "--seconds", "1", "--output", str(output)])
    found = rows(output.read_text())
    assert found == rows(capsys.readouterr().out)
    assert [row[:2] for row in found] == [["slowfast_2x16_demo", clients] for clients in ("1", "8", "64")]
    for row in found:
        answered, rate, middle, high, highest, refused = map(float, row[2:8])
        assert 0 < rate <= answered and 0 < middle <= high <= highest and row[8].endswith(" MiB")
        assert bool(refused) == (row[1] == "64")
