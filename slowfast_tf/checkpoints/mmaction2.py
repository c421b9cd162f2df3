"""MMAction2 (github.com/open-mmlab/mmaction2): its parameter names and ours, and its configuration.

The fields in the names are those of `pyslowfast`.
"""

import ast
from typing import Any

from ..errors import InputError
from ..models.views import Views
from .pyslowfast import CONV, IGNORED, NORM, check

__all__ = ["CONV", "DETECTION", "FAST_FIRST", "IGNORED", "NAMES", "NORM", "PUBLISHER", "SPEC", "TITLE", "settings"]

TITLE = "MMAction2"
PUBLISHER = "mmaction2"
FAST_FIRST = "cls_head.fc_cls.weight"  # its inputs are the features of the Fast pathway, then of the Slow pathway
SPEC = {
    "frame_index": "strided",
    "mean": (123.675 / 255, 116.28 / 255, 103.53 / 255),
    "std": (58.395 / 255, 57.12 / 255, 57.375 / 255),
}
DETECTION = {"roi_aligned": True, "roi_bins": 8, "roi_dilation": 1}
# For the 80 classes of AVA, a classifier also has a background class. It is the first class and is never trained. For
# other classes, only the configuration shows whether there is one.
WITH_BACKGROUND = 81

_BLOCK = (
    ("conv1.conv", "a/conv"),
    ("conv1.bn", "a/norm"),
    ("conv2.conv", "b/conv"),
    ("conv2.bn", "b/norm"),
    ("conv3.conv", "c/conv"),
    ("conv3.bn", "c/norm"),
    ("downsample.conv", "shortcut/conv"),
    ("downsample.bn", "shortcut/norm"),
)
# Settings that parameters do not show, and MMAction2's defaults.
_BUILT = {"style": "pytorch", "conv1_stride_t": 1, "pool1_stride_t": 1, "temporal_strides": [1, 1, 1, 1]}
# If keys and values are pooled, their convolution is the first of two layers.
_NONLOCAL = (
    ("theta.conv", "theta"),
    ("phi.conv", "phi"),
    ("phi.0.conv", "phi"),
    ("g.conv", "g"),
    ("g.0.conv", "g"),
    ("conv_out.conv", "out/conv"),
    ("conv_out.bn", "out/norm"),
)
_INSIDE = (
    *((f"{{i}}.{theirs}", f"block{{i}}/{ours}") for theirs, ours in _BLOCK),
    *((f"{{i}}.non_local_block.{theirs}", f"nonlocal{{i}}/{ours}") for theirs, ours in _NONLOCAL),
)

NAMES = (
    # Two pathways.
    ("backbone.{pathway}_path.conv1.conv", "{pathway}_stem/conv1/conv"),
    ("backbone.{pathway}_path.conv1.bn", "{pathway}_stem/conv1/norm"),
    ("backbone.slow_path.conv1_lateral.conv", "lateral_stem/conv/conv"),
    ("backbone.slow_path.conv1_lateral.bn", "lateral_stem/conv/norm"),
    ("backbone.slow_path.layer{n}_lateral.conv", "lateral_res{stage}/conv/conv"),
    ("backbone.slow_path.layer{n}_lateral.bn", "lateral_res{stage}/conv/norm"),
    *(("backbone.{pathway}_path.layer{n}." + theirs, "{pathway}_res{stage}/" + ours) for theirs, ours in _INSIDE),
    # Slow-only.
    ("backbone.conv1.conv", "slow_stem/conv1/conv"),
    ("backbone.conv1.bn", "slow_stem/conv1/norm"),
    *(("backbone.layer{n}." + theirs, "slow_res{stage}/" + ours) for theirs, ours in _INSIDE),
    ("cls_head.fc_cls", "head/classifier"),
    # Detection; the last two names are those of a head with a hidden layer.
    ("roi_head.bbox_head.fc_cls", "head/classifier"),
    ("roi_head.bbox_head.fc_cls.0", "head/hidden"),
    ("roi_head.bbox_head.fc_cls.2", "head/classifier"),
)


def settings(text: str) -> dict[str, Any]:
    """Return the fields of `SlowFastSpec` from the configuration stored in a `.pth` file, and "background_class".

    "background_class" is whether the first class of a detection network is the background; None if it is not stated.

    Args:
        text: Python code with assignments of plain values, as mmengine writes it. The code is parsed, never run.

    Raises:
        InputError: if the text has another format, or if this package cannot build the configured network.
    """
    try:
        values = {
            statement.targets[0].id: _value(statement.value)  # pyright: ignore[reportAttributeAccessIssue]
            for statement in ast.parse(text).body
            if isinstance(statement, ast.Assign)
        }
        dataset = values["test_dataloader"]["dataset"]
        # Kinetics-710 consists of several data sets, which are tested in the same way.
        return _settings(values["model"], dataset["datasets"][0] if "datasets" in dataset else dataset)
    except (SyntaxError, AttributeError, LookupError, TypeError, ZeroDivisionError, RecursionError) as error:
        raise InputError(f"the checkpoint's configuration is not one that MMAction2 writes: {error!r}") from error


def _value(node: ast.expr) -> Any:
    """Return the value of an expression: numbers, text, lists, and dictionaries, including `dict(key=value)`."""
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id != "dict" or node.args:
            raise TypeError(f"line {node.lineno} calls a function")
        return {keyword.arg: _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values) if key is not None}
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise TypeError(f"line {node.lineno} holds no plain value") from error


