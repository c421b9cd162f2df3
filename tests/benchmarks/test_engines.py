"""Exported files in their runtimes."""

import dataclasses
import importlib.util

import numpy as np
import pytest
from helpers.benchmarks import job

from slowfast_tf.benchmarks import engines as benchmark_engines
from slowfast_tf.benchmarks.engines import ENGINES


@pytest.mark.slow
def test_exported_files_run_in_their_runtimes(tmp_path):
    """In the process of the tests; the benchmark takes one a file, and one an engine."""
    for module in ("ai_edge_litert", "onnxruntime"):
        pytest.importorskip(module)
    keys = [("tflite", "int8"), *(("onnxruntime", p) for p in ("float32", "float16", "int8")), ("openvino", "float32")]
    keys += [("openvino", "int8")] if importlib.util.find_spec("nncf") else []
    jobs = [job("inference", *key) for key in keys]
    jobs = [dataclasses.replace(one, file=benchmark_engines.file_of(one, tmp_path)) for one in jobs]
    assert list(benchmark_engines.export(jobs[:4])) == [None] * 4  # OpenVINO takes ONNX Runtime's file
    answers = {}
    for one in jobs:
        if not benchmark_engines.unavailable(one):
            answers[one.engine, one.precision] = answer = ENGINES["inference"][one.engine].build(one)()
            assert answer.shape == (1, 8) and np.isfinite(answer).all() and np.ptp(answer) > 0
    exact = answers["onnxruntime", "float32"]
    for precision, most in (("float16", 0.01), ("int8", 0.2)):
        assert 0 < np.abs(answers["onnxruntime", precision] - exact).max() < most * np.ptp(exact), precision


def test_networks_without_a_pytorch_counterpart():
    pytest.importorskip("torch")
    for preset in ("slowfast_2x16_demo", "slow_8x8_r50", "slowfast_8x8_r101"):
        assert benchmark_engines.unavailable(job("training", "pytorch", preset=preset)) is None
    reason = benchmark_engines.unavailable(job("training", "pytorch", preset="slow_8x8_r50_nl"))
    assert reason == "the PyTorch network has nonlocal_kind 'none' only; got 'dot_product'"
