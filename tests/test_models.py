"""The networks: their arithmetic against NumPy, Keras and PyTorch, their shapes and cost against the paper."""

import dataclasses
import itertools
import json
import math
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.variables import watched
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast_tf import describe
from slowfast_tf.checkpoints.loading import variables
from slowfast_tf.errors import InputError
from slowfast_tf.models import cost_table, description
from slowfast_tf.models.cost import cost, nonlocal_products, total
from slowfast_tf.models.lateral import Lateral
from slowfast_tf.models.layers import BatchNorm, Conv3D, NonLocal
from slowfast_tf.models.presets import PRESETS, get_spec
from slowfast_tf.models.slowfast import SlowFast
from slowfast_tf.models.spec import SlowFastSpec

TINY = SlowFastSpec(depth=18, width=16, frames=2, stride=8, alpha=4, beta_inv=4, num_classes=5, crop_size=32)
TINIEST = dataclasses.replace(TINY, depth=10)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def network(spec=TINY, seed=0, **kwargs):
    """A network whose every weight is random: at its start, each residual block is an identity."""
    keras.utils.set_random_seed(seed)
    model = SlowFast(spec, **kwargs)
    random = np.random.default_rng(seed)
    weights = []
    for variable in model.weights:
        value = np.asarray(variable)
        if value.ndim < 2:  # biases, and BatchNorm's scale, offset, mean and variance
            value = random.uniform(0.5, 1.5, value.shape)
        weights.append(value)
    model.set_weights(weights)
    return model


def shapes(spec, height, width, batch=2):
    """Of a network's inputs, by name."""
    shapes = {}
    for pathway in spec.pathways:
        frames = spec.clip_frames if pathway == "fast" else spec.frames
        sides = spec.input_size(pathway, height), spec.input_size(pathway, width)
        shapes[pathway] = (batch, frames, *sides, spec.input_channels(pathway))
    return shapes


def clip(spec, height, width, batch=2):
    return {name: noise(*shape, seed=len(name)) for name, shape in shapes(spec, height, width, batch).items()}


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


# Convolution

CONVOLUTIONS = [  # kernel, strides, dilation: all that the networks use
    ((1, 7, 7), (1, 2, 2), 1),
    ((5, 7, 7), (1, 2, 2), 1),
    ((1, 1, 1), (1, 1, 1), 1),
    ((1, 1, 1), (1, 2, 2), 1),
    ((3, 1, 1), (1, 1, 1), 1),
    ((1, 3, 3), (1, 1, 1), 1),
    ((1, 3, 3), (1, 2, 2), 1),
    ((1, 3, 3), (1, 1, 1), 2),
    ((5, 1, 1), (8, 1, 1), 1),
    ((7, 1, 1), (4, 1, 1), 1),
]


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


