"""PySlowFast (github.com/facebookresearch/SlowFast): its parameter names and ours, and its configuration.

`{p}` is the number and `{pathway}` the name of the pathway. `{stage}` is 2 to 5, and `{n}` is one less. `{i}` counts
blocks from 0.
"""

from typing import Any

from ..errors import InputError
from ..models.views import Views

TITLE = "PySlowFast"
PUBLISHER = "pyslowfast"
SPEC = {"frame_index": "linspace"}
# Defaults of a detection network without a configuration.
DETECTION = {"roi_aligned": False}
IGNORED = r".*\.num_batches_tracked"
CONV = {".weight": "kernel", ".bias": "bias"}
NORM = {".weight": "gamma", ".bias": "beta", ".running_mean": "moving_mean", ".running_var": "moving_variance"}

NAMES = (
    ("s1.pathway{p}_stem.conv", "{pathway}_stem/conv1/conv"),
    ("s1.pathway{p}_stem.bn", "{pathway}_stem/conv1/norm"),
    ("s1_fuse.conv_f2s", "lateral_stem/conv/conv"),
    ("s1_fuse.bn", "lateral_stem/conv/norm"),
    ("s{stage}_fuse.conv_f2s", "lateral_res{stage}/conv/conv"),
    ("s{stage}_fuse.bn", "lateral_res{stage}/conv/norm"),
    ("s{stage}.pathway{p}_res{i}.branch1", "{pathway}_res{stage}/block{i}/shortcut/conv"),
    ("s{stage}.pathway{p}_res{i}.branch1_bn", "{pathway}_res{stage}/block{i}/shortcut/norm"),
    ("s{stage}.pathway{p}_res{i}.branch2.a", "{pathway}_res{stage}/block{i}/a/conv"),
    ("s{stage}.pathway{p}_res{i}.branch2.a_bn", "{pathway}_res{stage}/block{i}/a/norm"),
    ("s{stage}.pathway{p}_res{i}.branch2.b", "{pathway}_res{stage}/block{i}/b/conv"),
    ("s{stage}.pathway{p}_res{i}.branch2.b_bn", "{pathway}_res{stage}/block{i}/b/norm"),
    ("s{stage}.pathway{p}_res{i}.branch2.c", "{pathway}_res{stage}/block{i}/c/conv"),
    ("s{stage}.pathway{p}_res{i}.branch2.c_bn", "{pathway}_res{stage}/block{i}/c/norm"),
    ("s{stage}.pathway{p}_nonlocal{i}.conv_theta", "{pathway}_res{stage}/nonlocal{i}/theta"),
    ("s{stage}.pathway{p}_nonlocal{i}.conv_phi", "{pathway}_res{stage}/nonlocal{i}/phi"),
    ("s{stage}.pathway{p}_nonlocal{i}.conv_g", "{pathway}_res{stage}/nonlocal{i}/g"),
    ("s{stage}.pathway{p}_nonlocal{i}.conv_out", "{pathway}_res{stage}/nonlocal{i}/out/conv"),
    ("s{stage}.pathway{p}_nonlocal{i}.bn", "{pathway}_res{stage}/nonlocal{i}/out/norm"),
    ("head.projection", "head/classifier"),
)


