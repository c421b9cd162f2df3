"""The networks: definition, inputs, training, saving and misfits."""

import dataclasses
import itertools
import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.networks import convolve, count, error, noise, parameters, shapes
from helpers.training import compare, compiled_network, step, train_section, values
from helpers.variables import watched
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast_tf import load
from slowfast_tf.checkpoints import names
from slowfast_tf.checkpoints.loading import variables
from slowfast_tf.errors import InputError
from slowfast_tf.models.cost import cost, nonlocal_products
from slowfast_tf.models.presets import get_spec
from slowfast_tf.models.slowfast import SlowFast
from slowfast_tf.models.spec import SlowFastSpec

TINY = SlowFastSpec(depth=18, width=16, frames=2, stride=8, alpha=4, beta_inv=4, num_classes=5, crop_size=32)

TINIEST = dataclasses.replace(TINY, depth=10)


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


def clip(spec, height, width, batch=2):
    return {name: noise(*shape, seed=len(name)) for name, shape in shapes(spec, height, width, batch).items()}


@pytest.mark.legacy
def test_logits_follow_the_definition():
    """A small network equals a computation step by step from its weights in NumPy."""
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


@pytest.mark.legacy
def test_inputs_as_list_and_dictionary_and_of_any_size():
    model = network()
    assert model.input_names == ["slow", "fast"]
    for height, width in ((24, 24), (40, 24), (33, 47)):
        x = clip(TINY, height, width)
        y = model([x["slow"], x["fast"]])
        assert y.shape == (2, 5) and y.dtype == tf.float32
        assert error(model({"fast": x["fast"], "slow": x["slow"]}), y) < 1e-6
    assert error(model.predict(x, verbose=0), y) < 1e-5


@pytest.mark.legacy
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


@pytest.mark.legacy
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


@pytest.mark.legacy
@pytest.mark.parametrize(
    "changes",
    [
        {"lateral_norm": False, "lateral_kernel": 7, "fast_input": "half", "labels": tuple("abcde")},
        {"lateral": "channel_concat", "nonlocal_kind": "dot_product", "nonlocal_blocks": ((), (1,), (0,), ())},
        {"pathways": ("fast",), "fast_input": "flow"},
    ],
)
def test_saved_models_are_loaded(tmp_path, changes):
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
    assert names.read_spec(str(tmp_path)) == names.read_spec(str(tmp_path / "model.keras")) == spec
    model.save_weights(tmp_path / "w.weights.h5")
    other = SlowFast(spec, dtype="mixed_bfloat16")  # the other lowering
    other.load_weights(tmp_path / "w.weights.h5")
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(other.get_weights(), model.get_weights()))


@pytest.mark.legacy
def test_sub_model_is_saved(tmp_path):
    model, x = network(), clip(TINY, 33, 32)
    features = keras.Model(model.inputs, model.get_layer("slow_res4").output)
    features.save(tmp_path / "features.keras")
    loaded = keras.models.load_model(tmp_path / "features.keras")
    assert loaded(x).shape == (2, 2, 3, 2, 256)
    assert error(loaded(x), features(x)) < 1e-6
    with pytest.raises(InputError, match="holds no network"):
        names.read_spec(str(tmp_path / "features.keras"))


@pytest.mark.legacy
def test_start():
    """Zero gamma at the end of each block, BatchNorm at identity, He initialization."""
    model = SlowFast(dataclasses.replace(TINY, nonlocal_kind="softmax", nonlocal_blocks=((), (1,), (), ())))
    zeros = {path.split("/")[-3] for path, v in variables(model).items() if path.endswith("gamma") and not np.any(v)}
    assert zeros == {"c", "out"}
    kernel = np.asarray(model.get_layer("slow_res5").blocks[1].b.conv.kernel)
    assert kernel.shape == (1, 3, 3, 128, 128)
    assert kernel.std() == pytest.approx(math.sqrt(2 / (9 * 128)), rel=0.02)


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
        fast_depth=draw(st.sampled_from([None, 10, 18])),
        num_classes=draw(st.integers(1, 7)),
    )


@settings(max_examples=5, deadline=None, derandomize=True, database=None)
@given(spec=specs(), places=st.booleans(), size=st.tuples(*[st.integers(9, 30)] * 2), dtype=st.booleans())
def test_any_network(spec, places, size, dtype):
    if places and "slow" in spec.pathways:
        pool = {"nonlocal_pool": (min(2, spec.frames), 2, 2), "nonlocal_pool_last": dtype}
        spec = dataclasses.replace(spec, nonlocal_kind="dot_product", nonlocal_blocks=((0,), (0,), (), ()), **pool)
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


