"""Charades (Sigurdsson et al., ECCV 2016) in its published format: 157 actions, several of them in a video."""

import pathlib

from ...errors import InputError
from ...files import csv_files
from ..reference import SLACK, Video
from . import files
from .base import DataSet, Split

LISTS = {"train": "Charades_v1_train.csv", "val": "Charades_v1_test.csv"}
# Lines such as "c000 Holding some clothes". Charades_v1_mapping.txt has the object and verb of an action, not its name.
CLASSES = "Charades_v1_classes.txt"
# If the frames (24 per second, ID/ID-000001.jpg) are unpacked, they are read instead of the videos.
FRAMES, RATE = "Charades_v1_rgb", 24.0
VIDEOS = ("Charades_v1_480", "Charades_v1")
ADVICE = (
    "get the annotations (Charades.zip) and the videos scaled to 480p (Charades_v1_480.zip) or the frames"
    " (Charades_v1_rgb.tar) from https://prior.allenai.org/projects/charades and unpack both there"
)


class Charades(DataSet):
    """Charades. "val" is the official test list."""

    def read(self, split: str) -> Split:
        """See `DataSet.read`."""
        root = self.root
        place = next((root / name for name in (FRAMES, *VIDEOS) if (root / name).is_dir()), root / VIDEOS[0])
        files.need("Charades", root, [CLASSES, *LISTS.values(), place.name], ADVICE)
        frames = place.name == FRAMES
        there = files.find_folders(place) if frames else files.find_videos(place)
        classes = _classes(root / CLASSES)
        index = {name: i for i, name in enumerate(classes)}
        path = root / LISTS[split]
        videos, problems, missing, seen = [], [], [], set()
        for line, (name, actions, length) in csv_files.table(path, ("id", "actions", "length"), problems):
            labels = []
            for action in filter(None, actions.split(";")):
                try:
                    label, start, end = action.split()
                    label, start, end = index[label], float(start), float(end)
                except (ValueError, KeyError):
                    problems.append(
                        f"{path}:{line}: {action!r} is not a class of {CLASSES} and two times, such as c092 11.90 21.20"
                    )
                    continue
                if 0 <= start < end <= _seconds(length) + SLACK:
                    labels.append((label, start, end))
                else:
                    problems.append(f"{path}:{line}: {action!r} is not within the video's {length!r} seconds")
            if name in seen:
                problems.append(f"{path}:{line}: {name} is listed again")
            elif name not in there:
                missing.append(name)
            else:
                videos.append(
                    Video(there[name], tuple(labels), name, RATE if frames else None, origin=f"{path}:{line}")
                )
            seen.add(name)
        return files.make_split(path, place, videos, classes.values(), problems, missing)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _classes(path: pathlib.Path) -> dict[str, str]:
    """Return the class names by code, such as "c000"."""
    classes = {}
    with csv_files.open_text(path) as file:
        lines = file.read().splitlines()
    for line, text in enumerate(lines, 1):
        code, _, name = text.strip().partition(" ")
        if code:
            if not name or code in classes:
                raise InputError(
                    f"{path}:{line}: expected a new code and its name, such as 'c000 Holding some clothes';"
                    f" received {text!r}"
                )
            classes[code] = name
    if not classes:
        raise InputError(f"{path}: names no class; {ADVICE}")
    return classes
