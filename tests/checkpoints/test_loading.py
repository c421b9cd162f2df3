"""Foreign checkpoints give the logits of their own implementation."""

import collections
import pathlib
import pickle
import re

import keras
import numpy as np
import pytest
from helpers.golden import GOLDEN, SLOWFAST, golden, load, needs_golden, needs_torch, torch, torch_slowfast

from slowfast_tf import checkpoints, convert
from slowfast_tf.errors import InputError
from slowfast_tf.exporting.folding import fold
from slowfast_tf.models.saved import read_saved_spec
from slowfast_tf.models.slowfast import SlowFast
from slowfast_tf.models.views import Views

# The files with 20 classes without a configuration do not state the activation.
ASKS = (f"{SLOWFAST}.pkl", "pytorchvideo_slowfast_8x8_r50_w16.pyth", "mmaction2_slowfast_4x16_r50_w16.pth")
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
    "mmaction2_slowfast_4x16_r101_r50_w8.pth": {
        "depth": 101,
        "fast_depth": 50,
        "frames": 4,
        "alpha": 8,
        "lateral_norm": False,
        "frame_rate": None,
        "views": Views(10, 3, to_the_end=True),
        "mean": (0.485, 0.456, 0.406),
    },
    "mmaction2_slowonly_nl_4x16_r50_w8.pth": {
        "pathways": ("slow",),
        "stride": 16,
        "nonlocal_kind": "softmax",
        "nonlocal_blocks": ((), (0, 2), (0, 2, 4), ()),
        "nonlocal_pool": (1, 2, 2),
        "nonlocal_pool_last": True,
    },
    "pyslowfast_charades_slowfast_16x8_r50_w8.pkl": {
        "frames": 16,
        "stride": 8,
        "alpha": 4,
        "activation": "sigmoid",
        "frame_rate": 24,
        "views": Views(10, 3, to_the_end=True, fuse="max"),
    },
    "pyslowfast_slowfast_8x8_r101_50_101_w8.pyth": {
        "depth": 101,
        "fast_depth": None,
        "res4_temporal_blocks": 6,
        "fast_res4_temporal_blocks": 0,
    },
    "pyslowfast_ssv2_slowfast_16x8_r50_w8.pyth": {"frames": 16, "frame_index": "segments", "channel_order": "rgb"},
}


def difference(model, name):
    """Largest difference from the golden logits, over the largest logit."""
    inputs, logits, _ = golden(name)
    outputs = np.asarray(model(inputs, training=False))
    return np.abs(outputs - logits).max() / np.abs(logits).max()


# Conversion.


@needs_torch
@needs_golden
@pytest.mark.parametrize("file", [pytest.param(f, marks=pytest.mark.legacy) if "_nln_" in f else f for f in FILES])
def test_golden(file, tmp_path, record_property):
    name, output = pathlib.Path(file).stem, tmp_path / "model.keras"
    command = [str(GOLDEN / file), "--output", str(output)]
    if file in ASKS:
        with pytest.raises(InputError, match="20 classes, unlike any known data set, and does not say") as asked:
            convert.main(command)
        assert asked.value.argument == "activation" and not output.exists()
        command += ["--activation", "softmax"]
    convert.main(command)
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


@pytest.mark.legacy
@needs_torch
@needs_golden
def test_caffe2_files_contain_the_same_network(capsys):
    files = (GOLDEN / f"{SLOWFAST}{end}" for end in (".pkl", ".pyth"))
    caffe2, pyslowfast = (checkpoints.read_checkpoint(file, activation="softmax") for file in files)
    assert caffe2.tensors.keys() == pyslowfast.tensors.keys() and not caffe2.leftover
    for key, value in pyslowfast.tensors.items():
        np.testing.assert_array_equal(caffe2.tensors[key], value)
    assert caffe2.spec.channel_order == "rgb" and caffe2.spec.frame_index == "linspace"
    assert (caffe2.spec.frames, caffe2.spec.stride, caffe2.spec.alpha) == (8, 8, 4)
    assert "assumed 8x8, alpha 4" in caffe2.assumed and not pyslowfast.assumed
    found = difference(checkpoints.build_model(caffe2), SLOWFAST)
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
    fails("has no non-local block, as preset slowfast_8x8_r50_nl has", "--preset", "slowfast_8x8_r50_nl")
    fails("is not slow_8x8_r50_k400_pytorchvideo: its parameters are", "--preset", "slow_8x8_r50_k400_pytorchvideo")
    with pytest.raises(InputError, match="must end in .keras"):
        convert.main([str(source), "--output", str(tmp_path / "model.h5")])
    assert not list(tmp_path.iterdir())

    # A preset overrules the guess; a class count leaves the classifier out and all else as it was.
    preset = ("--preset", "slowfast_4x16_r50", "--num-classes", "7")
    fails("20 classes, unlike any known data set", *preset)
    convert.main([str(source), "--output", str(output), *preset, "--activation", "softmax"])
    said = capsys.readouterr().out
    assert "PyTorchVideo: slow and fast, depth 50, width 16, 4x16" in said and "assumed" not in said
    model = keras.models.load_model(output)
    assert (model.spec.frames, model.spec.stride, model.spec.alpha, model.spec.num_classes) == (4, 16, 8, 7)
    tensors = checkpoints.read_checkpoint(source, activation="softmax").tensors
    for name, variable in checkpoints.variables(model).items():
        if name.startswith("head/"):
            assert variable.shape[-1] == 7
        else:
            np.testing.assert_array_equal(variable.numpy(), tensors[name])

    before = output.read_bytes()
    fails("exists")
    assert output.read_bytes() == before
    convert.main([str(source), "--output", str(output), "--overwrite", "--activation", "sigmoid"])
    said = capsys.readouterr().out
    assert "assumed 8x8, alpha 4, as slowfast_8x8_r50_k400_pytorchvideo: the file does not say" in said
    assert keras.models.load_model(output).spec.activation == "sigmoid"
    assert output.read_bytes() != before


