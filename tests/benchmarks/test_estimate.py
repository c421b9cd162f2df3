"""The estimates against cases worked by hand."""

import dataclasses

import pytest

from slowfast_tf.benchmarks.estimate import (
    Machine,
    Video,
    Volumes,
    preparing,
    preparing_table,
    training,
    training_table,
)

MACHINE = Machine(gpus=8, tflops=8, link=1e11, network=1.25e10, storage=2e10, latency=2e-5, cores=6, clips=8)


def test_one_machine_and_many():
    """8 clips of 1 TFLOP at 8 TFLOP/s: 1 s; 8 of 60 ms on 6 cores: 80 ms; 64 records of 1 MB at 12.5 GB/s: 5.12 ms,
    and 1024 of them at 20 GB/s: 51.2 ms.

    All-reduce of 100 MB: 2 x 7 x (12.5 MB / 100 GB/s + 20 us) = 14 x 145 us = 2.03 ms within a machine, and 2 x 127 x
    (781.25 kB / 12.5 GB/s + 20 us) = 254 x 82.5 us = 20.955 ms over 16 of them.
    """
    volumes = Volumes(operations=1e12, gradients=1e8, record=1e6, seconds=0.06)
    one, many = training(volumes, 8, MACHINE), training(volumes, 128, MACHINE)
    assert one.compute == pytest.approx(1) and one.decode == pytest.approx(0.08)
    assert one.read == pytest.approx(5.12e-3) and many.read == pytest.approx(0.0512)
    assert one.all_reduce == pytest.approx(2.03e-3) and many.all_reduce == pytest.approx(20.955e-3)
    assert one.clips_per_second == pytest.approx(64 / 1.00203)
    assert many.clips_per_second == pytest.approx(1024 / 1.020955) and many.efficiency == pytest.approx(1 / 1.020955)
    assert one.limit == many.limit == "compute"


@pytest.mark.parametrize(
    "change, limit, seconds",
    [
        ({"seconds": 1.5}, "decoding", 2.0),  # 8 x 1.5 / 6
        ({"record": 1e9}, "reading", 51.2),  # 1024 GB / 20 GB/s
        ({"gradients": 1e11}, "all-reduce", 1 + 254 * (1e11 / 128 / 1.25e10 + 2e-5)),
    ],
)
def test_what_limits(change, limit, seconds):
    volumes = Volumes(**{"operations": 1e12, "gradients": 1e8, "record": 1e6, "seconds": 0.06, **change})
    found = training(volumes, 128, MACHINE)
    assert found.limit == limit
    assert found.clips_per_second == pytest.approx(1024 / seconds) and found.efficiency == pytest.approx(1 / seconds)


@pytest.mark.parametrize(
    "change, machines, limit, hours",
    [
        ({}, 1, "cores", 1.354),  # 650,000 x 0.36 s / 48 / 3600
        ({}, 64, "storage", 0.04875),  # 650,000 x (0.6 + 4.8) MB / 20 GB/s / 3600
        ({"network": 1e8}, 1, "network", 8.667),  # 650,000 x 4.8 MB / 100 MB/s / 3600
    ],
)
def test_preparing(change, machines, limit, hours):
    found = preparing(Video(0.36, 6e5, 4.8e6), machines, dataclasses.replace(MACHINE, **change))
    assert found.limit == limit and getattr(found, limit) == pytest.approx(hours, rel=1e-3)


def test_tables():
    """16 machines: a 16th of 1.354 h on the cores; 650,000 x 4.8 MB / 16 / 12.5 GB/s: 15.6 s; 175.5 s on the storage.

    128 GPUs: 1003 clips of 1 MB a second; 196 x 650,000 clips take 35.28 h.
    """
    rows = preparing_table({85: Video(0.36, 6e5, 4.8e6)}, MACHINE).splitlines()
    assert rows[1] == "| 85 | 3.1 | 16 | 0.085 | 0.004 | 0.049 | cores |"
    rows = training_table(Volumes(operations=1e12, gradients=1e8, record=1e6, seconds=0.06), MACHINE).splitlines()
    assert rows[2] == "| 128 | 1.000 | 0.021 | 0.080 | 0.051 | 1003 | 1.0 | 0.98 | 35 | compute |"
