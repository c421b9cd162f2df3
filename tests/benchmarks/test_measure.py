"""Engines that cannot run are rows with the reason."""

import dataclasses

import pytest
from helpers.benchmarks import job

from slowfast_tf.benchmarks import measure
from slowfast_tf.benchmarks.engines import ENGINES


def test_an_engine_that_cannot_run_is_a_row_with_the_reason(tmp_path, monkeypatch):
    """A broken file, a missing package, a step beyond the limit: the other engines are still measured."""
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("torch")
    broken = tmp_path / "broken.tflite"
    broken.write_text("no model")
    monkeypatch.setitem(
        ENGINES["inference"],
        "openvino",
        dataclasses.replace(ENGINES["inference"]["openvino"], package="no_such_package"),
    )
    jobs = [job("inference", "tflite", file=str(broken)), job("inference", "openvino"), job("inference", "pytorch")]
    results = measure.measure(jobs, rounds=2, limit=100)
    assert [len(result.seconds) for result in results] == [0, 0, 2]
    assert "ValueError" in results[0].reason and "\n" not in results[0].reason
    assert results[1].reason == "no_such_package is not installed: pip install 'slowfast_tf[bench]'"
    assert results[2].reason == "" and min(results[2].seconds) > 0 and results[2].peak > 2**26
    (slow,) = measure.measure(jobs[2:], rounds=1, limit=1e-5)
    assert len(slow.seconds) == 0 and slow.reason == "a step takes more than 1e-05 s"
