"""Conversion of published weights, folding and the optimizer, against other implementations' numbers."""

import collections
import functools
import hashlib
import http.server
import os
import pathlib
import pickle
import re
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from slowfast_tf import checkpoints, convert
from slowfast_tf.checkpoints import zoo
from slowfast_tf.errors import InputError
from slowfast_tf.exporting.folding import fold
from slowfast_tf.models.slowfast import SlowFast
from slowfast_tf.training.optimizers import SGD

try:
    import torch

    from slowfast_tf.benchmarks import torch_slowfast
except ImportError:
    torch = None

ROOT = pathlib.Path(__file__).resolve().parents[1]
GOLDEN = ROOT.parent / "shared" / "golden"
needs_torch = pytest.mark.skipif(torch is None, reason="PyTorch is not installed: pip install 'slowfast_tf[convert]'")
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden vectors are not there: ../shared/golden")

SLOWFAST = "pyslowfast_slowfast_8x8_r50_w16"
FILES = {
    f"{SLOWFAST}.pyth": {"frames": 8, "alpha": 4, "frame_index": "linspace", "channel_order": "rgb"},
    "pyslowfast_slowfast_4x16_r50_nln_w16.pyth": {"frames": 4, "alpha": 8, "nonlocal_kind": "dot_product"},
    "pyslowfast_slow_8x8_r50_w16.pyth": {"pathways": ("slow",), "frames": 8, "stride": 8},
    "pytorchvideo_slowfast_8x8_r50_w16.pyth": {"frames": 8, "stride": 8, "alpha": 4, "frame_index": "linspace"},
    "mmaction2_slowfast_4x16_r50_w16.pth": {
        "frames": 4,
        "stride": 16,
        "alpha": 8,
        "frame_index": "strided",
        "lateral_norm": False,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    },
}


@functools.cache
def golden(name):
    """The model's inputs and the logits that the other implementation gives for them."""
    data = np.load(GOLDEN / f"{name}.npz")
    clip = data["clip"].astype("float32")
    inputs = {"slow": clip[:, data["slow_index"]], "fast": clip} if "slow_index" in data else {"slow": clip}
    return inputs, data["logits"], tuple(data["slow_index"]) if "slow_index" in data else None


def difference(model, name):
    """Largest difference from the golden logits, over the largest logit."""
    inputs, logits, _ = golden(name)
    outputs = np.asarray(model(inputs, training=False))
    return np.abs(outputs - logits).max() / np.abs(logits).max()


def load(path):
    return torch.load(path, map_location="cpu", weights_only=True)


# Conversion.


@needs_torch
@needs_golden
@pytest.mark.parametrize("file", FILES)
def test_golden(file, tmp_path, record_property):
    name, output = pathlib.Path(file).stem, tmp_path / "model.keras"
    convert.main([str(GOLDEN / file), "--output", str(output)])
    model = keras.models.load_model(output)
    for field, value in FILES[file].items():
        found = getattr(model.spec, field)
        assert found == (pytest.approx(value) if field in ("mean", "std") else value), field
    slow_index = golden(name)[2]
    assert slow_index is None or model.spec.slow_index == slow_index

    other = SlowFast(model.spec, lowering="conv2d")
    other.set_weights(model.get_weights())
    folded = fold(model)
    differences = [difference(m, name) for m in (model, other, folded)]
    print(f"{file}: {differences[0]:.1e}, as Conv2D {differences[1]:.1e}, folded {differences[2]:.1e}")
    assert max(differences[:2]) < 1e-4 and differences[2] < 1e-3
    assert folded.spec == model.spec and not [w for w in folded.weights if "gamma" in w.name]
    with pytest.raises(ValueError, match="folded already"):
        fold(folded)


