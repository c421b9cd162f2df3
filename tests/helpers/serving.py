"""A small gRPC server that runs a SavedModel's signatures, as TF Serving does."""

import concurrent.futures
import contextlib

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as service


class Service(service.PredictionServiceServicer):
    """Runs the signature that a request names; the first `busy` requests are refused as by a full server."""

    def __init__(self, signatures, busy=0):
        self.signatures, self.busy, self.requests = signatures, busy, []

    def Predict(self, request, context):
        self.requests.append(request)
        if len(self.requests) <= self.busy:
            context.abort(grpc.StatusCode.UNAVAILABLE, "full")
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        try:
            found = self.signatures[request.model_spec.signature_name](**inputs)
        except tf.errors.InvalidArgumentError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        answer = predict_pb2.PredictResponse()
        for name in request.output_filter:
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(found[name].numpy()))
        return answer


@contextlib.contextmanager
def serving(signatures, busy=0):
    """Start a server; yields its address and its `Service`."""
    options = [("grpc.max_receive_message_length", 2**27)]
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2), options=options)
    one = Service(signatures, busy)
    service.add_PredictionServiceServicer_to_server(one, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}", one
    finally:
        server.stop(None)
