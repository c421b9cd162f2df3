"""Who does what in a video: boxes of people, tracks, their actions, and a video with all that drawn in."""

import colorsys
import csv
import dataclasses
import json
import pathlib

import numpy as np
import tensorflow as tf

from ..errors import InputError
from ..evaluation.ava import check_corners
from ..video.decode import read_frames
from ..video.probe import frame_times, probe
from . import drawing
from .predictor import Predictor

PERSON = 1  # the class of TensorFlow's detectors (COCO)
LEAST_SCORE = 0.8  # of a detector's box (section 5)
OVERLAP = 0.3  # from which on a box goes on with a track
PATIENCE = 2  # key frames in which a track may be missing


@dataclasses.dataclass
class Person:
    """Somebody in a key frame.

    Attributes:
        time: of the key frame, in seconds.
        corners: x1, y1, x2, y2 as shares of the frame's width and height.
        score: the detector's; 1 if none was given.
        track: a number, the same for the same person in all key frames.
        actions: (label, score) pairs, the best first.
    """

    time: float
    corners: tuple
    score: float = 1.0
    track: int = -1
    actions: tuple = ()


def read_boxes(path, duration):
    """People from a csv or a JSON file.

    Args:
        path: a csv file of second, x1, y1, x2, y2 and, if there is one, score (a first line may name these); or a
            `.json` file, a list of `{"time": ..., "box": [x1, y1, x2, y2], "score": ...}`. Corners are shares of width
            and height.
        duration: of the video, in seconds.

    Returns:
        A list of `Person`, by time.

    Raises:
        InputError: with file and row, for corners that are NaN, negative, above 1, swapped or without area, a time
            before the start or past the end, or another form.
    """
    path = pathlib.Path(path)
    try:
        rows = _json_rows(path) if path.suffix == ".json" else _csv_rows(path)
        people = []
        for where, values in rows:
            try:
                time, x1, y1, x2, y2, score = (float(value) for value in values)
            except (TypeError, ValueError):
                raise InputError(
                    f"{where}: expected second,x1,y1,x2,y2 and, if there is one, score; received {values}"
                ) from None
            check_corners((x1, y1, x2, y2), where)
            if x1 == x2 or y1 == y2:
                raise InputError(f"{where}: the box has no area; received {values}")
            if not 0 <= time <= duration:
                raise InputError(f"{where}: second {time:g} is not in the video, which lasts {duration:.2f} s")
            if not 0 <= score <= 1:
                raise InputError(f"{where}: score {score:g} is not from 0 to 1")
            people.append(Person(time, (x1, y1, x2, y2), score))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the boxes {path}: {error}") from error
    if not people:
        raise InputError(f"{path} holds no box")
    return sorted(people, key=lambda person: person.time)


