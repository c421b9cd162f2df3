"""MMAction2's configurations and the families of its networks, from its golden files."""

import numpy as np
import pytest
from helpers.golden import GOLDEN, golden, load, needs_golden, needs_torch, torch

from slowfast_tf import checkpoints
from slowfast_tf.checkpoints import mmaction2
from slowfast_tf.errors import InputError
from slowfast_tf.models.views import Views

DETECTION, NONLOCAL = "mmaction2_ava_slowfast_8x8_r50_temporal_max_w8", "mmaction2_slowonly_nl_4x16_r50_w8"
pytestmark = [needs_torch, needs_golden]


def configuration(name):
    return load(GOLDEN / f"{name}.pth")["meta"]["cfg"]


def changed(name, *changes):
    text = configuration(name)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return mmaction2.settings(text)


def test_recognition():
    fields = mmaction2.settings(configuration(NONLOCAL))
    assert (fields["frames"], fields["stride"], fields["alpha"]) == (4, 16, 1)
    assert (fields["views"], fields["crop_size"], fields["frame_rate"]) == (Views(10, 3, to_the_end=True), 256, None)
    assert fields["mean"] == pytest.approx((0.485, 0.456, 0.406)) and fields["channel_order"] == "rgb"
    assert (fields["activation"], fields["dropout"]) == ("softmax", 0.5)
    center = changed(NONLOCAL, ("crop_size=256, type='ThreeCrop'", "crop_size=224, type='CenterCrop'"))
    assert (str(center["views"]), center["crop_size"]) == ("10x1", 224)
    # Several data sets, as for Kinetics-710.
    steps = (
        "dict(clip_len=4, frame_interval=16, num_clips=10, type='SampleFrames'), dict(crop_size=256, type='ThreeCrop')"
    )
    several = f"dataset=dict(datasets=[dict(pipeline=[{steps}]), dict()], type='ConcatDataset')"
    assert mmaction2.settings(f"{configuration(NONLOCAL)}\ntest_dataloader = dict({several})") == fields
    with pytest.raises(InputError, match="has test steps .*TenCrop.*; this package needs ThreeCrop or CenterCrop$"):
        changed(NONLOCAL, ("ThreeCrop", "TenCrop"))


def test_nonlocal_blocks():
    plain = changed(NONLOCAL, ("sub_sample=True", "sub_sample=False"))
    assert (plain["nonlocal_pool"], plain["nonlocal_pool_last"]) == ([1, 1, 1], True)
    assert changed(NONLOCAL, ("embedded_gaussian", "dot_product"))["nonlocal_kind"] == "dot_product"
    for old, new, match in (
        ("embedded_gaussian", "gaussian", "non-local mode gaussian; this package builds embedded_gaussian or dot_pr"),
        ("use_scale=True", "use_scale=False", "non-local use_scale False"),
    ):
        with pytest.raises(InputError, match=match):
            changed(NONLOCAL, (old, new))


def test_detection():
    fields = mmaction2.settings(configuration(DETECTION))
    found = [fields[f"roi_{name}"] for name in ("time", "bins", "dilation", "aligned")]
    assert found == ["max", 8, 1, True]
    assert (fields["frame_rate"], fields["person_score"], fields["activation"]) == (30, 0.9, "sigmoid")
    after = changed(DETECTION, ("with_temporal_pool=True", "with_temporal_pool=False"))
    assert after["roi_time"] == "mean"  # without pooling over time, the head takes the mean
    for old, new, match in (
        ("pool_mode='max'", "pool_mode='avg', pool_mode='max'", "pooling of a bin max"),
        ("background_class=True", "temporal_pool_type='max'", "pooling of the head over time max"),
        ("background_class=True", "spatial_pool_type='avg'", "pooling of boxes avg"),
        ("roi_layer_type='RoIAlign'", "roi_layer_type='RoIPool'", "type of RoI pooling RoIPool"),
        ("roi_head=dict(", "roi_head=dict(shared_head=dict(type='ACRNHead'),", "is of ACRN, which this package"),
        ("roi_head=dict(", "roi_head=dict(shared_head=dict(type='FBOHead'),", "is of a network with a long-term feat"),
        ("mmaction.ResNet3dSlowFast", "mmaction.ResNet3dLayer", "backbone ResNet3dLayer; this package builds"),
    ):
        with pytest.raises(InputError, match=match):
            changed(DETECTION, (old, new))


