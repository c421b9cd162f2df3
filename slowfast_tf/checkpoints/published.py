"""The table of published networks: addresses, data sets, protocols and accuracies. Needs no TensorFlow.

Addresses and accuracies are from PySlowFast's MODEL_ZOO.md, PyTorchVideo's model zoo page and the README pages of
MMAction2's configurations. Protocols are from the configurations beside these pages.
"""

import dataclasses
from typing import Any

from ..errors import InputError
from ..labels import BOXES, dataset_labels
from ..models.presets import PRESETS, get_spec, nearest
from ..models.spec import NONLOCAL, SlowFastSpec
from ..models.views import Views
from . import caffe2, mmaction2, pyslowfast, pytorchvideo
from .published_files import FILES


@dataclasses.dataclass(frozen=True)
class Published:
    """A published network.

    Attributes:
        address: address of the file.
        dataset: data set on which the network was trained, a name in `slowfast_tf.labels.DATASETS`.
        source: the page with the accuracy.
        accuracy: published accuracy with all views, in percent by metric: "top1" and "top5", or "mAP".
        preset: name of the preset with the same architecture.
        fields: fields of `SlowFastSpec` that the file does not contain.
        architecture: fields of `SlowFastSpec` that follow from the file and differ from the preset.
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


# In the order of recommendation. PySlowFast, by the authors of the paper, comes first.
_PUBLISHERS = {
    "pyslowfast": ("PySlowFast model zoo", "https://dl.fbaipublicfiles.com/pyslowfast", caffe2.SPEC),
    "pytorchvideo": (
        "PyTorchVideo model zoo",
        "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo",
        pytorchvideo.SPEC,
    ),
    "mmaction2": (
        "MMAction2 model zoo",
        "https://download.openmmlab.com/mmaction/v1.0",
        {**mmaction2.SPEC, "lateral_norm": False},
    ),
}
_DATASETS = {
    "k400": "kinetics400",
    "k600": "kinetics600",
    "k700": "kinetics700",
    "k710": "kinetics710",
    "ava21": "ava",
    "avakinetics": "ava",
}
# Parts of a network's name that are not part of the preset's name, such as how it was trained.
_VARIANTS = ("stepwise", "multigrid", "imagenet", "v21", "k700", "context", "max", "hidden", "focal")
# Fields that differ from the preset (_ARCHITECTURE), and from other networks of the publisher and data set (_FIELDS).
_ARCHITECTURE = {
    "slowfast_8x8_r101_k400_pytorchvideo": {"res4_temporal_blocks": 0},
    "slowfast_8x8_r101_k400_mmaction2": {"res4_temporal_blocks": 0, "lateral_kernel": 7},
    "slow_8x8_r101_k400_mmaction2": {"res4_temporal_blocks": 0},
    "slow_8x8_r101_ava21_mmaction2": {"depth": 101},
}
_FIELDS = {
    "slowfast_16x8_r101_nl_k600_pyslowfast": {"nonlocal_pool": (2, 2, 2)},  # as in the AVA network from it
    "slowfast_8x8_r50_multigrid_k400_pyslowfast": {"crop_size": 224},
    "slowfast_16x8_r50_multigrid_ssv2_pyslowfast": {"crop_size": 224},
    "slow_4x16_r50_ava_pytorchvideo": {"person_score": 0.9},
    "slow_4x16_r50_ava_pyslowfast": {"person_score": 0.9},
}


def _protocol(dataset: str, publisher: str) -> dict[str, Any]:
    """Return the fields that are the same in all configurations of a publisher for a data set."""
    if publisher == "mmaction2":  # strides are in raw frames of each video; AVA's films are read at 30 frames/s
        if dataset == "ava":
            return {"frame_rate": 30, "person_score": 0.9}
        if dataset == "multisports":
            return {"frame_rate": None, "person_score": 0.9, "activation": "softmax"}
        return {"frame_rate": None, "views": Views(10, 3, to_the_end=True)}
    by_authors = publisher == "pyslowfast"
    # Only since April 2022, after these accuracies, does the last clip of PyTorchVideo's sampler end with the video.
    charades = Views(10, 3, to_the_end=by_authors, fuse="max")
    # PySlowFast's loaders around PyTorchVideo convert the frames of these two data sets to BGR.
    order = {"channel_order": "rgb" if by_authors else "bgr"}
    return {
        "kinetics400": {"frame_rate": 30, "views": Views(10, 3)},
        "kinetics600": {"frame_rate": 30, "views": Views(10, 3)},
        "charades": {"frame_rate": 24, "views": charades, "activation": "sigmoid", **order},
        "ssv2": {"frame_rate": None, "frame_index": "segments", "views": Views(1, 1 if by_authors else 3), **order},
        "ava": {"frame_rate": 30, "person_score": 0.8},
    }[dataset]


def _nonlocal(publisher: str, preset: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields of non-local blocks that a file does not contain, and the fields that it contains."""
    if publisher == "mmaction2":
        unstated = {"nonlocal_kind": "softmax", "nonlocal_pool": (1, 2, 2), "nonlocal_pool_last": True}
        return unstated, {"nonlocal_blocks": ((), (0, 2), (0, 2, 4), ())}
    spec = get_spec(preset)
    return {name: getattr(spec, name) for name in NONLOCAL}, {}