def _csv_rows(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        for row in reader:
            if row and not (reader.line_num == 1 and row[0].strip() in ("time", "second")):
                yield f"{path}:{reader.line_num}", row + [1.0] * (len(row) == 5)


def _json_rows(path):
    try:
        entries = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(entries, list):
        raise InputError(f"{path} holds a {type(entries).__name__}; expected a list of boxes")
    for i, entry in enumerate(entries):
        try:
            values = [entry["time"], *entry["box"], entry.get("score", 1.0)]
        except (TypeError, KeyError, AttributeError):
            values = entry
        yield f"{path}, box {i} (from 0)", values


def detect(path, detector, duration):
    """People that a detector finds in a frame of each second.

    Args:
        path: of the video.
        detector: directory of a SavedModel with the signature of TensorFlow's object detectors: an image, uint8
            `[1, H, W, 3]`, to `detection_boxes` `[1, N, 4]` (y1, x1, y2, x2 as shares), `detection_scores` and
            `detection_classes` `[1, N]`. Boxes of class 1 (a person) with a score of at least 0.8 count.
        duration: of the video, in seconds.

    Returns:
        A list of `Person`, by time.

    Raises:
        InputError: where it is no such SavedModel, or finds nobody.
    """
    try:
        loaded = tf.saved_model.load(str(detector))
        signature = loaded.signatures["serving_default"]
        (name,) = signature.structured_input_signature[1]
    except (OSError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{detector} is no SavedModel of a detector with one input image: {reason}") from error
    missing = {"detection_boxes", "detection_scores", "detection_classes"} - set(signature.structured_outputs)
    if missing:
        raise InputError(f"the detector {detector} does not give {', '.join(sorted(missing))}")
    times = np.arange(0.5, duration, 1.0) if duration > 0.5 else np.array([duration / 2])
    people = []
    for time, image in zip(times, read_frames(path, _nearest(probe(path), times))):
        found = signature(**{name: tf.constant(image[None])})
        boxes, scores, classes = (found[f"detection_{key}"][0].numpy() for key in ("boxes", "scores", "classes"))
        for i in np.flatnonzero((scores >= LEAST_SCORE) & (classes == PERSON)):
            y1, x1, y2, x2 = np.clip(boxes[i], 0, 1).tolist()
            if x1 < x2 and y1 < y2:
                people.append(Person(float(time), (x1, y1, x2, y2), float(scores[i])))
    if not people:
        raise InputError(f"the detector {detector} finds nobody of a score of {LEAST_SCORE} in {path}")
    return people


def track(people):
    """Sets each person's `track`: boxes of neighbouring key frames that overlap are one person.

    Pairs are chosen so that the sum of their overlaps is largest.

    Args:
        people: a list of `Person`, by time; changed in place.
    """
    from scipy.optimize import linear_sum_assignment

    last, count = {}, 0  # from track to its last box and key frame
    for number, time in enumerate(sorted({person.time for person in people})):
        here = [person for person in people if person.time == time]
        tracks = [t for t, (_, seen) in last.items() if number - seen <= PATIENCE + 1]
        overlaps = np.array([[_overlap(person.corners, last[t][0]) for t in tracks] for person in here])
        overlaps = np.where(overlaps >= OVERLAP, overlaps, 0).reshape(len(here), len(tracks))
        for i, j in zip(*linear_sum_assignment(-overlaps)):
            if overlaps[i, j]:
                here[i].track = tracks[j]
        for person in here:
            if person.track < 0:
                person.track, count = count, count + 1
            last[person.track] = person.corners, number


def _overlap(a, b):
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (a, b)) - width * height)


class Scorer:
    """A detection network with everything before and after it.

    Args:
        model: a `SlowFast` with head "roi".
    """

    def __init__(self, model):
        self.predictor = Predictor(model)
        self.spec = model.spec

    def score(self, path, people, labels, top):
        """Sets the `actions` of people: the `top` best of a clip around each key frame.

        Args:
            path: of the video.
            people: a list of `Person`, changed in place.
            labels: class names.
            top: how many actions.

        Raises:
            VideoError: where the video cannot be read.
        """
        info = probe(path)
        for time in sorted({person.time for person in people}):
            here = [person for person in people if person.time == time]
            start = _nearest(info, [time])[0] - self.spec.clip_span // 2
            clip = read_frames(path, start + np.arange(self.spec.clip_frames) * self.spec.clip_stride)
            scores = self._scores(clip, np.array([person.corners for person in here], np.float32)).numpy()
            for person, row in zip(here, scores):
                best = np.argsort(-row, kind="stable")[:top]
                person.actions = tuple((labels[i], float(row[i])) for i in best)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.uint8, "clip"),
            tf.TensorSpec([None, 4], tf.float32, "boxes"),
        ],
        jit_compile=False,
        autograph=False,
    )
    def _scores(self, clip, boxes):
        """Scores `[N, classes]` of boxes (shares of width and height) in a clip `[F, H, W, 3]`, all of the picture."""
        return self.predictor.score_boxes(clip[None], boxes[None])[0]