@pytest.mark.legacy
@needs_torch
@needs_golden
def test_wrappers(tmp_path):
    path = GOLDEN / f"{SLOWFAST}.pyth"
    state, expected = load(path)["model_state"], checkpoints.read_checkpoint(path).tensors
    parallel = collections.OrderedDict((f"module.{key}", value) for key, value in state.items())
    for number, content in enumerate((state, parallel, {"state_dict": parallel}, {"model_state": state, "epoch": 1})):
        torch.save(content, tmp_path / "made.pth", _use_new_zipfile_serialization=number != 1)
        found = checkpoints.read_checkpoint(tmp_path / "made.pth", activation="softmax")
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
    with pytest.raises(InputError, match="slow pathway has 3, 4, 7, 3 blocks in res2 to res5"):
        checkpoints.read_checkpoint(tmp_path / "made.pyth")
    state["s4.pathway0_res5.branch2.a.bias"] = state.pop("s4.pathway0_res7.branch2.a.bias")
    torch.save(content, tmp_path / "made.pyth")
    with pytest.raises(InputError) as error:
        checkpoints.build_model(checkpoints.read_checkpoint(tmp_path / "made.pyth", activation="softmax"))
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
        checkpoints.build_model(checkpoints.read_checkpoint(tmp_path / "made.pkl", num_classes=400))


def made(path, depth=50, kernel=7, classes=400, change=lambda name, value: value):
    """Write a checkpoint of PySlowFast's names without a configuration."""
    network = torch_slowfast.SlowFast(depth, width=8, beta_inv=4, lateral_kernel=kernel, classes=classes)
    torch.save({name: change(name, value) for name, value in network.state_dict().items()}, path)
    return path


def six_in_res4(name, value):
    """Make the temporal kernels of later blocks flat: in the paper's R101, only six blocks of res4 span frames."""
    later = name.startswith("s4.") and name.endswith("branch2.a.weight") and int(re.search(r"_res(\d+)", name)[1]) >= 6
    return value[:, :, :1].clone() if later else value


@pytest.mark.legacy
@needs_torch
@pytest.mark.parametrize("kernel, size", [(7, (8, 8, 4)), (5, (4, 16, 8))])
def test_what_a_file_does_not_state(kernel, size, tmp_path):
    """For Kinetics, one published network has each kernel size. A network with other classes has another protocol."""
    spec = checkpoints.read_checkpoint(path := made(tmp_path / "a.pyth", kernel=kernel)).spec
    assert (spec.frames, spec.stride, spec.alpha) == size and spec.lateral_kernel == kernel
    assert (spec.depth, spec.width, spec.beta_inv, spec.num_classes) == (50, 8, 4, 400)
    assert (spec.frame_rate, spec.views, spec.activation) == (30, Views(10, 3), "softmax")
    with pytest.raises(InputError, match="_k400_pyslowfast .*, and preset slowfast_16x8_r50 has 16x8, alpha 4; leave"):
        checkpoints.read_checkpoint(path, "slowfast_16x8_r50")
    further = made(tmp_path / "b.pyth", kernel=kernel, classes=5)
    spec = checkpoints.read_checkpoint(further, activation="sigmoid").spec
    assert (spec.frames, spec.stride, spec.alpha) == size and (spec.frame_rate, spec.activation) == (None, "sigmoid")


