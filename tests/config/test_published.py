"""Shipped configurations against the YAML files that PySlowFast publishes, in its own terms."""

import dataclasses

import pytest

from slowfast_tf import config
from slowfast_tf.checkpoints.published import MODELS, published_name
from slowfast_tf.labels import dataset_labels

# configs/SSv2/SLOWFAST_16x8_R50.yaml
SSV2 = {
    "NUM_FRAMES": 64,
    "SAMPLING_RATE": 2,
    "TRAIN_JITTER_SCALES": [256, 320],
    "TRAIN_CROP_SIZE": 224,
    "TEST_CROP_SIZE": 256,
    "RANDOM_FLIP": False,
    "INV_UNIFORM_SAMPLE": True,
    "ALPHA": 4,
    "FUSION_KERNEL_SZ": 7,
    "BATCH_SIZE": 16,
    "NUM_BATCHES_PRECISE": 200,
    "BASE_LR": 0.03,
    "LR_POLICY": "steps_with_relative_lrs",
    "STEPS": [0, 14, 18],
    "LRS": [1, 0.1, 0.01],
    "MAX_EPOCH": 22,
    "MOMENTUM": 0.9,
    "WEIGHT_DECAY": 1e-6,
    "WARMUP_EPOCHS": 0.19,
    "WARMUP_START_LR": 0.0001,
    "MULTIGRID": False,
    "DROPOUT_RATE": 0.5,
    "HEAD_ACT": "softmax",
    "NUM_ENSEMBLE_VIEWS": 1,
    "NUM_SPATIAL_CROPS": 1,
    "ENSEMBLE_METHOD": "sum",
    "NONLOCAL": [[], [], [], []],
}
# configs/SSv2/pytorchvideo/SLOWFAST_8x8_R50.yaml. PyTorchVideo's loader does not read INV_UNIFORM_SAMPLE.
SSV2_PYTORCHVIDEO = {
    **SSV2,
    "NUM_FRAMES": 32,
    "INV_UNIFORM_SAMPLE": False,
    "BATCH_SIZE": 64,
    "NUM_BATCHES_PRECISE": 150,
    "BASE_LR": 0.1,
    "LR_POLICY": "cosine",
    "STEPS": [],
    "LRS": [],
    "MAX_EPOCH": 30,
    "WEIGHT_DECAY": 1e-4,
    "WARMUP_EPOCHS": 3.0,
    "WARMUP_START_LR": 0.08,
    "NUM_SPATIAL_CROPS": 3,
}
# configs/Charades/pytorchvideo/SLOWFAST_8x8_R50.yaml
CHARADES = {
    **SSV2_PYTORCHVIDEO,
    "RANDOM_FLIP": True,
    "NUM_BATCHES_PRECISE": 0,
    "BASE_LR": 0.25,
    "MAX_EPOCH": 60,
    "WARMUP_EPOCHS": 5.0,
    "WARMUP_START_LR": 0.0001,
    "HEAD_ACT": "sigmoid",
    "NUM_ENSEMBLE_VIEWS": 10,
    "ENSEMBLE_METHOD": "max",
}
# configs/Kinetics/SLOW_NLN_8x8_R50.yaml
NONLOCAL = {
    **SSV2_PYTORCHVIDEO,
    "NUM_FRAMES": 8,
    "SAMPLING_RATE": 8,
    "ALPHA": None,
    "FUSION_KERNEL_SZ": None,
    "RANDOM_FLIP": True,
    "NUM_BATCHES_PRECISE": 200,
    "MAX_EPOCH": 196,
    "WARMUP_EPOCHS": 34.0,
    "WARMUP_START_LR": 0.01,
    "NUM_ENSEMBLE_VIEWS": 10,
    "NONLOCAL": [[], [1, 3], [1, 3, 5], []],
}
SLOW = {"NUM_FRAMES": 8, "SAMPLING_RATE": 8, "ALPHA": None, "FUSION_KERNEL_SZ": None}
PUBLISHED = {
    "ssv2/slowfast_16x8_r50": SSV2,
    "ssv2/slowfast_16x8_r50_multigrid": {**SSV2, "MULTIGRID": True, "TEST_CROP_SIZE": 224},
    "ssv2/slowfast_8x8_r50": SSV2_PYTORCHVIDEO,
    "ssv2/slow_8x8_r50": {**SSV2_PYTORCHVIDEO, **SLOW, "NUM_BATCHES_PRECISE": 200},
    "charades/slowfast_8x8_r50": CHARADES,
    "charades/slow_8x8_r50": {**CHARADES, **SLOW, "TRAIN_JITTER_SCALES": [256, 340]},
    "kinetics400/slow_8x8_r50_nl": NONLOCAL,
    "kinetics400/slow_4x16_r50_nl": {**NONLOCAL, "NUM_FRAMES": 4, "SAMPLING_RATE": 16},
}
# Configuration: its published network, and the pre-training that MODEL_ZOO.md and PyTorchVideo's page name.
TRAINED = {
    "ssv2/slowfast_16x8_r50": ("slowfast_16x8_r50_ssv2_pyslowfast", "SLOWFAST_8x8_R50.pkl"),
    "ssv2/slowfast_16x8_r50_multigrid": ("slowfast_16x8_r50_multigrid_ssv2_pyslowfast", "SLOWFAST_8x8_R50.pkl"),
    "ssv2/slowfast_8x8_r50": ("slowfast_8x8_r50_ssv2_pytorchvideo", "kinetics/SLOWFAST_8x8_R50.pyth"),
    "ssv2/slow_8x8_r50": ("slow_8x8_r50_ssv2_pytorchvideo", "kinetics/SLOW_8x8_R50.pyth"),
    "charades/slowfast_8x8_r50": ("slowfast_8x8_r50_charades_pytorchvideo", "kinetics/SLOWFAST_8x8_R50.pyth"),
    "charades/slow_8x8_r50": ("slow_8x8_r50_charades_pytorchvideo", "kinetics/SLOW_8x8_R50.pyth"),
}