@pytest.mark.parametrize("size", [(8, 8, 8), (9, 7, 11), (8, 1, 2)])
@pytest.mark.parametrize("kernel, strides, dilation", CONVOLUTIONS)
def test_convolution_is_the_same_both_ways(kernel, strides, dilation, size):
    x = noise(2, *size, 3)
    outputs, gradients = [], []
    weights = [noise(*kernel, 3, 4, seed=1), noise(4, seed=2)]
    for lowering in ("conv3d", "conv2d"):
        layer = Conv3D(4, kernel, strides, dilation, use_bias=True, lowering=lowering)
        layer.build(x.shape)
        layer.set_weights(weights)
        with tf.GradientTape() as tape:
            variable = tf.Variable(x)
            y = layer(variable)
            loss = tf.reduce_sum(y**2)
        outputs.append(y)
        gradients.append(tape.gradient(loss, [variable, *watched(layer.trainable_variables)]))
        assert y.shape == layer.compute_output_shape(x.shape)
        assert layer.compute_output_shape((None, None, None, None, 3)) == (None, None, None, None, 4)
    expected = convolve(x.astype("float64"), weights[0].astype("float64"), strides, dilation) + weights[1]
    for y in outputs:
        assert error(y, expected) < 1e-5
    for a, b in zip(*gradients):
        assert error(a, b) < 1e-5


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("lowering", ["conv3d", "conv2d"])
@pytest.mark.parametrize("kernel, strides, dilation", CONVOLUTIONS)
def test_convolution_gradients_in_bfloat16(kernel, strides, dilation, lowering, frames):
    """Fewer frames than the kernel is long: there TensorFlow's own SAME padding gave any number at all."""
    x = noise(2, frames, 5, 4, 32)
    gradients = []
    for dtype in ("float32", "bfloat16"):
        layer = Conv3D(32, kernel, strides, dilation, lowering=lowering, dtype=dtype)
        layer.build(x.shape)
        layer.set_weights([noise(*kernel, 32, 32, seed=1)])
        variable = tf.Variable(tf.cast(x, dtype))
        with tf.GradientTape() as tape:
            y = tf.cast(layer(variable), "float32")
            loss = tf.reduce_sum(y * noise(*y.shape, seed=2))
        gradients.append([tf.cast(g, "float32") for g in tape.gradient(loss, [variable, *watched([layer.kernel])])])
    for exact, rounded in zip(*gradients):
        assert error(rounded, exact) < 0.1  # a CPU without bfloat16 may add up in it


@pytest.mark.parametrize("kernel, strides, dilation", CONVOLUTIONS)
def test_convolution_is_pytorchs(kernel, strides, dilation):
    torch = pytest.importorskip("torch")
    x, weights = noise(2, 9, 7, 11, 3), noise(*kernel, 3, 4, seed=1)
    layer = Conv3D(4, kernel, strides, dilation)
    layer.build(x.shape)
    layer.set_weights([weights])
    expected = torch.nn.functional.conv3d(
        torch.from_numpy(x).permute(0, 4, 1, 2, 3),
        torch.from_numpy(weights).permute(4, 3, 0, 1, 2),
        stride=strides,
        padding=[kernel[0] // 2, dilation * (kernel[1] // 2), dilation * (kernel[2] // 2)],
        dilation=(1, dilation, dilation),
    )
    assert error(layer(x), expected.permute(0, 2, 3, 4, 1)) < 1e-5


@pytest.mark.parametrize("lowering", ["conv3d", "conv2d"])
def test_convolution_by_hand(lowering):
    layer = Conv3D(1, (3, 1, 1), lowering=lowering)
    layer.build((1, 4, 1, 1, 1))
    layer.set_weights([np.reshape([1.0, 2.0, 3.0], (3, 1, 1, 1, 1))])
    y = layer(np.reshape([1.0, 2.0, 3.0, 4.0], (1, 4, 1, 1, 1)))
    assert np.ravel(y).tolist() == [8, 14, 20, 11]  # 1 x before + 2 x now + 3 x after
    strided = Conv3D(1, (3, 1, 1), (2, 1, 1), lowering=lowering)
    strided.build((1, 4, 1, 1, 1))
    strided.set_weights(layer.get_weights())
    assert np.ravel(strided(np.reshape([1.0, 2.0, 3.0, 4.0], (1, 4, 1, 1, 1)))).tolist() == [8, 20]


# Batch normalisation


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("mixed_bfloat16", 2e-2)])
@pytest.mark.parametrize("mode", ["training", "inference", "frozen"])
def test_batch_norm_is_keras_own(mode, dtype, tolerance):
    x = 3 * noise(2, 3, 5, 4, 6) + 1
    layers = [BatchNorm(dtype=dtype), keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=dtype)]
    start = [noise(6, seed=i) ** 2 + 0.5 for i in range(4)]
    outputs, gradients = [], []
    for layer in layers:
        layer.build(x.shape)
        layer.set_weights(start)  # gamma, beta, moving mean, moving variance
        layer.trainable = mode != "frozen"
        variable = tf.Variable(tf.cast(x, layer.compute_dtype))
        with tf.GradientTape() as tape:
            y = layer(variable, training=mode != "inference")
            loss = tf.reduce_sum(tf.cast(y, "float32") * noise(*x.shape, seed=9))
        assert y.dtype == layer.compute_dtype
        outputs.append(tf.cast(y, "float32"))
        sources = [variable, *watched(layer.trainable_variables)]
        gradients.append([tf.cast(g, "float32") for g in tape.gradient(loss, sources)])
    assert error(*outputs) < tolerance
    assert len(gradients[0]) == (1 if mode == "frozen" else 3)
    for a, b in zip(*gradients):
        assert error(a, b) < tolerance
    gamma, beta, mean, variance = layers[0].get_weights()
    assert (gamma == start[0]).all() and (beta == start[1]).all()
    if mode == "training":
        seen = np.asarray(variable, "float64").reshape(-1, 6)
        assert error(mean, 0.9 * start[2] + 0.1 * seen.mean(0)) < 1e-4
        assert error(variance, 0.9 * start[3] + 0.1 * seen.var(0, ddof=1)) < 1e-4  # unbiased, as PyTorch's
        assert error(mean, layers[1].get_weights()[2]) < tolerance
    else:
        assert (mean == start[2]).all() and (variance == start[3]).all()


