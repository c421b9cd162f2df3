"""The built-in data set: made videos whose classes are an appearance times a motion that needs the Fast pathway.

Every motion repeats after 4, 8 or 16 frames, so that at the Slow pathway's stride of 16 it stands still: what is
seen there is the shape alone. At the Fast pathway's stride of 2 the motions of a pair differ.
"""

import concurrent.futures
import json
import os
import pathlib

import av
import numpy as np
import tqdm

from ....files.atomic import atomic
from .. import folder

SHAPES = ("bar", "ring")
MOTIONS = ("spins_left", "spins_right", "blinks_slowly", "blinks_fast")
CLASSES = tuple(sorted(f"{shape}_{motion}" for shape in SHAPES for motion in MOTIONS))
HEIGHT, WIDTH, FRAMES, RATE = 64, 80, 48, 30


def load(root, split):
    """See `datasets.load_split`; the videos are made where they are not there yet."""
    make(root)
    return folder.load(root, split)


def own_metrics(truth, predicted):
    """Shares of videos whose `appearance` was told right, and whose `motion` was. See `datasets.own_metrics`."""
    parts = np.array([name.split("_", 1) for name in CLASSES])
    appearance, motion = (parts[truth] == parts[predicted]).mean(0)
    return {"appearance": float(appearance), "motion": float(motion)}


def make(root, train=720, validation=240, seed=0):
    """Writes the data set as `root/train/CLASS/NUMBER.mp4` and `root/val/CLASS/NUMBER.mp4`, unless it is there.

    Args:
        root: the directory to make; made whole or not at all.
        train, validation: numbers of videos, the same for every class to within one.
        seed: with the same seed the same videos come out. No draw is shared by two videos.

    The videos are H.264, 80 x 64 pixels, 48 frames at 30 a second.
    """
    write(root, CLASSES, render, train, validation, seed)


def write(root, classes, render, train, validation, seed):
    """As `make`, of any classes and a function like `render`."""
    root = pathlib.Path(root)
    if root.exists():
        return

    def draw(job):
        path, name, seed = job
        encode(path, RATE, (HEIGHT, WIDTH), render(name, np.random.default_rng(seed)))

    with atomic(root) as temporary:
        jobs = []
        for number, (split, count) in enumerate((("train", train), ("val", validation))):
            for name in classes:
                (temporary / split / name).mkdir(parents=True)
            for i in range(count):
                name = classes[i % len(classes)]
                jobs.append((str(temporary / split / name / f"{i:04d}.mp4"), name, (seed, number, i)))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(tqdm.tqdm(pool.map(draw, jobs), "making videos", len(jobs), disable=None))
        about = {"train": train, "val": validation, "seed": seed, "classes": classes}
        (temporary / "about.json").write_text(json.dumps(about, indent=2))


def encode(path, rate, size, images):
    """Writes an H.264 video of images, uint8 `[H, W, 3]` each, of a size (height, width)."""
    with av.open(path, "w") as container:
        # x264's macroblock tree does not give the same bytes twice; nor may the number of cores matter.
        options = {"crf": "23", "preset": "veryfast", "x264-params": "threads=1:mbtree=0"}
        stream = container.add_stream("libx264", rate, options=options)
        (stream.height, stream.width), stream.pix_fmt = size, "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())


def render(name, random):
    """One video of class `name`, uint8 `[48, 64, 80, 3]`, from a NumPy random generator."""
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


def move(motion, random, frames):
    """Angle and visibility (0 to 1) of a shape in each frame, `[frames]` each, from a random phase on."""
    time, phase = np.arange(frames), random.uniform(0, 2 * np.pi)
    if motion.startswith("spins"):
        return phase + 2 * np.pi / 16 * time * (1 if motion == "spins_left" else -1), np.ones(frames)
    period = 16 if motion == "blinks_slowly" else 4
    on = (time + random.integers(16)) // (period // 2) % 2
    return np.full(frames, phase), np.where(on, 1.0, 0.3)


def cover(shape, y, x, radius, angle):
    """How much of each pixel, by its distance from the middle of a shape, the shape covers: 0 to 1."""
    u = (x * np.cos(angle) - y * np.sin(angle)) / radius
    v = (x * np.sin(angle) + y * np.cos(angle)) / radius
    return np.clip(0.5 - radius * _distance(shape, u, v), 0, 1)


def _distance(shape, u, v):
    """How far outside the shape, which fills a circle of radius 1, a point is; below 0 inside."""
    if shape == "bar":
        return np.maximum(np.abs(u) - 1, np.abs(v) - 0.22)
    ring = np.abs(np.hypot(u, v) - 0.75) - 0.25
    return np.maximum(ring, np.minimum(u, 0.5 - np.abs(v)))  # open on one side


def texture(random, height, width):
    """A background of three colors, `[height + 96, width + 96, 3]`: room for 48 pixels of motion each way."""
    return np.stack([noise(random, (height + 96, width + 96)) + random.uniform(40, 110) for _ in range(3)], -1)


def noise(random, size):
    """Smooth noise of a standard deviation of 15, of a size (height, width)."""
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None])
    spectrum = np.fft.fft2(random.normal(size=size)) * np.exp(-((frequency * random.uniform(5, 12)) ** 2))
    found = np.fft.ifft2(spectrum).real
    return 15 * (found - found.mean()) / found.std()


def window(background, offset, height, width):
    """The frame's part of a `texture`, moved by a fraction of a pixel."""
    offset = np.clip(offset, 0, 94)
    y, x = offset.astype(int)
    fy, fx = offset - (y, x)
    part = background[y : y + height + 1, x : x + width + 1]
    part = part[:-1] * (1 - fy) + part[1:] * fy
    return part[:, :-1] * (1 - fx) + part[:, 1:] * fx


def walk(random, length):
    """A hand's unrest: a random walk in two dimensions that is pulled back, in pixels."""
    position, walk = np.zeros(2), []
    for _ in range(length):
        position = 0.8 * position + random.normal(size=2)
        walk.append(position)
    return np.array(walk)
