"""The loss of accuracy of exported files, from made scores."""

import numpy as np
import pytest

from slowfast_tf.benchmarks import exports
from slowfast_tf.evaluation.scores import About, Scores
from slowfast_tf.training.cross_validation import Plan


def scored(*predicted):
    """Scores of three videos of class 0, given the predicted class of each."""
    about = About("", "softmax", "folder", ("a", "b"), {}, {}, (0, 1), 3)
    labels = np.array([[1, 0]] * 3, np.uint8)
    return Scores(["x", "y", "z"], labels, np.eye(2, dtype=np.float32)[list(predicted)], {}, about)


def test_comparison():
    """Two folds of one seed: in the first, one video becomes wrong; in the second, one becomes wrong and one right."""
    networks = [scored(0, 0, 1), scored(0, 1, 1)]
    result = exports.compare("TFLite, int8", networks, [scored(0, 1, 1), scored(1, 0, 1)], (2, 1))
    assert result.top1 == pytest.approx(2 / 6)
    assert result.agreement == pytest.approx(3 / 6)
    assert result.difference.mean == pytest.approx(-100 / 6)
    half = 12.706 * (100 / 3) / np.sqrt(2) / np.sqrt(2)  # Student's t; the deviation of two values is d / sqrt(2)
    assert result.difference.high - result.difference.mean == pytest.approx(half, rel=1e-3)
    text = exports.section(Plan("mine", 2, 1, ()), 0.5, [result], "the command")
    assert "| TFLite, int8 | 33.3 | -16.7 (-228.4 to 195.1) | 50.0 |" in text
