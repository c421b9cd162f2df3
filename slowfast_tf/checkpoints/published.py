"""The table of published networks: addresses, data sets, protocols and accuracies. No TensorFlow here.

Addresses and accuracies come from PySlowFast's MODEL_ZOO.md, PyTorchVideo's model zoo page and the README pages of
MMAction2's slowfast and slowonly configurations; protocols from the configurations beside them. Left out is what this
package cannot build: C2D and I3D; MMAction2's non-local networks, its R101 with a Fast R50 and its detection models
(8x8 bins a box, no dilation); and PySlowFast's AVA models with the Kinetics-600 networks behind them, whose non-local
blocks pool over time too (or, of one, the file is named C2D).
"""

import dataclasses
import re
from typing import Any

from ..errors import InputError
from ..labels import dataset_labels
from ..models.presets import get_spec, nearest
from ..models.spec import SlowFastSpec, Views
from . import caffe2, mmaction2, pytorchvideo


@dataclasses.dataclass(frozen=True)
class Published:
    """A published network.

    Attributes:
        address: of its file.
        dataset: that it was trained on, a name in `slowfast_tf.labels.DATASETS`.
        source: the page with its accuracy.
        accuracy: in percent, by metric: "top1" and "top5", or "mAP"; as published, with all views.
        preset: name of the preset with its architecture.
        fields: of `SlowFastSpec`, which the file does not state.
        architecture: of `SlowFastSpec`, which the file states and in which it differs from the preset.
    """

    address: str
    dataset: str
    source: str
    accuracy: dict[str, float]
    preset: str
    fields: dict[str, Any]
    architecture: dict[str, Any]

    def spec(self) -> SlowFastSpec:
        """Return the spec of the network, without its file."""
        labels = dataset_labels(self.dataset)
        return get_spec(self.preset, **self.architecture, **self.fields, num_classes=len(labels), labels=labels)


# In the order of recommendation: PySlowFast has the networks of the paper's authors.
_PUBLISHERS = {
    "pyslowfast": ("PySlowFast model zoo", "https://dl.fbaipublicfiles.com/pyslowfast", caffe2.SPEC),
    "pytorchvideo": (
        "PyTorchVideo model zoo",
        "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo",
        pytorchvideo.SPEC,
    ),
    "mmaction2": (
        "MMAction2 model zoo",
        "https://download.openmmlab.com/mmaction/v1.0/recognition",
        {**mmaction2.SPEC, "lateral_norm": False},
    ),
}
_DATASETS = {"k400": "kinetics400", "k700": "kinetics700", "k710": "kinetics710"}
_CAFFE2 = "model_zoo/kinetics400"
_MULTIGRID = "pyslowfast/model_zoo/multigrid/model_zoo"

