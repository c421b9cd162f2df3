"""The benchmark of `predict` beside a PyTorch program."""

import sys

import numpy as np
import pytest
from helpers.benchmarks import rows

from slowfast_tf import benchmark
from slowfast_tf.benchmarks import predicting
from slowfast_tf.errors import RunError

pytest.importorskip("torch")


@pytest.mark.slow
def test_both_programs(tmp_path):
    """Both programs run, with the same scores (`section` compares them) and the same views."""
    page = tmp_path / "page.md"
    options = ["--preset", "slowfast_2x16_demo", "--size", "32", "--rounds", "1", "--output", str(page)]
    assert benchmark.main(["predict", *options]) == 0
    text = page.read_text()
    programs, rest = text.split("| stage ")
    stages, goals = rest.split("| goal ")
    found = rows(programs)
    assert [tuple(row[:2]) for row in found] == list(predicting.PROGRAMS)
    assert all(float(row[2]) > 0 and row[5].endswith(" GiB") for row in found)
    times = rows("| stage " + stages)
    assert [row[0] for row in times] == list(predicting.STAGES) and all(float(x) > 0 for row in times for x in row[1:])
    assert len(rows("| goal " + goals)) == 2


def test_scores_that_differ():
    scores = np.array([0.1, 0.2, 0.7])
    predicting._check_scores("1x1", scores, scores + 1e-3)
    with pytest.raises(RunError, match="the scores of 1x1 views differ by"):
        predicting._check_scores("1x1", scores, scores[::-1])


def test_a_program_that_fails():
    with pytest.raises(RunError, match="-c 1/0 failed: ZeroDivisionError"):
        predicting.run([sys.executable, "-c", "1/0"])