def settings(text: str) -> dict[str, Any]:
    """Return the fields of `SlowFastSpec` from the configuration stored in a `.pyth` file.

    Args:
        text: YAML, as PySlowFast writes it.

    Returns:
        A dictionary of `SlowFastSpec` fields.

    Raises:
        InputError: if the text has another format, or if this package cannot build the configured network.
    """
    try:
        import yaml
    except ImportError as error:
        raise InputError("PySlowFast's configuration needs PyYAML: pip install 'slowfast_tf[convert]'") from error
    try:
        return _settings(yaml.safe_load(text))
    except (yaml.YAMLError, AttributeError, LookupError, TypeError, ZeroDivisionError) as error:
        raise InputError(f"the checkpoint's configuration is not one that PySlowFast writes: {error!r}") from error


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    data, model, resnet, nonlocal_ = (config[section] for section in ("DATA", "MODEL", "RESNET", "NONLOCAL"))
    blocks = [i for stage in nonlocal_["LOCATION"] for pathway in stage for i in pathway]
    detection = config["DETECTION"]
    stride = 1 if detection["ENABLE"] else 2
    *_, dilation = dilations = _each(resnet["SPATIAL_DILATIONS"])
    # Settings that parameter names and shapes do not show.
    checks = [
        ("MODEL.ARCH", model["ARCH"], ("slow", "slowfast")),  # not c2d, i3d, x3d, mvit
        ("RESNET.STRIDE_1X1", resnet["STRIDE_1X1"], (False,)),
        ("RESNET.SPATIAL_STRIDES", _each(resnet["SPATIAL_STRIDES"]), ([1, 2, 2, stride],)),
        ("RESNET.SPATIAL_DILATIONS", dilations, ([1, 1, 1, dilation if detection["ENABLE"] else 1],)),
    ]
    pools = [nonlocal_["POOL"][i][0] for i, stage in enumerate(nonlocal_["LOCATION"]) if any(stage)]
    if blocks:
        checks.append(
            ("NONLOCAL.LOCATION of the Fast pathway", [i for s in nonlocal_["LOCATION"] for i in s[1:] if i], ([],))
        )
        checks.append(("NONLOCAL.POOL of the stages with blocks", pools, tuple([pools[0]] * n for n in (1, 2, 3, 4))))
        checks.append(("NONLOCAL.GROUP", _each(nonlocal_["GROUP"]), ([1] * 4,)))
    if detection["ENABLE"]:
        checks.append(("DETECTION.SPATIAL_SCALE_FACTOR", detection["SPATIAL_SCALE_FACTOR"], (16,)))
    for name, found, known in checks:
        check(name, found, known)
    alpha = config["SLOWFAST"]["ALPHA"] if model["ARCH"] == "slowfast" else 1
    spec = {
        "frames": data["NUM_FRAMES"] // alpha,
        "stride": data["SAMPLING_RATE"] * alpha,
        "alpha": alpha,
        "crop_size": data["TEST_CROP_SIZE"],
        "mean": data["MEAN"],
        "std": data["STD"],
        "channel_order": "bgr" if _sees_bgr(config) else "rgb",
        "dropout": model["DROPOUT_RATE"],
        **_protocol(config),
    }
    if model["HEAD_ACT"] in ("softmax", "sigmoid"):
        spec["activation"] = model["HEAD_ACT"]
    if blocks:
        spec["nonlocal_kind"] = nonlocal_["INSTANTIATION"]
        spec["nonlocal_pool"] = pools[0]
    if detection["ENABLE"]:
        spec.update(
            head="roi",
            roi_aligned=detection["ALIGNED"],
            roi_bins=detection["ROI_XFORM_RESOLUTION"],
            roi_dilation=dilation,
            person_score=config["AVA"]["DETECTION_SCORE_THRESH"],
        )
    return spec


def check(what: str, found: Any, known: tuple[Any, ...]) -> None:
    """Raise an InputError if a value in a configuration is not one of the values that this package builds."""
    if found not in known:
        values = " or ".join(map(str, known))
        raise InputError(f"the checkpoint's configuration has {what} {found}; this package builds {values} only")


def _each(stages: list[list[Any]]) -> list[Any]:
    """Return one value per stage if all pathways have the same value; otherwise all values of the stage."""
    return [stage[0] if all(value == stage[0] for value in stage) else stage for stage in stages]


def _protocol(config: dict[str, Any]) -> dict[str, Any]:
    """Return the fields for frames and views of a test. Missing keys of early versions have PySlowFast's default."""
    data, test = config["DATA"], config["TEST"]
    dataset = test["DATASET"].lower()
    clips, crops = test["NUM_ENSEMBLE_VIEWS"], test["NUM_SPATIAL_CROPS"]
    fuse = "max" if data.get("ENSEMBLE_METHOD") == "max" else "mean"
    if dataset.endswith("ssv2"):
        return {"frame_rate": None, "frame_index": "segments", "views": Views(1, crops, fuse=fuse)}
    charades = dataset.endswith("charades")
    return {
        "frame_rate": 24 if charades else data.get("TARGET_FPS", 30),  # Charades is published as frames at 24 frames/s
        "frame_index": "linspace",
        "views": Views(clips, crops, charades or data.get("USE_OFFSET_SAMPLING", False), fuse),
    }


def _sees_bgr(config: dict[str, Any]) -> bool:
    dataset = config["TRAIN"]["DATASET"].lower()
    if dataset == "ava":
        return config["AVA"]["BGR"]
    if dataset in ("ptvcharades", "ptvssv2"):
        return True  # these loaders always convert RGB to BGR
    # OpenCV reads the image files of these data sets as BGR; videos are decoded as RGB.
    images = dataset.endswith(("charades", "ssv2"))
    return images != config["DATA"].get("REVERSE_INPUT_CHANNEL", False)
