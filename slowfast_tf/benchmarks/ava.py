"""Time AVA's evaluation and, for comparison, a plain Python loop on synthetic boxes."""

import collections
import dataclasses
import statistics
import tempfile
import time
import typing
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from ..data import ava_csv
from ..evaluation import ava

FRAMES = 57_000  # key frames of AVA's validation set

Row = tuple[str, float, list[float], int, float]  # video, second, corners, action, score


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The processor seconds of the loop and of NumPy on the same boxes.

    Attributes:
        truth: number of annotated boxes.
        detections: number of detections.
        loop: seconds of `loop`, one value per round.
        numpy: seconds of `ava.average_precision`, one value per round.
        read: seconds of `ava_csv.read_csv` for the detections, one value per round.
        difference: largest absolute difference between a metric of the loop and of NumPy.
    """

    truth: int
    detections: int
    loop: list[float]
    numpy: list[float]
    read: list[float]
    difference: float

    @property
    def ratio(self) -> float:
        """The median seconds of the loop, divided by those of NumPy."""
        return statistics.median(self.loop) / statistics.median(self.numpy)


def make_boxes(frames: int, people: int = 2, classes: int = 20, seed: int = 0) -> tuple[ava_csv.Boxes, ava_csv.Boxes]:
    """Return synthetic annotations and detections.

    Each person has two actions on average. A detection has scores for all classes, and its corners are shifted at
    random. Some people are detected twice, others not at all.

    Args:
        frames: number of key frames.
        people: number of people per frame.
        classes: number of classes.
        seed: seed of the random generator.
    """
    random = np.random.default_rng(seed)
    persons = frames * people
    frame = np.repeat(np.arange(frames), people)
    center, size = random.uniform(0.3, 0.7, (persons, 2)), random.uniform(0.1, 0.25, (persons, 2))
    corners = np.concatenate([center - size, center + size], 1)
    acts = random.uniform(size=(persons, classes)) < 2 / classes

    def boxes(persons: np.ndarray, corners: np.ndarray, actions: np.ndarray, scores: np.ndarray) -> ava_csv.Boxes:
        videos = np.array([f"video_{i:05d}" for i in range(frames // 897 + 1)], object)[frame[persons] // 897]
        return ava_csv.Boxes(videos, 902.0 + frame[persons] % 897, corners.round(3), actions, scores)

    person, action = np.nonzero(acts)
    truth = boxes(person, corners[person], action + 1, np.ones(len(person)))
    found = np.sort(random.integers(0, persons, persons))
    moved = np.clip(corners[found] + random.normal(0, 0.04, (persons, 4)), 0, 1)
    moved = np.sort(moved.reshape(-1, 2, 2), 1).reshape(-1, 4)
    scores = np.clip(random.beta(1, 8, acts.shape) + 0.3 * acts[found], 0, 1)
    person = np.repeat(found, classes)
    actions = np.tile(np.arange(1, classes + 1), persons)
    return truth, boxes(person, np.repeat(moved, classes, axis=0), actions, scores.reshape(-1))


def loop(truth: Iterable[Row], detections: Iterable[Row], names: Mapping[int, str]) -> ava.Precisions:
    """Compute `ava.average_precision` with a loop over boxes in plain Python.

    Args:
        truth: annotated boxes.
        detections: scored boxes.
        names: class names by id.
    """
    frames = collections.defaultdict(list)
    positives = collections.Counter()
    for video, second, box, action, _ in truth:
        frames[video, second].append((action, box))
        positives[action] += 1
    by_frame = collections.defaultdict(list)
    for video, second, box, action, score in detections:
        if action in names and (video, second) in frames:
            by_frame[video, second].append((score, action, box))
    outcomes = collections.defaultdict(list)
    for (video, second), boxes in by_frame.items():
        taken = set()
        for score, action, box in sorted(boxes, key=lambda row: -row[0])[: ava.MOST]:
            if not (box[0] < box[2] and box[1] < box[3]):
                continue
            best, best_place = 0.0, None
            for place, (true_action, true) in enumerate(frames[video, second]):
                if true_action != action:
                    continue
                width = max(min(box[2], true[2]) - max(box[0], true[0]), 0)
                height = max(min(box[3], true[3]) - max(box[1], true[1]), 0)
                areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (box, true)]
                overlap = width * height / (areas[0] + areas[1] - width * height)
                if overlap > best:
                    best, best_place = overlap, place
            right = best >= ava.IOU and best_place not in taken
            if right:
                taken.add(best_place)
            outcomes[action].append((score, right))
    metrics: ava.Precisions = {}
    for action, name in sorted(names.items()):
        if not positives[action]:
            metrics[name] = None
            continue
        rights, precisions = 0, []
        outcomes[action].reverse()  # if scores are equal, the later detection comes first
        for rank, (_, right) in enumerate(sorted(outcomes[action], key=lambda row: -row[0]), 1):
            rights += right
            if right:
                precisions.append(rights / rank)
        area, highest = 0.0, 0.0
        for precision in reversed(precisions):
            highest = max(highest, precision)
            area += highest / positives[action]
        metrics[name] = area
    known = [metric for metric in metrics.values() if metric is not None]
    return {"mAP": sum(known) / len(known), **metrics}


def rows(boxes: ava_csv.Boxes) -> list[Row]:
    """Return boxes as rows for `loop`."""
    columns = (boxes.videos, boxes.times, boxes.corners, boxes.actions, boxes.scores)
    return list(zip(*(column.tolist() for column in columns)))


def measure(frames: int = FRAMES, people: int = 2, classes: int = 20, rounds: int = 1) -> Comparison:
    """Time the plain loop and NumPy on the same boxes in memory, and reading the detections from a csv file.

    Args:
        frames: number of key frames.
        people: number of people per frame.
        classes: number of classes.
        rounds: measurements of each.
    """
    names = {i: f"action {i}" for i in range(1, classes + 1)}
    truth, detections = make_boxes(frames, people, classes)
    true_rows, found_rows = rows(truth), rows(detections)
    looped, fast, read = [], [], []
    by_loop: ava.Precisions = {}
    by_numpy: ava.Precisions = {}
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/detections.csv"
        ava_csv.write_csv(path, detections)
        for _ in range(rounds):
            by_loop = timed(looped, lambda: loop(true_rows, found_rows, names))
            by_numpy = timed(fast, lambda: ava.average_precision(truth, detections, names))
            timed(read, lambda: ava_csv.read_csv(path, classes))
    pairs = [(metric, by_numpy[name]) for name, metric in by_loop.items()]
    differences = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    return Comparison(len(truth.times), len(detections.times), looped, fast, read, max(differences))


def timed(seconds: list[float], function: Callable[[], typing.Any]) -> typing.Any:
    """Return the result of a function, and append its processor seconds to `seconds`."""
    start = time.process_time()
    result = function()
    seconds.append(time.process_time() - start)
    return result


def section(rounds: int) -> str:
    """Time AVA's evaluation and return a Markdown section.

    Args:
        rounds: measurements of each row of the table.
    """
    found = measure(FRAMES, rounds=rounds)
    table = [
        f"| {name} | {statistics.median(seconds):.2f} | {min(seconds):.2f} |"
        for name, seconds in (
            ("a loop over boxes in plain Python", found.loop),
            ("`ava.average_precision`", found.numpy),
            ("`ava_csv.read_csv` of the detections", found.read),
        )
    ]
    return "\n".join(
        [
            "## AVA",
            "",
            f"    python -m slowfast_tf.benchmark ava --rounds {rounds}",
            "",
            f"Mean average precision of {found.detections} synthetic detections against {found.truth} synthetic"
            f" annotations in {FRAMES} key frames, 20 classes, in memory. Processor seconds of one thread: median and"
            f" minimum of {rounds}, measured in turn. NumPy is {found.ratio:.1f} times as fast; metrics differ by"
            f" at most {found.difference:.0e}.",
            "",
            "| | median, s | minimum, s |",
            "|---|---|---|",
            *table,
        ]
    )
