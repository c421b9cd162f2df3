"""Charades (Sigurdsson et al., ECCV 2016) as its owners publish it: 157 actions, many of them in a video."""

import csv
import pathlib

from ...cli import UserError
from . import Video

LISTS = {"train": "Charades_v1_train.csv", "val": "Charades_v1_test.csv"}
CLASSES = "Charades_v1_classes.txt"
VIDEOS = "Charades_v1_480"


def load(root, split):
    """See `datasets.load`. "val" is the official test list. A missing video is left to the reader to report."""
    root = pathlib.Path(root)
    needed = [root / CLASSES, *(root / name for name in LISTS.values()), root / VIDEOS]
    missing = [str(path) for path in needed if not path.exists()]
    if missing:
        raise UserError(
            f"Charades is not in {root}: no {', '.join(missing)}. Get the annotations (Charades.zip) and the videos"
            f" scaled to 480p (Charades_v1_480.zip) from https://prior.allenai.org/projects/charades and unpack"
            f" both so that {root} holds {CLASSES}, {LISTS['train']}, {LISTS['val']} and {VIDEOS}/ID.mp4;"
            f" or name another place with --set data.root=DIR"
        )
    # A line is "c000 Holding some clothes".
    classes = dict(line.split(" ", 1) for line in (root / CLASSES).read_text().splitlines() if line.strip())
    index = {name: i for i, name in enumerate(classes)}
    videos = []
    with open(root / LISTS[split], newline="") as file:
        for row in csv.DictReader(file):
            try:
                actions = [action.split() for action in row["actions"].split(";") if action]
                labels = tuple((index[name], float(start), float(end)) for name, start, end in actions)
                videos.append(Video(str(root / VIDEOS / f"{row['id']}.mp4"), labels))
            except (KeyError, ValueError, AttributeError) as error:
                raise UserError(
                    f"{root / LISTS[split]}, row {len(videos) + 2}: expected columns id and actions"
                    f" (c092 11.90 21.20;...); got {row} ({error!r})"
                ) from error
    return videos, tuple(classes.values())
