"""Kinetics-400, -600 and subsets of them (Kay et al., arXiv 1705.06950; Carreira et al., arXiv 1808.01340).

The lists may have the file names of DeepMind, CVDF, ActivityNet's crawler or MMAction2. The trimmed videos have the
names that all of these use.
"""

import pathlib
import re

from ...errors import InputError
from ...files import csv_files
from ..reference import Video
from . import files
from .base import DataSet, Split

COLUMNS = ("label", "youtube_id", "time_start", "time_end")
SPLITS = {"train": "train", "val": "val(id|idate|idation)?"}
ADVICE = (
    "get one from https://github.com/cvdfoundation/kinetics-dataset or"
    " https://storage.googleapis.com/deepmind-media/Datasets/kinetics400.tar.gz"
)


class Kinetics(DataSet):
    """Kinetics. The classes are the labels of the training list, in alphabetical order.

    A video is any file below `root` with the name ID_START_END of a list entry, such as
    `0wR5jVB-WPk_000417_000427.mp4`.
    """

    def read(self, split: str) -> Split:
        """See `DataSet.read`."""
        root = self.root
        problems = []
        path = _list(root, split)
        rows = list(csv_files.table(path, COLUMNS, problems))
        training = rows if split == "train" else csv_files.table(_list(root, "train"), COLUMNS, [])
        labels = sorted({row[0] for _, row in training} - {""})
        index = {label: i for i, label in enumerate(labels)}
        # CVDF replaces corrupted videos in a folder "replacement". It comes before "train" and "val", so it is used.
        there = files.find_videos(root)
        videos, missing, seen = [], [], set()
        for line, (label, youtube, start, end) in rows:
            try:
                start, end = int(float(start)), int(float(end))
            except (ValueError, OverflowError):
                problems.append(f"{path}:{line}: time_start and time_end are seconds; received {start!r} and {end!r}")
                continue
            name = f"{youtube}_{start:06d}_{end:06d}"
            if label not in index:
                problems.append(f"{path}:{line}: no class {label!r} in the training list")
            elif not 0 <= start < end:
                problems.append(f"{path}:{line}: a video from second {start} to {end}")
            elif name in seen:
                problems.append(f"{path}:{line}: {name} is listed again")
            else:
                seen.add(name)
                if name in there:
                    videos.append(Video(there[name], ((index[label], *files.ALWAYS),), name))
                else:
                    missing.append(name)
        return files.make_split(path, root, videos, labels, problems, missing)


def _list(root: pathlib.Path, split: str) -> pathlib.Path:
    """Return the csv file of a split."""
    name = re.compile(rf"(k(inetics)?[-_\d]*[-_])?{SPLITS[split]}\.(csv|txt)")
    folders = [root, root / "annotations", *sorted(root.glob("kinetics*"))]
    found = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
    found = [path for path in found if name.fullmatch(path.name)]
    if not found:
        raise InputError(
            f"no list such as {split}.csv or kinetics-400_{split}.csv in {root} or {root / 'annotations'}; {ADVICE},"
            " or set data.root to another directory"
        )
    if len(found) > 1:
        raise InputError(f"several lists of {split}: {', '.join(map(str, found))}; keep one of them in {root}")
    return found[0]
