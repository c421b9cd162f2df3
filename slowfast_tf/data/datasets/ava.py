"""AVA v2.2 and v2.1 (Gu et al., CVPR 2018): people and their actions at each second of 15 minutes of a film.

One `Video` a key frame. Reads the official lists, the boxes of people that a detector predicted as PySlowFast and
MMAction2 publish them, and frames, films or cuts of films, laid out as both do.
"""

import itertools
import pathlib
import re

import numpy as np

from ...errors import InputError
from ...files import unpickle
from ..reference import Box, Video
from . import files

CLASSES = 80  # ids 1 to 80; the benchmark counts 60 of them, networks score all
SECONDS = range(902, 1799)
# The longest clip of the paper, 128 frames, takes 5.4 s of a film at 24 frames a second.
MARGIN = 3.0
# Where the pictures are, and the second of the film that the first of them shows.
FRAMES, RATE = {"frames": 900, "rawframes": 900}, 30.0
FILMS = {"videos_15min": 900, "videos": 0}
VERSIONS = {"v2.2": 2019, "v2.1": 2018}
PREDICTED = (
    "ava_{split}_predicted_boxes.csv",
    "person_box_67091280_iou90/ava_detection_{split}_boxes_and_labels.csv",
    "person_box_67091280_iou90/ava_detection_{split}_boxes_and_labels_include_negative_{version}.csv",
    "person_box_67091280_iou90/ava_detection_{split}_boxes_and_labels_include_negative.csv",
    "ava_dense_proposals_{split}.FAIR.recall_93.9.pkl",
)
LEAST_SCORE = {"train": 0.9, "val": 0.8}  # section 5 of the paper
SAME_PERSON = 0.9  # as where PySlowFast's files have labels (iou90)
ADVICE = "unpack ava_v2.2.zip from https://research.google.com/ava/download.html there, without folders"


def load(root, split):
    """See `datasets.load_split`. Version 2.2 is read where 2.1 is there as well.

    The key frames of "train" are the annotated ones. Their boxes are the annotated ones and, where there is a file of
    predicted boxes, those of a score of at least 0.9. The key frames of "val" are those with predicted boxes of a
    score of at least 0.8, and these are their boxes; without a file of predicted boxes the annotated ones are.
    A predicted box has the labels that its file gives it; or those of the annotated box that it overlaps by more than
    0.9, since it is the same person; or else none. Excluded time stamps are left out.

    A video's `labels` are empty: they are its boxes'. Its `id` is "FILM,SECOND", such as "-5KQ66BBWC4,0902".
    """
    root = pathlib.Path(root)
    lists = root / "annotations"
    version = _version(lists, split)
    annotations, exclusions = f"ava_{split}_{version}.csv", f"ava_{split}_excluded_timestamps_{version}.csv"
    files.need("AVA", lists, (annotations, exclusions), ADVICE)
    problems = []
    excluded = _excluded(lists / exclusions, problems)
    origins = {}  # of each key frame, the first line that names it
    annotated = _annotated(lists / annotations, excluded, problems, origins)
    predicted = {}
    source = lists / annotations
    for name in PREDICTED:
        path = lists / name.format(split=split, version=version)
        if path.is_file():
            read = _predicted_pickle if path.suffix == ".pkl" else _predicted
            predicted = read(path, LEAST_SCORE[split], excluded, problems, origins)
            if not predicted and split == "val":
                reason = f"; {problems[-1]}" if problems else ""
                raise InputError(f"{path}: no box of a score of at least {LEAST_SCORE[split]} in any key frame{reason}")
            source = path if split == "val" else source
            break
    for key, boxes in predicted.items():
        _take_labels(boxes, annotated.get(key, {}))
    if split == "train" or not predicted:
        frames = {key: {**predicted.get(key, {}), **boxes} for key, boxes in annotated.items()}
    else:
        frames = predicted

    place, first, rate, there = _pictures(root)
    videos, missing = [], {}
    for (film, second), boxes in frames.items():
        if film in there:
            key = float(second - first)
            boxes = tuple(Box(corners, tuple(actions), score) for corners, (score, actions) in boxes.items())
            span = (max(key - MARGIN, 0.0), key + MARGIN)
            name, origin = f"{film},{second:04d}", origins[film, second]
            videos.append(Video(there[film], (), name, rate, span, key, boxes, origin))
        else:
            missing[film] = None
    return files.dataset(source, place, videos, _labels(lists, version), problems, list(missing))


