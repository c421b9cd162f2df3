"""The detection form: RoIAlign against ONNX Runtime, the head against NumPy, networks against PySlowFast's numbers."""

import dataclasses
import pathlib
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.variables import watched

from slowfast_tf import checkpoints, convert, describe
from slowfast_tf.checkpoints import caffe2, loading, names, variables
from slowfast_tf.errors import InputError
from slowfast_tf.exporting.folding import fold
from slowfast_tf.models.cost import cost, total
from slowfast_tf.models.heads import RoIHead
from slowfast_tf.models.presets import get_spec
from slowfast_tf.models.roi_align import RoIAlign
from slowfast_tf.models.slowfast import SlowFast, load_model
from slowfast_tf.models.spec import SlowFastSpec

GOLDEN = pathlib.Path(__file__).resolve().parents[3] / "shared" / "golden"
TINY = SlowFastSpec(
    depth=10, width=16, frames=2, stride=8, alpha=4, beta_inv=4, num_classes=5, crop_size=32, head="roi"
)


# RoIAlign

H, W, STRIDE = 11, 16, 16  # an input of 176 x 256 pixels


def some_boxes(kind, count=200):
    """Boxes in input pixels, float32 `[count, 4]`."""
    random = np.random.default_rng(len(kind))
    size = np.array([W * STRIDE, H * STRIDE] * 2)
    corners = random.uniform(0, 1, (count, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1) * size
    if kind == "over the edge":
        boxes = boxes * 1.6 - 0.3 * size
    elif kind == "far over the edge":
        boxes = (boxes - size / 2) * random.choice([2, 10, 100], (count, 1)) + size / 2
    elif kind == "tiny":
        boxes[:, 2:] = boxes[:, :2] + random.uniform(0.01, 3, (count, 2))
    elif kind == "outside":
        boxes += np.where(random.uniform(size=(count, 1)) < 0.5, -1, 1) * np.tile(size[:2] + 40, 2)
    elif kind == "whole image":
        boxes[:] = [0, 0, *size[:2]]
        boxes[1:] += random.uniform(-2, 2, (count - 1, 4))
    elif kind == "without area":
        boxes[::2, 2] = boxes[::2, 0]
        boxes[1::2, 2:] = boxes[1::2, :2] - random.uniform(0, 9, (count // 2, 2))
        boxes[0] = 0
    return boxes.astype("float32")


KINDS = ["random", "over the edge", "far over the edge", "tiny", "outside", "whole image", "without area"]


def onnx_roi_align(features, boxes, aligned, size=7):
    """ONNX Runtime's RoiAlign (opset 16): `[B, H, W, C]` and `[B, N, 4]` to `[B, N, size, size, C]`."""
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    node = helper.make_node(
        "RoiAlign",
        ["x", "rois", "batch"],
        ["y"],
        output_height=size,
        output_width=size,
        sampling_ratio=0,
        spatial_scale=1 / STRIDE,
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
    )
    graph = helper.make_graph(
        [node],
        "roi_align",
        [
            helper.make_tensor_value_info("x", floats, [None] * 4),
            helper.make_tensor_value_info("rois", floats, [None, 4]),
            helper.make_tensor_value_info("batch", onnx.TensorProto.INT64, [None]),
        ],
        [helper.make_tensor_value_info("y", floats, [None] * 4)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    batch, count, _ = boxes.shape
    inputs = {
        "x": np.ascontiguousarray(features.transpose(0, 3, 1, 2)),
        "rois": boxes.reshape(-1, 4),
        "batch": np.repeat(np.arange(batch), count),
    }
    y = session.run(None, inputs)[0]
    return y.transpose(0, 2, 3, 1).reshape(batch, count, size, size, -1)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.legacy
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_roi_align_equals_onnx_runtimes(kind, aligned):
    features, boxes = noise(2, H, W, 3), some_boxes(kind).reshape(2, -1, 4)
    expected = onnx_roi_align(features, boxes, aligned)
    found = RoIAlign(7, STRIDE, aligned)([features, boxes]).numpy()
    difference = np.abs(found - expected).max()
    print(f"{kind}, aligned {aligned}: {difference:.1e}")
    assert difference < 1e-4
    assert kind in ("outside", "without area") or np.abs(expected).max() > 1


@pytest.mark.legacy
@pytest.mark.parametrize("kind", ["random", "over the edge", "tiny"])
def test_roi_align_gradients_equal_finite_differences(kind):
    """In the features, where it is linear, and in the boxes, where samples cross no pixel's border."""
    features, boxes, seen = noise(1, 5, 6, 2), some_boxes(kind, 4)[None] * 0.4, noise(1, 4, 7, 7, 2, seed=1)
    align = RoIAlign(7, STRIDE)

    def loss(features, boxes):
        return tf.reduce_sum(tf.cast(align([features, boxes]), tf.float64) * seen)

    with tf.GradientTape() as tape:
        variables = [tf.Variable(features), tf.Variable(boxes)]
        value = loss(*variables)
    by_features, by_boxes = (np.asarray(g) for g in tape.gradient(value, variables))
    random = np.random.default_rng(0)
    for _ in range(5):
        direction = random.normal(size=features.shape).astype("float32")
        expected = (loss(features + direction, boxes) - loss(features - direction, boxes)) / 2
        assert np.sum(by_features * direction) == pytest.approx(float(expected), rel=1e-3, abs=1e-3)
    for index in np.ndindex(*boxes.shape):
        difference = np.zeros_like(boxes)
        difference[index] = 0.02
        ahead, behind = (float(loss(features, boxes + sign * difference) - value) / 0.02 for sign in (1, -1))
        if ahead == pytest.approx(-behind, rel=0.01, abs=1e-3):  # smooth here
            assert by_boxes[index] == pytest.approx((ahead - behind) / 2, rel=0.05, abs=2e-3)


@pytest.mark.legacy
def test_roi_align_by_hand():
    """On a ramp, a bin's average is the value at its middle; its samples are symmetric."""
    ramp = np.broadcast_to(np.arange(16, dtype="float32")[None, None, :, None], (1, 16, 16, 1))
    found = RoIAlign(7, 1)([ramp, np.array([[[1.5, 2, 15.5, 9], [0, 0, 0, 0]]], "float32")]).numpy()
    np.testing.assert_allclose(found[0, 0, :, :, 0], np.tile(1.0 + 2 * (np.arange(7) + 0.5), (7, 1)), atol=1e-5)
    assert not found[0, 1].any()


# The network


def network(spec=TINY, seed=0, **kwargs):
    """A network whose every weight is random, classifier and all."""
    keras.utils.set_random_seed(seed)
    model = SlowFast(spec, **kwargs)
    random = np.random.default_rng(seed)
    weights = [np.asarray(w) for w in model.weights]
    weights = [random.uniform(0.5, 1.5, w.shape) if w.ndim < 2 else w for w in weights]
    weights[-2] = random.normal(size=weights[-2].shape)
    model.set_weights(weights)
    return model


def clip(spec, height, width, boxes, batch=2):
    inputs = {}
    for pathway in spec.pathways:
        frames = spec.clip_frames if pathway == "fast" else spec.frames
        sides = spec.input_size(pathway, height), spec.input_size(pathway, width)
        inputs[pathway] = noise(batch, frames, *sides, spec.input_channels(pathway), seed=len(pathway))
    corners = np.random.default_rng(5).uniform(0, 1, (batch, boxes, 2, 2)) * [width, height]
    inputs["boxes"] = np.concatenate([corners.min(2), corners.max(2)], -1).astype("float32")
    return inputs


def error(a, b):
    """Largest difference, over the largest value."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    assert a.shape == b.shape
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.mark.legacy
def test_logits_follow_the_definition():
    """From the features of res5: average over time, bins of each box, their maximum, both pathways, classifier."""
    model, x = network(), clip(TINY, 64, 80, boxes=3)
    logits = model(x).numpy()
    assert logits.shape == (2, 3, 5) and logits.dtype == np.float32
    features = keras.Model(model.inputs, [model.get_layer(f"{p}_res5").output for p in TINY.pathways])(x)
    assert [f.shape[1:4] for f in features] == [(2, 4, 5), (8, 4, 5)]  # a stride of 16
    pooled = [onnx_roi_align(np.asarray(f).mean(1), x["boxes"], True).max((2, 3)) for f in features]
    kernel, bias = model.get_layer("head").get_weights()
    assert error(logits, np.concatenate(pooled, -1) @ kernel + bias) < 1e-5


@pytest.mark.parametrize("size", [(64, 80), (144, 208)])
def test_logits_of_mmaction2s_heads(size):
    """The maximum over time, 8x8 bins, the features of the whole picture, and a hidden layer."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    spec = dataclasses.replace(TINY, roi_bins=8, roi_dilation=1, roi_time="max", roi_context=True, roi_hidden=True)
    model, x = network(spec), clip(spec, *size, boxes=3)
    features = keras.Model(model.inputs, [model.get_layer(f"{p}_res5").output for p in spec.pathways])(x)
    features = [np.asarray(f).max(1) for f in features]
    boxes = [onnx_roi_align(f, x["boxes"], True, size=8).max((2, 3)) for f in features]
    # As torch has it, also where 8 bins do not divide the feature, or are more than its pixels.
    pool = torch.nn.AdaptiveAvgPool2d(8)
    whole = [pool(torch.from_numpy(f.transpose(0, 3, 1, 2))).numpy().max((2, 3))[:, None] for f in features]
    both = np.concatenate([*boxes, *(np.repeat(w, 3, 1) for w in whole)], -1)
    weights = variables(model)
    hidden = np.maximum(both @ weights["head/hidden/kernel"] + weights["head/hidden/bias"], 0)
    expected = hidden @ weights["head/classifier/kernel"] + weights["head/classifier/bias"]
    assert error(model(x), expected) < 1e-5
    assert cost(spec)["head"]["parameters"] == sum(np.size(v) for k, v in weights.items() if k.startswith("head/"))
    plain = SlowFast(dataclasses.replace(spec, roi_dilation=2))
    plain.set_weights(model.get_weights())
    assert error(plain(x), expected) > 0.01


@pytest.mark.legacy
def test_boxes_decide():
    """A box's logits are its own: others in the clip, padding and their order change nothing."""
    model, x = network(), clip(TINY, 64, 64, boxes=4)
    logits = model(x).numpy()
    assert np.abs(logits[:, 0] - logits[:, 1]).max() > 0.1 * np.abs(logits).max()
    order = [2, 0, 3, 1]
    assert error(model({**x, "boxes": x["boxes"][:, order]}), logits[:, order]) < 1e-6
    padded = np.pad(x["boxes"], ((0, 0), (1, 2), (0, 0)))
    assert error(model({**x, "boxes": padded})[:, 1:5], logits) < 1e-6
    assert model({**x, "boxes": x["boxes"][:, :0]}).shape == (2, 0, 5)
    assert error(model([x[name] for name in model.input_names]), logits) < 1e-6
    assert model.input_names == ["slow", "fast", "boxes"]


@pytest.mark.legacy
@pytest.mark.parametrize(
    "changes",
    [
        {"pathways": ("slow",)},
        {"pathways": ("fast",)},
        {"fast_input": "half"},
        {"roi_bins": 8, "roi_dilation": 1, "roi_time": "max", "roi_context": True, "roi_hidden": True},
        {},
    ],
)
def test_saved_models_are_loaded(changes, tmp_path):
    spec = dataclasses.replace(TINY, roi_aligned=not changes, **changes)
    model, x = network(spec, lowering="conv2d"), clip(spec, 35, 52, boxes=2)
    expected = model(x)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert loaded.spec == spec and error(loaded(x), expected) < 1e-6
    other = SlowFast(spec)
    other.set_weights(model.get_weights())
    assert error(other(x), expected) < 1e-5
    assert error(fold(other)(x), expected) < 1e-4
    assert names.read_spec(str(tmp_path)) == spec


@pytest.mark.legacy
def test_half_resolution_boxes():
    """Boxes are in pixels of the whole picture, and are halved for a Fast pathway at half resolution."""
    spec = dataclasses.replace(TINY, fast_input="half", lateral="none")
    model, x = network(spec), clip(spec, 64, 64, boxes=3)
    features = np.asarray(keras.Model(model.inputs, model.get_layer("fast_res5").output)(x)).mean(1)
    assert features.shape[1:3] == (2, 2)
    pooled = onnx_roi_align(features, x["boxes"] / 2, True).max((2, 3))
    kernel, _ = model.get_layer("head").get_weights()
    moved = {**x, "fast": x["fast"] * 0}
    without = np.asarray(keras.Model(model.inputs, model.get_layer("fast_res5").output)(moved)).mean(1)
    without = onnx_roi_align(without, x["boxes"] / 2, True).max((2, 3))
    expected = (pooled - without) @ kernel[-pooled.shape[-1] :]
    assert error(model(x) - model(moved), expected) < 1e-4


@pytest.mark.legacy
def test_mixed_bfloat16_keeps_boxes_exact():
    exact, half = network(), SlowFast(TINY, dtype="mixed_bfloat16")
    half.set_weights(exact.get_weights())
    x = clip(TINY, 64, 64, boxes=3)
    logits = half(x)
    assert logits.dtype == tf.float32 and error(logits, exact(x)) < 0.05
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        other = SlowFast(TINY)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    other.set_weights(exact.get_weights())
    x["boxes"] = x["boxes"] + np.float32(0.3)
    np.testing.assert_array_equal(other(x), half(x))

    head = RoIHead(5, (16, 16), dtype="mixed_bfloat16")
    features, boxes = [noise(2, 2, 17, 17, 8)] * 2, x["boxes"] + 200  # bfloat16 knows 200 and 201
    found = head([*features, boxes])
    kernel, bias = head.get_weights()
    pooled = [onnx_roi_align(f.mean(1), boxes, True).max((2, 3)) for f in features]
    assert error(found, np.concatenate(pooled, -1) @ kernel + bias) < 1e-5


@pytest.mark.legacy
def test_it_trains():
    """The loss of a sigmoid for each box falls, and every weight of the network has a gradient."""
    model = network(dataclasses.replace(TINY, dropout=0.0))
    x, y = clip(TINY, 48, 48, boxes=3), (noise(2, 3, 5) > 0).astype("float32")
    model.compile(keras.optimizers.SGD(0.01), keras.losses.BinaryCrossentropy(from_logits=True))
    assert not model.jit_compile
    history = model.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, training=True) * noise(2, 3, 5, seed=1))
    gradients = tape.gradient(loss, watched(model.trainable_variables))
    assert all(np.isfinite(g).all() and np.any(g) for g in gradients)


@pytest.mark.slow
def test_in_a_graph_of_open_shapes(tmp_path):
    """XLA and SavedModel take any number of boxes and any size of picture, with the same numbers."""
    model, x = network(), clip(TINY, 48, 64, boxes=3)
    expected = model(x)
    xla = tf.function(lambda inputs: model(inputs, training=False), jit_compile=True)
    assert error(xla(x), expected) < 1e-4
    open_shapes = {
        name: tf.TensorSpec([None, value.shape[1], None, None, 3] if name != "boxes" else [None, None, 4], name=name)
        for name, value in x.items()
    }
    module = tf.Module()
    module.model = model
    module.call = tf.function(lambda inputs: model(inputs, training=False), input_signature=[open_shapes])
    tf.saved_model.save(module, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    for height, width, boxes in ((48, 64, 3), (33, 70, 1), (64, 32, 9)):
        x = clip(TINY, height, width, boxes)
        assert error(loaded.call(x), model(x)) < 1e-5


@pytest.mark.slow
def test_onnx_and_tflite(tmp_path):
    """Both take the head as it is: no operation of it is missing there."""
    tf2onnx, runtime = pytest.importorskip("tf2onnx"), pytest.importorskip("onnxruntime")
    model = network(lowering="conv2d")
    x = clip(TINY, 48, 64, boxes=3, batch=1)
    signature = [tf.TensorSpec(x[name].shape, name=name) for name in model.input_names]
    signature[2] = tf.TensorSpec([1, None, 4], name="boxes")
    function = tf.function(lambda slow, fast, boxes: model([slow, fast, boxes], training=False), signature)
    proto, _ = tf2onnx.convert.from_function(function, signature, opset=17)
    session = runtime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for count in (3, 8):
        x = clip(TINY, 48, 64, boxes=count, batch=1)
        assert error(session.run(None, x)[0], model(x)) < 1e-4

    fixed = tf.function(lambda slow, fast, boxes: model([slow, fast, boxes], training=False))
    fixed = fixed.get_concrete_function(*(tf.TensorSpec(x[name].shape, name=name) for name in model.input_names))
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    converter = tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(fixed)])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        name = next(name for name in x if name in detail["name"])
        interpreter.set_tensor(detail["index"], x[name])
    interpreter.invoke()
    assert error(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]), model(x)) < 1e-4


