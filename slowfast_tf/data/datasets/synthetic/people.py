"""The built-in data set "demo_detection": films of several shapes, each with its own action, in AVA's format.

Every second of a film is a new scene of three or four shapes. A shape has two labels, as people in AVA have a pose
and an action: its form, which the Slow pathway sees, and its motion, which needs the Fast pathway (see `shapes`). Form
and motion are drawn independently for each shape, so its labels can only be predicted from the shape itself.
"""

import concurrent.futures
import os
import pathlib

import numpy as np
import tqdm

from ....files.atomic import atomic
from ....machine import core_count
from ..ava import Ava
from ..base import Split
from . import shapes

ACTIONS = (*shapes.SHAPES, *shapes.MOTIONS)  # ids 1 to 6
SIZE, RATE = 96, 40  # height and width in pixels; frames per second, which is also the frames per scene
FIRST = 902  # second of the first key frame
KEY_FRAMES = 20  # per film


class DemoDetection(Ava):
    """The demo data set for detection; its films are written on first use."""

    def read(self, split: str) -> Split:
        """See `DataSet.read`."""
        make(self.root)
        return super().read(split)


def make(
    root: str | os.PathLike, train: int = 20, validation: int = 6, key_frames: int = KEY_FRAMES, seed: int = 0
) -> None:
    """Write the data set in the format of AVA v2.2, unless `root` exists.

    The lists and the label map are in `root/annotations`. The films start at second 900 and are
    `root/videos_15min/FILM.mp4`: H.264, 96 x 96 pixels, 40 frames per second. For validation there are predicted boxes,
    on which networks are tested: the annotated boxes, slightly moved, with scores of at least 0.8, and wrong boxes with
    lower scores.

    Args:
        root: the directory to write. After an interruption it does not exist.
        train: number of training films.
        validation: number of validation films.
        key_frames: number of key frames in each film, one per second from second 902 on.
        seed: the same seed gives the same films. Each film has its own random numbers.
    """
    root = pathlib.Path(root)
    if root.exists():
        return
    with atomic(root) as temporary:
        lists = temporary / "annotations"
        for folder in (lists, temporary / "videos_15min"):
            folder.mkdir(parents=True)
        jobs = [
            (str(temporary / "videos_15min"), split, key_frames, (seed, number, i))
            for number, (split, count) in enumerate((("train", train), ("val", validation)))
            for i in range(count)
        ]
        with concurrent.futures.ThreadPoolExecutor(core_count()) as pool:
            films = list(tqdm.tqdm(pool.map(_write, jobs), "making films", len(jobs), disable=None))
        for split in ("train", "val"):
            rows = [rows for (_, of, *_), rows in zip(jobs, films) if of == split]
            (lists / f"ava_{split}_v2.2.csv").write_text("".join(annotated for annotated, _ in rows))
            (lists / f"ava_{split}_excluded_timestamps_v2.2.csv").write_text("")
            if split == "val":
                (lists / "ava_val_predicted_boxes.csv").write_text("".join(predicted for _, predicted in rows))
        items = (f'item {{\n  name: "{name}"\n  id: {i}\n}}\n' for i, name in enumerate(ACTIONS, 1))
        (lists / "ava_action_list_v2.2.pbtxt").write_text("".join(items))


def _write(job: tuple[str, str, int, tuple[int, ...]]) -> tuple[str, str]:
    """Write a film; return its lines of annotated and of predicted boxes."""
    folder, split, key_frames, seed = job
    random = np.random.default_rng(seed)
    film = f"demo_{split}_{seed[-1]:02d}"
    images, annotated, predicted = [], [], []
    for second in range(FIRST, FIRST + key_frames):
        frames, drawn = render(random)
        if not images:
            # The film starts at second 900, and the first key frame (second 902) is the middle of the first scene.
            images += [frames[0]] * (2 * RATE - RATE // 2)
        images += list(frames)
        for person, (corners, labels) in enumerate(drawn):
            place = ",".join(f"{x:.3f}" for x in corners)
            annotated += [f"{film},{second:04d},{place},{label + 1},{person}\n" for label in labels]
            moved = np.clip(corners + random.normal(0, 0.006, 4), 0, 1)
            place = ",".join(f"{x:.3f}" for x in moved)
            predicted.append(f"{film},{second:04d},{place},,{random.uniform(0.8, 1):.4f}\n")
        x, y = random.uniform(0, 0.7, 2)
        predicted.append(
            f"{film},{second:04d},{x:.3f},{y:.3f},{x + 0.3:.3f},{y + 0.3:.3f},,{random.uniform(0.1, 0.7):.4f}\n"
        )
    shapes.encode(f"{folder}/{film}.mp4", RATE, (SIZE, SIZE), images)
    return "".join(annotated), "".join(predicted)


def render(random: np.random.Generator) -> tuple[np.ndarray, list[tuple[np.ndarray, tuple[int, int]]]]:
    """Draw a scene of one second.

    Returns:
        The frames, uint8 `[40, 96, 96, 3]`; and for each shape its corners in the middle frame (x1, y1, x2, y2 as
        fractions of width and height, `[4]`) and its two labels, as indices in `ACTIONS`.
    """
    time = np.arange(RATE)
    shake = 0.6 * shapes.walk(random, RATE)
    drift = random.uniform(-0.7, 0.7, 2) * time[:, None]
    background = shapes.texture(random, SIZE, SIZE)
    images = np.stack([shapes.window(background, 32 + drift[t] + shake[t], SIZE, SIZE) for t in time])
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(float)
    drawn = []
    # Each shape stays in its own quarter of the frame, so that shapes do not overlap.
    for quarter in random.permutation(4)[: random.integers(3, 5)]:
        shape, motion = random.integers(len(shapes.SHAPES)), random.integers(len(shapes.MOTIONS))
        color, radius = random.uniform(150, 255, 3), random.uniform(13, 18)
        middle = SIZE / 4 + SIZE / 2 * np.array(divmod(quarter, 2)) + random.uniform(-1, 1, 2) * (SIZE / 4 - radius - 2)
        path = middle + random.uniform(-0.1, 0.1, 2) * (time[:, None] - RATE // 2) - shake
        angle, visible = shapes.move(shapes.MOTIONS[motion], random, RATE)
        top, left = (slice(max(int(p.min() - radius) - 1, 0), int(p.max() + radius) + 3) for p in path.T)
        for t in time:
            y, x = rows[top, left] - path[t, 0], columns[top, left] - path[t, 1]
            share = shapes.cover(shapes.SHAPES[shape], y, x, radius, angle[t])[..., None] * visible[t]
            images[t, top, left] += (color - images[t, top, left]) * share
        y, x = path[RATE // 2]
        corners = np.clip(np.array([x - radius, y - radius, x + radius, y + radius]) / SIZE, 0, 1)
        drawn.append((corners, (int(shape), len(shapes.SHAPES) + motion)))
    images += random.normal(0, 4, images.shape)
    return np.clip(images, 0, 255).astype(np.uint8), drawn