@pytest.mark.legacy
@pytest.mark.parametrize(
    "changes, message",
    [
        ({"depth": 34}, "depth must be one of 10, 18, 50, 101; got 34"),
        ({"alpha": 3}, "alpha 3 does not fit.*stride 8 is not a multiple of it; use one of 1, 2, 4, 8"),
        ({"lateral": "sum"}, "lateral must be one of conv, sample, .*got 'sum'"),
        ({"lateral": "channel_sum", "beta_inv": 8}, "alpha must equal beta_inv.*got alpha 4, beta_inv 8, width 16"),
        ({"beta_inv": 64}, "beta_inv 64 leaves the Fast pathway no channel at width 16"),
        ({"lateral_kernel": 4}, "kernel size in time must be odd, positive and at most 99; got 4"),
        ({"fast_input": "hsv"}, "fast_input must be one of rgb, half, gray, difference, flow; got 'hsv'"),
        ({"frames": 0}, "frames must be a whole number from 1 to 1024; got 0"),
        ({"slow_kernels": (1, 1, 1)}, "slow_kernels takes 5 sizes"),
        (
            {"res4_temporal_blocks": 6},
            "res4_temporal_blocks must be 0 .all. to 2, the blocks of res4 of the slow.*got 6",
        ),
        ({"nonlocal_kind": "softmax"}, "nonlocal_blocks of res3 must lie in 0 to 1.*got .1, 3."),
        ({"nonlocal_kind": "softmax", "pathways": ("fast",)}, "which a Fast-only network does not have"),
        (
            {"nonlocal_kind": "softmax", "nonlocal_blocks": ((), (), (1,), ()), "crop_size": 16},
            "16 pixels is too small.*res4.*at least 17",
        ),
        ({"labels": ("a", "b")}, "labels has 2 names for num_classes 5"),
        ({"widht": 32}, "unknown field 'widht' of a network; did you mean 'width'"),
    ],
)
def test_invalid_settings_are_named(changes, message):
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
    with pytest.raises(ValueError, match="pools 1x2x2.*give a larger input"):
        blocks(clip(TINY, 16, 16))
    with pytest.raises(ValueError, match="lowering must be conv3d or conv2d; got 'conv1d'"):
        SlowFast(TINY, lowering="conv1d")
    with pytest.raises(ValueError, match="unknown preset 'slowfast_8x8_r5'; did you mean 'slowfast_8x8_r50'"):
        SlowFast("slowfast_8x8_r5")


def trainable(model):
    of_a_step = {id(v) for v in model.trainable_variables}
    return [path for path, v in variables(model).items() if id(v) in of_a_step]


@pytest.mark.legacy
def test_frozen_layers_stay(batch, tmp_path):
    model = compiled_network(train_section(freeze=["fast_*", "slow_stem", "norm"]), ("slow", "fast"))
    before = {path: v.numpy() for path, v in variables(model).items()}
    step(model, batch)
    moved = {path for path, v in variables(model).items() if (v.numpy() != before[path]).any()}
    assert moved and all(path.split("/")[-1] in ("kernel", "bias") for path in moved)
    assert {path.split("/")[0] for path in moved} >= {"slow_res2", "slow_res5", "lateral_stem", "head"}
    assert not any(path.startswith(("fast_", "slow_stem")) for path in moved)
    model.save(tmp_path / "frozen.keras")
    again = load(tmp_path / "frozen.keras", compile=True)
    assert trainable(again) == trainable(model) != []
    compare(values(again.optimizer.variables), values(model.optimizer.variables))


@pytest.mark.legacy
def test_layers_that_a_user_froze_stay_frozen(tmp_path):
    """As in Keras, a file holds the state of the layers at the time of saving, not at construction."""

    model = SlowFast("slowfast_2x16_demo", depth=10, width=8, frozen=["fast_*", "norm"])
    assert model.get_config()["frozen"] == ["fast_*", "norm"]
    for layer in model.layers[:-1]:
        layer.trainable = False
    model.save(tmp_path / "frozen.keras")
    again = load(tmp_path / "frozen.keras")
    assert trainable(again) == trainable(model) == ["head/classifier/kernel", "head/classifier/bias"]
    for layer in model.layers:
        layer.trainable = True
    assert model.get_config()["frozen"] == []
    model.get_layer("slow_res3").blocks[0].a.trainable = False  # the other stages have a layer of this name, too
    assert model.get_config()["frozen"] == ["slow_res3/block0/a"]
    again = SlowFast.from_config(model.get_config())
    still = [path for path in variables(model) if path not in trainable(again) and "moving" not in path]
    assert still and all(path.startswith("slow_res3/block0/a/") for path in still)
    assert trainable(again) == trainable(model) and again.get_config() == model.get_config()
