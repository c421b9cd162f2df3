"""The benchmark of reading and preparing videos."""

import re

import numpy as np
import tensorflow as tf
from helpers.benchmarks import rows
from helpers.coded_video import decode

from slowfast_tf import config
from slowfast_tf.benchmarks import decoders, preparing
from slowfast_tf.benchmarks import reading as benchmark_input


def test_made_videos_compress_as_real_ones_do(monkeypatch, tmp_path):
    """JPEG images of two real clips, at this size and quality, have 27 and 28 kB (see `make_videos`)."""
    monkeypatch.setattr(benchmark_input, "VIDEOS", 1)
    monkeypatch.setattr(benchmark_input, "FRAMES", 12)
    (path,) = benchmark_input.make_videos(tmp_path)
    frames = decode(path)
    assert frames.shape == (12, 256, 340, 3)
    sizes = [len(tf.io.encode_jpeg(frame, quality=95).numpy()) for frame in frames]
    assert 24_000 < np.mean(sizes) < 34_000
    settings = benchmark_input.settings("folder", tmp_path)
    assert settings.spec().clip_frames == 32 and settings.prepare.quality == config.Prepare().quality


def test_input(monkeypatch):
    for name, value in {"VIDEOS": 2, "FRAMES": 70, "CLIPS": 4, "BATCH": 1, "EPOCH": 20}.items():
        monkeypatch.setattr(benchmark_input, name, value)
    text = benchmark_input.section(1)
    assert re.search(r"quality 85 and 95 \(1\d and [23]\d kB each\), or H.264 \(\d\.\d kB per frame\)", text)
    found = rows(text)
    readers = list(decoders.available())
    assert readers[:2] == ["slowfast_tf", "PyAV, plain loop"]
    for kind in ("records, quality 85", "records, quality 95"):
        assert [row[1:3] for row in found if row[0] == kind] == [
            ["training clips, for a GPU", "slowfast_tf"],
            ["training clips, for a GPU", "slowfast_tf, images in memory"],
            ["training clips, for a CPU", "slowfast_tf"],
            ["decoding alone", "whole images (the limit)"],
        ]
    for what in ("training clips, for a GPU", "decoding alone"):
        assert [row[2] for row in found if row[:2] == ["H.264", what] and "limit" not in row[2]] == readers
    assert all(float(row[3]) > 0 and float(row[4]) > 0 for row in found if row[0].startswith(("records", "H.264")))
    speeds = {row[0]: float(row[1]) for row in found if len(row) == 2 and row[1].isdigit()}
    assert len(speeds) == 3 and all(speed > 0 for speed in speeds.values())


def test_all_frames_of_a_video_are_prepared(monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark_input, "VIDEOS", 1)
    monkeypatch.setattr(benchmark_input, "FRAMES", 12)
    (path,) = benchmark_input.make_videos(tmp_path)
    assert preparing.take(path, config.Prepare()) == (path, 12, (256, 340))