@needs_torch
@needs_golden
def test_caffe2_holds_the_same(capsys):
    caffe2, pyslowfast = (checkpoints.read(GOLDEN / f"{SLOWFAST}{end}") for end in (".pkl", ".pyth"))
    assert caffe2.tensors.keys() == pyslowfast.tensors.keys() and not caffe2.leftover
    for key, value in pyslowfast.tensors.items():
        np.testing.assert_array_equal(caffe2.tensors[key], value)
    assert caffe2.spec.channel_order == "rgb" and caffe2.spec.frame_index == "linspace"
    assert (caffe2.spec.frames, caffe2.spec.stride, caffe2.spec.alpha) == (8, 8, 4)
    assert "assumed 8x8, alpha 4" in caffe2.assumed and not pyslowfast.assumed
    found = difference(checkpoints.build(caffe2), SLOWFAST)
    print(f"{SLOWFAST}.pkl: {found:.1e}")
    assert found < 1e-4


@needs_torch
@needs_golden
def test_command(tmp_path, capsys):
    source, output = GOLDEN / "pytorchvideo_slowfast_8x8_r50_w16.pyth", tmp_path / "model.keras"

    def fails(match, *arguments, checkpoint=source):
        with pytest.raises(InputError, match=match):
            convert.main([str(checkpoint), "--output", str(output), *arguments])

    fails("no such file", checkpoint=tmp_path / "none.pyth")
    fails("num-classes must be at least 1; got 0", "--num-classes", "0")
    fails("unknown preset 'slowfast_8x8'; did you mean", "--preset", "slowfast_8x8")
    fails(r"has pathways \('slow', 'fast'\), but preset slow_8x8_r50", "--preset", "slow_8x8_r50")
    fails("has depth 50, but preset slowfast_8x8_r101 has 101", "--preset", "slowfast_8x8_r101")
    with pytest.raises(InputError, match="must end in .keras"):
        convert.main([str(source), "--output", str(tmp_path / "model.h5")])
    assert not list(tmp_path.iterdir())

    # A preset overrules the guess; a class count leaves the classifier out and all else as it was.
    convert.main([str(source), "--output", str(output), "--preset", "slowfast_4x16_r50", "--num-classes", "7"])
    said = capsys.readouterr().out
    assert "PyTorchVideo: slow and fast, depth 50, width 16, 4x16" in said and "assumed" not in said
    model = keras.models.load_model(output)
    assert (model.spec.frames, model.spec.stride, model.spec.alpha, model.spec.num_classes) == (4, 16, 8, 7)
    tensors = checkpoints.read(source).tensors
    for name, variable in checkpoints.variables(model).items():
        if name.startswith("head/"):
            assert variable.shape[-1] == 7
        else:
            np.testing.assert_array_equal(variable.numpy(), tensors[name])

    before = output.read_bytes()
    fails("exists")
    assert output.read_bytes() == before
    convert.main([str(source), "--output", str(output), "--overwrite"])
    assert "assumed 8x8, alpha 4" in capsys.readouterr().out and output.read_bytes() != before


@needs_torch
@needs_golden
def test_wrappers(tmp_path):
    path = GOLDEN / f"{SLOWFAST}.pyth"
    state, expected = load(path)["model_state"], checkpoints.read(path).tensors
    parallel = collections.OrderedDict((f"module.{key}", value) for key, value in state.items())
    for number, content in enumerate((state, parallel, {"state_dict": parallel}, {"model_state": state, "epoch": 1})):
        torch.save(content, tmp_path / "made.pth", _use_new_zipfile_serialization=number != 1)
        found = checkpoints.read(tmp_path / "made.pth")
        assert found.tensors.keys() == expected.keys() and not found.leftover and "assumed 8x8" in found.assumed
        assert all(np.array_equal(found.tensors[key], value) for key, value in expected.items())


