"""The evidence for a class in space and time: Grad-CAM (arXiv 1610.02391) for each pathway."""

from typing import Any

import keras
import tensorflow as tf


def grad_cam(model: Any, inputs: dict[str, Any], classes: Any = None) -> tuple[Any, dict[str, Any]]:
    """Return Grad-CAM heat maps of a class, one for each pathway.

    The weight of a channel is the gradient of the class's logit with respect to the pathway's last feature map (res5),
    averaged over time and space. The heat is the weighted sum of the channels; negative sums are set to 0.

    The network ends with an average over all positions and a linear layer, so the weighted sum at a position is its
    contribution to the logit. Over both pathways, the contributions (including negative ones) add up to the logit minus
    its bias.

    Args:
        model: a `SlowFast` with head "pool".
        inputs: the model's inputs, a dictionary of `[B, T, S, S, C]` by pathway.
        classes: class numbers, int `[B]`; by default the best class of each clip.

    Returns:
        Logits, float32 `[B, num_classes]`, and a dictionary of heat maps by pathway, float32 `[B, T, h, w]`, at least
        0. T is the pathway's number of frames, h and w the size of its last feature map.

    Raises:
        ValueError: for a detection network: it has logits for boxes, not for clips.

    Example:
        >>> model = slowfast_tf.SlowFast("slowfast_2x16_demo")
        >>> inputs = {"slow": tf.zeros([1, 2, 48, 48, 3]), "fast": tf.zeros([1, 16, 48, 48, 3])}
        >>> logits, heat = grad_cam(model, inputs)
        >>> heat["slow"].shape
        TensorShape([1, 2, 2, 2])
    """
    if model.spec.head != "pool":
        raise ValueError(f"grad_cam explains networks with head 'pool'; received one with head {model.spec.head!r}")
    last = [model.get_layer(f"{pathway}_res5").output for pathway in model.spec.pathways]
    features = keras.Model(model.inputs, last)([inputs[name] for name in model.input_names], training=False)
    features = [tf.cast(x, tf.float32) for x in (features if isinstance(features, (list, tuple)) else [features])]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(features)
        logits = model.get_layer("head")(features, training=False)
        if classes is None:
            classes = tf.argmax(logits, -1)
        chosen = tf.gather(logits, classes, axis=1, batch_dims=1)
    heat = {}
    gradients: Any = tape.gradient(chosen, features)
    for pathway, x, gradient in zip(model.spec.pathways, features, gradients):
        weights = tf.reduce_mean(gradient, [1, 2, 3], keepdims=True)
        heat[pathway] = tf.nn.relu(tf.reduce_sum(weights * x, -1))
    return logits, heat