def annotation_files(root):
    """What the benchmark's figure comes from: paths of the annotations of "val", the label map (that of the benchmark's
    60 classes, where it is there) and the excluded time stamps; of a data set, or of records made of one.

    Raises:
        InputError: where they are not there.
    """
    lists = pathlib.Path(root) / "annotations"
    version = _version(lists, "val")
    names = [f"ava_val_{version}.csv", f"ava_val_excluded_timestamps_{version}.csv"]
    files.need("AVA", lists, names, ADVICE)
    return lists / names[0], _label_map(lists, version, first=1), lists / names[1]


def read_label_map(path):
    """Class names by their ids, of a label map of AVA (`.pbtxt`).

    Raises:
        InputError: for a file of another form.
    """
    text = path.read_text("utf-8", "replace")
    quoted = r'"[^"]*"'
    # item { name: "dance" id: 4 }, or label { name: "dance" label_id: 4 label_type: PERSON_MOVEMENT }
    names = {}
    for block in re.findall(rf'\b(?:item|label)\s*\{{((?:[^{{}}"]|{quoted})*)\}}', text):
        fields = dict(re.findall(rf"(\w+)\s*:\s*({quoted}|[^\s\"]+)", block))
        name, number = fields.get("name", "").strip('"'), fields.get("id", fields.get("label_id", ""))
        if not name or not number.isdecimal() or not 1 <= int(number) <= CLASSES or int(number) in names:
            raise InputError(f"{path}: expected a name and a new id from 1 to {CLASSES}; received {block.split()}")
        names[int(number)] = name
    if not names:
        raise InputError(f"{path}: no class; expected item {{ name: ... id: ... }}, as in AVA's label maps")
    return names


def _labels(lists, version):
    """The 80 class names: the map of all of them, or that of the benchmark, where 20 are not named."""
    names = read_label_map(_label_map(lists, version, first=0))
    return [names.get(i, f"action {i}") for i in range(1, CLASSES + 1)]


def _label_map(lists, version, first):
    """The label map that is there: of all 80 classes (0) or of the benchmark's 60 (1), whichever is wanted first."""
    maps = [f"ava_action_list_{version}.pbtxt", f"ava_action_list_{version}_for_activitynet_{VERSIONS[version]}.pbtxt"]
    maps = [name for name in (maps[first], maps[1 - first]) if (lists / name).is_file()] or maps[1:]
    files.need("AVA", lists, maps[:1], ADVICE)
    return lists / maps[0]


def _version(lists, split):
    return next((v for v in VERSIONS if (lists / f"ava_{split}_{v}.csv").is_file()), "v2.2")


def _pictures(root):
    """The first directory of pictures that is there, its first second, its frame rate and the path of each film."""
    for name, first in itertools.chain(FRAMES.items(), FILMS.items()):
        place = root / name
        if place.is_dir():
            frames = name in FRAMES
            return place, first, RATE if frames else None, (files.find_folders if frames else files.find_videos)(place)
    names = ", ".join((*FRAMES, *FILMS))
    raise InputError(f"none of the directories {names} is in {root}; see docs/datasets.md for what each holds")


def _excluded(path, problems):
    excluded = set()
    for line, row in files.lines(path):
        try:
            film, second = row
            excluded.add((film, int(second)))
        except ValueError:
            problems.append(f"{path}:{line}: expected a film and a second, such as -5KQ66BBWC4,0902; received {row}")
    return excluded


