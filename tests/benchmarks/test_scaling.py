"""Time two workers, and write the page with a case worked by hand."""

import pytest

from slowfast_tf import benchmark
from slowfast_tf.benchmarks import scaling as benchmark_scaling
from slowfast_tf.benchmarks.estimate import Video
from slowfast_tf.benchmarks.scaling import Timing
from slowfast_tf.errors import InputError


@pytest.mark.slow
def test_two_workers_are_timed():
    timing = benchmark_scaling.measure(2, "slowfast_2x16_demo", 1, 32, 1)
    assert 0 < timing.all_reduce and 0 < timing.step


def test_page(monkeypatch, tmp_path, capsys):
    """One worker at 2 s a step, two at 2.5 s: 0.5 and 0.8 clips a second, 1.6 times as many."""
    monkeypatch.setattr(benchmark_scaling, "measure", lambda count, *rest: Timing(1.5 + count / 2, 0.25))
    monkeypatch.setattr(benchmark_scaling, "measure_input", lambda: (8e6, 0.048, {85: Video(0.36, 6e5, 4.8e6)}))
    benchmark.main(["scaling", "--output", str(tmp_path / "scaling.md")])
    text = (tmp_path / "scaling.md").read_text()
    assert text in capsys.readouterr().out
    assert "| 1 | 2.00 |  | 0.50 | 1.00 |" in text and "| 2 | 2.50 | 0.25 | 0.80 | 1.60 |" in text
    # 65.71 G multiply-adds at 256^2 (docs/costs.md) are 50.3 at 224^2; 6 operations for each. 34.57 M parameters.
    assert "| 302 GFLOP per clip |" in text and "| 138 MB per step |" in text and "| 8.0 MB per clip |" in text
    assert "at quality 85, measured | 0.36 s of a core; 0.6 MB become 4.8 MB |" in text
    # 5.4 MB in 0.36 s on each of 48 cores. 302 GFLOP x 10 GB/s / 8 MB / 128 GPUs, or x 6 cores / 48 ms.
    assert "cores of a machine read and write 720 MB/s" in text
    assert "sustain more than 37.7 TFLOP/s" in text and "sustain more than 2.9 TFLOP/s" in text


@pytest.mark.parametrize(
    "words, message",
    [
        (["--rounds", "0"], "--rounds must be at least 1; got 0"),
        (["--preset", "slowfast_8x8_r5"], "did you mean 'slowfast_8x8_r50'"),
    ],
)
def test_mistakes(words, message):
    with pytest.raises(InputError, match=message):
        benchmark.main(["scaling", *words])