def _settings(model: dict[str, Any], dataset: dict[str, Any]) -> dict[str, Any]:
    backbone, detects = model["backbone"], "roi_head" in model
    slow = backbone.get("slow_pathway", backbone)
    kind = _kind(backbone)
    check("backbone", kind, ("ResNet3dSlowFast", "ResNet3dSlowOnly"))
    for pathway, section in (("slow", slow), ("fast", backbone.get("fast_pathway", {}))):
        for setting, value in _BUILT.items():
            check(f"{setting} of the {pathway} pathway", section.get(setting, value), (value,))
    check("spatial strides", slow.get("spatial_strides", [1, 2, 2, 2]), ([1, 2, 2, 1 if detects else 2],))
    *first, dilation = slow.get("dilations", [1, 1, 1, 1])
    check("dilations of res2 to res4", first, ([1, 1, 1],))
    clip = _step(dataset["pipeline"], "SampleFrames", "SampleAVAFrames")
    rate, alpha = (backbone["resample_rate"], backbone["speed_ratio"]) if kind == "ResNet3dSlowFast" else (1, 1)
    fields = {
        "frames": clip["clip_len"] // rate,
        "stride": clip["frame_interval"] * rate,
        "alpha": alpha,
        **_nonlocal(slow),
    }
    pixels = model.get("data_preprocessor", {})
    if len(pixels.get("mean", [])) == 3:  # optical flow has two channels, with 128 for zero
        fields.update(mean=[x / 255 for x in pixels["mean"]], std=[x / 255 for x in pixels["std"]])
        fields["channel_order"] = "bgr" if pixels.get("to_rgb") else "rgb"
    if detects:
        return {**fields, "roi_dilation": dilation, **_detection(model["roi_head"], dataset)}
    crop = _step(dataset["pipeline"], "ThreeCrop", "CenterCrop")
    views = Views(clip.get("num_clips", 1), 3 if _kind(crop) == "ThreeCrop" else 1, to_the_end=True)
    several = model["cls_head"].get("multi_class", False)
    return {
        **fields,
        "frame_rate": None,  # the stride is in raw frames of each video
        "views": views,
        "crop_size": crop["crop_size"],
        "dropout": model["cls_head"].get("dropout_ratio", 0.5),
        "activation": "sigmoid" if several else "softmax",
    }


def _nonlocal(backbone: dict[str, Any]) -> dict[str, Any]:
    if not any(map(any, backbone.get("non_local") or [[]])):
        return {}
    block = backbone.get("non_local_cfg", {})
    mode = block.get("mode", "embedded_gaussian")
    kinds = {"embedded_gaussian": "softmax", "dot_product": "dot_product"}
    check("non-local mode", mode, tuple(kinds))
    if mode == "embedded_gaussian":
        check("non-local use_scale", block.get("use_scale", True), (True,))
    pool = [1, 2, 2] if block.get("sub_sample", False) else [1, 1, 1]
    return {"nonlocal_kind": kinds[mode], "nonlocal_pool": pool, "nonlocal_pool_last": True}


def _detection(roi: dict[str, Any], dataset: dict[str, Any]) -> dict[str, Any]:
    extractor, box = roi["bbox_roi_extractor"], roi["bbox_head"]
    known = {"ACRNHead": "ACRN", "FBOHead": "a network with a long-term feature bank (LFB)"}
    if "shared_head" in roi:
        kind = _kind(roi["shared_head"])
        raise InputError(f"the checkpoint is of {known.get(kind, kind)}, which this package does not build")
    check("type of RoI pooling", extractor.get("roi_layer_type", "RoIAlign"), ("RoIAlign",))
    check("sampling ratio of RoIAlign", extractor.get("sampling_ratio", 0), (0,))
    check("pooling of a bin", extractor.get("pool_mode", "avg"), ("avg",))
    check("stride of features", extractor.get("featmap_stride", 16), (16,))
    check("pooling of boxes", box.get("spatial_pool_type", "max"), ("max",))
    # Without temporal pooling before RoIAlign, the head takes the mean after it, which is equal: RoIAlign is linear.
    before = extractor.get("temporal_pool_mode", "avg") if extractor.get("with_temporal_pool", True) else "avg"
    rate = dataset.get("fps", 30)  # 1 if timestamps are frame numbers (MultiSports)
    check("pooling of the head over time", box.get("temporal_pool_type", "avg"), ("avg",))
    return {
        "roi_aligned": extractor.get("aligned", True),
        "roi_bins": extractor["output_size"],
        "roi_time": {"avg": "mean", "max": "max"}[before],
        "frame_rate": None if rate == 1 else rate,
        "person_score": dataset.get("person_det_score_thr", 0.9),
        "dropout": box.get("dropout_ratio", 0),
        "activation": "sigmoid" if box.get("multilabel", True) else "softmax",
        "background_class": box.get("background_class"),
    }


def _step(pipeline: list[dict[str, Any]], *kinds: str) -> dict[str, Any]:
    """Return the first step of a test pipeline with one of the given types."""
    steps = {_kind(step): step for step in reversed(pipeline)}
    for kind in kinds:
        if kind in steps:
            return steps[kind]
    found = ", ".join(_kind(step) for step in pipeline)
    raise InputError(f"the checkpoint's configuration has test steps {found}; this package needs {' or '.join(kinds)}")


def _kind(section: dict[str, Any]) -> str:
    return section["type"].rpartition(".")[2]