@pytest.mark.legacy
def test_cost():
    """Only res5 costs more: twice the height and width. The head is counted for one box."""
    pool, roi = get_spec("slowfast_8x8_r50", num_classes=80), get_spec("slowfast_8x8_r50_ava")
    assert total(roi)["parameters"] == total(pool)["parameters"]
    before, after = cost(pool), cost(roi)
    assert before["lateral"] == after["lateral"] and before["head"] == after["head"]
    small = dataclasses.replace(roi, width=16, depth=10)
    model = SlowFast(small)
    x = {name: tf.TensorSpec(value.shape) for name, value in clip(small, 64, 64, boxes=1, batch=1).items()}
    graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(x).graph
    # A dilated convolution runs as Conv2D, with all frames of the batch as its first dimension.
    products = [
        int(np.prod(o.inputs[1].shape)) * int(np.prod(o.outputs[0].shape[:-1]))
        for o in graph.get_operations()
        if o.type in ("Conv3D", "Conv2D")
    ]
    assert sum(products) == total(small, 64)["multiply_adds"] - cost(small, 64)["head"]["multiply_adds"]
    assert cost(small, 64)["head"]["multiply_adds"] == (512 + 64) * 80


@pytest.mark.legacy
def test_describe(capsys):
    describe.main(["slowfast_8x8_r50_ava"])
    text = capsys.readouterr().out
    assert "RoIAlign 7x7" in text and "dilation 2" in text and "8x16x16x2048 / 32x16x16x256" in text
    describe.main(["slow_8x8_r50_k700_context_max_hidden_avakinetics_mmaction2"])
    head = "max over time, RoIAlign 8x8, max of each box, context of the frame, hidden layer"
    assert head in capsys.readouterr().out


