"""SavedModels with the signature of TensorFlow's object detectors."""

from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import InputError
from .boxes import Boxes, Find, people, swapped

PERSON = 1  # COCO's class ids start at 1
OUTPUTS = ("detection_boxes", "detection_scores", "detection_classes")


def load(path: str) -> Find:
    """Return the detector in a SavedModel.

    Its signature "serving_default" takes an image, uint8 `[1, H, W, 3]`, or a batch of images. It returns
    `detection_boxes` `[B, N, 4]` (y1, x1, y2, x2 as fractions), `detection_scores` and `detection_classes` `[B, N]`.

    Raises:
        InputError: if `path` is not a SavedModel with this signature.
    """
    try:
        loaded: Any = tf.saved_model.load(path)
        signature = loaded.signatures["serving_default"]
        ((name, spec),) = signature.structured_input_signature[1].items()
        batch, *size, channels = spec.shape
        if spec.dtype != tf.uint8 or channels != 3 or len(size) != 2:
            raise ValueError(f"its input is {spec.dtype.name} {spec.shape}, not uint8 [1, H, W, 3]")
    except (OSError, KeyError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is not a SavedModel of a detector with one input image: {reason}") from error
    missing = set(OUTPUTS) - set(signature.structured_outputs)
    if missing:
        raise InputError(f"the detector {path} does not give {', '.join(sorted(missing))}")

    def run(images: np.ndarray) -> list[Boxes]:
        found = signature(**{name: tf.constant(images)})
        boxes, scores, classes = (found[output].numpy() for output in OUTPUTS)
        return [people(path, swapped(boxes[i]), scores[i], classes[i] == PERSON) for i in range(len(images))]

    def find(images: np.ndarray, _: Any = loaded) -> list[Boxes]:  # a signature holds no reference to its model
        if None not in size:
            images = tf.cast(tf.round(tf.image.resize(images, size)), tf.uint8).numpy()
        step = batch or len(images)
        return [found for i in range(0, len(images), step) for found in run(images[i : i + step])]

    return find
