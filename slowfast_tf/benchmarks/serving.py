"""Time a gRPC server of a SavedModel under load: latency, requests per second, refused requests and memory."""

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import os
import pathlib
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tqdm

from ..errors import InputError
from ..machine import core_count, cpu_name
from ..models.presets import get_spec
from ..models.views import MIDDLE
from ..runtime import import_tensorflow
from .process import Process

CLIENTS = (1, 8, 64)
PRESETS = ("slowfast_2x16_demo", "slowfast_8x8_r50")
HEIGHT, WIDTH, QUALITY = 256, 340, 95  # of the JPEG frames of a request
WAIT = 0.2  # seconds that a client waits after it was refused


class Refused(Exception):
    """The server has refused a request, because its queue is full."""


@dataclasses.dataclass(frozen=True)
class Load:
    """What a number of clients have measured.

    Attributes:
        clients: number of clients; each sends its next request when it has the answer to the last one.
        latencies: seconds from each answered request to its answer.
        refused: number of refused requests.
        seconds: time until the last answer.
    """

    clients: int
    latencies: Sequence[float]
    refused: int
    seconds: float


def load(ask: Callable[[], Any], clients: int, seconds: float) -> Load:
    """Send requests from a number of threads, each of which sends one after the other.

    Args:
        ask: sends a request and waits for the answer. It raises `Refused` if the server refuses the request; the thread
            goes on after `WAIT` seconds.
        clients: number of threads.
        seconds: no request is sent after this time.

    Raises:
        Exception: the first that `ask` raises, except for `Refused`.
    """
    latencies: list[float] = []
    refused: list[None] = []
    errors: list[BaseException] = []
    start = time.monotonic()

    def client() -> None:
        while (began := time.monotonic()) < start + seconds and not errors:
            try:
                ask()
                latencies.append(time.monotonic() - began)
            except Refused:
                refused.append(None)
                time.sleep(WAIT)
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=client, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return Load(clients, latencies, len(refused), time.monotonic() - start)


@contextlib.contextmanager
def asking(address: str, request: Any) -> Iterator[Callable[[], Any]]:
    """Yield a function that sends a request to a server and returns the answer, as `load` needs it.

    Args:
        address: address of the server.
        request: a `PredictRequest`.
    """
    import grpc
    from tensorflow_serving.apis import prediction_service_pb2_grpc as service

    with grpc.insecure_channel(address) as channel:
        stub = service.PredictionServiceStub(channel)

        def ask() -> Any:
            try:
                return stub.Predict(request)
            except grpc.RpcError as error:
                if error.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE):  # pyright: ignore[reportAttributeAccessIssue]
                    raise Refused from error
                raise

        yield ask


def make_request(frames: int) -> Any:
    """Return a request as export/serving/client.py sends it: JPEG frames of a moving texture, and their rate.

    Args:
        frames: number of frames.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    from ..data.datasets.synthetic.shapes import noise

    random = np.random.default_rng(0)
    picture = 110 + 0.6 * np.tile(np.stack([noise(random, (160, 176)) for _ in range(3)], -1), (3, 3, 1))
    picture += random.normal(0, 3, picture.shape)  # images as large as those of real videos
    encoded = []
    for t in range(frames):
        y, x = int(30 + 25 * np.sin(t / 20)), 20 + t // 4
        frame = np.clip(picture[y : y + HEIGHT, x : x + WIDTH], 0, 255).astype(np.uint8)
        encoded.append(tf.io.encode_jpeg(frame, quality=QUALITY).numpy())
    request = predict_pb2.PredictRequest()  # pyright: ignore[reportAttributeAccessIssue]
    request.model_spec.signature_name = "rated_jpeg"
    request.inputs["frames"].CopyFrom(tf.make_tensor_proto(np.array([encoded], object)))
    request.inputs["rate"].CopyFrom(tf.make_tensor_proto(np.array([30], np.float32)))
    request.output_filter.extend(["labels", "label_scores"])
    return request


def measure(preset: str, seconds: int) -> list[tuple[Load, int]]:
    """Export a network with random weights, serve it, and measure each number of `CLIENTS`, after two requests.

    Args:
        preset: name of the network.
        seconds: time of each number of clients.

    Returns:
        What the clients have measured, and the memory of the server after it, in bytes.
    """
    from ..exporting import saved_model
    from ..models.slowfast import SlowFast

    model, found = SlowFast(preset), []
    with tempfile.TemporaryDirectory() as scratch:
        saved_model.export(model, path := pathlib.Path(scratch) / "1", views=MIDDLE)
        server = Process("serving", os.fspath(path))
        try:
            with asking(server.answer(), make_request(model.spec.clip_span)) as ask:
                for _ in range(2):
                    ask()
                for clients in tqdm.tqdm(CLIENTS, preset, unit="load", file=sys.stderr):
                    found.append((load(ask, clients, seconds), server.ask()))
        finally:
            server.close()
    return found


def row(preset: str, load: Load, memory: int) -> str:
    """Return a row of the table.

    Args:
        preset: name of the network.
        load: what the clients have measured.
        memory: memory of the server after it, in bytes.
    """
    latency = [f"{seconds:.3f}" for seconds in np.percentile(load.latencies, (50, 95, 99))]
    answered = len(load.latencies)
    cells = [preset, load.clients, answered, f"{answered / load.seconds:.2f}", *latency, load.refused]
    return f"| {' | '.join(map(str, cells))} | {memory / 2**20:.0f} MiB |"


def section(presets: Sequence[str], seconds: int, command: str) -> str:
    """Measure networks under load and return a Markdown section.

    Args:
        presets: names of the networks.
        seconds: time of each number of clients.
        command: the command that writes the section.

    Raises:
        InputError: if a network is unknown, or the server's packages are not installed.
    """
    if not importlib.util.find_spec("tensorflow_serving"):
        raise InputError("the server needs tensorflow-serving-api: pip install 'slowfast_tf[serving]'")
    try:
        spans = [get_spec(preset).clip_span for preset in presets]
    except ValueError as error:
        raise InputError(str(error)) from error
    import_tensorflow()
    from .grpc_server import QUEUE

    rows = [row(preset, *found) for preset in presets for found in measure(preset, seconds)]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("tensorflow", "grpcio"))
    network = " and ".join(f"{span} for `{preset}`" for preset, span in zip(presets, spans))
    return f"""## Serving

    {command}

A small gRPC server with TF Serving's interface, not TF Serving itself, runs a SavedModel (float32, one view, random
weights) in a separate process. It computes {core_count()} requests at a time. Each client sends a request to
`rated_jpeg`, waits for the answer and sends the next one, for {seconds} s. A request has JPEG frames of
{WIDTH}x{HEIGHT}, {network}.
Clients and server share the cores. At most {QUEUE} requests run or wait. The server refuses any other at once
(`RESOURCE_EXHAUSTED`), and the client sends its next request after {WAIT} s. Latencies are those of the answered
requests. Memory is that of the server process at the end.
{core_count()} cores, {cpu_name()}; Python {platform.python_version()}, {versions}.

| network | clients | answered | requests/s | latency, s: median | 95% | 99% | refused | memory |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}"""
