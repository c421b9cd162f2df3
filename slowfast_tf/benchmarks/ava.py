"""AVA's evaluation beside a plain loop over boxes, on made boxes: for `slowfast_tf.benchmark`."""

import collections
import statistics
import tempfile
import time

import numpy as np

from ..evaluation import ava

FRAMES = 57_000  # key frames of AVA's validation set


def made_boxes(frames, people=2, classes=20, seed=0):
    """Truth and detections of `frames` key frames, as two `ava.Boxes`.

    In each frame some people with one to three actions each; detections of all classes for most of them, a little
    moved, some twice, and for some that are not there.
    """
    random = np.random.default_rng(seed)
    persons = frames * people
    frame = np.repeat(np.arange(frames), people)
    center, size = random.uniform(0.3, 0.7, (persons, 2)), random.uniform(0.1, 0.25, (persons, 2))
    corners = np.concatenate([center - size, center + size], 1)
    acts = random.uniform(size=(persons, classes)) < 2 / classes

    def boxes(persons, corners, actions, scores):
        videos = np.array([f"video_{i:05d}" for i in range(frames // 897 + 1)], object)[frame[persons] // 897]
        return ava.Boxes(videos, 902.0 + frame[persons] % 897, corners.round(3), actions, scores)

    person, action = np.nonzero(acts)
    truth = boxes(person, corners[person], action + 1, np.ones(len(person)))
    # Most are found, some twice; the others are replaced by somebody else's place.
    found = np.sort(random.integers(0, persons, persons))
    moved = np.clip(corners[found] + random.normal(0, 0.04, (persons, 4)), 0, 1)
    moved = np.sort(moved.reshape(-1, 2, 2), 1).reshape(-1, 4)
    scores = np.clip(random.beta(1, 8, acts.shape) + 0.3 * acts[found], 0, 1)
    person = np.repeat(found, classes)
    actions = np.tile(np.arange(1, classes + 1), persons)
    return truth, boxes(person, np.repeat(moved, classes, axis=0), actions, scores.reshape(-1))


def loop(truth, detections, names):
    """`ava.average_precision` as a loop over boxes in plain Python, of rows (video, second, box, action, score)."""
    frames = collections.defaultdict(list)
    positives = collections.Counter()
    for video, second, box, action, _ in truth:
        frames[video, second].append((action, box))
        positives[action] += 1
    by_frame = collections.defaultdict(list)
    for video, second, box, action, score in detections:
        by_frame[video, second].append((score, action, box))
    outcomes = collections.defaultdict(list)
    for (video, second), boxes in by_frame.items():
        taken = set()
        for score, action, box in sorted(boxes, key=lambda row: -row[0]):
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
    figures = {}
    for action, name in sorted(names.items()):
        if not positives[action]:
            figures[name] = None
            continue
        rights, precisions = 0, []
        outcomes[action].reverse()  # of equal scores the later come first
        for rank, (_, right) in enumerate(sorted(outcomes[action], key=lambda row: -row[0]), 1):
            rights += right
            if right:
                precisions.append(rights / rank)
        area, highest = 0.0, 0.0
        for precision in reversed(precisions):
            highest = max(highest, precision)
            area += highest / positives[action]
        figures[name] = area
    known = [figure for figure in figures.values() if figure is not None]
    return {"mAP": sum(known) / len(known), **figures}


def rows(boxes):
    """Rows for `loop`."""
    columns = (boxes.videos, boxes.times, boxes.corners, boxes.actions, boxes.scores)
    return list(zip(*(column.tolist() for column in columns)))


def measure(frames=FRAMES, people=2, classes=20, rounds=1):
    """Processor seconds of both for the same boxes in memory, of reading these from csv, and how the figures differ.

    Returns:
        A dictionary: `truth` and `detections` (rows); `loop`, `numpy` and `read` (seconds, a list of `rounds` each);
        `ratio` (of the medians of the first two); `difference` (the largest of any figure).
    """
    names = {i: f"action {i}" for i in range(1, classes + 1)}
    truth, detections = made_boxes(frames, people, classes)
    lists = rows(truth), rows(detections)
    figures, seconds = {}, {"loop": [], "numpy": [], "read": []}

    def timed(name, function, *arguments):
        start = time.process_time()
        figures[name] = function(*arguments)
        seconds[name].append(time.process_time() - start)

    with tempfile.TemporaryDirectory() as folder:
        ava.write_csv(f"{folder}/detections.csv", detections)
        for _ in range(rounds):
            timed("loop", loop, *lists, names)
            timed("numpy", ava.average_precision, truth, detections, names)
            timed("read", ava.read_csv, f"{folder}/detections.csv", classes)
    return {
        "truth": len(truth.times),
        "detections": len(detections.times),
        **seconds,
        "ratio": statistics.median(seconds["loop"]) / statistics.median(seconds["numpy"]),
        "difference": max(
            abs(figures["numpy"][key] - figures["loop"][key])
            for key in names.values()
            if figures["loop"][key] is not None
        ),
    }


def section(rounds):
    """Measures and gives a Markdown section for `slowfast_tf.benchmark`."""
    found = measure(FRAMES, rounds=rounds)
    lines = [
        f"| {what} | {statistics.median(found[name]):.2f} | {min(found[name]):.2f} |"
        for name, what in (
            ("loop", "a loop over boxes in plain Python"),
            ("numpy", "`ava.average_precision`"),
            ("read", "`ava.read_csv` of the detections"),
        )
    ]
    return "\n".join(
        [
            "## AVA",
            "",
            f"    python -m slowfast_tf.benchmark ava --rounds {rounds}",
            "",
            f"Mean average precision of {found['detections']} made detections against {found['truth']} made"
            f" annotations in {FRAMES} key frames, 20 classes, in memory. Processor seconds of one thread, median of"
            f" {rounds}, taking turns. NumPy is {found['ratio']:.1f} times as fast; figures differ by at most"
            f" {found['difference']:.0e}.",
            "",
            "| | seconds, median | fastest |",
            "|---|---|---|",
            *lines,
        ]
    )