@needs_torch
@needs_golden
def test_every_parameter_counts(tmp_path):
    content = load(GOLDEN / f"{SLOWFAST}.pyth")
    state = content["model_state"]
    del state["s5.pathway1_res2.branch2.c_bn.running_mean"], state["s3_fuse.conv_f2s.weight"]
    state["head.extra.weight"] = torch.zeros(3, 5)
    state["s4.pathway0_res7.branch2.a.bias"] = torch.zeros(6)
    state["s2.pathway0_res1.branch2.b.weight"] = torch.zeros(16, 16, 1, 5, 5)
    del content["cfg"]
    torch.save(content, tmp_path / "made.pyth")
    with pytest.raises(InputError, match="depth"):  # a seventh block
        checkpoints.read(tmp_path / "made.pyth")
    state["s4.pathway0_res5.branch2.a.bias"] = state.pop("s4.pathway0_res7.branch2.a.bias")
    torch.save(content, tmp_path / "made.pyth")
    with pytest.raises(InputError) as error:
        checkpoints.build(checkpoints.read(tmp_path / "made.pyth"))
    message = str(error.value)
    assert "\n" not in message
    for expected in (
        "2 missing: lateral_res3/conv/conv/kernel (7, 1, 1, 16, 32), fast_res5/block2/c/norm/moving_mean (64,)",
        "2 left over: head.extra.weight (3, 5), slow_res4/block5/a/conv/bias (6,)",
        "1 of another shape: slow_res2/block1/b/conv/kernel (1, 5, 5, 16, 16) for (1, 3, 3, 16, 16)",
    ):
        assert expected in message

    with open(GOLDEN / f"{SLOWFAST}.pkl", "rb") as file:
        content = pickle.load(file, encoding="latin1")
    content["blobs"]["pred_extra_w"] = content["blobs"].pop("pred_b")
    with open(tmp_path / "made.pkl", "wb") as file:
        pickle.dump(content, file, protocol=2)
    with pytest.raises(InputError, match=r"1 missing: head/classifier/bias.*1 left over: pred_extra_w \(20,\)"):
        checkpoints.build(checkpoints.read(tmp_path / "made.pkl", num_classes=20))


@needs_torch
@pytest.mark.parametrize(
    "depth, kernel, fields",
    [
        (101, 5, {"frames": 8, "stride": 8, "alpha": 4, "res4_temporal_blocks": 6, "depth": 101}),
        (50, 7, {"frames": 8, "stride": 8, "alpha": 4, "lateral_kernel": 7, "depth": 50}),
        (50, 5, {"frames": 4, "stride": 16, "alpha": 8, "lateral_kernel": 5, "depth": 50}),
    ],
)
def test_architecture(depth, kernel, fields, tmp_path):
    network = torch_slowfast.SlowFast(depth, width=8, beta_inv=4, lateral_kernel=kernel, classes=5)
    state = network.state_dict()
    for name, value in state.items():
        if depth == 101 and name.startswith("s4.") and name.endswith("branch2.a.weight") and value.shape[2] == 3:
            if int(name.split("_res")[1].split(".")[0]) >= 6:
                state[name] = value[:, :, :1].clone()
    torch.save(state, tmp_path / "made.pyth")
    spec = checkpoints.read(tmp_path / "made.pyth").spec
    for field, value in {**fields, "width": 8, "beta_inv": 4, "num_classes": 5}.items():
        assert getattr(spec, field) == value, field

    for name in [name for name in state if "pathway1_res5" in name and name.startswith("s4.")]:
        del state[name]
    torch.save(state, tmp_path / "made.pyth")
    with pytest.raises(InputError, match="pathways have depth"):
        checkpoints.read(tmp_path / "made.pyth")


