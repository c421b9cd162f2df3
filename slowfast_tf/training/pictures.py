"""Draw the prediction of a trained model for a validation clip."""

import pathlib

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from ..data.pipeline import Clips
from ..data.transforms import denormalize
from ..evaluation.report import plots
from ..files.atomic import atomic
from ..inference import people
from ..inference.predictor import Predictor
from ..models.spec import SlowFastSpec

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
    shown, frames = _pictures(inputs, spec)
    if shown == spec.pathways[-1]:
        indices = {"slow": spec.slow_index, "fast": range(spec.clip_frames)}
        seen = {name.title(): indices[name] for name in spec.pathways}
    else:
        seen = {"Slow": range(spec.frames)}
    title = ", ".join(name for name, happens in zip(clips.labels, truth[middle].numpy()) if happens)
    plots.save_prediction(frames, seen, scores, clips.labels, title, path)


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
    _, frames = _pictures(inputs, spec)
    frame = frames[len(frames) // 2]
    scale = -(-LEAST_SIDE // min(frame.shape[:2]))
    found = []
    for number, (corners, row) in enumerate(zip(boxes.numpy(), scores)):
        found.append(people.Person(0.0, tuple(corners), track=number, actions=row))
    with atomic(path) as temporary:
        Image.fromarray(people.draw(frame.repeat(scale, 0).repeat(scale, 1), found, clips.labels)).save(temporary)


def _pictures(inputs: dict[str, tf.Tensor], spec: SlowFastSpec) -> tuple[str, np.ndarray]:
    """Return the pathway that shows a clip best, and the first clip as this pathway sees it, uint8 `[T, H, W, 3]`."""
    name = "fast" if "slow" not in inputs or ("fast" in inputs and spec.fast_input == "rgb") else "slow"
    frames = inputs[name].numpy()[0]
    if spec.input_channels(name) == 2:  # optical flow: red shows motion to the right, green motion downwards
        motion = np.concatenate([frames, np.zeros_like(frames[..., :1])], -1) / 2 + 0.5
        return name, np.clip(motion * 255, 0, 255).round().astype(np.uint8)
    return name, denormalize(np.broadcast_to(frames, (*frames.shape[:3], 3)), spec)