# Name (network, data set and publisher): file, and top-1 and top-5 accuracy or mAP.
_FILES: dict[str, tuple[str, tuple[float, ...]]] = {
    "slow_4x16_r50_k400_pyslowfast": (f"{_CAFFE2}/SLOWONLY_4x16_R50.pkl", (72.7, 90.3)),
    "slow_8x8_r50_k400_pyslowfast": (f"{_CAFFE2}/SLOWONLY_8x8_R50.pkl", (74.8, 91.6)),
    "slowfast_4x16_r50_k400_pyslowfast": (f"{_CAFFE2}/SLOWFAST_4x16_R50.pkl", (75.6, 92.0)),
    "slowfast_8x8_r50_k400_pyslowfast": (f"{_CAFFE2}/SLOWFAST_8x8_R50.pkl", (77.0, 92.6)),
    "slowfast_8x8_r50_stepwise_k400_pyslowfast": (f"{_MULTIGRID}/Kinetics/SLOWFAST_8x8_R50_stepwise.pkl", (76.8, 92.7)),
    "slowfast_8x8_r50_multigrid_k400_pyslowfast": (
        f"{_MULTIGRID}/Kinetics/SLOWFAST_8x8_R50_stepwise_multigrid.pkl",
        (76.6, 92.7),
    ),
    "slowfast_16x8_r50_ssv2_pyslowfast": (f"{_MULTIGRID}/SSv2/SLOWFAST_16x8_R50.pkl", (63.0, 88.5)),
    "slowfast_16x8_r50_multigrid_ssv2_pyslowfast": (f"{_MULTIGRID}/SSv2/SLOWFAST_16x8_R50_multigrid.pkl", (63.5, 88.7)),
    "slowfast_16x8_r50_charades_pyslowfast": (f"{_MULTIGRID}/Charades/SLOWFAST_16x8_R50.pkl", (38.9,)),
    "slowfast_16x8_r50_multigrid_charades_pyslowfast": (
        f"{_MULTIGRID}/Charades/SLOWFAST_16x8_R50_multigrid.pkl",
        (38.6,),
    ),
    "slow_4x16_r50_k400_pytorchvideo": ("kinetics/SLOW_4x16_R50.pyth", (72.40, 90.18)),
    "slow_8x8_r50_k400_pytorchvideo": ("kinetics/SLOW_8x8_R50.pyth", (74.58, 91.63)),
    "slowfast_4x16_r50_k400_pytorchvideo": ("kinetics/SLOWFAST_4x16_R50.pyth", (75.34, 91.89)),
    "slowfast_8x8_r50_k400_pytorchvideo": ("kinetics/SLOWFAST_8x8_R50.pyth", (76.94, 92.69)),
    "slowfast_8x8_r101_k400_pytorchvideo": ("kinetics/SLOWFAST_8x8_R101.pyth", (77.90, 93.27)),
    "slowfast_16x8_r101_k400_pytorchvideo": ("kinetics/SLOWFAST_16x8_R101_50_50.pyth", (78.70, 93.61)),
    "slow_8x8_r50_ssv2_pytorchvideo": ("ssv2/SLOW_8x8_R50.pyth", (60.04, 85.19)),
    "slowfast_8x8_r50_ssv2_pytorchvideo": ("ssv2/SLOWFAST_8x8_R50.pyth", (61.68, 86.92)),
    "slow_8x8_r50_charades_pytorchvideo": ("charades/SLOW_8x8_R50.pyth", (34.72,)),
    "slowfast_8x8_r50_charades_pytorchvideo": ("charades/SLOWFAST_8x8_R50.pyth", (37.24,)),
    "slow_4x16_r50_ava_pytorchvideo": ("ava/SLOW_4x16_R50_DETECTION.pyth", (19.5,)),
    "slowfast_8x8_r50_ava_pytorchvideo": ("ava/SLOWFAST_8x8_R50_DETECTION.pyth", (24.67,)),
    "slowfast_4x16_r50_k400_mmaction2": (
        "slowfast/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb"
        "/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb_20220901-701b0f6f.pth",
        (75.55, 92.35),
    ),
    "slowfast_8x8_r50_k400_mmaction2": (
        "slowfast/slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb"
        "/slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb_20220818-1cb6dfc8.pth",
        (76.80, 92.99),
    ),
    "slowfast_8x8_r50_stepwise_k400_mmaction2": (
        "slowfast/slowfast_r50_8xb8-8x8x1-steplr-256e_kinetics400-rgb"
        "/slowfast_r50_8xb8-8x8x1-steplr-256e_kinetics400-rgb_20220818-b62a501f.pth",
        (76.65, 92.86),
    ),
    "slowfast_8x8_r101_k400_mmaction2": (
        "slowfast/slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb"
        "/slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb_20220818-9c0e09bd.pth",
        (78.65, 93.88),
    ),
    "slow_4x16_r50_k400_mmaction2": (
        "slowonly/slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb"
        "/slowonly_r50_4x16x1_256e_8xb16_kinetics400-rgb_20220901-f6a40d08.pth",
        (72.97, 90.88),
    ),
    "slow_8x8_r50_k400_mmaction2": (
        "slowonly/slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb"
        "/slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb_20220901-2132fc87.pth",
        (75.15, 92.11),
    ),
    "slow_8x8_r101_k400_mmaction2": (
        "slowonly/slowonly_r101_8xb16-8x8x1-196e_kinetics400-rgb"
        "/slowonly_r101_8xb16-8x8x1-196e_kinetics400-rgb_20220901-e6281431.pth",
        (76.59, 92.80),
    ),
    "slow_4x16_r50_imagenet_k400_mmaction2": (
        "slowonly/slowonly_imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e_kinetics400-rgb"
        "/slowonly_imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e_kinetics400-rgb_20220901-e7b65fad.pth",
        (75.12, 91.72),
    ),
    "slow_8x8_r50_imagenet_k400_mmaction2": (
        "slowonly/slowonly_imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e_kinetics400-rgb"
        "/slowonly_imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e_kinetics400-rgb_20220901-df42dc84.pth",
        (76.45, 92.55),
    ),
    "slow_4x16_r50_imagenet_k700_mmaction2": (
        "slowonly/slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb"
        "/slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb_20221013-98b1b0a7.pth",
        (65.52, 86.39),
    ),
    "slow_8x8_r50_imagenet_k700_mmaction2": (
        "slowonly/slowonly_imagenet-pretrained-r50_16xb16-8x8x1-steplr-150e_kinetics700-rgb"
        "/slowonly_imagenet-pretrained-r50_16xb16-8x8x1-steplr-150e_kinetics700-rgb_20221013-15b93b10.pth",
        (67.67, 87.80),
    ),
    "slow_8x8_r50_imagenet_k710_mmaction2": (
        "slowonly/slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_kinetics710-rgb"
        "/slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_kinetics710-rgb_20230612-12ce977c.pth",
        (72.39, 90.60),
    ),
}
# What differs from the preset, and from the other networks of the publisher and data set.
_ARCHITECTURE = {
    "slowfast_8x8_r101_k400_pytorchvideo": {"res4_temporal_blocks": 0},
    "slowfast_8x8_r101_k400_mmaction2": {"res4_temporal_blocks": 0, "lateral_kernel": 7},
    "slow_8x8_r101_k400_mmaction2": {"res4_temporal_blocks": 0},
}
_FIELDS = {
    "slowfast_16x8_r50_multigrid_ssv2_pyslowfast": {"crop_size": 224},
    "slow_4x16_r50_ava_pytorchvideo": {"person_score": 0.9},
}