@needs_torch
@needs_golden
def test_configuration_is_checked(tmp_path):
    content = load(GOLDEN / "pyslowfast_slowfast_4x16_r50_nln_w16.pyth")
    text = content["cfg"]

    def reads(old, new):
        assert old in text
        torch.save({**content, "cfg": text.replace(old, new)}, tmp_path / "made.pyth")
        return checkpoints.read(tmp_path / "made.pyth").spec

    for old, new, message in (
        ("STRIDE_1X1: false", "STRIDE_1X1: true", "RESNET.STRIDE_1X1 True; this package builds False only"),
        ("- - - 1\n      - 2\n      - 2", "- - - 2\n      - 2\n      - 2", "NONLOCAL.POOL"),
        ("  ARCH: slowfast", "  ARCH: i3d", "MODEL.ARCH i3d; this package builds slow or slowfast only"),
        ("DETECTION:", "OTHER:", "not one that PySlowFast writes"),
    ):
        with pytest.raises(InputError, match=message):
            reads(old, new)
    assert reads("INSTANTIATION: dot_product", "INSTANTIATION: softmax").nonlocal_kind == "softmax"
    assert reads("HEAD_ACT: softmax", "HEAD_ACT: sigmoid").activation == "sigmoid"
    assert reads("REVERSE_INPUT_CHANNEL: false", "REVERSE_INPUT_CHANNEL: true").channel_order == "bgr"


# Files that are not what they seem.


