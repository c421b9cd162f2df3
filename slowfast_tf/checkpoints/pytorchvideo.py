"""PyTorchVideo (github.com/facebookresearch/pytorchvideo): its parameter names and ours.

The fields in the names are those of `pyslowfast`.
"""

from .pyslowfast import CONV, DETECTION, IGNORED, NORM

__all__ = ["CONV", "DETECTION", "IGNORED", "NAMES", "NORM", "PUBLISHER", "SPEC", "TITLE"]

TITLE = "PyTorchVideo"
PUBLISHER = "pytorchvideo"
SPEC = {"frame_index": "linspace"}

_BLOCK = (
    ("branch1_conv", "shortcut/conv"),
    ("branch1_norm", "shortcut/norm"),
    ("branch2.conv_a", "a/conv"),
    ("branch2.norm_a", "a/norm"),
    ("branch2.conv_b", "b/conv"),
    ("branch2.norm_b", "b/norm"),
    ("branch2.conv_c", "c/conv"),
    ("branch2.norm_c", "c/norm"),
)

NAMES = (
    # Two pathways.
    ("blocks.0.multipathway_blocks.{p}.conv", "{pathway}_stem/conv1/conv"),
    ("blocks.0.multipathway_blocks.{p}.norm", "{pathway}_stem/conv1/norm"),
    ("blocks.0.multipathway_fusion.conv_fast_to_slow", "lateral_stem/conv/conv"),
    ("blocks.0.multipathway_fusion.norm", "lateral_stem/conv/norm"),
    ("blocks.{n}.multipathway_fusion.conv_fast_to_slow", "lateral_res{stage}/conv/conv"),
    ("blocks.{n}.multipathway_fusion.norm", "lateral_res{stage}/conv/norm"),
    *(
        ("blocks.{n}.multipathway_blocks.{p}.res_blocks.{i}." + theirs, "{pathway}_res{stage}/block{i}/" + ours)
        for theirs, ours in _BLOCK
    ),
    ("blocks.6.proj", "head/classifier"),
    # Slow-only.
    ("blocks.0.conv", "slow_stem/conv1/conv"),
    ("blocks.0.norm", "slow_stem/conv1/norm"),
    *(("blocks.{n}.res_blocks.{i}." + theirs, "slow_res{stage}/block{i}/" + ours) for theirs, ours in _BLOCK),
    ("blocks.5.proj", "head/classifier"),
    # Detection.
    ("detection_head.proj", "head/classifier"),
)
