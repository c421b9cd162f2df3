"""The server of the load benchmark in this process; it keeps the requests."""

import contextlib

import grpc

from slowfast_tf.benchmarks.grpc_server import QUEUE, Service, started


class Recorder(Service):
    """Keeps the requests; the first `busy` requests are refused as by a full server."""

    def __init__(self, signatures, busy=0):
        super().__init__(signatures)
        self.busy, self.requests = busy, []

    def Predict(self, request, context):
        self.requests.append(request)
        if len(self.requests) <= self.busy:
            context.abort(grpc.StatusCode.UNAVAILABLE, "full")
        return super().Predict(request, context)


@contextlib.contextmanager
def serving(signatures, busy=0, queue=QUEUE):
    """Start a server; yields its address and its `Recorder`."""
    recorder = Recorder(signatures, busy)
    with started(recorder, queue) as address:
        yield address, recorder