def test_strides_and_the_style_of_blocks():
    """Parameters do not show them, so another value would give another network without an error."""
    slow, fast = "slow_pathway=dict(", "fast_pathway=dict("
    for name, old, new, match in (
        (DETECTION, slow, f"{slow}style='caffe', ", "style of the slow pathway caffe; this package builds pytorch"),
        (DETECTION, fast, f"{fast}style='caffe', ", "style of the fast pathway caffe"),
        (DETECTION, slow, f"{slow}temporal_strides=(1, 2, 2, 2), ", r"temporal_strides of the slow pathway \[1, 2"),
        (DETECTION, fast, f"{fast}temporal_strides=(1, 1, 1, 2), ", r"temporal_strides of the fast pathway \[1, 1"),
        (DETECTION, "conv1_stride_t=1", "conv1_stride_t=2", "conv1_stride_t of the slow pathway 2"),
        (NONLOCAL, "pool1_stride_t=1", "pool1_stride_t=2", "pool1_stride_t of the slow pathway 2"),
        (NONLOCAL, "backbone=dict(", "backbone=dict(style='caffe', ", "style of the slow pathway caffe"),
    ):
        with pytest.raises(InputError, match=match):
            changed(name, (old, new))


def test_nothing_is_run(tmp_path):
    mark = tmp_path / "ran"
    for text in (
        f"model = open({str(mark)!r}, 'w')",
        f"import os\nmodel = os.mkdir({str(mark)!r})",
        "model = [",
        "x = 1",
    ):
        with pytest.raises(InputError, match="not one that MMAction2 writes"):
            mmaction2.settings(text)
    assert not mark.exists()


def written(tmp_path, name, change, configuration=None):
    """A golden file with other parameters."""
    content = load(GOLDEN / f"{name}.pth")
    state = dict(content["state_dict"])
    change(state)
    torch.save({"state_dict": state, "meta": {"cfg": configuration} if configuration else {}}, tmp_path / "made.pth")
    return tmp_path / "made.pth"


def test_fields_that_do_not_follow_from_the_weights(tmp_path):
    """8x8 networks take the mean or the maximum over time, so a name is needed. There is only one 4x16 network."""
    path = written(tmp_path, DETECTION, lambda state: None)
    with pytest.raises(InputError, match="which of these.*slowfast_8x8_r50_ava21_mmaction2, slowfast_8x8_r50_max_"):
        checkpoints.read_checkpoint(path)
    chosen = checkpoints.read_checkpoint(path, "slowfast_8x8_r50_max_ava_mmaction2").spec
    stated = checkpoints.read_checkpoint(GOLDEN / f"{DETECTION}.pth").spec
    assert chosen == stated
    assert checkpoints.read_checkpoint(path, "slowfast_8x8_r50_max_ava").spec == chosen
    headless = written(tmp_path, DETECTION, lambda state: state.pop("roi_head.bbox_head.fc_cls.weight"))
    with pytest.raises(InputError, match="1 missing: head/classifier/kernel"):
        checkpoints.build_model(checkpoints.read_checkpoint(headless, "slowfast_8x8_r50_max_ava"))
    spec = checkpoints.read_checkpoint(written(tmp_path, "mmaction2_ava_slowfast_4x16_r50_w8", lambda state: None)).spec
    assert (spec.frames, spec.roi_time, spec.roi_bins, spec.num_classes, spec.lateral_norm) == (4, "mean", 8, 80, False)


def test_the_configuration_has_priority_over_a_name():
    """The name of another network is refused. The name of the same one, published or not, changes nothing."""
    for name, preset, match in (
        (DETECTION, "slowfast_8x8_r50_ava", 'states roi_time "max" in its configuration, and slowfast_8x8_r50_ava has'),
        (NONLOCAL, "slow_4x16_r50_nl", 'states nonlocal_kind "softmax" in its configuration, and slow_4x16_r50_nl has'),
        (NONLOCAL, "slow_8x8_r50_nl_imagenet_k400_mmaction2", "states frames 4 in its configuration, and slow_8x8_r50"),
        (NONLOCAL, "slow_4x16_r50_imagenet_k400_mmaction2", "is not slow_4x16_r50_imagenet_k400_mmaction2"),
    ):
        with pytest.raises(InputError, match=match):
            checkpoints.read_checkpoint(GOLDEN / f"{name}.pth", preset)
    for name, preset in (
        (DETECTION, "slowfast_8x8_r50_max_ava_mmaction2"),
        (NONLOCAL, "slow_4x16_r50_nl_imagenet_k400"),
        ("mmaction2_slowfast_4x16_r101_r50_w8", "slowfast_4x16_r101_r50"),
    ):
        checkpoint = checkpoints.read_checkpoint(GOLDEN / f"{name}.pth", preset)
        assert checkpoint.spec == checkpoints.read_checkpoint(GOLDEN / f"{name}.pth").spec and not checkpoint.assumed


def test_published_networks_have_priority_over_presets(tmp_path):
    """A preset has PySlowFast's non-local block, but the file gets that of MMAction2's published network."""
    path = written(tmp_path, NONLOCAL, lambda state: None)
    checkpoint = checkpoints.read_checkpoint(path, "slow_4x16_r50_nl", activation="softmax")
    spec = checkpoint.spec
    assert (spec.frames, spec.nonlocal_kind, spec.nonlocal_pool_last) == (4, "softmax", True)
    assert 'assumed nonlocal_kind "softmax"; nonlocal_pool [1, 2, 2]; nonlocal_pool_last true' in checkpoint.assumed