def _annotated(path, excluded, problems, origins):
    """{(film, second): {corners: (1.0, [class index, ...])}} of film, second, x1, y1, x2, y2, action, person."""
    frames = {}
    for line, row in files.lines(path):
        if len(row) == 2:  # nobody is there
            continue
        try:
            key = row[0], int(row[1])
            corners = float(row[2]), float(row[3]), float(row[4]), float(row[5])
            action = int(row[6])
        except (ValueError, IndexError):
            problems.append(
                f"{path}:{line}: expected film,second,x1,y1,x2,y2,action,person; received {','.join(row)!r}"
            )
            continue
        if key not in excluded:
            _add(frames, key, corners, 1.0, action, path, line, problems, origins)
    return frames


def _predicted(path, least, excluded, problems, origins):
    """As `_annotated`, of film, second, x1, y1, x2, y2, action (-1 or empty: not known), score."""
    frames = {}
    for line, row in files.lines(path):
        try:
            score = float(row[7])
            if score < least:
                continue
            key = row[0], int(row[1])
            corners = float(row[2]), float(row[3]), float(row[4]), float(row[5])
            action = None if row[6] in ("", "-1") else int(row[6])
        except (ValueError, IndexError):
            problems.append(f"{path}:{line}: expected film,second,x1,y1,x2,y2,action,score; received {','.join(row)!r}")
            continue
        if key not in excluded:
            _add(frames, key, corners, score, action, path, line, problems, origins)
    return frames


def _predicted_pickle(path, least, excluded, problems, origins):
    """As `_predicted`, of a dictionary from "FILM,SECOND" to arrays `[N, 5]` of x1, y1, x2, y2, score."""
    content = unpickle.read_pickle(path, "file of boxes")
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}; expected a dictionary of boxes by 'FILM,SECOND'")
    frames = {}
    for name, boxes in content.items():
        try:
            film, second = name.split(",")
            key = film, int(second)
            boxes = np.asarray(boxes, float).reshape(-1, np.shape(boxes)[-1])
            x1, y1, x2, y2, scores = boxes.T
        except (AttributeError, ValueError, TypeError, IndexError):
            problems.append(f"{path}:{name}: expected an array [N, 5] of x1, y1, x2, y2, score")
            continue
        if key not in excluded:
            for *corners, score in boxes[~(scores < least)].tolist():
                _add(frames, key, tuple(corners), score, None, path, name, problems, origins)
    return frames


def _add(frames, key, corners, score, action, path, line, problems, origins):
    """Adds a box, or a label to it, unless something is wrong with it."""
    x1, y1, x2, y2 = corners
    if not (0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1):
        problems.append(f"{path}:{line}: corners {corners} do not rise from 0 to 1")
    elif key[1] not in SECONDS:
        problems.append(f"{path}:{line}: second {key[1]} is no key frame; they are {SECONDS[0]} to {SECONDS[-1]}")
    elif action is not None and not 1 <= action <= CLASSES:
        problems.append(f"{path}:{line}: action {action} is none of 1 to {CLASSES}")
    elif not 0 <= score <= 1:
        problems.append(f"{path}:{line}: score {score} is not from 0 to 1")
    else:
        boxes = frames.setdefault(key, {})
        origins.setdefault(key, f"{path}:{line}")
        if corners not in boxes:
            boxes[corners] = (score, [] if action is None else [action - 1])
        elif action is None or action - 1 in boxes[corners][1]:
            problems.append(f"{path}:{line}: listed again")
        else:
            boxes[corners][1].append(action - 1)


def _take_labels(boxes, annotated):
    """Gives predicted boxes without labels those of the annotated box of the same person."""
    for corners, (_, actions) in boxes.items():
        if not actions and annotated:
            best = max(annotated, key=lambda other: _overlap(corners, other))
            if _overlap(corners, best) > SAME_PERSON:
                actions += annotated[best][1]


def _overlap(box, other):
    """Intersection over union."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (box, other)]
    return width * height / (sum(areas) - width * height)