# Lateral connections and non-local blocks


def fuse(slow, fast, kind, weights=(), **kwargs):
    layer = Lateral(kind, **kwargs)
    layer.build([slow.shape, fast.shape])
    if weights:
        layer.set_weights(weights)
    y = layer([slow, fast])
    assert y.shape == layer.compute_output_shape([slow.shape, fast.shape])
    return np.asarray(y)


def test_time_to_channel_by_hand():
    # One place, two Slow frames, four Fast ones of two channels: 10 t + c. The paper's TtoC lays the alpha
    # frames of a Slow frame side by side, each with its channels together.
    slow = np.full((1, 2, 1, 1, 4), 100.0, "float32")
    fast = np.reshape([0, 1, 10, 11, 20, 21, 30, 31], (1, 4, 1, 1, 2)).astype("float32")
    y = fuse(slow, fast, "channel_concat", alpha=2)
    assert y[0, :, 0, 0].tolist() == [[100] * 4 + [0, 1, 10, 11], [100] * 4 + [20, 21, 30, 31]]
    y = fuse(slow, fast, "channel_sum", alpha=2)
    assert y[0, :, 0, 0].tolist() == [[100, 101, 110, 111], [120, 121, 130, 131]]
    y = fuse(slow, fast, "sample", alpha=2)
    assert y[0, :, 0, 0].tolist() == [[100] * 4 + [0, 1], [100] * 4 + [20, 21]]