def test_equal_depths_are_not_the_published_network_of_two_depths(tmp_path):
    """Both pathways are R101; in the published network, the Fast pathway is R50."""

    def deepen(state):
        last = {name: v for name, v in state.items() if name.startswith("backbone.fast_path.layer3.5.")}
        for block in range(6, 23):
            state.update({name.replace("layer3.5", f"layer3.{block}"): v for name, v in last.items()})

    path = written(tmp_path, "mmaction2_slowfast_4x16_r101_r50_w8", deepen)
    with pytest.raises(InputError, match="no published network is like it; a preset is needed") as error:
        checkpoints.read_checkpoint(path, activation="softmax")
    assert error.value.argument == "preset"


def test_context_and_a_hidden_layer(tmp_path):
    """The classifier's width shows the context, its layers show the hidden layer. The background column is removed."""

    def change(state):
        head = "roi_head.bbox_head.fc_cls"
        weight, bias = state.pop(f"{head}.weight"), state.pop(f"{head}.bias")
        width = 2 * weight.shape[1]
        state[f"{head}.0.weight"], state[f"{head}.0.bias"] = torch.randn(width, width), torch.randn(width)
        state[f"{head}.2.weight"], state[f"{head}.2.bias"] = torch.cat([weight, weight], 1), bias

    path = written(tmp_path, DETECTION, change, configuration(DETECTION))
    checkpoint = checkpoints.read_checkpoint(path)
    spec = checkpoint.spec
    assert spec.roi_context and spec.roi_hidden and not checkpoint.leftover and spec.num_classes == 80
    state = load(path)["state_dict"]
    kernel = state["roi_head.bbox_head.fc_cls.2.weight"].numpy().T
    np.testing.assert_array_equal(checkpoint.tensors["head/classifier/kernel"], kernel[:, 1:])
    assert checkpoints.build_model(checkpoint).input_names == ["slow", "fast", "boxes"]


def test_multisports(tmp_path):
    """MultiSports has 66 classes and no background class. Its timestamps are frame numbers, so the spec has no rate."""

    def change(state):
        for end in ("weight", "bias"):
            state[f"roi_head.bbox_head.fc_cls.{end}"] = state[f"roi_head.bbox_head.fc_cls.{end}"][:66]

    name = "mmaction2_ava_slowfast_4x16_r50_w8"
    text = configuration(name).replace("multilabel=True", "multilabel=False")
    text = text.replace("background_class=True", "background_class=False")
    for configured in (None, text.replace("type='AVADataset'", "fps=1, type='AVADataset'")):
        spec = checkpoints.read_checkpoint(written(tmp_path, name, change, configured)).spec
        assert (spec.num_classes, spec.labels[0], spec.activation) == (66, "aerobic_push_up", "softmax")
        assert (spec.frame_rate, spec.person_score) == (None, 0.9)


@pytest.mark.parametrize(
    "width, background, classes", [(6, True, 5), (81, True, 80), (81, False, 81), (6, False, 6), (81, None, 80)]
)
def test_the_background_class(width, background, classes, tmp_path):
    """The configuration may state, for any number of classes, whether the first one is the background."""

    def change(state):
        for end in ("weight", "bias"):
            state[f"roi_head.bbox_head.fc_cls.{end}"] = state[f"roi_head.bbox_head.fc_cls.{end}"][:width]

    stated = "" if background is None else f"background_class={background},"
    text = configuration(DETECTION).replace("background_class=True,", stated)
    path = written(tmp_path, DETECTION, change, text)
    checkpoint, state = checkpoints.read_checkpoint(path), load(path)["state_dict"]
    assert checkpoint.spec.num_classes == classes
    for ours, theirs in (("kernel", "weight"), ("bias", "bias")):
        expected = state[f"roi_head.bbox_head.fc_cls.{theirs}"].numpy()[-classes:].T
        np.testing.assert_array_equal(checkpoint.tensors[f"head/classifier/{ours}"], expected)
    assert checkpoints.build_model(checkpoint).output_shape[-1] == classes


def test_optical_flow(tmp_path):
    """A Slow-only network of two channels."""

    def change(state):
        state["backbone.conv1.conv.weight"] = state["backbone.conv1.conv.weight"][:, :2]

    text = configuration(NONLOCAL).replace("103.53,", "").replace("57.375,", "")
    checkpoint = checkpoints.read_checkpoint(written(tmp_path, NONLOCAL, change, text))
    assert (checkpoint.spec.slow_input, checkpoint.spec.takes_video) == ("flow", False)
    model = checkpoints.build_model(checkpoint)
    clip = golden(NONLOCAL)[0]["slow"]
    # The other network has three channels; zeros in the third one give the same logits.
    other = checkpoints.build_model(checkpoints.read_checkpoint(GOLDEN / f"{NONLOCAL}.pth"))
    expected = other({"slow": np.concatenate([clip[..., :2], 0 * clip[..., :1]], -1)})
    np.testing.assert_allclose(model({"slow": clip[..., :2]}), expected, rtol=1e-4, atol=1e-4)
