"""Train one configuration over folds and seeds, resume its runs, and summarize the metrics."""

import dataclasses
import json
import pathlib
import time
from collections.abc import Sequence

import numpy as np
from scipy import stats

from .. import config
from ..data import datasets
from ..data.records import prepare
from ..errors import InputError
from ..files.atomic import write_text
from .workdir import check_workdir

SECONDS = "seconds.json"  # in a work directory: the total computing time of the run, including resumed parts


@dataclasses.dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        settings: configuration of the run, with the data set that the user named.
        workdir: work directory of the run.
        records: directory of the records that the run reads.
    """

    settings: config.Config
    workdir: pathlib.Path
    records: pathlib.Path

    @property
    def sees_flow(self) -> bool:
        return not self.settings.spec().takes_video

    @property
    def from_records(self) -> config.Config:
        """The configuration of the run, changed to read the records that `prepare_videos` writes."""
        if self.settings.data.dataset == "records":
            return self.settings
        data = {"dataset": "records", "root": str(self.records), "reader": "pyav"}  # the other reader is for files
        return self.settings.model_copy(update={"data": self.settings.data.model_copy(update=data)})

    @property
    def seconds(self) -> float:
        """Computing time so far, in seconds."""
        path = self.workdir / SECONDS
        return json.loads(path.read_text()) if path.exists() else 0.0


def repeat(settings: config.Config, seeds: int, place: pathlib.Path, records: pathlib.Path) -> list[Run]:
    """Return a run for each fold of `data.fold` (a single one without folds) and each seed, after checking all input.

    Args:
        settings: the configuration; its seed and the number of its fold are replaced.
        seeds: number of seeds; the seeds count from 0.
        place: directory for the work directories, such as `fold3_seed0`, or `seed0` without folds.
        records: directory for the prepared videos. Runs that see optical flow use a second directory, because
            computing the flow takes longest.

    Raises:
        InputError: if the configuration has folds and keeps the best epoch, if a package for preparing the videos is
            missing, or if a work directory holds another run.
    """
    if settings.data.fold and settings.train.keep != "last":
        raise InputError("the fold would choose the epoch that is tested on it; set train.keep to last")
    runs = []
    count = settings.data.fold[1] if settings.data.fold else 0
    for number in range(count) if count else [None]:
        for seed in range(seeds):
            fold = None if number is None else [number, count]
            data = settings.data.model_copy(update={"fold": fold})
            name = f"seed{seed}" if number is None else f"fold{number}_seed{seed}"
            run = Run(settings.model_copy(update={"data": data, "seed": seed}), place / name, records)
            if run.sees_flow:
                run = dataclasses.replace(run, records=records.with_name(f"{records.name}_flow"))
            if run.settings.data.dataset != "records":
                prepare.check_installed(_prepare_settings(run))
            check_workdir(run.workdir, run.from_records)
            runs.append(run)
    return runs


def prepare_videos(runs: Sequence[Run]) -> None:
    """Write the videos as records, once for all runs: decoding them takes longer than training small networks.

    Raises:
        InputError: if a video has several labels and the networks have activation "softmax"; else as `prepare.prepare`.
    """
    for one in {one.records: one for one in runs if one.settings.data.dataset != "records"}.values():
        data = one.settings.data
        if one.settings.spec().activation == "softmax":
            # Preparing takes long. Without folds, only the test after the training would read the labels of records.
            for split in ("train",) if data.fold else ("train", "val"):
                videos = datasets.load_split(data.dataset, data.root, split).videos
                classes = [{index for index, _, _ in video.labels} for video in videos]
                datasets.check_single_labels([video.id or video.path for video in videos], classes)
        settings = one.settings.model_copy(update={"prepare": _prepare_settings(one)})
        prepare.prepare(settings, str(one.records))


def _prepare_settings(run: Run) -> config.Prepare:
    return run.settings.prepare.model_copy(update={"flow": run.sees_flow})


def train(run: Run) -> dict[str, float]:
    """Train or resume a run and return its metrics; a complete run is not repeated."""
    path = run.workdir / "metrics.json"
    if not path.exists():
        import keras

        from . import run as training

        keras.backend.clear_session()
        before, started = run.seconds, time.monotonic()
        try:
            if result := training.train(run.from_records, run.workdir):
                print(result.summary())
        finally:
            if run.workdir.is_dir():
                write_text(run.workdir / SECONDS, json.dumps(before + time.monotonic() - started))
    return json.loads(path.read_text())


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean and the bounds of its 95% interval; the bounds are None for a single value."""

    mean: float
    low: float | None
    high: float | None

    def around(self, mean: float) -> "Estimate":
        """Return an interval of the same width around another mean."""
        if self.high is None:
            return Estimate(mean, None, None)
        half = self.high - self.mean
        return Estimate(mean, mean - half, mean + half)

    def clipped(self) -> "Estimate":
        """Return the estimate with its interval clipped to the range of a metric, 0 to 1."""
        if self.low is None or self.high is None:
            return self
        return Estimate(self.mean, max(0.0, self.low), min(1.0, self.high))

    def text(self, digits: int = 3) -> str:
        """Return the estimate as text, such as "0.850 (0.801 to 0.899)"."""
        mean = f"{self.mean:.{digits}f}"
        if self.low is None or self.high is None:
            return mean
        return f"{mean} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def estimate(values: np.ndarray) -> Estimate:
    """Return the mean of a metric, or of a difference of metrics, with Student's t interval over folds.

    The seeds of a fold share its videos, so their values are not independent: the value of a fold is the mean over its
    seeds. With a single fold the interval is over its seeds.

    Args:
        values: value of each run, float `[folds, seeds]`.

    Raises:
        InputError: if there is no value.

    Example:
        >>> estimate(np.array([[0.8, 0.9], [0.6, 0.7]])).mean
        0.75
    """
    if not values.size:
        raise InputError("there is no value to average")
    units = values[0] if len(values) == 1 else values.mean(1)
    mean = float(units.mean())
    if len(units) == 1:
        return Estimate(mean, None, None)
    half = float(stats.t.ppf(0.975, len(units) - 1) * units.std(ddof=1) / np.sqrt(len(units)))
    return Estimate(mean, mean - half, mean + half)