@pytest.mark.legacy
@needs_torch
def test_files_that_need_a_preset(tmp_path):
    """A file that fits several published networks, or none, needs the name of a preset."""

    def asks(path, match):
        with pytest.raises(InputError, match=match) as asked:
            checkpoints.read_checkpoint(path)
        assert asked.value.argument == "preset"

    paper = made(tmp_path / "r101.pyth", 101, 5, change=six_in_res4)
    asks(paper, "does not say how many frames its network takes, at which stride, and no published network is like it")
    spec = checkpoints.read_checkpoint(paper, "slowfast_16x8_r101").spec
    assert (spec.frames, spec.stride, spec.alpha, spec.res4_temporal_blocks, spec.activation) == (
        16,
        8,
        4,
        6,
        "softmax",
    )
    state = torch.load(made(tmp_path / "slow.pyth"), weights_only=True)
    torch.save({name: v for name, v in state.items() if not re.search("pathway1|fuse", name)}, tmp_path / "slow.pyth")
    asks(
        tmp_path / "slow.pyth", "which of these networks it is.*: slow_4x16_r50_k400_pyslowfast, slow_8x8_r50_k400_pysl"
    )
    # The two networks for Something-Something v2 differ only in their test crop.
    segments = made(tmp_path / "ssv2.pyth", classes=174)
    checkpoint, name = checkpoints.read_checkpoint(segments), "slowfast_16x8_r50_multigrid_ssv2_pyslowfast"
    assert checkpoint.spec.crop_size == 256
    protocol = (
        '; frame_rate null; frame_index "segments"; views 1x1, fused by mean; channel_order "rgb"; crop_size 256;'
        ' activation "softmax", as slowfast_16x8_r50_ssv2_pyslowfast: the file does not say;'
        f" {name} has crop_size 224"
    )
    assert checkpoint.assumed == f"assumed 16x8, alpha 4{protocol}"
    checkpoint = checkpoints.read_checkpoint(segments, name)
    spec = checkpoint.spec
    assert (spec.frames, spec.crop_size, spec.frame_index, spec.views) == (16, 224, "segments", Views(1, 1))
    assert not checkpoint.assumed
    checkpoint = checkpoints.read_checkpoint(segments, "slowfast_16x8_r50")  # fits both
    spec = checkpoint.spec
    assert (spec.frames, spec.crop_size, spec.frame_index, spec.views) == (16, 256, "segments", Views(1, 1))
    assert checkpoint.assumed == f"assumed {protocol[2:]}"
    checkpoint = checkpoints.read_checkpoint(segments, frames=8, stride=8, alpha=4, activation="sigmoid")
    assert checkpoint.assumed == f"assumed {protocol[2:]}".replace('; activation "softmax"', "")


@needs_torch
def test_other_families_are_refused_by_name(tmp_path):
    network = torch_slowfast.SlowFast(50, width=8, beta_inv=4, lateral_kernel=7, classes=400)
    slow = {name: v for name, v in network.state_dict().items() if "pathway1" not in name and "fuse" not in name}

    def written(state):
        torch.save(state, tmp_path / "made.pyth")
        return tmp_path / "made.pyth"

    flat = {name: v[:, :, :1].clone() if v.ndim == 5 else v for name, v in slow.items()}
    with pytest.raises(InputError, match="is of C2D: none of its kernels spans frames"):
        checkpoints.read_checkpoint(written(flat), "slow_8x8_r50")
    deep = {**slow, "s1.pathway0_stem.conv.weight": torch.zeros(8, 3, 5, 7, 7)}
    with pytest.raises(InputError, match="is of I3D, CSN or the like: its first kernel spans 5 frames"):
        checkpoints.read_checkpoint(written(deep), "slow_8x8_r50")
    for extra, family in (
        ("s2.pathway0_res0.branch2.se.fc1.weight", "X3D"),
        ("s1.pathway0_stem.conv_xy.weight", "X3D"),
        ("roi_head.shared_head.fbo.st_feat_conv.weight", r"a network with a long-term feature bank \(LFB\)"),
        ("roi_head.shared_head.convs.0.conv.weight", "ACRN"),
        ("patch_embed.proj.weight", "a transformer"),
        ("backbone.layer1.0.conv1.conv.conv_s.weight", r"R\(2\+1\)D"),
        ("blocks.1.res_blocks.0.branch2.conv_b.conv_t.weight", r"R\(2\+1\)D"),
        ("cls_head.fc3d.6.weight", r"OmniSource, whose backbone is another one \(OmniResNet\)"),
        ("neck.lateral_convs.0.conv.weight", "TPN"),
    ):
        with pytest.raises(InputError, match=f"made.pyth is of {family}, which this package does not build"):
            checkpoints.read_checkpoint(written({**slow, extra: torch.zeros(1)}))


