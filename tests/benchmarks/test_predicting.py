"""The benchmark of `predict` beside a PyTorch program."""

import sys

import numpy as np
import pytest
from helpers.benchmarks import rows

from slowfast_tf import benchmark
from slowfast_tf.benchmarks import predicting
from slowfast_tf.errors import RunError

pytest.importorskip("torch")


def test_both_programs(tmp_path):
    """Both programs run, with the same scores (`section` compares them) and the same views."""
    page = tmp_path / "page.md"
    options = ["--preset", "slowfast_2x16_demo", "--size", "32", "--rounds", "1", "--output", str(page)]
    assert benchmark.main(["predict", *options]) == 0
    text = page.read_text()
    found = rows(text.split("| goal")[0])
    assert [tuple(row[:2]) for row in found] == list(predicting.PROGRAMS)
    assert all(float(row[2]) > 0 and row[5].endswith(" GiB") for row in found)
    assert len(rows("|\n|\n" + text.split("| reached |\n|---|---|---|---|\n")[1])) == 2


def test_scores_that_differ():
    scores = np.array([0.1, 0.2, 0.7])
    predicting._check_scores("1x1", scores, scores + 1e-3)
    with pytest.raises(RunError, match="the scores of 1x1 views differ by"):
        predicting._check_scores("1x1", scores, scores[::-1])


def test_a_program_that_fails():
    with pytest.raises(RunError, match="-c 1/0 failed: ZeroDivisionError"):
        predicting.run([sys.executable, "-c", "1/0"])