@pytest.mark.parametrize("lowering", ["conv3d", "conv2d"])
@pytest.mark.parametrize("kernel, alpha", [(5, 8), (7, 4)])
def test_time_strided_convolution(kernel, alpha, lowering):
    slow, fast = noise(2, 2, 3, 5, 4), noise(2, 2 * alpha, 3, 5, 2, seed=1)
    weights = noise(kernel, 1, 1, 2, 4, seed=2)
    expected = convolve(fast, weights, (alpha, 1, 1), 1)
    options = {"alpha": alpha, "kernel": kernel, "options": {"lowering": lowering}}
    bare = fuse(slow, fast, "conv", [weights], norm=False, **options)
    assert error(bare, np.concatenate([slow, expected], -1)) < 1e-5
    gamma, beta, mean, variance = (noise(4, seed=i) ** 2 + 0.5 for i in range(4))
    normed = fuse(slow, fast, "conv", [weights, gamma, beta, mean, variance], **options)
    expected = np.maximum((expected - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)
    assert error(normed, np.concatenate([slow, expected], -1)) < 1e-5


@pytest.mark.parametrize("height, width", [(4, 6), (3, 5), (1, 2)])
def test_half_resolution_is_fused_by_repeating(height, width):
    slow = noise(2, 1, height, width, 3)
    fast = noise(2, 2, -(-height // 2), -(-width // 2), 1, seed=1)
    y = fuse(slow, fast, "sample", alpha=2, scale=2)
    expected = np.repeat(np.repeat(fast[:, ::2], 2, 2), 2, 3)[:, :, :height, :width]
    assert (y == np.concatenate([slow, expected], -1)).all()


@pytest.mark.parametrize("kind", ["dot_product", "softmax"])
@pytest.mark.parametrize("lowering", ["conv3d", "conv2d"])
def test_nonlocal_block(kind, lowering):
    x = noise(2, 2, 5, 4, 6)
    layer = NonLocal(kind, options={"lowering": lowering})
    layer.build(x.shape)
    weights = {}
    for i, (path, variable) in enumerate(variables(layer).items()):
        weights["/".join(path.split("/")[-2:])] = value = 0.5 + 0.3 * noise(*variable.shape, seed=i)
        variable.assign(value)

    def project(name, value):
        return value @ weights[f"{name}/kernel"][0, 0, 0] + weights[f"{name}/bias"]

    pooled = x[:, :, :4].reshape(2, 2, 2, 2, 2, 2, 6).max((3, 5))  # 5x4 to 2x2, the fifth row left out
    query = project("theta", x).reshape(2, 40, 3)
    key, value = (project(name, pooled).reshape(2, 8, 3) for name in ("phi", "g"))
    affinity = query @ key.transpose(0, 2, 1)
    if kind == "softmax":
        affinity = np.exp(affinity / np.sqrt(3))
        affinity /= affinity.sum(-1, keepdims=True)
    else:
        affinity /= 8
    y = (affinity @ value).reshape(2, 2, 5, 4, 3) @ weights["conv/kernel"][0, 0, 0]
    y = (y - weights["norm/moving_mean"]) / np.sqrt(weights["norm/moving_variance"] + 1e-5)
    assert error(layer(x), x + y * weights["norm/gamma"] + weights["norm/beta"]) < 1e-5


# Whole networks


def test_stages_of_table_1():
    spec = get_spec("slowfast_4x16_r50")
    model = SlowFast(spec)
    stages = ["stem", "res2", "res3", "res4", "res5"]
    sizes, channels = [56, 56, 28, 14, 7], {"slow": [64, 256, 512, 1024, 2048], "fast": [8, 32, 64, 128, 256]}
    names = [f"{pathway}_{stage}" for pathway in ("slow", "fast") for stage in stages]
    features = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    inputs = [tf.TensorSpec((1, 4, 224, 224, 3)), tf.TensorSpec((1, 32, 224, 224, 3))]
    graph = tf.function(lambda *x: features(list(x))).get_concrete_function(*inputs)
    shapes = {name: tuple(x.shape) for name, x in zip(names, graph.structured_outputs)}
    for pathway, frames in (("slow", 4), ("fast", 32)):
        for stage, size, width in zip(stages, sizes, channels[pathway]):
            assert shapes[f"{pathway}_{stage}"] == (1, frames, size, size, width)
        types = ("Conv2D", "Conv3D")  # Slow's kernel is flat in time, and each frame a picture of its own
        (conv1,) = [o for o in graph.graph.get_operations() if o.type in types and f"/{pathway}_stem" in o.name]
        assert conv1.outputs[0].shape[-3:] == (112, 112, channels[pathway][0])
        assert math.prod(conv1.outputs[0].shape[:-3]) == frames
        assert conv1.inputs[1].shape[:-2] == ((7, 7) if pathway == "slow" else (5, 7, 7))
    rows = describe.describe(spec, 224)["stages"]
    assert [row["stage"] for row in rows] == ["conv1", "pool1", "res2", "res3", "res4", "res5"]
    for pathway, frames, width in (("slow", 4, 64), ("fast", 32, 8)):
        expected = [[frames, s, s, c] for s, c in zip([112, *sizes], [width, *channels[pathway]])]
        assert [row[f"{pathway}_output"] for row in rows] == expected
    assert rows[4]["slow"] == ["(3x1^2,256; 1x3^2,256; 1x1^2,1024) x6"]
    assert rows[2]["fast"] == ["(3x1^2,8; 1x3^2,8; 1x1^2,32) x3"]


def test_logits_follow_the_definition():
    """The whole of a small network, step by step from its weights in NumPy."""
    spec = dataclasses.replace(TINY, lateral="sample", slow_kernels=(1, 1, 3, 3, 3))
    model = network(spec)
    x = clip(spec, 37, 30)

    def norm(y, layer, relu=True):
        gamma, beta, mean, variance = layer.norm.get_weights()
        y = (y - mean) / np.sqrt(variance + 1e-5) * gamma + beta
        return np.maximum(y, 0) if relu else y

    def conv(y, layer, relu=True):
        return norm(convolve(y, layer.conv.get_weights()[0], layer.conv.strides, 1), layer, relu)

    features = {}
    for stage in ("stem", "res2", "res3", "res4", "res5"):
        for pathway in ("slow", "fast"):
            layer = model.get_layer(f"{pathway}_{stage}")
            if stage == "stem":
                y = conv(x[pathway], layer.conv)
                padded = np.pad(y, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)], constant_values=-np.inf)
                height, width = y.shape[2:4]
                shifts = itertools.product(range(3), range(3))
                y = np.max([padded[:, :, i : i + height : 2, j : j + width : 2] for i, j in shifts], 0)
            else:
                y = features[pathway]
                for block in layer.blocks:
                    z = conv(conv(conv(y, block.a), block.b), block.c, relu=False)
                    y = y if block.shortcut is None else conv(y, block.shortcut, relu=False)
                    y = np.maximum(y + z, 0)
            features[pathway] = y
        if stage != "res5":
            features["slow"] = np.concatenate([features["slow"], features["fast"][:, :: spec.alpha]], -1)
    pooled = np.concatenate([features[p].mean((1, 2, 3)) for p in ("slow", "fast")], -1)
    kernel, bias = model.get_layer("head").get_weights()
    assert error(model(x), pooled @ kernel + bias) < 1e-4


def test_inputs_as_list_and_dictionary_and_of_any_size():
    model = network()
    assert model.input_names == ["slow", "fast"]
    for height, width in ((24, 24), (40, 24), (33, 47)):
        x = clip(TINY, height, width)
        y = model([x["slow"], x["fast"]])
        assert y.shape == (2, 5) and y.dtype == tf.float32
        assert error(model({"fast": x["fast"], "slow": x["slow"]}), y) < 1e-6
    assert error(model.predict(x, verbose=0), y) < 1e-5


def test_fit_learns_and_keeps_xla_off():
    spec = dataclasses.replace(TINIEST, num_classes=2, dropout=0.0)
    model = SlowFast(spec)
    x, labels = clip(spec, 24, 24, batch=4), np.array([0, 1, 0, 1])
    data = tf.data.Dataset.from_tensors((x, labels)).repeat(8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, 0.9), loss)
    before = model(x, training=True)
    model.fit(data, verbose=0)
    assert not model.jit_compile or tf.config.list_physical_devices("GPU")
    assert loss(labels, model(x, training=True)) < 0.5 * loss(labels, before)
    assert not np.allclose(model.get_layer("slow_stem").conv.norm.moving_mean, 0)