@pytest.mark.legacy
@pytest.mark.parametrize(
    "changes, message",
    [
        ({"head": "boxes"}, "head must be one of pool, roi; got 'boxes'"),
        (
            {"depth": 18, "nonlocal_kind": "softmax", "nonlocal_blocks": ((), (), (), (1,)), "crop_size": 16},
            "16 pixels is too small.*res5.*at least 17",
        ),
    ],
)
def test_invalid_settings_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        get_spec(TINY, **changes)


# Published weights

AVA = "pyslowfast_ava_slowfast_8x8_r50_w16"
MMACTION2 = {"roi_aligned": True, "roi_bins": 8, "roi_dilation": 1, "frame_rate": 30, "person_score": 0.9}
FILES = {
    f"{AVA}.pyth": {"roi_aligned": True, "roi_bins": 7, "roi_dilation": 2, "channel_order": "rgb"},
    "pyslowfast_ava_slowfast_32x2_r101_nl_w8.pyth": {
        "nonlocal_kind": "dot_product",
        "nonlocal_blocks": ((), (), (6, 13, 20), ()),
        "nonlocal_pool": (2, 2, 2),
        "roi_aligned": False,
    },
    "mmaction2_ava_slowfast_4x16_r50_w8.pth": {**MMACTION2, "roi_time": "mean"},
    "mmaction2_ava_slowfast_8x8_r50_temporal_max_w8.pth": {**MMACTION2, "roi_time": "max", "frames": 8},
    "mmaction2_ava_slowonly_nl_4x16_r50_w8.pth": {**MMACTION2, "nonlocal_kind": "softmax", "pathways": ("slow",)},
}
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden vectors are not there: ../shared/golden")


