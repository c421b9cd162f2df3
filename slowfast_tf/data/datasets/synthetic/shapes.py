"""The built-in data set "demo": synthetic videos. A class is a shape with a motion that only the Fast pathway sees.

Every motion repeats after 4, 8 or 16 frames. The Slow pathway, with a stride of 16 frames, sees a shape that does not
move. The Fast pathway, with a stride of 2, sees the motion.
"""

import concurrent.futures
import json
import os
import pathlib
import typing
from collections.abc import Callable, Iterable, Sequence

import av
import numpy as np
import tqdm

from ....files.atomic import atomic
from ....machine import core_count
from ..base import DataSet, Split
from ..folder import read_folders

SHAPES = ("bar", "ring")
MOTIONS = ("spins_left", "spins_right", "blinks_slowly", "blinks_fast")
CLASSES = tuple(sorted(f"{shape}_{motion}" for shape in SHAPES for motion in MOTIONS))
HEIGHT, WIDTH, FRAMES, RATE = 64, 80, 48, 30


class Form(typing.NamedTuple):
    """The format of synthetic videos: height and width in pixels, number of frames, frames per second."""

    height: int
    width: int
    frames: int
    rate: int


FORM = Form(HEIGHT, WIDTH, FRAMES, RATE)


class Demo(DataSet):
    """The demo data set; its videos are written on first use."""

    def read(self, split: str) -> Split:
        """See `DataSet.read`."""
        make(self.root)
        return read_folders(self.root, split)

    @staticmethod
    def own_metrics(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        """Return the accuracies of the shape alone ("appearance") and of the motion alone ("motion")."""
        parts = np.array([name.split("_", 1) for name in CLASSES])
        appearance, motion = (parts[truth] == parts[predicted]).mean(0)
        return {"appearance": float(appearance), "motion": float(motion)}


def make(root: str | os.PathLike, train: int = 720, validation: int = 240, seed: int = 0) -> None:
    """Write the data set as `root/train/CLASS/NUMBER.mp4` and `root/val/CLASS/NUMBER.mp4`, unless `root` exists.

    The videos are H.264, 80 x 64 pixels, 48 frames at 30 frames per second.

    Args:
        root: the directory to write. After an interruption it does not exist.
        train: number of training videos. The numbers of videos per class differ by at most one.
        validation: number of validation videos.
        seed: the same seed gives the same videos. Each video draws its own random numbers.
    """
    write(root, CLASSES, render, train, validation, seed)


def write(
    root: str | os.PathLike,
    classes: Sequence[str],
    render: Callable[[str, np.random.Generator], np.ndarray],
    train: int,
    validation: int,
    seed: int,
    form: Form = FORM,
) -> None:
    """Write a synthetic data set with any classes, in the layout of `make`.

    Args:
        root: see `make`.
        classes: the class names.
        render: function that draws a video, uint8 `[frames, height, width, 3]`, for a class name and a generator.
        train: see `make`.
        validation: see `make`.
        seed: see `make`.
        form: format of the videos.
    """
    root = pathlib.Path(root)
    if root.exists():
        return

    def draw(job: tuple) -> None:
        path, name, seed = job
        encode(path, form.rate, (form.height, form.width), render(name, np.random.default_rng(seed)))

    with atomic(root) as temporary:
        jobs = []
        for number, (split, count) in enumerate((("train", train), ("val", validation))):
            for name in classes:
                (temporary / split / name).mkdir(parents=True)
            for i in range(count):
                name = classes[i % len(classes)]
                jobs.append((str(temporary / split / name / f"{i:04d}.mp4"), name, (seed, number, i)))
        with concurrent.futures.ThreadPoolExecutor(core_count()) as pool:
            list(tqdm.tqdm(pool.map(draw, jobs), "making videos", len(jobs), disable=None))
        about = {"train": train, "val": validation, "seed": seed, "classes": classes}
        (temporary / "about.json").write_text(json.dumps(about, indent=2))


def encode(path: str, rate: int, size: tuple[int, int], images: Iterable[np.ndarray]) -> None:
    """Write an H.264 video.

    Args:
        path: path of the file.
        rate: frames per second.
        size: height and width, in pixels.
        images: the frames, uint8 `[H, W, 3]` each.
    """
    with av.open(path, "w") as container:
        # The same input must give the same bytes: x264's macroblock tree and the number of threads change them.
        options = {"crf": "23", "preset": "veryfast", "x264-params": "threads=1:mbtree=0"}
        stream = container.add_stream("libx264", rate, options=options)
        (stream.height, stream.width), stream.pix_fmt = size, "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())


def render(name: str, random: np.random.Generator) -> np.ndarray:
    """Return one video of class `name`, uint8 `[48, 64, 80, 3]`."""
    shape, motion = name.split("_", 1)
    time = np.arange(FRAMES)

    shake = 0.6 * walk(random, FRAMES)
    drift = random.uniform(-0.7, 0.7, 2) * time[:, None]
    background = texture(random, HEIGHT, WIDTH)
    color = random.uniform(150, 255, 3)

    radius = random.uniform(13, 20)
    center = np.array([random.uniform(24, HEIGHT - 24), random.uniform(24, WIDTH - 24)])
    angle, visible = move(motion, random, FRAMES)

    images = np.empty((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    for t in range(FRAMES):
        image = window(background, 32 + drift[t] + shake[t], HEIGHT, WIDTH)
        y, x = rows - center[0] + shake[t, 0], columns - center[1] + shake[t, 1]
        share = cover(shape, y, x, radius, angle[t])[..., None] * visible[t]
        image = image * (1 - share) + color * share
        image += random.normal(0, 4, image.shape)
        images[t] = np.clip(image, 0, 255)
    return images


def move(motion: str, random: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return angle and visibility (0 to 1) of a shape in each frame, `[frames]`, with a random phase."""
    time, phase = np.arange(frames), random.uniform(0, 2 * np.pi)
    if motion.startswith("spins"):
        return phase + 2 * np.pi / 16 * time * (1 if motion == "spins_left" else -1), np.ones(frames)
    period = 16 if motion == "blinks_slowly" else 4
    on = (time + random.integers(16)) // (period // 2) % 2
    return np.full(frames, phase), np.where(on, 1.0, 0.3)


def cover(shape: str, y: np.ndarray, x: np.ndarray, radius: float, angle: float) -> np.ndarray:
    """Return the fraction of each pixel that a shape covers, 0 to 1.

    Args:
        shape: name of the shape.
        y: vertical distance of each pixel from the center of the shape, downwards, in pixels.
        x: horizontal distance of each pixel from the center of the shape, to the right, in pixels.
        radius: radius of the shape, in pixels.
        angle: rotation of the shape, in radians.
    """
    u = (x * np.cos(angle) - y * np.sin(angle)) / radius
    v = (x * np.sin(angle) + y * np.cos(angle)) / radius
    return np.clip(0.5 - radius * distance(shape, u, v), 0, 1)


def distance(shape: str, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the distance of points to a shape of radius 1; negative inside."""
    if shape == "bar":
        return np.maximum(np.abs(u) - 1, np.abs(v) - 0.22)
    ring = np.abs(np.hypot(u, v) - 0.75) - 0.25
    return np.maximum(ring, np.minimum(u, 0.5 - np.abs(v)))  # open on one side


def texture(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return a colored background, `[height + 96, width + 96, 3]`, with a margin of 48 pixels for motion."""
    return np.stack([noise(random, (height + 96, width + 96)) + random.uniform(40, 110) for _ in range(3)], -1)


def noise(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return smooth noise of size (height, width), with mean 0 and a standard deviation of 15."""
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None])
    spectrum = np.fft.fft2(random.normal(size=size)) * np.exp(-((frequency * random.uniform(5, 12)) ** 2))
    found = np.fft.ifft2(spectrum).real
    return 15 * (found - found.mean()) / found.std()


def window(background: np.ndarray, offset: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the window of a `texture` at an offset (y, x) in pixels, with bilinear interpolation."""
    offset = np.clip(offset, 0, 94)
    y, x = offset.astype(int)
    fy, fx = offset - (y, x)
    part = background[y : y + height + 1, x : x + width + 1]
    part = part[:-1] * (1 - fy) + part[1:] * fy
    return part[:, :-1] * (1 - fx) + part[:, 1:] * fx


def walk(random: np.random.Generator, length: int) -> np.ndarray:
    """Return the shake of a hand-held camera in pixels, `[length, 2]`: a random walk that stays near its start."""
    position, walk = np.zeros(2), []
    for _ in range(length):
        position = 0.8 * position + random.normal(size=2)
        walk.append(position)
    return np.array(walk)