def _nearest(info, times):
    """Indices of the frames that are shown at some times."""
    return np.clip(np.searchsorted(frame_times(info), np.asarray(times) + 1e-6) - 1, 0, info.frames - 1)


def as_json(path, people):
    """What `predict` writes: times, boxes and scores, as a dictionary that JSON can hold."""
    frames = []
    for time in sorted({person.time for person in people}):
        boxes = [
            {
                "track": person.track,
                "box": list(person.corners),
                "score": person.score,
                "actions": [{"label": label, "score": score} for label, score in person.actions],
            }
            for person in people
            if person.time == time
        ]
        frames.append({"time": time, "boxes": boxes})
    return {"video": str(path), "frames": frames}


def shown(people, time, hold):
    """Who is to be drawn at a time, as a list of `Person`, by track.

    Between two key frames of a track not further apart than `PATIENCE` + 1 times 2 `hold` its box moves straight from
    one to the other; elsewhere it stands for `hold` seconds. Actions are those of the nearer key frame.
    """
    found = []
    for number in sorted({person.track for person in people}):
        mine = [person for person in people if person.track == number]
        before = max((p for p in mine if p.time <= time), key=lambda p: p.time, default=None)
        after = min((p for p in mine if p.time >= time), key=lambda p: p.time, default=None)
        nearest = min((p for p in (before, after) if p), key=lambda p: abs(p.time - time))
        if before and after and before is not after and after.time - before.time <= 2 * hold * (PATIENCE + 1) + 1e-6:
            share = (time - before.time) / (after.time - before.time)
            corners = np.array(before.corners) * (1 - share) + np.array(after.corners) * share
            found.append(dataclasses.replace(nearest, corners=tuple(corners)))
        elif abs(nearest.time - time) <= hold:
            found.append(nearest)
    return found


def draw(image, people, lines=3):
    """Draws boxes, the best actions and their scores.

    Args:
        image: uint8 `[H, W, 3]`.
        people: a list of `Person`.
        lines: how many actions of each.

    Returns:
        uint8 `[H, W, 3]`.
    """
    picture, canvas, font, line = drawing.start(image)
    width, height = picture.size
    colors = [colorsys.hsv_to_rgb(person.track * 0.381966 % 1, 0.85, 1.0) for person in people]
    colors = [tuple(round(255 * part) for part in color) for color in colors]
    places = [np.array(person.corners) * [width, height, width, height] for person in people]
    for color, (x1, y1, x2, y2) in zip(colors, places):
        canvas.rectangle([x1, y1, max(x2 - 1, x1), max(y2 - 1, y1)], outline=color, width=2 * line)
    taken = []
    for person, color, (x1, y1, _, _) in zip(people, colors, places):
        texts = [f"{score:.2f} {label}" for label, score in person.actions[:lines]]
        if not texts:
            continue
        wide, tall = drawing.measure(canvas, texts, font, line)
        left = min(max(x1, 0), max(width - wide, 0))
        # Above the box where there is room, else inside it; and below the words of others.
        top = y1 - tall if y1 >= tall else y1 + 2 * line
        for other in sorted(taken, key=lambda place: place[1]):
            if other[0] < left + wide and left < other[2] and other[1] < top + tall and top < other[3]:
                top = other[3]
        top = min(max(top, 0), max(height - tall, 0))
        taken.append((left, top, left + wide, top + tall))
        drawing.words(canvas, texts, (left, top), font, line, color)
    return np.asarray(picture)


def write_video(path, people, output, lines=3):
    """Writes a video again, as H.264 in MP4, with people drawn in; times of frames and the sound stay.

    Args:
        path: of the video.
        people: a list of `Person`, by time, with tracks.
        output: the file to write.
        lines: how many actions of each person.

    Raises:
        VideoError: where the video cannot be read.
    """
    keys = sorted({person.time for person in people})
    hold = float(np.median(np.diff(keys))) / 2 if len(keys) > 1 else 0.5
    drawing.rewrite(path, output, lambda image, time: draw(image, shown(people, time, hold), lines))