def test_mixed_bfloat16():
    spec = dataclasses.replace(
        TINIEST, nonlocal_kind="softmax", nonlocal_blocks=((), (0,), (0,), ()), fast_input="half"
    )
    full = network(spec)
    half = SlowFast(spec, dtype="mixed_bfloat16")
    half.set_weights(full.get_weights())
    x = clip(spec, 35, 36)
    assert half(x).dtype == tf.float32 and all(v.dtype == "float32" for v in half.weights)
    assert half.get_layer("slow_res4").output.dtype == "bfloat16"
    assert error(half(x), full(x)) < 0.15  # a CPU without bfloat16 may add up in it
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(half(x, training=True) ** 2)
    gradients = tape.gradient(loss, watched(half.trainable_variables))
    assert all(np.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize(
    "changes",
    [
        {"lateral_norm": False, "lateral_kernel": 7, "fast_input": "half", "labels": tuple("abcde")},
        {"lateral": "channel_concat", "nonlocal_kind": "dot_product", "nonlocal_blocks": ((), (1,), (0,), ())},
        {"pathways": ("fast",), "fast_input": "flow"},
    ],
)
def test_saved_models_come_back(tmp_path, changes):
    spec = dataclasses.replace(TINY, **changes)
    model, x = network(spec, dtype="mixed_bfloat16", lowering="conv2d"), clip(spec, 35, 20)
    expected = model(x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert error(loaded(x), expected) < 1e-6
    built = SlowFast.from_config(model.get_config())
    for other in (loaded, built):
        assert isinstance(other, SlowFast) and other.spec == spec and other.get_config() == model.get_config()
    for other in (built, keras.models.clone_model(model)):
        assert [w.shape for w in other.weights] == [w.shape for w in model.weights]
        other.set_weights(model.get_weights())
        assert error(other(x), expected) < 1e-6
    assert describe.read_spec(str(tmp_path)) == describe.read_spec(str(tmp_path / "model.keras")) == spec
    model.save_weights(tmp_path / "w.weights.h5")
    other = SlowFast(spec, dtype="mixed_bfloat16")  # the other lowering
    other.load_weights(tmp_path / "w.weights.h5")
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(other.get_weights(), model.get_weights()))


def test_sub_model_is_saved(tmp_path):
    model, x = network(), clip(TINY, 33, 32)
    features = keras.Model(model.inputs, model.get_layer("slow_res4").output)
    features.save(tmp_path / "features.keras")
    loaded = keras.models.load_model(tmp_path / "features.keras")
    assert loaded(x).shape == (2, 2, 3, 2, 256)
    assert error(loaded(x), features(x)) < 1e-6
    with pytest.raises(InputError, match="holds no network"):
        describe.read_spec(str(tmp_path / "features.keras"))


def test_start():
    """Zero gamma at the end of each block, BatchNorm at identity, He initialisation."""
    model = SlowFast(dataclasses.replace(TINY, nonlocal_kind="softmax", nonlocal_blocks=((), (1,), (), ())))
    zeros = {path.split("/")[-3] for path, v in variables(model).items() if path.endswith("gamma") and not np.any(v)}
    assert zeros == {"c", "out"}
    kernel = np.asarray(model.get_layer("slow_res5").blocks[1].b.conv.kernel)
    assert kernel.shape == (1, 3, 3, 128, 128)
    assert kernel.std() == pytest.approx(math.sqrt(2 / (9 * 128)), rel=0.02)


# Cost


# Counted block by block; of the others, each of which changes one thing, the counted network has few blocks.
WHOLE = ("SlowFast 4x16 R50", "SlowFast 8x8 R50", "SlowFast 16x8 R101 + non-local")


@pytest.mark.parametrize("row", cost_table.PAPER, ids=lambda row: row[0])
def test_cost_of_the_papers_networks(row):
    name, preset, changes, published, recomputed, millions = row
    spec = get_spec(preset, **changes)
    built = spec if name in WHOLE else dataclasses.replace(spec, depth=10, res4_temporal_blocks=0)
    model = SlowFast(built)
    counted, arithmetic = count(model, built), cost(built)
    assert nonlocal_products(built) == counted.pop("products")
    assert {part: numbers["multiply_adds"] for part, numbers in arithmetic.items()} == counted
    assert {part: numbers["parameters"] for part, numbers in arithmetic.items()} == parameters(model)
    multiply_adds = total(spec)["multiply_adds"] / 1e9
    assert multiply_adds == pytest.approx(recomputed or published, rel=0.01 if recomputed else 0.025)
    if millions:
        assert total(spec)["parameters"] / 1e6 == pytest.approx(millions, abs=0.005)


def test_published_parameters():
    assert total(get_spec("slowfast_8x8_r50"))["parameters"] == 34566488
    # PyTorchVideo's model zoo: its 8x8 R101 has a temporal kernel in all of res4.
    all_of_res4 = total(get_spec("slowfast_8x8_r101", res4_temporal_blocks=0))
    assert all_of_res4["parameters"] / 1e6 == pytest.approx(62.83, abs=0.01)


def test_table_is_up_to_date(tmp_path):
    describe.main(["--table", str(tmp_path / "costs.md")])
    written = (tmp_path / "costs.md").read_text()
    assert written == (pathlib.Path(__file__).parents[1] / "docs" / "costs.md").read_text()


# Any network


@st.composite
def specs(draw):
    alpha = draw(st.sampled_from([2, 4]))
    kind = draw(st.sampled_from(["conv", "sample", "channel_concat", "channel_sum", "none"]))
    beta_inv = alpha if kind == "channel_sum" else draw(st.sampled_from([2, 3, 8]))
    return SlowFastSpec(
        pathways=draw(st.sampled_from([("slow", "fast"), ("slow", "fast"), ("slow",), ("fast",)])),
        depth=draw(st.sampled_from([10, 10, 10, 18])),
        width=draw(st.sampled_from([8, 16])),
        frames=draw(st.integers(1, 3)),
        stride=4,
        alpha=alpha,
        beta_inv=beta_inv,
        lateral=kind,
        lateral_kernel=draw(st.sampled_from([5, 7])),
        lateral_norm=draw(st.booleans()),
        fast_input=draw(st.sampled_from(["rgb", "half", "gray", "difference", "flow"])),
        num_classes=draw(st.integers(1, 7)),
    )


@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(spec=specs(), places=st.booleans(), size=st.tuples(*[st.integers(9, 30)] * 2), dtype=st.booleans())
def test_any_network(spec, places, size, dtype):
    if places and "slow" in spec.pathways:
        spec = dataclasses.replace(spec, nonlocal_kind="dot_product", nonlocal_blocks=((0,), (0,), (), ()))
    # Products of features that no BatchNorm holds at 1 blow roundings up, those of bfloat16 without a bound.
    plain = spec.nonlocal_kind == "none"
    dtype = "mixed_bfloat16" if dtype and plain else "float32"
    assert SlowFastSpec(**json.loads(json.dumps(spec.as_dict()))) == spec
    model = network(spec, dtype=dtype)
    x = clip(spec, *size, batch=1)
    y = model(x)
    assert y.shape == (1, spec.num_classes) and y.dtype == tf.float32 and np.isfinite(y).all()
    other = SlowFast.from_config({**json.loads(json.dumps(model.get_config())), "lowering": "conv2d"})
    other.set_weights(model.get_weights())
    assert error(other(x), y) < (0.15 if dtype != "float32" else 1e-5 if plain else 1e-4)
    arithmetic, counted = cost(spec, size[0]), count(model, spec, size[0])
    assert nonlocal_products(spec, size[0]) == counted.pop("products")
    assert {part: numbers["multiply_adds"] for part, numbers in arithmetic.items()} == counted
    assert {part: numbers["parameters"] for part, numbers in arithmetic.items()} == parameters(model)


# Mistakes


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"depth": 34}, "depth must be one of 10, 18, 50, 101; got 34"),
        ({"alpha": 3}, "alpha 3 does not fit.*stride 8 is not a multiple of it; use one of 1, 2, 4, 8"),
        ({"lateral": "sum"}, "lateral must be one of conv, sample, .*got 'sum'"),
        ({"lateral": "channel_sum", "beta_inv": 8}, "alpha must equal beta_inv.*got alpha 4, beta_inv 8, width 16"),
        ({"beta_inv": 64}, "beta_inv 64 leaves the Fast pathway no channel at width 16"),
        ({"lateral_kernel": 4}, "kernel size in time must be odd and positive; got 4"),
        ({"fast_input": "hsv"}, "fast_input must be one of rgb, half, gray, difference, flow; got 'hsv'"),
        ({"frames": 0}, "frames must be a whole number of at least 1; got 0"),
        ({"slow_kernels": (1, 1, 1)}, "slow_kernels and fast_kernels take 5 sizes"),
        ({"res4_temporal_blocks": 6}, "res4_temporal_blocks must be 0 .all. to 2.*depth 18; got 6"),
        ({"nonlocal_kind": "softmax"}, "nonlocal_blocks of res3 must lie in 0 to 1.*got .1, 3."),
        ({"nonlocal_kind": "softmax", "pathways": ("fast",)}, "which a Fast-only network has not"),
        (
            {"nonlocal_kind": "softmax", "nonlocal_blocks": ((), (), (1,), ()), "crop_size": 16},
            "16 pixels is too small.*res4.*at least 17",
        ),
        ({"labels": ("a", "b")}, "labels has 2 names for num_classes 5"),
        ({"widht": 32}, "unknown field 'widht' of a network; did you mean 'width'"),
    ],
)
def test_misfits_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        get_spec(TINY, **changes)