class Call:
    """Pickles to a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("end", [".pkl", ".pyth"])
@pytest.mark.parametrize("function, name", [(os.system, "system"), (eval, "eval"), (getattr, "getattr")])
def test_pickles_run_nothing(function, name, end, tmp_path):
    mark = tmp_path / "ran"
    arguments = {"eval": (f"open({str(mark)!r}, 'w')",), "getattr": (str, "join")}
    bad = Call(function, *arguments.get(name, (f"echo > {mark}",)))
    path = tmp_path / f"bad{end}"
    with open(path, "wb") as file:
        pickle.dump({"blobs": {"conv1_w": bad}}, file, protocol=2)
    with pytest.raises(InputError, match=rf"asks to run \S*{name},.*nothing was run"):
        checkpoints.read(path)
    if torch is not None and end == ".pyth":
        for new in (True, False):
            torch.save({"model_state": {"s1": bad}}, path, _use_new_zipfile_serialization=new)
            with pytest.raises(InputError, match=rf"asks to run \S*{name},.*nothing was run"):
                checkpoints.read(path)
    assert not mark.exists()


def test_other_files(tmp_path, monkeypatch):
    path = tmp_path / "file.pkl"
    for content, message in (
        (b"", "not a readable"),
        (b"hello", "not a readable"),
        (pickle.dumps([1, 2]), "holds a list"),
        (
            pickle.dumps({"blobs": {"stem.weight": np.zeros(3)}}),
            "no SlowFast checkpoint of .*first parameters are stem",
        ),
        (pickle.dumps({}), "first parameters are none"),
        (pickle.dumps({"s1.pathway0_stem.conv.weight": np.zeros((64, 3, 7, 7))}), "no video network"),
        (pickle.dumps({"a": np.array([b"x", 1.5, "é"], dtype=object)}), "no SlowFast checkpoint"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            checkpoints.read(path)
    if torch is not None:
        torch.save({"a": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:-600])
        with pytest.raises(InputError, match="not a readable"):
            checkpoints.read(path)
        torch.save({"a": torch.zeros(1000)}, path)
        monkeypatch.setitem(sys.modules, "torch", None)  # an import of it then fails
        with pytest.raises(InputError, match=r"needs PyTorch: pip install 'slowfast_tf\[convert\]'"):
            checkpoints.read(path)


def test_exit_status(tmp_path):
    with open(tmp_path / "bad.pkl", "wb") as file:
        pickle.dump({"blobs": Call(os.system, f"echo > {tmp_path / 'ran'}")}, file)
    command = [sys.executable, "-m", "slowfast_tf.convert", tmp_path / "bad.pkl", "--output", tmp_path / "model.keras"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ") and "system" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["bad.pkl"]


# The oracle, folding's counterpart in training: one step of gradient descent.


@needs_torch
@needs_golden
@pytest.mark.parametrize("name, beta_inv", [(SLOWFAST, 8), ("pyslowfast_slow_8x8_r50_w16", None)])
def test_oracle(name, beta_inv):
    network = torch_slowfast.SlowFast(width=16, beta_inv=beta_inv, classes=20).eval()
    network.load_state_dict(load(GOLDEN / f"{name}.pyth")["model_state"])
    inputs, logits, _ = golden(name)
    with torch.no_grad():
        outputs = network(*(torch.from_numpy(x).permute(0, 4, 1, 2, 3) for x in inputs.values())).numpy()
    assert np.abs(outputs - logits).max() < 1e-5 * np.abs(logits).max()


@needs_torch
def test_gradient_step(tmp_path):
    torch.manual_seed(0)
    network = torch_slowfast.SlowFast(18, width=16, beta_inv=4, lateral_kernel=5, classes=6, dropout=0.0)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    torch.nn.init.normal_(network.head.projection.weight, std=0.1)
    path = tmp_path / "network.pyth"

    def tensors():
        torch.save(network.state_dict(), path)
        return checkpoints.read(path, frames=2, stride=8, alpha=4, dropout=0.0)

    before = tensors()
    model = checkpoints.build(before)
    model.compile(
        SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,  # tracing takes longer than the step
    )
    optimizer = torch.optim.SGD(
        [
            {"params": [p for name, p in network.named_parameters() if "bn" not in name], "weight_decay": 1e-4},
            {"params": [p for name, p in network.named_parameters() if "bn" in name]},
        ],
        lr=0.05,
        momentum=0.9,
        nesterov=True,
    )
    rng = np.random.default_rng(0)
    fast = rng.normal(size=(4, 8, 64, 64, 3)).astype("float32")
    slow, labels = fast[:, ::4], np.array([0, 1, 2, 3])
    network.train()
    loss = torch.nn.functional.cross_entropy(
        network(*(torch.from_numpy(x).permute(0, 4, 1, 2, 3) for x in (slow, fast))), torch.from_numpy(labels)
    )
    loss.backward()
    optimizer.step()
    assert model.train_on_batch({"slow": slow, "fast": fast}, labels) == pytest.approx(loss.item(), rel=1e-4)
    worst = collections.Counter()
    after, found = tensors().tensors, checkpoints.variables(model)
    for name, expected in after.items():
        value = found[name].numpy()
        worst["weights"] = max(worst["weights"], np.abs(value - expected).max() / np.abs(expected).max())
        moved = np.abs(expected - before.tensors[name]).max()
        assert moved > 0
        worst["steps"] = max(worst["steps"], np.abs(value - expected).max() / moved)
    print(f"relative differences after one step: {dict(worst)}")
    assert worst["weights"] < 1e-3 and worst["steps"] < 1e-3


@needs_torch
def test_optimizer():
    """Momentum and weight decay over several steps, as PyTorch has them, but not on gamma and beta."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()])
    optimizer = SGD(0.5, momentum=0.9, nesterov=True, weight_decay=0.1, clipnorm=1.0)
    optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(optimizer, SGD)
    rng = np.random.default_rng(0)
    names = ["kernel", "bias", "gamma", "beta"]
    assert [re.search(r"(\w+)(:0)?$", v.name)[1] for v in model.trainable_variables] == names
    peers = [torch.nn.Parameter(torch.from_numpy(v.numpy().copy())) for v in model.trainable_variables]
    peer = torch.optim.SGD(
        [{"params": peers[:2], "weight_decay": 0.1}, {"params": peers[2:]}], lr=0.5, momentum=0.9, nesterov=True
    )
    for _ in range(4):
        gradients = [rng.normal(size=v.shape).astype("float32") for v in model.trainable_variables]
        for parameter, gradient in zip(peers, gradients):
            parameter.grad = torch.from_numpy(gradient.copy())
            torch.nn.utils.clip_grad_norm_([parameter], 1.0)
        peer.step()
        optimizer.apply_gradients(zip([tf.constant(g) for g in gradients], model.trainable_variables))
    for variable, parameter in zip(model.trainable_variables, peers):
        np.testing.assert_allclose(variable.numpy(), parameter.detach().numpy(), rtol=1e-4, atol=1e-5)


