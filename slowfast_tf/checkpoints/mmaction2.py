"""MMAction2 (github.com/open-mmlab/mmaction2): its parameter names and ours; fields as in `pyslowfast`.

Its non-local blocks are not supported: they pool keys and values after their convolutions, ours before.
"""

from .pyslowfast import CONV, IGNORED, NORM

__all__ = ["CONV", "FAST_FIRST", "IGNORED", "NAMES", "NORM", "SPEC", "TITLE"]

TITLE = "MMAction2"
FAST_FIRST = "cls_head.fc_cls.weight"  # sees the Fast pathway's features before the Slow one's
SPEC = {
    "frame_index": "strided",
    "mean": (123.675 / 255, 116.28 / 255, 103.53 / 255),
    "std": (58.395 / 255, 57.12 / 255, 57.375 / 255),
}

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

NAMES = (
    # Two pathways.
    ("backbone.{pathway}_path.conv1.conv", "{pathway}_stem/conv1/conv"),
    ("backbone.{pathway}_path.conv1.bn", "{pathway}_stem/conv1/norm"),
    ("backbone.slow_path.conv1_lateral.conv", "lateral_stem/conv/conv"),
    ("backbone.slow_path.conv1_lateral.bn", "lateral_stem/conv/norm"),
    ("backbone.slow_path.layer{n}_lateral.conv", "lateral_res{stage}/conv/conv"),
    ("backbone.slow_path.layer{n}_lateral.bn", "lateral_res{stage}/conv/norm"),
    *(
        ("backbone.{pathway}_path.layer{n}.{i}." + theirs, "{pathway}_res{stage}/block{i}/" + ours)
        for theirs, ours in _BLOCK
    ),
    # Slow-only.
    ("backbone.conv1.conv", "slow_stem/conv1/conv"),
    ("backbone.conv1.bn", "slow_stem/conv1/norm"),
    *(("backbone.layer{n}.{i}." + theirs, "slow_res{stage}/block{i}/" + ours) for theirs, ours in _BLOCK),
    ("cls_head.fc_cls", "head/classifier"),
    # Detection.
    ("roi_head.bbox_head.fc_cls", "head/classifier"),
)
