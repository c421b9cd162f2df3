"""The figures of curves and of the confusion matrix."""

import matplotlib.image
import numpy as np
import pytest

from slowfast_tf.evaluation.report import plots


@pytest.fixture
def drawn(monkeypatch):
    """The Matplotlib figures that a test saves."""
    figures = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: figures.append(figure))
    return figures


def test_curves_count_epochs_from_1(drawn):
    plots.save_curves([{"epoch": 1 + i, "loss": 2.0, "val_loss": 2.0} for i in range(3)], "curves.png")
    lines = drawn[0].axes[0].lines
    assert [list(line.get_xdata()) for line in lines] == [[1, 2, 3]] * 2


def test_curves_of_rows_without_top5(drawn):
    """Two classes have no top5; a run of an earlier version, once resumed, has it in its first rows only."""
    row = {"loss": 1.0, "val_loss": 1.0, "top1": 0.5, "val_top1": 0.5}
    five = {"top5": 1.0, "val_top5": 1.0}
    plots.save_curves([{"epoch": 1, **row}], "curves.png")
    assert [axis.get_title() for axis in drawn[0].axes] == ["loss", "top1"]
    plots.save_curves([{"epoch": 1, **row, **five}, {"epoch": 2, **row}], "curves.png")
    assert [axis.get_title() for axis in drawn[1].axes] == ["loss", "top1", "top5"]
    np.testing.assert_array_equal(drawn[1].axes[2].lines[0].get_ydata(), [1, np.nan])


@pytest.mark.legacy
def test_curves(tmp_path):
    history = [
        {"epoch": i, "learning_rate": 0.1, "loss": 2 / (i + 1), "top1": i / 4, "val_loss": 2.0, "val_top1": 0.5}
        for i in range(3)
    ]
    plots.save_curves(history, tmp_path / "new" / "curves.png")
    image = matplotlib.image.imread(tmp_path / "new" / "curves.png")
    assert image.shape[:2] == (4 * 120, 2 * 5 * 120)  # loss and top1, 5 x 4 inches each
    assert image.min() < 0.2 and image.std() > 0.05
    plots.save_curves(history[:1], tmp_path / "one.png")
    assert matplotlib.image.imread(tmp_path / "one.png").shape == image.shape


@pytest.mark.legacy
def test_confusion(tmp_path):
    truth, predicted = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    plots.save_confusion(truth, predicted, ["still", "moving left", "moving right", "never"], tmp_path / "c.png")
    image = matplotlib.image.imread(tmp_path / "c.png")
    inches = 3 + 0.42 * 4
    assert image.shape[:2] == (int(inches * 120), int((inches + 1) * 120))
    # Three of the four rows hold a dark cell or two halves; white and the darkest blue are both there.
    blue = np.array([8, 48, 107]) / 255
    assert (np.abs(image[..., :3] - blue).max(-1) < 0.05).sum() > 1000
    many = [f"class {i}" for i in range(157)]
    plots.save_confusion(np.arange(157), np.arange(157), many, tmp_path / "many.png")
    assert matplotlib.image.imread(tmp_path / "many.png").shape[:2] == (960, 1080)


def test_names_are_not_mathematics(tmp_path):
    """Matplotlib refuses "$_$" as a formula."""
    labels, truth = ["costs $_$", "costs $5"], np.array([0, 1])
    plots.save_confusion(truth, truth, labels, tmp_path / "a.png")
    plots.save_classes(np.array([0.5, 1.0]), labels, "recall", tmp_path / "b.png")
    frames, seen = np.zeros([4, 8, 8, 3], np.uint8), {"slow": [0], "fast": [0, 1, 2, 3]}
    plots.save_prediction(frames, seen, np.array([0.2, 0.8]), labels, "$_$.mp4", tmp_path / "c.png")
    assert len(list(tmp_path.iterdir())) == 3


def test_bars_of_a_prediction(drawn):
    frames, scores = np.zeros([1, 8, 8, 3], np.uint8), np.array([0.2, 0.5, 0.3])
    plots.save_prediction(frames, {"slow": [0]}, scores, ["ant", "bee", "cat"], "a.mp4", "prediction.png")
    axis = drawn[0].axes[1]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["bee", "cat", "ant"]
    assert [bar.get_width() for bar in axis.patches] == [0.5, 0.3, 0.2]