def golden(name):
    """Return inputs, with boxes padded to the same number in each clip, the mask of real rows, logits, and scores."""
    data = np.load(GOLDEN / f"{name}.npz")
    clip, rows = data["clip"].astype("float32"), data["boxes"]
    clips = rows[:, 0].astype(int)
    boxes = np.zeros((len(clip), np.bincount(clips).max(), 4), "float32")
    places = [(batch, sum(clips[:i] == batch)) for i, batch in enumerate(clips)]
    for place, row in zip(places, rows):
        boxes[place] = row[1:]
    inputs = {"slow": clip[:, data["slow_index"]], "fast": clip} if "slow_index" in data else {"slow": clip}
    # MMAction2 has a column for the background first, which its inference drops.
    return {**inputs, "boxes": boxes}, tuple(zip(*places)), data["logits"][:, -80:], data["scores"][:, -80:]


@needs_golden
@pytest.mark.parametrize("file", FILES)
def test_golden(file, tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'slowfast_tf[convert]'")
    path, name = tmp_path / "model.keras", pathlib.Path(file).stem
    convert.main([str(GOLDEN / file), "--output", str(path)])
    inputs, places, logits, scores = golden(name)
    saved = load_model(path)
    assert (saved.spec.head, saved.spec.activation, saved.spec.num_classes) == ("roi", "sigmoid", 80)
    assert saved.spec.labels[11] == "stand"  # action id 12
    for field, value in FILES[file].items():
        assert getattr(saved.spec, field) == value, field
    flat = SlowFast(saved.spec, lowering="conv2d")
    flat.set_weights(saved.get_weights())
    models = {"saved": saved, "conv2d": flat, "folded": fold(saved)}
    differences = {kind: error(m(inputs).numpy()[places], logits) for kind, m in models.items()}
    print(f"{name}: " + ", ".join(f"{kind} {value:.1e}" for kind, value in differences.items()))
    assert differences.pop("folded") < 1e-3 and max(differences.values()) < 1e-4
    assert np.abs(tf.nn.sigmoid(saved(inputs)).numpy()[places] - scores).max() < 1e-4


@needs_golden
def test_caffe2_files_do_not_state_how_keys_are_pooled(tmp_path):
    """The same weights in the form of the model zoo, which has networks of 8x8 and 16x8, on two versions of AVA."""
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'slowfast_tf[convert]'")
    name, path = "pyslowfast_ava_slowfast_32x2_r101_nl_w8", tmp_path / "made.pkl"
    theirs = {ours: theirs for theirs, ours in loading.names(caffe2).items()}
    blobs = {}
    for ours, value in checkpoints.read_checkpoint(GOLDEN / f"{name}.pyth").tensors.items():
        kernel = ours.endswith("/kernel")
        blobs[theirs[ours]] = value.transpose(4, 3, 0, 1, 2) if kernel and value.ndim == 5 else value.T
    path.write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))
    with pytest.raises(
        InputError, match="which of these networks.*slowfast_8x8_r101_nl_ava.*slowfast_16x8_r101_nl_ava"
    ) as e:
        checkpoints.read_checkpoint(path)
    assert e.value.argument == "preset"
    inputs, places, logits, _ = golden(name)
    for preset in ("slowfast_8x8_r101_nl_ava_pyslowfast", "slowfast_8x8_r101_nl_ava"):
        checkpoint = checkpoints.read_checkpoint(path, preset)
        assert (checkpoint.spec.frame_rate, checkpoint.spec.person_score) == (30, 0.8)
        assert error(checkpoints.build_model(checkpoint)(inputs).numpy()[places], logits) < 1e-4


