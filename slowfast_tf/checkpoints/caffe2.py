"""The Caffe2 files (`.pkl`) of PySlowFast's model zoo: their blob names and the names in this package.

`{t}` is "t_" for the Fast pathway and empty for the Slow pathway; the other fields are as in `pyslowfast`.
"""

TITLE = "Caffe2 (PySlowFast's model zoo)"
PUBLISHER = "pyslowfast"
SPEC = {"frame_index": "linspace"}
DETECTION = {"roi_aligned": False}
IGNORED = r".*_momentum|lr|model_iter|optimizer_iteration.*"  # state of the optimizer
CONV = {"_w": "kernel", "_b": "bias"}
NORM = {"_s": "gamma", "_b": "beta", "_rm": "moving_mean", "_riv": "moving_variance"}

NAMES = (
    ("{t}conv1", "{pathway}_stem/conv1/conv"),
    ("{t}res_conv1_bn", "{pathway}_stem/conv1/norm"),
    ("t_pool1_subsample", "lateral_stem/conv/conv"),
    ("t_pool1_subsample_bn", "lateral_stem/conv/norm"),
    # These blobs are named after the stage's last block.
    ("t_res{stage}_{i}_branch2c_bn_subsample", "lateral_res{stage}/conv/conv"),
    ("t_res{stage}_{i}_branch2c_bn_subsample_bn", "lateral_res{stage}/conv/norm"),
    ("{t}res{stage}_{i}_branch1", "{pathway}_res{stage}/block{i}/shortcut/conv"),
    ("{t}res{stage}_{i}_branch1_bn", "{pathway}_res{stage}/block{i}/shortcut/norm"),
    ("{t}res{stage}_{i}_branch2a", "{pathway}_res{stage}/block{i}/a/conv"),
    ("{t}res{stage}_{i}_branch2a_bn", "{pathway}_res{stage}/block{i}/a/norm"),
    ("{t}res{stage}_{i}_branch2b", "{pathway}_res{stage}/block{i}/b/conv"),
    ("{t}res{stage}_{i}_branch2b_bn", "{pathway}_res{stage}/block{i}/b/norm"),
    ("{t}res{stage}_{i}_branch2c", "{pathway}_res{stage}/block{i}/c/conv"),
    ("{t}res{stage}_{i}_branch2c_bn", "{pathway}_res{stage}/block{i}/c/norm"),
    ("nonlocal_conv{stage}_{i}_theta", "slow_res{stage}/nonlocal{i}/theta"),
    ("nonlocal_conv{stage}_{i}_phi", "slow_res{stage}/nonlocal{i}/phi"),
    ("nonlocal_conv{stage}_{i}_g", "slow_res{stage}/nonlocal{i}/g"),
    ("nonlocal_conv{stage}_{i}_out", "slow_res{stage}/nonlocal{i}/out/conv"),
    ("nonlocal_conv{stage}_{i}_bn", "slow_res{stage}/nonlocal{i}/out/norm"),
    ("pred", "head/classifier"),
)