def _published(name: str, file: str, accuracy: tuple[float, ...]) -> Published:
    network, dataset, publisher = name.rsplit("_", 2)
    dataset = _DATASETS.get(dataset, dataset)
    boxes, parts = dataset in BOXES, network.split("_")
    source, root, stated = _PUBLISHERS[publisher]
    preset = "_".join(part for part in parts if part not in _VARIANTS) + ("_ava" if boxes else "")
    if boxes and preset not in PRESETS:
        preset = "slow_4x16_r50_ava"
    frames, stride = map(int, parts[1].split("x"))
    fields = {"frames": frames, "stride": stride, "alpha": get_spec(preset).alpha, **_protocol(dataset, publisher)}
    architecture = {**stated, **_ARCHITECTURE.get(name, {})}
    if boxes and publisher == "mmaction2":
        fields["roi_time"] = "max" if "max" in parts else "mean"
        architecture.update(mmaction2.DETECTION, roi_context="context" in parts, roi_hidden="hidden" in parts)
    elif boxes:
        architecture.update(pyslowfast.DETECTION)
    if "nl" in parts:
        blocks = _nonlocal(publisher, preset)
        fields.update(blocks[0])
        architecture.update(blocks[1])
    fields.update(_FIELDS.get(name, {}))
    return Published(
        f"{root}/{file}",
        dataset,
        source,
        dict(zip(("mAP",) if len(accuracy) == 1 else ("top1", "top5"), accuracy)),
        preset,
        fields,
        {field: value for field, value in architecture.items() if field not in fields},
    )


MODELS = {name: _published(name, *row) for name, row in FILES.items()}


def published_name(name: str) -> str:
    """Return the key of `MODELS` for a name with or without publisher.

    A name without publisher means the file of PySlowFast if it exists, else that of PyTorchVideo, else that of
    MMAction2.

    Args:
        name: a key of `MODELS`, or a key without its publisher.

    Raises:
        InputError: if the name is unknown; the message has the most similar name.

    Example:
        >>> published_name("slowfast_8x8_r50_k400")
        'slowfast_8x8_r50_k400_pyslowfast'
    """
    for known in (name, *(f"{name}_{publisher}" for publisher in _PUBLISHERS)):
        if known in MODELS:
            return known
    raise InputError(f"no published model {name!r}{nearest(name, [*MODELS, *recommended()])}")


def recommended() -> dict[str, str]:
    """Return a dictionary from every name without publisher to its key in `MODELS`.

    Example:
        >>> recommended()["slowfast_8x8_r50_k400"]
        'slowfast_8x8_r50_k400_pyslowfast'
    """
    short = [
        name.removesuffix(f"_{publisher}") for name in MODELS for publisher in _PUBLISHERS if name.endswith(publisher)
    ]
    return {name: published_name(name) for name in short}