MIRRORED = """
import keras, numpy as np, tensorflow as tf
from slowfast_tf.training.optimizers import SGD

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")

def train(strategy, copies):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(3)]
        model = keras.Sequential([keras.Input((3,)), *layers])
        model.compile(SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.5), "mse")
    data = np.concatenate([x] * copies)
    model.fit(tf.data.Dataset.from_tensor_slices((data, data)).batch(len(data)), epochs=3, verbose=0)
    return model.get_weights()

# Each replica sees what the one device sees, so that the results must be the same.
for a, b in zip(train(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), 2), train(tf.distribute.get_strategy(), 1)):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
"""


def test_optimizer_on_two_replicas():
    result = subprocess.run([sys.executable, "-c", MIRRORED], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]


# ImageNet.


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory):
    """A ResNet50 of Keras Applications with random weights and statistics, and its file in the published layout."""
    import h5py

    rng = np.random.default_rng(0)
    image = keras.applications.ResNet50(weights=None, include_top=False)
    path = tmp_path_factory.mktemp("imagenet") / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in image.layers]
        file.attrs["keras_version"] = b"2.2.4"
        for layer in image.layers:
            weights = layer.get_weights()
            if len(weights) == 2:
                weights[0] /= 10 if layer.name == "conv1_conv" else 1  # its inputs are of the order of 100
                weights[1] = rng.normal(size=weights[1].shape, scale=0.5)
            elif weights:
                weights = [rng.uniform(0.5, 1.5, w.shape) + (i in (1, 2)) * rng.normal() for i, w in enumerate(weights)]
            layer.set_weights(weights)
            names = [f"{layer.name}/{weight.name}:0" for weight in layer.weights]
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, weights):
                group[name] = weight
    return image, path


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_imagenet_on_a_still_video(resnet50, order):
    """Up to the first stride inside a stage, a still video gives what the image gives."""
    image, path = resnet50
    model = SlowFast("slow_8x8_r50", num_classes=3, frames=5, slow_kernels=(3, 1, 1, 3, 3), channel_order=order)
    checkpoints.inflate_imagenet(path, model)
    frame = np.random.default_rng(1).integers(0, 256, (1, 96, 96, 3)).astype("float32")
    features = keras.Model(image.input, image.get_layer("conv2_block3_out").output)
    expected = np.asarray(features(keras.applications.resnet50.preprocess_input(frame.copy())))
    clip = (frame[..., ::-1] if order == "bgr" else frame) / 255
    clip = np.repeat(((clip - 0.45) / 0.225)[:, None], 5, axis=1)
    features = keras.Model(model.input, model.get_layer("slow_res2").output)
    # The ends of a clip see zeros beyond it, and so do its borders, where an image network's zeros mean other colours.
    found = np.asarray(features({"slow": clip}))[:, 2, 5:-5, 5:-5]
    expected = expected[:, 5:-5, 5:-5]
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()

    found = checkpoints.variables(model)["slow_res4/block1/a/conv/kernel"].numpy()
    kernel = image.get_layer("conv4_block2_1_conv").get_weights()[0]
    for time in range(3):
        np.testing.assert_allclose(found[time], kernel[0][None] / 3, rtol=1e-6)


def test_imagenet_under_lateral_connections(resnet50, tmp_path, capsys):
    image, path = resnet50
    arguments = [str(path), "--output", str(tmp_path / "model.keras")]
    with pytest.raises(InputError, match="--preset slow_8x8_r50"):
        convert.main(arguments)
    convert.main([*arguments, "--preset", "slowfast_8x8_r50", "--num-classes", "4"])
    model = keras.models.load_model(tmp_path / "model.keras")
    assert model.spec.num_classes == 4
    found = checkpoints.variables(model)["slow_res3/block0/shortcut/conv/kernel"].numpy()
    assert found.shape == (1, 1, 1, 256 + 64, 512)
    expected = image.get_layer("conv3_block1_0_conv").get_weights()[0]
    np.testing.assert_allclose(found[0, :, :, :256], expected, rtol=1e-6)
    assert not found[0, :, :, 256:].any()

    with pytest.raises(InputError, match="fits a Slow pathway of depth 50 and width 64"):
        checkpoints.inflate_imagenet(path, SlowFast("slow_8x8_r50", depth=10))
    (tmp_path / "other.h5").write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="does not hold the weights of keras.applications.ResNet50"):
        checkpoints.inflate_imagenet(tmp_path / "other.h5", model)


