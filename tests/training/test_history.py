"""The history of a run, and its best epoch."""

import pytest
from helpers.fitting import METRICS, linear

from slowfast_tf.training import checkpointing, history


def test_for_equal_metrics_the_epoch_with_the_lower_loss_is_best():
    """If the losses are equal, too, the first one is best."""
    rows = [{"epoch": i, "val_top1": top1, "val_loss": loss} for i, (top1, loss) in enumerate(METRICS, 1)]
    assert history.best_epoch(rows, "val_top1") == 3
    assert history.best_epoch(rows[:2], "val_top1") == 2


@pytest.mark.parametrize("epoch", ["0", "0.0"])
def test_a_history_that_counts_from_0_is_resumed(epoch, tmp_path):
    (tmp_path / "history.csv").write_text(f"epoch,loss,val_loss\n{epoch},0.1,0.30000000000000004\n")
    saving = checkpointing.Checkpoints(linear(), tmp_path, "val_loss", checkpointing.Position(1))
    saving.on_epoch_end(1, {"loss": 0.05, "val_loss": 0.2})
    expected = ["epoch,loss,val_loss", "1,0.1,0.30000000000000004", "2,0.05,0.2"]
    assert (tmp_path / "history.csv").read_text().split() == expected
    history.write_history(tmp_path, history.read_history(tmp_path))
    assert (tmp_path / "history.csv").read_text().split() == expected


def test_the_lowest_loss_or_the_last_epoch():
    rows = [{"epoch": i, "val_top1": 0.5, "val_loss": loss} for i, loss in enumerate((3.0, 1.0, float("nan"), 2.0), 1)]
    assert history.best_epoch(rows, "val_loss") == 2
    assert history.best_epoch(rows, "epoch") == 4


def test_an_epoch_whose_loss_is_nan_is_the_worst():
    """Its scores count as the first class, so its accuracy is high if that class has many videos."""
    rows = [{"epoch": 1, "val_top1": 0.25, "val_loss": 1.4}, {"epoch": 2, "val_top1": 0.75, "val_loss": float("nan")}]
    assert history.best_epoch(rows, "val_top1") == 1


@pytest.mark.parametrize("patience, stopped", [(1, [2]), (2, [4]), (3, []), (None, [])])
def test_patience(patience, stopped):
    """A better epoch resets the count: epochs 1 and 2 are the best so far, epochs 3 and 4 are not."""
    values = [(0.5, 1.0), (0.5, 2.0), (0.6, 1.0), (0.5, 1.0), (0.6, 1.5)] if patience == 1 else None
    values = values or [(0.5, 1.0), (0.6, 1.0), (0.5, 1.0), (0.6, 1.5)]
    rows = [{"epoch": i, "val_top1": top1, "val_loss": loss} for i, (top1, loss) in enumerate(values, 1)]
    found = [end for end in range(1, len(rows) + 1) if history.is_stopped(rows[:end], "val_top1", patience)]
    assert found[:1] == stopped
