"""TFLite detectors that end in the operation TFLite_Detection_PostProcess: EfficientDet-Lite, SSD MobileNet."""

import contextlib
import zipfile
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import InputError
from .boxes import Boxes, Find, people, swapped


def load(path: str) -> Find:
    """Return the detector in a TFLite file.

    The file takes an image `[1, H, W, 3]`, uint8 or float32 (-1 to 1). Its four outputs, in any order, are boxes
    `[1, N, 4]` (y1, x1, y2, x2 as fractions), classes and scores `[1, N]`, and the number of boxes `[1]`.

    Raises:
        InputError: if the file has another format or no label "person", or if LiteRT is not installed.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise InputError(f"{path} needs {error.name}: pip install 'slowfast_tf[tflite]'") from error
    try:
        interpreter = Interpreter(model_path=path)
        interpreter.allocate_tensors()
        (image,), outputs = interpreter.get_input_details(), interpreter.get_output_details()
        _, height, width, _ = image["shape"]
        ranks = sorted(len(output["shape"]) for output in outputs)
        if ranks != [1, 2, 2, 3] or image["dtype"] not in (np.uint8, np.float32):
            raise ValueError(f"its outputs are {', '.join(str(list(output['shape'])) for output in outputs)}")
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path} is not a TFLite file of a detector with boxes, classes and scores: {reason}"
        ) from error
    person = _person(path)

    def run(frame: np.ndarray) -> Boxes:
        resized = tf.image.resize(frame[None], [height, width])
        value = resized / 127.5 - 1 if image["dtype"] == np.float32 else tf.cast(tf.round(resized), tf.uint8)
        interpreter.set_tensor(image["index"], value.numpy())
        interpreter.invoke()
        values: dict[int, list[Any]] = {1: [], 2: [], 3: []}
        for output in outputs:
            value = interpreter.get_tensor(output["index"])
            values[value.ndim].append(value)
        # The order of classes and scores differs between files: classes are whole numbers, scores are at most 1.
        classes, scores = sorted(values[2], key=lambda x: (np.mod(x, 1).any(), -x.max(initial=0)))
        count = int(values[1][0][0])
        chosen = (classes[0] == person) & (np.arange(classes.shape[1]) < count)
        return people(path, swapped(values[3][0][0]), scores[0], chosen)

    return lambda images: [run(frame) for frame in images]


def _person(path: str) -> int:
    """Return the index of "person" among the labels in the file, or 0, as in COCO, if it has no labels."""
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".txt"):
                labels = [line.strip() for line in archive.read(name).decode(errors="replace").splitlines()]
                labels = labels[1:] if labels[:1] == ["???"] else labels
                if "person" not in labels:
                    raise InputError(f"the detector {path} has no class 'person'; its labels begin with {labels[:3]}")
                return labels.index("person")
    return 0
