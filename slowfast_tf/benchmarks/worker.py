"""Run a worker process of a benchmark: `python -m slowfast_tf.benchmarks.worker MODE REQUEST`."""

import json
import os
import resource
import sys
import time

from ..runtime import run
from . import engines
from .engines import ENGINES, Job


def work(mode: str, request: str) -> None:
    """Answer a benchmark's requests with lines of JSON on stdout.

    Args:
        mode: "worker", "export", "scaling", "serving" or "stages".
        request: the directory of a SavedModel for "serving". JSON otherwise: a `scaling.Request` for "scaling", the
            arguments of `predicting.time_stages` for "stages", a list of `Job`s for the others.

    Each mode has its answers:

    * "worker": "ready"; then, for each line on stdin, the duration of a step in seconds and the peak memory in bytes.
    * "export": for each file null, or the reason why it could not be written.
    * "scaling": a `scaling.Timing`.
    * "serving": as `grpc_server.serve` says.
    * "stages": the seconds of each of `predicting.STAGES`.
    """
    if mode == "stages":
        from . import predicting

        return print(json.dumps(predicting.time_stages(*json.loads(request))))
    if mode == "scaling":
        from . import scaling

        return scaling.serve(scaling.Request(**json.loads(request)))
    if mode == "serving":
        from . import grpc_server

        return grpc_server.serve(request)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # send the libraries' output to stderr: only answers may go to stdout
    jobs = [Job(**values) for values in json.loads(request)]

    def answer(value: object) -> None:
        print(json.dumps(value), file=answers, flush=True)

    if mode == "export":
        for reason in engines.export(jobs):
            answer(reason)
        return
    step = ENGINES[jobs[0].task][jobs[0].engine].build(jobs[0])
    answer("ready")
    for _ in sys.stdin:
        began = time.perf_counter()
        step()
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in kB, on macOS in bytes
        answer([seconds, peak * (1 if sys.platform == "darwin" else 1024)])


if __name__ == "__main__":
    run(lambda: work(*sys.argv[1:]))
