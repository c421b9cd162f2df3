"""Runs of the export command and of the deployers' programs."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

ROOT = pathlib.Path(__file__).parents[2]


def jpegs(frames):
    return np.array([[tf.io.encode_jpeg(frame, quality=100).numpy() for frame in video] for video in frames])


def fresh_environment(path, runner):
    """Return the Python of a new environment with only the packages that a runner's first lines name."""
    (command,) = [line.split() for line in runner.read_text().splitlines() if line.startswith("pip install ")]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True, timeout=100)
    # With the pip that is here and without bytecode, which both take longer than the packages.
    pip = [sys.executable, "-m", "pip", "--python", path / "bin/python", *command[1:], "--no-compile"]
    done = subprocess.run(pip, capture_output=True, text=True, timeout=900)
    if "No matching distribution" in done.stderr or "Connection" in done.stderr:
        pytest.skip("no package index here")
    assert done.returncode == 0, done.stderr[-2000:]
    return path / "bin/python"
