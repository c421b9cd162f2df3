"""Small networks with random weights, and inputs for them."""

import itertools
import math
import re

import numpy as np
import tensorflow as tf


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def shapes(spec, height, width, batch=2):
    """Random inputs of a network, by name."""
    shapes = {}
    for pathway in spec.pathways:
        frames = spec.clip_frames if pathway == "fast" else spec.frames
        sides = spec.input_size(pathway, height), spec.input_size(pathway, width)
        shapes[pathway] = (batch, frames, *sides, spec.input_channels(pathway))
    return shapes


def error(a, b):
    """Largest difference, over the largest value."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    assert a.shape == b.shape
    return np.abs(a - b).max() / np.abs(b).max()


def trace(model, spec, size):
    """The TensorFlow graph of `model` for one clip of `size`^2."""
    inputs = {name: tf.TensorSpec(shape) for name, shape in shapes(spec, size, size, batch=1).items()}
    return tf.function(lambda x: model(x, training=False)).get_concrete_function(inputs).graph


def count(model, spec, size=256):
    """Multiply-adds of each part, and of non-local products, from the shapes of the graph's operations."""
    counted = dict.fromkeys(["slow", "fast", "lateral", "head", "products"], 0)
    for operation in trace(model, spec, size).get_operations():
        part = re.match(r"slowfast[^/]*/(slow|fast|lateral|head)_", operation.name + "_")
        if operation.type in ("Conv3D", "Conv2D"):
            kernel, output = operation.inputs[1].shape, operation.outputs[0].shape
            counted[part[1]] += math.prod(kernel) * math.prod(output[:-1])
        elif operation.type in ("MatMul", "BatchMatMulV2"):
            a, output = operation.inputs[0].shape, operation.outputs[0].shape
            name = "products" if operation.type == "BatchMatMulV2" else part[1]
            counted[name] += math.prod(output) * a[-1]
        else:
            assert not re.search("Conv|MatMul|Einsum|Call", operation.type), operation.type
    return counted


def parameters(model):
    """Trainable parameters of each part, from the model's variables."""
    counted = dict.fromkeys(["slow", "fast", "lateral", "head"], 0)
    for layer in model.layers:
        counted.setdefault(layer.name.split("_")[0], 0)
        counted[layer.name.split("_")[0]] += sum(math.prod(v.shape) for v in layer.trainable_variables)
    return counted


def convolve(x, kernel, strides, dilation):
    """Convolution by its definition: a sum over the kernel's places of shifted, strided inputs."""
    dilations = (1, dilation, dilation)
    pads = [d * (k // 2) for d, k in zip(dilations, kernel.shape)]
    padded = np.pad(x, [(0, 0), *((p, p) for p in pads), (0, 0)])
    y = 0
    for place in itertools.product(*map(range, kernel.shape[:3])):
        window = tuple(slice(d * i, d * i + n, s) for i, d, n, s in zip(place, dilations, x.shape[1:4], strides))
        y = y + padded[(slice(None), *window)] @ kernel[place]
    return y


def randomize(model, seed=0):
    """Give a network weights that are random everywhere, and logits of mean 0 and deviation 1 over moving pictures.

    With the usual initialization, every residual block is an identity, and all videos have nearly the same scores.
    """
    random, spec = np.random.default_rng(seed), model.spec
    model.set_weights(
        [
            random.uniform(0.5, 1.5, w.shape)
            if w.ndim < 2
            else random.normal(0, math.sqrt(2 / math.prod(w.shape[:-1])), w.shape)
            for w in model.get_weights()
        ]
    )
    phases = random.uniform(0, 6, (12, 3))
    y, x, time = np.ogrid[:32, :32, : spec.clip_frames]
    waves = [np.sin(x / 4 + time / 3 + a) + np.cos(y / 5 - time / 4 + b) * np.sin(c) for a, b, c in phases]
    fast = np.stack(waves).transpose(0, 3, 1, 2)[..., None].repeat(3, -1).astype("float32")
    inputs = {"slow": fast[:, list(spec.slow_index)], "fast": fast}
    if spec.head == "roi":
        inputs["boxes"] = np.tile(np.float32([[[2, 2, 30, 30]]]), (12, 1, 1))
    logits = model({name: inputs[name] for name in spec.inputs}, training=False).numpy().reshape(12, -1)
    kernel, bias = model.get_layer("head").get_weights()
    deviation = logits.std(0)
    model.get_layer("head").set_weights([kernel / deviation, (bias - logits.mean(0)) / deviation])
