"""A small gRPC server that runs the signatures of a SavedModel, as TF Serving does. Its queue is bounded."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import resource
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as service

from ..machine import core_count

MAX_BYTES = 128 * 2**20  # of a message, as in export/serving/docker-compose.yaml
QUEUE = 16  # requests that run or wait; any other is refused at once (RESOURCE_EXHAUSTED)


class Service(service.PredictionServiceServicer):
    """Answers a request with the outputs of the signature that it names.

    Args:
        signatures: functions by name, those of a loaded SavedModel.
    """

    def __init__(self, signatures: Any):
        self.signatures = signatures

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        try:
            found = self.signatures[request.model_spec.signature_name](**inputs)
        except tf.errors.InvalidArgumentError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        answer = predict_pb2.PredictResponse()  # pyright: ignore[reportAttributeAccessIssue]
        for name in request.output_filter:
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(found[name].numpy()))
        return answer


@contextlib.contextmanager
def started(answers: Service, queue: int = QUEUE) -> Iterator[str]:
    """Run a server during the `with` block; yields its address, such as "localhost:41057".

    Args:
        answers: what answers the requests.
        queue: number of requests that run or wait; any other is refused at once.
    """
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(core_count()),
        options=[("grpc.max_receive_message_length", MAX_BYTES)],
        maximum_concurrent_rpcs=queue,
    )
    service.add_PredictionServiceServicer_to_server(answers, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None)


def serve(path: str | os.PathLike) -> None:
    """Serve a SavedModel until stdin ends. Prints the address, and for each line on stdin the memory in bytes.

    Args:
        path: the directory of the SavedModel.
    """
    with started(Service(tf.saved_model.load(os.fspath(path)).signatures)) as address:
        print(json.dumps(address), flush=True)
        for _ in sys.stdin:
            print(json.dumps(memory()), flush=True)


def memory() -> int:
    """Return the resident memory of this process in bytes; on systems without /proc, its peak."""
    try:
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in kB, on macOS in bytes
        return peak * (1 if sys.platform == "darwin" else 1024)