def in_its_terms(settings):
    """A configuration as PySlowFast's YAML names its values."""
    spec, data, train, test = settings.spec(), settings.data, settings.train, settings.test
    two = len(spec.pathways) == 2
    assert train.learning_rate_batch == train.batch_size and train.optimizer == "sgd"
    return {
        "NUM_FRAMES": spec.clip_frames,
        "SAMPLING_RATE": spec.clip_stride,
        "TRAIN_JITTER_SCALES": data.short_sides,
        "TRAIN_CROP_SIZE": data.crop_size,
        "TEST_CROP_SIZE": spec.crop_size,
        "RANDOM_FLIP": data.flip,
        "INV_UNIFORM_SAMPLE": data.short_side_draw == "inverse",
        "ALPHA": spec.alpha if two else None,
        "FUSION_KERNEL_SZ": spec.lateral_kernel if two else None,
        "BATCH_SIZE": train.batch_size,
        "NUM_BATCHES_PRECISE": train.precise_batchnorm,
        "BASE_LR": train.learning_rate,
        "LR_POLICY": {"cosine": "cosine", "steps": "steps_with_relative_lrs"}[train.schedule],
        "STEPS": [0, *train.step_epochs] if train.step_epochs else [],
        "LRS": [1, *train.step_rates] if train.step_rates else [],
        "MAX_EPOCH": train.epochs,
        "MOMENTUM": train.momentum,
        "WEIGHT_DECAY": train.weight_decay,
        "WARMUP_EPOCHS": train.warmup_epochs,
        "WARMUP_START_LR": train.warmup_learning_rate,
        "MULTIGRID": train.multigrid,
        "DROPOUT_RATE": spec.dropout,
        "HEAD_ACT": spec.activation,
        "NUM_ENSEMBLE_VIEWS": test.clips,
        "NUM_SPATIAL_CROPS": test.crops,
        "ENSEMBLE_METHOD": {"mean": "sum", "max": "max"}[test.fuse],
        "NONLOCAL": [list(places) for places in spec.nonlocal_blocks] if spec.nonlocal_kind != "none" else [[]] * 4,
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_values(name):
    settings = config.load(name)
    settings.check_new_run()
    assert settings.name == name.replace("/", "_")
    assert in_its_terms(settings) == PUBLISHED[name]


@pytest.mark.parametrize("name", TRAINED)
def test_network_and_start(name):
    """The network and its protocol are those of the published weights; the start has the same layers and colors."""
    settings = config.load(name)
    weights, start = TRAINED[name]
    network = MODELS[weights]
    assert settings.data.dataset == network.dataset
    # PyTorchVideo's networks of these data sets see BGR. Ours keep the order of the weights that they start with.
    expected = dataclasses.replace(network.spec(), channel_order="rgb")
    assert settings.spec(dataset_labels(network.dataset)) == expected
    source = MODELS[published_name(settings.train.init)]
    assert source.dataset == "kinetics400" and source.address.endswith(start)
    for field in ("pathways", "depth", "width", "lateral_kernel", "nonlocal_kind", "channel_order", "mean", "std"):
        assert getattr(source.spec(), field) == getattr(expected, field)
