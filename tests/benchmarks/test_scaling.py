"""Check the estimate of many GPUs against cases worked by hand, and time two workers."""

import pytest

from slowfast_tf import benchmark
from slowfast_tf.benchmarks import scaling as benchmark_scaling
from slowfast_tf.benchmarks.scaling import Machine, Timing, Volumes, estimate
from slowfast_tf.errors import InputError

MACHINE = Machine(gpus=8, tflops=8, link=1e11, network=1.25e10, latency=2e-5, cores=6, clips=8)


def test_one_machine_and_many():
    """8 clips of 1 TFLOP at 8 TFLOP/s: 1 s; 8 of 60 ms on 6 cores: 80 ms; 64 records of 1 MB at 12.5 GB/s: 5.12 ms.

    All-reduce of 100 MB: 2 x 7 x (12.5 MB / 100 GB/s + 20 us) = 14 x 145 us = 2.03 ms within a machine, and 2 x 127 x
    (781.25 kB / 12.5 GB/s + 20 us) = 254 x 82.5 us = 20.955 ms over 16 of them.
    """
    volumes = Volumes(operations=1e12, gradients=1e8, record=1e6, seconds=0.06)
    one, many = estimate(volumes, 8, MACHINE), estimate(volumes, 128, MACHINE)
    assert one.compute == pytest.approx(1) and one.decode == pytest.approx(0.08)
    assert one.read == many.read == pytest.approx(5.12e-3)
    assert one.all_reduce == pytest.approx(2.03e-3) and many.all_reduce == pytest.approx(20.955e-3)
    assert one.clips_per_second == pytest.approx(64 / 1.00203)
    assert many.clips_per_second == pytest.approx(1024 / 1.020955) and many.efficiency == pytest.approx(1 / 1.020955)
    assert one.limit == many.limit == "compute"


@pytest.mark.parametrize(
    "change, limit, seconds",
    [
        ({"seconds": 1.5}, "decoding", 2.0),  # 8 x 1.5 / 6
        ({"record": 1e9}, "reading over the network", 5.12),
        ({"gradients": 1e11}, "all-reduce", 1 + 254 * (1e11 / 128 / 1.25e10 + 2e-5)),
    ],
)
def test_what_limits(change, limit, seconds):
    volumes = Volumes(**{"operations": 1e12, "gradients": 1e8, "record": 1e6, "seconds": 0.06, **change})
    found = estimate(volumes, 128, MACHINE)
    assert found.limit == limit
    assert found.clips_per_second == pytest.approx(1024 / seconds) and found.efficiency == pytest.approx(1 / seconds)


@pytest.mark.slow
def test_two_workers_are_timed():
    timing = benchmark_scaling.measure(2, "slowfast_2x16_demo", 1, 32, 1)
    assert 0 < timing.all_reduce and 0 < timing.step


def test_page(monkeypatch, tmp_path, capsys):
    """One worker at 2 s a step, two at 2.5 s: 0.5 and 0.8 clips a second, 1.6 times as many."""
    monkeypatch.setattr(benchmark_scaling, "measure", lambda count, *rest: Timing(1.5 + count / 2, 0.25))
    monkeypatch.setattr(benchmark_scaling, "measure_input", lambda: (8e6, 0.048))
    benchmark.main(["scaling", "--output", str(tmp_path / "scaling.md")])
    text = (tmp_path / "scaling.md").read_text()
    assert text in capsys.readouterr().out
    assert "| 1 | 2.00 |  | 0.50 | 1.00 |" in text and "| 2 | 2.50 | 0.25 | 0.80 | 1.60 |" in text
    # 65.71 G multiply-adds at 256^2 (docs/costs.md) are 50.3 at 224^2; 6 operations for each. 34.57 M parameters.
    assert "| 302 GFLOP per clip |" in text and "| 138 MB per step |" in text and "| 8.0 MB per clip |" in text


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