def test_inputs_that_do_not_fit():
    model = SlowFast(TINY)
    x = clip(TINY, 32, 32)
    with pytest.raises(ValueError, match="do not fit.*must have the Slow one's height and width"):
        model({"slow": x["slow"], "fast": x["fast"][:, :, :24]})
    with pytest.raises(ValueError, match=r"expected shape=\(None, 8, None, None, 3\), found shape=\(2, 6, 32, 32, 3\)"):
        model({"slow": x["slow"], "fast": x["fast"][:, :6]})
    half = SlowFast(TINY, fast_input="half")
    with pytest.raises(ValueError, match="divided by 2 and rounded up"):
        half(x)
    blocks = SlowFast(TINY, nonlocal_kind="softmax", nonlocal_blocks=((), (), (1,), ()))
    with pytest.raises(ValueError, match="pools 2x2.*give a larger input"):
        blocks(clip(TINY, 16, 16))
    with pytest.raises(ValueError, match="lowering must be conv3d or conv2d; got 'conv1d'"):
        SlowFast(TINY, lowering="conv1d")
    with pytest.raises(ValueError, match="unknown preset 'slowfast_8x8_r5'; did you mean 'slowfast_8x8_r50'"):
        SlowFast("slowfast_8x8_r5")


# The command


def command(*arguments):
    line = [sys.executable, "-m", "slowfast_tf.describe", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_describe_command():
    text = command("slowfast_8x8_r50")
    assert text.returncode == 0 and not text.stderr
    for part in ("34,566,488", "65.709 G", "(3x1^2,512; 1x3^2,512; 1x1^2,2048) x3"):
        assert part in text.stdout
    about = json.loads(command("slowfast_8x8_r50", "--json", "--size", "224").stdout)
    assert about["parameters"] == 34566488 and about["size"] == 224
    assert about["multiply_adds"] == sum(about[part]["multiply_adds"] for part in ("slow", "fast", "lateral", "head"))
    assert SlowFastSpec(**about["spec"]) == PRESETS["slowfast_8x8_r50"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["slowfast_8x8_r5"], "unknown preset 'slowfast_8x8_r5'; did you mean 'slowfast_8x8_r50'?"),
        (["nowhere/model.keras"], "no such file: nowhere/model.keras"),
        (["slowfast_16x8_r101_nl", "--size", "16"], "--size 16: an input of 16 pixels is too small"),
        (["slow_4x16_r50", "--size", "0"], "--size 0: an input needs at least 1 pixel"),
        ([__file__], "holds no network of slowfast_tf"),
        ([], "which network?"),
    ],
)
def test_describe_command_says_what_was_wrong(arguments, message):
    result = command(*arguments)
    assert result.returncode == 2 and not result.stdout
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert message in result.stderr


def test_describe_needs_no_tensorflow():
    command = [sys.executable, "-X", "importtime", "-m", "slowfast_tf.describe", "slowfast_8x8_r50"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "slowfast_tf.models.spec" in imported
    assert not imported & {"tensorflow", "keras"}