@needs_golden
def test_other_detection_checkpoints(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'slowfast_tf[convert]'")
    content = torch.load(GOLDEN / f"{AVA}.pyth", map_location="cpu", weights_only=True)
    text = content["cfg"]

    def read(old, new):
        assert old in text
        torch.save({**content, "cfg": text.replace(old, new)}, tmp_path / "made.pyth")
        return checkpoints.read_checkpoint(tmp_path / "made.pyth").spec

    assert not read("ALIGNED: true", "ALIGNED: false").roi_aligned
    assert read("ROI_XFORM_RESOLUTION: 7", "ROI_XFORM_RESOLUTION: 14").roi_bins == 14
    assert read("- - 2\n    - 2\n  SPATIAL_STR", "- - 1\n    - 1\n  SPATIAL_STR").roi_dilation == 1
    with pytest.raises(InputError, match="DETECTION.SPATIAL_SCALE_FACTOR 8; this package builds 16 only"):
        read("SPATIAL_SCALE_FACTOR: 16", "SPATIAL_SCALE_FACTOR: 8")

    checkpoint = checkpoints.read_checkpoint(GOLDEN / f"{AVA}.pyth")
    assert not checkpoint.leftover and not checkpoint.assumed
    # A fresh classifier, of other classes, is a detection one as well.
    model = checkpoints.build_model(checkpoint, num_classes=7)
    inputs, *_ = golden(AVA)
    assert model(inputs).shape == (*inputs["boxes"].shape[:2], 7)

    # PyTorchVideo calls its head so, and does not align. A head of MMAction2 is another.
    state = torch.load(GOLDEN / "pytorchvideo_slowfast_8x8_r50_w16.pyth", map_location="cpu", weights_only=True)
    state = {f"model.{name}": value for name, value in state.get("model_state", state).items()}
    for end in ("weight", "bias"):
        state[f"detection_head.proj.{end}"] = state.pop(f"model.blocks.6.proj.{end}")
    torch.save({"model_state": state}, tmp_path / "made.pyth")
    checkpoint = checkpoints.read_checkpoint(tmp_path / "made.pyth", "slowfast_8x8_r50_ava")
    assert (checkpoint.spec.head, checkpoint.spec.roi_aligned, checkpoint.leftover) == ("roi", False, {})
    assert checkpoint.spec.activation == "sigmoid" and checkpoints.build_model(checkpoint).input_names[-1] == "boxes"

    state = torch.load(GOLDEN / "mmaction2_slowfast_4x16_r50_w16.pth", map_location="cpu", weights_only=True)
    state = dict(state.get("state_dict", state))
    for end in ("weight", "bias"):
        state[f"roi_head.bbox_head.fc_cls.{end}"] = state.pop(f"cls_head.fc_cls.{end}")
    state["roi_head.shared_head.convs.0.conv.weight"] = torch.zeros(4, 4, 1, 3, 3)
    torch.save({"state_dict": state}, tmp_path / "made.pth")
    with pytest.raises(InputError, match="made.pth is of ACRN, which this package does not build"):
        checkpoints.read_checkpoint(tmp_path / "made.pth")
