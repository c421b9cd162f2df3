"""Shipped configurations against the YAML files that PySlowFast publishes, in its own terms."""

import dataclasses
import json

import pytest

from slowfast_tf import config
from slowfast_tf.checkpoints.published import MODELS, published_name
from slowfast_tf.config.comparison import published
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
# configs/Kinetics/SLOWFAST_8x8_R50_stepwise_multigrid.yaml
MULTIGRID = {
    **SSV2,
    "NUM_FRAMES": 32,
    "TEST_CROP_SIZE": 224,
    "RANDOM_FLIP": True,
    "INV_UNIFORM_SAMPLE": False,
    "BATCH_SIZE": 64,
    "BASE_LR": 0.1,
    "STEPS": [0, 94, 154, 196],
    "LRS": [1, 0.1, 0.01, 0.001],
    "MAX_EPOCH": 239,
    "WEIGHT_DECAY": 1e-4,
    "WARMUP_EPOCHS": 34.0,
    "WARMUP_START_LR": 0.01,
    "MULTIGRID": True,
    "NUM_ENSEMBLE_VIEWS": 10,
    "NUM_SPATIAL_CROPS": 3,
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
    "kinetics400/slowfast_4x16_r50_nl": {
        **NONLOCAL,
        "NUM_FRAMES": 32,
        "SAMPLING_RATE": 2,
        "ALPHA": 8,
        "FUSION_KERNEL_SZ": 5,
    },
    "kinetics400/slowfast_8x8_r50_multigrid": MULTIGRID,
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


def values_of(settings):
    """The values of a configuration by section and field."""
    spec = json.loads(json.dumps(settings.spec().as_dict()))
    sections = {"data": settings.data, "train": settings.train, "test": settings.test}
    sections = {"model": spec, **{name: section.model_dump() for name, section in sections.items()}}
    return {f"{name}.{field}": value for name, fields in sections.items() for field, value in fields.items()}


def in_its_terms(values):
    """Values as PySlowFast's YAML names them."""
    two = len(values["model.pathways"]) == 2
    alpha = values["model.alpha"] if two else 1
    steps = values["train.schedule"] == "steps"
    assert values["train.optimizer"] == "sgd"
    return {
        "NUM_FRAMES": values["model.frames"] * alpha,
        "SAMPLING_RATE": values["model.stride"] // alpha,
        "TRAIN_JITTER_SCALES": values["data.short_sides"],
        "TRAIN_CROP_SIZE": values["data.crop_size"],
        "TEST_CROP_SIZE": values["model.crop_size"],
        "RANDOM_FLIP": values["data.flip"],
        "INV_UNIFORM_SAMPLE": values["data.short_side_draw"] == "inverse",
        "ALPHA": alpha if two else None,
        "FUSION_KERNEL_SZ": values["model.lateral_kernel"] if two else None,
        "BATCH_SIZE": values["train.batch_size"],
        "NUM_BATCHES_PRECISE": values["train.precise_batchnorm"],
        "BASE_LR": values["train.learning_rate"],
        "LR_POLICY": {"cosine": "cosine", "steps": "steps_with_relative_lrs"}[values["train.schedule"].split()[0]],
        "STEPS": [0, *values["train.step_epochs"]] if steps else [],
        "LRS": [1, *values["train.step_rates"]] if steps else [],
        "MAX_EPOCH": values["train.epochs"],
        "MOMENTUM": values["train.momentum"],
        "WEIGHT_DECAY": values["train.weight_decay"],
        "WARMUP_EPOCHS": values["train.warmup_epochs"],
        "WARMUP_START_LR": values["train.warmup_learning_rate"],
        "MULTIGRID": values["train.multigrid"],
        "DROPOUT_RATE": values["model.dropout"],
        "HEAD_ACT": values["model.activation"],
        "NUM_ENSEMBLE_VIEWS": values["test.clips"],
        "NUM_SPATIAL_CROPS": values["test.crops"],
        "ENSEMBLE_METHOD": {"mean": "sum", "max": "max"}[values["test.fuse"]],
        "NONLOCAL": values["model.nonlocal_blocks"] if values["model.nonlocal_kind"] != "none" else [[]] * 4,
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_values(name):
    settings = config.load(name)
    settings.check_new_run()
    assert settings.name == name.replace("/", "_")
    assert settings.train.learning_rate_batch == settings.train.batch_size
    assert in_its_terms(values_of(settings)) == PUBLISHED[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_values(name):
    """The package's own list of published values has those copied by hand."""
    sources = [files for source, files in published().items() if source.startswith("PySlowFast")]
    (values,) = [values for files in sources for values in files.values() if values["ours"] == name]
    assert in_its_terms(values) == PUBLISHED[name]


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
