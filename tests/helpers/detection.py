"""The detection demo at a small size, and inputs of a detection network."""

import pathlib

import numpy as np

DEMO = pathlib.Path(__file__).parents[2] / "configs" / "demo_detection.json"
SMALL = (
    *('model.pathways=["slow"]', "model.width=8", "model.crop_size=48"),
    *("data.crop_size=40", "data.short_sides=[40, 48]", "train.batch_size=2"),
)
BOXES = np.array([[[0.1, 0.2, 0.5, 0.9], [0, 0, 0, 0], [0.4, 0.0, 1.0, 0.6]]], np.float32)


def clip_inputs(spec, height, width, boxes=BOXES):
    """Return one random clip of the Slow pathway, with `boxes` in pixels."""
    random = np.random.default_rng(1)
    sizes = np.array([width, height, width, height], np.float32)
    slow = random.normal(size=(1, spec.frames, height, width, 3)).astype(np.float32)
    return {"slow": slow, "boxes": (boxes * sizes).astype(np.float32)}
