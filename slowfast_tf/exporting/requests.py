"""Refuse requests to a SavedModel that would get scores without a meaning. The checks are part of its graph."""

from typing import Any

import tensorflow as tf

from ..models.spec import SlowFastSpec

ROUNDING = 1e-3  # of a side, by which a corner may lie outside


def checked_inputs(inputs: dict[str, Any], spec: SlowFastSpec) -> dict[str, Any]:
    """Return a network's own inputs, which are an error unless clips are finite and boxes lie in the frame, in pixels.

    A clip of SlowFast 8x8 R50 (2 cores) takes 660 ms of CPU time with the checks and 662 ms without (medians of 25
    pairs); the median difference is 0.5 ms, and half of the differences are within 14 ms.

    Args:
        inputs: float32 tensors by name, as `folded.input_specs` has them.
        spec: of the network.
    """
    about = "clips are normalized float32, and every number is finite; got NaN or infinity in"
    # tf.debugging.check_numerics takes 7 to 19 ms for a clip of 32 frames of 256 pixels, and this 1.3 ms.
    checks = [
        tf.debugging.Assert(tf.reduce_all(tf.math.is_finite(inputs[name])), [about, name]) for name in spec.pathways
    ]
    with tf.control_dependencies(checks):
        checked = {name: tf.identity(inputs[name]) for name in spec.pathways}
    if "boxes" in inputs:
        name = spec.pathways[0]
        scale = 2 if name == "fast" and spec.fast_input == "half" else 1
        height, width = tf.unstack(tf.shape(inputs[name])[2:4] * scale)
        checked["boxes"] = checked_boxes(inputs["boxes"], [width, height, width, height])
    return checked


def checked_boxes(boxes: Any, sides: list[Any] | None = None) -> Any:
    """Return boxes, which are an error unless each lies in the frame, has an area, or is padding.

    Args:
        boxes: float32 `[B, N, 4]`, x1, y1, x2, y2.
        sides: width, height, width and height of the frame in pixels; None if the boxes are relative to the frame.
    """
    unit = "in pixels of the frame" if sides else "relative to the frame, from 0 to 1"
    about = f"boxes are (x1, y1, x2, y2) {unit}, with x1 < x2 and y1 < y2, or zeros for padding; got"
    shares = boxes / tf.cast(sides, tf.float32) if sides else boxes
    inside = tf.reduce_all((shares >= -ROUNDING) & (shares <= 1 + ROUNDING), -1)  # NaN is not
    area = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], -1)
    good = (inside & area) | tf.reduce_all(tf.equal(boxes, 0), -1)
    wrong = tf.boolean_mask(boxes, ~good)
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(good), [about, wrong[:1]], summarize=4)]):
        return tf.identity(boxes)