def _protocol(dataset: str, publisher: str) -> dict[str, Any]:
    """Return the fields that the configurations of a publisher give to all of its networks of a data set."""
    if publisher == "mmaction2":  # it counts the raw frames of each video
        return {"frame_rate": None, "views": Views(10, 3, to_the_end=True)}
    pyslowfast = publisher == "pyslowfast"
    # The last clip of PyTorchVideo's sampler ends with the video only since April 2022, after these accuracies.
    charades = Views(10, 3, to_the_end=pyslowfast, fuse="max")
    return {
        "kinetics400": {"frame_rate": 30, "views": Views(10, 3)},
        "charades": {"frame_rate": 24, "views": charades, "activation": "sigmoid"},
        "ssv2": {"frame_rate": None, "frame_index": "segments", "views": Views(1, 1 if pyslowfast else 3)},
        "ava": {"frame_rate": 30, "person_score": 0.8},
    }[dataset]


def _published(name: str, file: str, accuracy: tuple[float, ...]) -> Published:
    network, dataset, publisher = name.rsplit("_", 2)
    dataset = _DATASETS.get(dataset, dataset)
    source, root, stated = _PUBLISHERS[publisher]
    preset = re.sub("_(stepwise|multigrid|imagenet)", "", network) + ("_ava" if dataset == "ava" else "")
    clip = {field: getattr(get_spec(preset), field) for field in ("frames", "stride", "alpha")}
    fields = {**clip, **_protocol(dataset, publisher), **_FIELDS.get(name, {})}
    architecture = {**stated, **({"roi_aligned": False} if dataset == "ava" else {}), **_ARCHITECTURE.get(name, {})}
    return Published(
        f"{root}/{file}",
        dataset,
        source,
        dict(zip(("mAP",) if len(accuracy) == 1 else ("top1", "top5"), accuracy)),
        preset,
        fields,
        {field: value for field, value in architecture.items() if field not in fields},
    )


MODELS = {name: _published(name, *row) for name, row in _FILES.items()}


def published_name(name: str) -> str:
    """Return the key of `MODELS` that a name means.

    A name without its publisher means the file of PySlowFast; where there is none, of PyTorchVideo; else of MMAction2.

    Args:
        name: a key of `MODELS`, or one without its publisher.

    Raises:
        InputError: for another name; the message has the nearest.

    Example:
        >>> published_name("slowfast_8x8_r50_k400")
        'slowfast_8x8_r50_k400_pyslowfast'
    """
    for known in (name, *(f"{name}_{publisher}" for publisher in _PUBLISHERS)):
        if known in MODELS:
            return known
    raise InputError(f"no published model {name!r}{nearest(name, [*MODELS, *recommended()])}")


def recommended() -> dict[str, str]:
    """Return every name without a publisher, and the key of `MODELS` that it means."""
    short = [
        name.removesuffix(f"_{publisher}") for name in MODELS for publisher in _PUBLISHERS if name.endswith(publisher)
    ]
    return {name: published_name(name) for name in short}
