"""Keras 2.15 and Keras 3 read each other's files. SLOWFAST_TF_OTHER_PYTHON is the Python of the other environment."""

import os
import pathlib
import shutil
import subprocess

import keras
import numpy as np
import pytest
from helpers.other_stack import outputs

import slowfast_tf

OTHER = os.environ.get("SLOWFAST_TF_OTHER_PYTHON")
ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.legacy
@pytest.mark.skipif(not OTHER, reason="SLOWFAST_TF_OTHER_PYTHON is not set; .ci/legacy sets it")
def test_each_stack_reads_what_the_other_saved(saved, served, tmp_path):
    random = np.random.default_rng(3)
    inputs = {
        "slow": random.normal(size=(2, 2, 32, 32, 3)).astype(np.float32),
        "fast": random.normal(size=(2, 16, 32, 32, 3)).astype(np.float32),
        "video": random.integers(0, 256, (1, 40, 36, 48, 3), np.uint8),
    }
    np.savez(tmp_path / "inputs.npz", **inputs)
    shutil.copy(saved, tmp_path / "here.keras")
    shutil.copytree(served, tmp_path / "here")
    here = outputs(slowfast_tf.load(saved), served, inputs)
    command = [OTHER, str(ROOT / "tests/helpers/other_stack.py"), str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.returncode == 0, process.stderr[-2000:]

    there = dict(np.load(tmp_path / "there.npz"))
    assert (str(there.pop("keras")) < "3") != (keras.__version__ < "3")  # it is the other one
    there_of_here = np.load(tmp_path / "there_of_here.npz")
    here_of_there = outputs(slowfast_tf.load(tmp_path / "there.keras"), tmp_path / "there", inputs)
    for name in ("logits", "clips", "scores"):
        assert np.ptp(here[name]) > 0.01 and np.ptp(there[name]) > 0.01
        assert np.abs(there_of_here[name] - here[name]).max() < 1e-5
        assert np.abs(here_of_there[name] - there[name]).max() < 1e-5