@pytest.mark.legacy
@needs_torch
@needs_golden
def test_configuration_is_checked(tmp_path):
    content = load(GOLDEN / "pyslowfast_slowfast_4x16_r50_nln_w16.pyth")
    text = content["cfg"]

    def reads(old, new):
        assert old in text
        torch.save({**content, "cfg": text.replace(old, new)}, tmp_path / "made.pyth")
        return checkpoints.read_checkpoint(tmp_path / "made.pyth").spec

    for old, new, message in (
        ("STRIDE_1X1: false", "STRIDE_1X1: true", "RESNET.STRIDE_1X1 True; this package builds False only"),
        ("  ARCH: slowfast", "  ARCH: i3d", "MODEL.ARCH i3d; this package builds slow or slowfast only"),
        ("DETECTION:", "OTHER:", "not one that PySlowFast writes"),
        ("  ALPHA: 8", "  ALPHA: 0", "not one that PySlowFast writes"),
        ("  NUM_ENSEMBLE_VIEWS: 10", "  NUM_ENSEMBLE_VIEWS: 0", "made.pyth: views: clips must be a whole number"),
    ):
        with pytest.raises(InputError, match=message):
            reads(old, new)
    assert reads("INSTANTIATION: dot_product", "INSTANTIATION: softmax").nonlocal_kind == "softmax"
    pooled = reads("- - - 1\n      - 2\n      - 2", "- - - 2\n      - 2\n      - 2")
    assert pooled.nonlocal_pool == (2, 2, 2)
    assert reads("HEAD_ACT: softmax", "HEAD_ACT: sigmoid").activation == "sigmoid"
    assert reads("REVERSE_INPUT_CHANNEL: false", "REVERSE_INPUT_CHANNEL: true").channel_order == "bgr"
    spec = reads("TARGET_FPS: 30", "TARGET_FPS: 25")
    assert (spec.frame_rate, spec.frame_index, spec.views) == (25, "linspace", Views(10, 3))
    assert reads("ENSEMBLE_METHOD: sum", "ENSEMBLE_METHOD: max").views.fuse == "max"
    assert str(reads("NUM_SPATIAL_CROPS: 3", "NUM_SPATIAL_CROPS: 1").views) == "10x1"
    charades = reads("DATASET: kinetics", "DATASET: charades")
    assert (charades.frame_rate, charades.views.to_the_end) == (24, True)
    segments = reads("DATASET: kinetics", "DATASET: ssv2")
    assert (segments.frame_rate, segments.frame_index, segments.views) == (None, "segments", Views(1, 3))


@needs_torch
@needs_golden
@pytest.mark.parametrize(
    "file, expected",
    [
        ("pyslowfast_ssv2_slowfast_16x8_r50_w8", (None, "segments", Views(1, 1), 0.8)),
        ("pyslowfast_ava_slowfast_8x8_r50_w16", (30, "linspace", Views(1, 0), 0.8)),
        ("pyslowfast_slow_8x8_r50_w16", (30, "linspace", Views(10, 3), 0.8)),
    ],
)
def test_protocol_of_the_configuration(file, expected):
    spec = checkpoints.read_checkpoint(GOLDEN / f"{file}.pyth").spec
    assert (spec.frame_rate, spec.frame_index, spec.views, spec.person_score) == expected


@needs_torch
@pytest.mark.parametrize("classes, first", [(157, "Holding some clothes"), (158, None), (80, None)])
def test_labels_by_the_number_of_classes(classes, first, tmp_path):
    path = made(tmp_path / "made.pth", 10, 5, classes)
    checkpoint = checkpoints.read_checkpoint(path, frames=2, stride=8, alpha=4, activation="softmax")
    assert next(iter(checkpoint.spec.labels), None) == first
    assert checkpoints.build_model(checkpoint, num_classes=5).spec.labels == ()


@needs_torch
@needs_golden
def test_new_classes_keep_the_activation(tmp_path):
    """The activation is that of the file's configuration, or that of the data set with this number of classes."""
    content = load(GOLDEN / "pyslowfast_slow_8x8_r50_w16.pyth")
    content["cfg"] = content["cfg"].replace("HEAD_ACT: softmax", "HEAD_ACT: sigmoid")
    torch.save(content, tmp_path / "made.pyth")
    for file in (tmp_path / "made.pyth", GOLDEN / "pyslowfast_charades_slowfast_16x8_r50_w8.pkl"):
        output = tmp_path / f"{file.stem}.keras"
        convert.main([str(file), "--output", str(output), "--num-classes", "7"])
        spec = read_saved_spec(output)[0]
        assert (spec.num_classes, spec.activation) == (7, "sigmoid")
