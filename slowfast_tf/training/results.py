"""The result of a run, as values and as the text that a command prints."""

import dataclasses
import pathlib
from typing import Any

ABOUT = {
    "metrics.json": "the metrics of the test",
    "report.html": "metrics by class and the most confused pairs; scores.npz holds the scores",
    "curves.png": "loss and accuracy by epoch, from history.csv",
    "confusion.png": "the confusion matrix",
    "detections.csv": "boxes and scores in AVA's format",
    "prediction.png": "a video and its prediction",
    "saved_model/1": "for TF Serving",
}


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a run.

    Attributes:
        workdir: the run's work directory.
        metrics: metrics of the best model by name, as stored in `metrics.json`.
        best_epoch: the epoch after which `model.keras` was saved, counted from 1.
        skipped: the error for each video that could not be read, by video.
        seconds: run time in seconds since the run was started or resumed.
    """

    workdir: pathlib.Path
    metrics: dict[str, Any]
    best_epoch: int
    skipped: dict[str, str]
    seconds: float

    @property
    def files(self) -> dict[pathlib.Path, str]:
        """The existing files of the run, each with a description of its content."""
        about = {"model.keras": f"the best model, of epoch {self.best_epoch}", **ABOUT}
        return {self.workdir / name: what for name, what in about.items() if (self.workdir / name).exists()}

    def summary(self) -> str:
        """Return the metrics, the videos that were skipped, and the files, as lines of text."""
        metrics = ", ".join(f"{name} {value:.3f}" for name, value in self.metrics.items() if isinstance(value, float))
        videos, views = self.metrics["videos"], self.metrics["views"]
        lines = [f"{metrics} on {videos} videos ({views} views), after {self.seconds / 60:.1f} minutes"]
        if self.skipped:
            list_of_them = self.workdir / "skipped.txt"
            lines += [f"{len(self.skipped)} videos could not be read and were skipped ({list_of_them}):"]
            lines += self.skipped.values()
        return "\n".join([*lines, *(f"  {path}: {what}" for path, what in self.files.items())])
