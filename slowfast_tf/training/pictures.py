"""Draw the prediction of a trained model for a validation clip."""

import pathlib

import keras
import numpy as np
from PIL import Image

from ..data.pipeline import Clips
from ..data.transforms import denormalize
from ..evaluation.report import plots
from ..files.atomic import atomic
from ..inference import people
from ..inference.predictor import Predictor

LEAST_SIDE = 480  # pixels of a picture with boxes: smaller labels are hard to read


def show_prediction(model: keras.Model, clips: Clips, path: pathlib.Path) -> None:
    """Draw a validation clip with the best classes; for a detection model a key frame with boxes (`show_boxes`).

    Args:
        model: a `SlowFast`.
        clips: the validation clips.
        path: the PNG to write.
    """
    if model.spec.head == "roi":
        return show_boxes(model, clips, path)
    spec = model.spec
    inputs, truth = next(iter(clips.validation()))  # pyright: ignore[reportAssignmentType]
    middle = len(truth) // 2
    inputs = {name: x[middle : middle + 1] for name, x in inputs.items()}
    scores = Predictor(model).score_inputs(inputs)[0].numpy()
    if spec.slow_input == "flow":  # to the right as red, downwards as green
        motion = inputs["slow"].numpy()
        frames = np.concatenate([motion, np.zeros_like(motion[..., :1])], -1) / 2 + 0.5
        frames, seen = (frames - spec.mean) / spec.std, {"Slow": range(spec.frames)}
    elif spec.fast_input == "rgb":
        frames = inputs[spec.pathways[-1]]
        indices = {"slow": spec.slow_index, "fast": range(spec.clip_frames)}
        seen = {name.title(): indices[name] for name in ("slow", "fast") if name in spec.pathways}
    else:  # the Fast pathway's input is not an image
        frames, seen = inputs["slow"], {"Slow": range(spec.frames)}
    title = ", ".join(name for name, happens in zip(clips.labels, truth[middle].numpy()) if happens)
    plots.save_prediction(denormalize(frames[0], spec), seen, scores, clips.labels, title, path)


def show_boxes(model: keras.Model, clips: Clips, path: pathlib.Path) -> None:
    """Draw the first key frame with its boxes and the three best actions of each.

    Args:
        model: a detection `SlowFast`.
        clips: the validation clips.
        path: the PNG to write.
    """
    spec = model.spec
    inputs, _, boxes, _ = next(iter(clips.key_frames()))
    scores = Predictor(model).score_inputs(inputs)[0].numpy()
    name = spec.pathways[-1] if spec.fast_input == "rgb" else "slow"
    frame = denormalize(inputs[name][0, inputs[name].shape[1] // 2].numpy(), spec)
    scale = -(-LEAST_SIDE // min(frame.shape[:2]))
    found = []
    for number, (corners, row) in enumerate(zip(boxes.numpy(), scores)):
        best = tuple((clips.labels[i], float(row[i])) for i in (-row).argsort()[:3])
        found.append(people.Person(0.0, tuple(corners), track=number, actions=best))
    with atomic(path) as temporary:
        Image.fromarray(people.draw(frame.repeat(scale, 0).repeat(scale, 1), found)).save(temporary)
