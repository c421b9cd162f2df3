"""ONNX detectors with the outputs of TensorFlow's detectors, of torchvision's or of YOLO's."""

import ast
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import InputError
from .boxes import Boxes, Find, people, swapped
from .saved_model import OUTPUTS, PERSON

YOLO_SIZE = 640  # pixels: input size if the file does not fix it
YOLO_LEAST = 0.05  # lowest score of a box that is kept
GRAY = 114  # value of the padding around a YOLO input image


def load(path: str) -> Find:
    """Return the detector in an ONNX file.

    The file takes one image, `[1, H, W, 3]`, `[1, 3, H, W]` or `[3, H, W]`, uint8 or float (0 to 1), and returns

    - `detection_boxes`, `detection_scores` and `detection_classes`, as TensorFlow's detectors converted by tf2onnx;
    - `boxes` `[N, 4]` (x1, y1, x2, y2 in pixels), `labels` and `scores` `[N]`, as torchvision's detectors; or
    - YOLO's single output: `[1, 4 + classes, N]` (center, size, scores), or `[1, N, 6]` (corners, score, class).

    Raises:
        InputError: if the file has another format or no class "person", or if ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"{path} needs {error.name}: pip install 'slowfast_tf[export]'") from error
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own exception types
        raise InputError(f"{path} is not an ONNX file: {str(error).strip().splitlines()[0]}") from error
    shapes = {output.name: output.shape for output in session.get_outputs()}
    names = list(shapes)
    if len(session.get_inputs()) != 1 or len(session.get_inputs()[0].shape) not in (3, 4):
        raise InputError(f"{path} is not a detector with one input image")
    feed = functools.partial(_run, session)
    if set(OUTPUTS) <= set(names):
        return lambda images: [_tensorflow(path, feed, image) for image in images]
    if {"boxes", "labels", "scores"} <= set(names):
        return lambda images: [_torchvision(path, feed, image) for image in images]
    if len(names) == 1 and len(shapes[names[0]]) == 3:
        person = _person(path, session.get_modelmeta().custom_metadata_map)
        return lambda images: [_yolo(path, feed, image, person) for image in images]
    raise InputError(f"the detector {path} returns {', '.join(names)}; expected TensorFlow's, torchvision's or YOLO's")


def _run(session: Any, image: np.ndarray, size: int | None = None) -> tuple[dict[str, np.ndarray], tuple[int, int]]:
    """Return the outputs for an image, and height and width of the network's input.

    Args:
        session: the ONNX Runtime session.
        image: uint8 `[H, W, 3]`.
        size: keep the aspect ratio and pad the image to the input size of the file, or to a square of this many pixels
            if the file does not fix its input size. If None, the image is resized to the file's input size, if any.
    """
    (details,) = session.get_inputs()
    *_, a, b, c = details.shape
    first = a == 3
    fixed = (b, c) if first else (a, b)
    fixed = fixed if all(isinstance(side, int) and side > 0 for side in fixed) else None
    pixels: Any = tf.cast(image, tf.float32)
    if size:
        height, width = fixed or (size, size)
        scale = min(height / image.shape[0], width / image.shape[1])
        inner = [max(round(side * scale), 1) for side in image.shape[:2]]
        pixels = tf.image.resize(pixels, inner)
        pixels = tf.pad(pixels, [[0, height - inner[0]], [0, width - inner[1]], [0, 0]], constant_values=GRAY)
    elif fixed:
        pixels = tf.image.resize(pixels, fixed)
    seen = tuple(pixels.shape[:2])
    value = pixels.numpy()
    kind = {"tensor(uint8)": np.uint8, "tensor(float16)": np.float16}.get(details.type, np.float32)
    value = (value.round() if kind is np.uint8 else value / 255).astype(kind)
    value = value.transpose(2, 0, 1) if first else value
    value = value[None] if len(details.shape) == 4 else value
    names = [output.name for output in session.get_outputs()]
    found = [np.asarray(one) for one in session.run(names, {details.name: value})]
    return dict(zip(names, found)), seen


Feed = Callable[..., tuple[dict[str, np.ndarray], tuple[int, int]]]


def _tensorflow(path: str, feed: Feed, image: np.ndarray) -> Boxes:
    found, _ = feed(image)
    boxes, scores, classes = (found[name][0] for name in OUTPUTS)
    return people(path, swapped(boxes), scores, classes == PERSON)


def _torchvision(path: str, feed: Feed, image: np.ndarray) -> Boxes:
    found, (height, width) = feed(image)
    corners = found["boxes"].reshape(-1, 4) / [width, height, width, height]
    return people(path, corners, found["scores"].reshape(-1), found["labels"].reshape(-1) == PERSON)


def _yolo(path: str, feed: Feed, image: np.ndarray, person: int) -> Boxes:
    found, (height, width) = feed(image, YOLO_SIZE)
    (output,) = (one[0].astype(np.float32) for one in found.values())
    if output.shape[-1] == 6:  # the file has removed duplicates
        corners, scores, chosen = output[:, :4], output[:, 4], output[:, 5] == person
    else:
        centers, sizes, scores = output[:2].T, output[2:4].T, output[4 + person]
        corners = np.concatenate([centers - sizes / 2, centers + sizes / 2], 1)
        chosen = scores > YOLO_LEAST
    # The image is at the top left of the padded input.
    scale = min(height / image.shape[0], width / image.shape[1])
    sides = scale * np.array([image.shape[1], image.shape[0]] * 2)
    return people(path, corners / sides, scores, chosen)


def _person(path: str, metadata: Mapping[str, str]) -> int:
    """Return the index of the class "person" among the names in the file, or 0, as in COCO, if it has no names."""
    try:
        names = dict(ast.literal_eval(metadata.get("names", "{}")))
    except (ValueError, SyntaxError, TypeError):
        names = {}
    numbers = [number for number, name in names.items() if name == "person"]
    if names and not numbers:
        raise InputError(f"the detector {path} has no class 'person'; its names begin with {list(names.values())[:3]}")
    return int(numbers[0]) if numbers else 0