# The zoo.


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `content`; breaks the first connection in the middle."""

    content, requests = b"", []

    def do_GET(self):
        start = self.headers.get("Range")
        self.requests.append(start)
        first = int(start.removeprefix("bytes=").rstrip("-")) if start else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {first}-{len(self.content) - 1}/{len(self.content)}")
        self.send_header("Content-Length", str(len(self.content) - first))
        self.end_headers()
        self.wfile.write(self.content[first : len(self.content) // 2 if len(self.requests) == 1 else None])

    def log_message(self, *arguments):
        pass


@needs_torch
def test_from_pretrained(tmp_path, monkeypatch):
    network = torch_slowfast.SlowFast(10, width=8, beta_inv=4, lateral_kernel=5, classes=6)
    torch.save(network.state_dict(), tmp_path / "made.pth")
    Server.content, Server.requests = (tmp_path / "made.pth").read_bytes(), []
    digest = hashlib.sha256(Server.content).hexdigest()[:8]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    known = {"frames": 2, "stride": 8, "alpha": 4, "activation": "sigmoid"}
    monkeypatch.setitem(zoo.MODELS, "made", (f"{address}/made-{digest}.pth", known))
    monkeypatch.setitem(zoo.MODELS, "damaged", (f"{address}/made-00000000.pth", known))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "slowfast_tf"

    with pytest.raises(InputError, match="no published model 'mad'; did you mean 'made'"):
        checkpoints.from_pretrained("mad")
    half = len(Server.content) // 2
    with pytest.raises(InputError, match=f"stopped at {half:,} of {len(Server.content):,} bytes; run again"):
        checkpoints.from_pretrained("made")
    assert [p.name for p in folder.iterdir()] == ["made.pth.part"]
    model = checkpoints.from_pretrained("made")
    assert Server.requests == [None, f"bytes={half}-"]
    assert (folder / "made.pth").read_bytes() == Server.content
    assert {p.name for p in folder.iterdir()} == {"made.pth", "made.keras"}
    with pytest.raises(InputError, match="came damaged"):
        checkpoints.from_pretrained("damaged")
    assert {p.name for p in folder.iterdir()} == {"made.pth", "made.keras"}

    server.shutdown()
    server.server_close()
    again = checkpoints.from_pretrained("made")  # needs no server any more
    assert again.spec == model.spec and again.spec.activation == "sigmoid" and again.spec.frames == 2
    clip = np.random.default_rng(0).normal(size=(1, 8, 32, 32, 3)).astype("float32")
    inputs = {"slow": clip[:, list(model.spec.slow_index)], "fast": clip}
    with torch.no_grad():
        expected = network.eval()(*(torch.from_numpy(x).permute(0, 4, 1, 2, 3) for x in inputs.values())).numpy()
    for m in (model, again):
        np.testing.assert_allclose(np.asarray(m(inputs)), expected, atol=1e-5)
    (folder / "made.pth").unlink()
    (folder / "made.keras").unlink()
    with pytest.raises(InputError, match="cannot download .*refused.*check the connection.*put the file at"):
        checkpoints.from_pretrained("made")


def test_zoo_addresses():
    for name, (address, known) in zoo.MODELS.items():
        assert address.startswith("https://") and address.endswith((".pkl", ".pyth", ".pth"))
        size = f"{known['frames']}x{known['stride']}"
        assert name.split("_")[1] == size and size in address
        assert name.endswith(("_pyslowfast", "_pytorchvideo", "_mmaction2"))
