"""The history of a run, `history.csv`: a row for each epoch, and the rule for the best epoch."""

import csv
import io
import math
import os
import pathlib
from collections.abc import Sequence

from ..files.atomic import write_text

Row = dict[str, float]
"""The logs of an epoch by name. "epoch" comes first: an integer, counted from 1."""


def read_history(workdir: str | os.PathLike) -> list[Row]:
    """Return the rows of a run's `history.csv`, or an empty list if there is none.

    Earlier versions counted epochs from 0; in the returned rows epochs always count from 1.

    Args:
        workdir: the run's directory.

    Example:
        >>> read_history("runs/none")
        []
    """
    path = pathlib.Path(workdir) / "history.csv"
    if not path.exists():
        return []
    with open(path, newline="") as file:
        rows = [{name: float(text) for name, text in row.items()} for row in csv.DictReader(file)]
    shift = 1 if rows and rows[0]["epoch"] == 0 else 0
    return [{**row, "epoch": int(row["epoch"]) + shift} for row in rows]


def write_history(workdir: str | os.PathLike, rows: Sequence[Row]) -> None:
    """Write all rows of `history.csv`. `read_history` returns exactly the same values.

    Args:
        workdir: the run's directory.
        rows: values by column, one row per epoch.

    Example:
        >>> write_history(".", [{"epoch": 1, "val_top1": 0.5}])
        >>> read_history(".")
        [{'epoch': 1, 'val_top1': 0.5}]
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    write_text(pathlib.Path(workdir) / "history.csv", text.getvalue())


def best_epoch(rows: Sequence[Row], monitor: str) -> int:
    """Return the number of the best epoch, counted from 1.

    The best epoch has the highest `monitor`, or the lowest if `monitor` is "val_loss". Ties are broken by the lowest
    validation loss, then by the earliest epoch. An epoch whose validation loss is NaN is the worst. This rule decides
    which model is kept as `model.keras` and which epoch a report names.

    Args:
        rows: at least one row, as `read_history` returns them.
        monitor: name of a column such as "val_top1" or "val_loss"; "epoch" for the last epoch.

    Example:
        >>> rows = [{"epoch": 1, "val_top1": 0.5, "val_loss": 1.0}, {"epoch": 2, "val_top1": 0.4, "val_loss": 0.9}]
        >>> best_epoch(rows, "val_top1")
        1
    """

    def rank(row: Row) -> tuple[float, float, float]:
        loss = row["val_loss"]
        metric = -loss if monitor == "val_loss" else row[monitor]
        # Scores that are not a number count as the first class, so the other metrics of such an epoch may be high.
        if monitor != "epoch" and math.isnan(loss) or math.isnan(metric):
            metric = -math.inf
        return metric, -math.inf if math.isnan(loss) else -loss, -row["epoch"]

    return int(max(rows, key=rank)["epoch"])


def is_stopped(rows: Sequence[Row], monitor: str, patience: int | None) -> bool:
    """Return whether a run ends early because the last `patience` epochs brought no better epoch.

    Args:
        rows: rows of the finished epochs.
        monitor: as for `best_epoch`.
        patience: number of epochs to wait for a better one; None never ends a run early.

    Example:
        >>> rows = [{"epoch": 1, "val_top1": 0.5, "val_loss": 1.0}, {"epoch": 2, "val_top1": 0.4, "val_loss": 0.9}]
        >>> is_stopped(rows, "val_top1", patience=1)
        True
    """
    return bool(patience and rows) and int(rows[-1]["epoch"]) - best_epoch(rows, monitor) >= (patience or 0)
