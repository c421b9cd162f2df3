"""The processes that benchmarks start: `python -m slowfast_tf.benchmarks.worker MODE REQUEST`."""

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
        mode: "worker", "export" or "scaling".
        request: JSON. For "scaling" the request of `scaling.measure`, otherwise jobs. "export" answers with a reason
            or null for each file; "worker" with "ready", and then for each line on stdin with a step's seconds and the
            peak memory in bytes.
    """
    if mode == "scaling":
        from . import scaling

        return scaling.serve(request)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries write to stdout as well
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
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in kB, but in bytes on macOS
        answer([seconds, peak * (1 if sys.platform == "darwin" else 1024)])


if __name__ == "__main__":
    run(lambda: work(*sys.argv[1:]))
