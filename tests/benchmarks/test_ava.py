"""The benchmark of AVA's evaluation."""

import re

from slowfast_tf import benchmark
from slowfast_tf.benchmarks import ava as ava_benchmark


def test_benchmark(monkeypatch, capsys):
    monkeypatch.setattr(ava_benchmark, "FRAMES", 30)
    benchmark.main(["ava", "--rounds", "1"])
    page = capsys.readouterr().out
    assert "in 30 key frames" in page and "`ava_csv.read_csv` of the detections" in page
    assert float(re.search(r"differ by at most (\S+)\.\n", page)[1]) < 1e-12
