"""Published models by name: their addresses, and a converted copy in Keras' cache directory.

The table comes from PySlowFast's MODEL_ZOO.md, PyTorchVideo's model zoo page and the README pages of MMAction2's
slowfast and slowonly configurations. Left out is what this package cannot build: C2D and I3D; MMAction2's non-local
networks, its R101 with a Fast R50 and its detection models (8x8 bins a box, no dilation); and PySlowFast's AVA models
with the Kinetics-600 networks behind them, whose non-local blocks pool over time too (or, of one, the file is named
C2D).
"""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..files.atomic import atomic
from ..files.cache import cache_directory
from ..models.presets import nearest
from .download import download
from .loading import build, read

if TYPE_CHECKING:
    from ..models.slowfast import SlowFast

_FACEBOOK = "https://dl.fbaipublicfiles.com"
_CAFFE2 = f"{_FACEBOOK}/pyslowfast/model_zoo/kinetics400"
_MULTIGRID = f"{_FACEBOOK}/pyslowfast/pyslowfast/model_zoo/multigrid/model_zoo"
_PYTORCHVIDEO = f"{_FACEBOOK}/pytorchvideo/model_zoo"
_MMACTION2 = "https://download.openmmlab.com/mmaction/v1.0/recognition"

_4x16 = {"frames": 4, "stride": 16, "alpha": 8}
_8x8 = {"frames": 8, "stride": 8, "alpha": 4}
_16x8 = {"frames": 16, "stride": 8, "alpha": 4}
_CHARADES = {"activation": "sigmoid"}


@dataclasses.dataclass(frozen=True)
class Published:
    """A published network: its address, and what the file does not say of itself."""

    address: str
    fields: dict[str, Any]


_FILES: dict[str, tuple[str, dict[str, Any]]] = {
    "slow_4x16_r50_k400_pyslowfast": (f"{_CAFFE2}/SLOWONLY_4x16_R50.pkl", _4x16),
    "slow_8x8_r50_k400_pyslowfast": (f"{_CAFFE2}/SLOWONLY_8x8_R50.pkl", _8x8),
    "slowfast_4x16_r50_k400_pyslowfast": (f"{_CAFFE2}/SLOWFAST_4x16_R50.pkl", _4x16),
    "slowfast_8x8_r50_k400_pyslowfast": (f"{_CAFFE2}/SLOWFAST_8x8_R50.pkl", _8x8),
    "slowfast_8x8_r50_stepwise_k400_pyslowfast": (f"{_MULTIGRID}/Kinetics/SLOWFAST_8x8_R50_stepwise.pkl", _8x8),
    "slowfast_8x8_r50_multigrid_k400_pyslowfast": (
        f"{_MULTIGRID}/Kinetics/SLOWFAST_8x8_R50_stepwise_multigrid.pkl",
        _8x8,
    ),
    "slowfast_16x8_r50_ssv2_pyslowfast": (f"{_MULTIGRID}/SSv2/SLOWFAST_16x8_R50.pkl", _16x8),
    "slowfast_16x8_r50_multigrid_ssv2_pyslowfast": (f"{_MULTIGRID}/SSv2/SLOWFAST_16x8_R50_multigrid.pkl", _16x8),
    "slowfast_16x8_r50_charades_pyslowfast": (
        f"{_MULTIGRID}/Charades/SLOWFAST_16x8_R50.pkl",
        {**_16x8, **_CHARADES},
    ),
    "slowfast_16x8_r50_multigrid_charades_pyslowfast": (
        f"{_MULTIGRID}/Charades/SLOWFAST_16x8_R50_multigrid.pkl",
        {**_16x8, **_CHARADES},
    ),
    "slow_4x16_r50_k400_pytorchvideo": (f"{_PYTORCHVIDEO}/kinetics/SLOW_4x16_R50.pyth", _4x16),
    "slow_8x8_r50_k400_pytorchvideo": (f"{_PYTORCHVIDEO}/kinetics/SLOW_8x8_R50.pyth", _8x8),
    "slowfast_4x16_r50_k400_pytorchvideo": (f"{_PYTORCHVIDEO}/kinetics/SLOWFAST_4x16_R50.pyth", _4x16),
    "slowfast_8x8_r50_k400_pytorchvideo": (f"{_PYTORCHVIDEO}/kinetics/SLOWFAST_8x8_R50.pyth", _8x8),
    "slowfast_8x8_r101_k400_pytorchvideo": (f"{_PYTORCHVIDEO}/kinetics/SLOWFAST_8x8_R101.pyth", _8x8),
    "slowfast_16x8_r101_k400_pytorchvideo": (f"{_PYTORCHVIDEO}/kinetics/SLOWFAST_16x8_R101_50_50.pyth", _16x8),
    "slow_8x8_r50_ssv2_pytorchvideo": (f"{_PYTORCHVIDEO}/ssv2/SLOW_8x8_R50.pyth", _8x8),
    "slowfast_8x8_r50_ssv2_pytorchvideo": (f"{_PYTORCHVIDEO}/ssv2/SLOWFAST_8x8_R50.pyth", _8x8),
    "slow_8x8_r50_charades_pytorchvideo": (f"{_PYTORCHVIDEO}/charades/SLOW_8x8_R50.pyth", {**_8x8, **_CHARADES}),
    "slowfast_8x8_r50_charades_pytorchvideo": (
        f"{_PYTORCHVIDEO}/charades/SLOWFAST_8x8_R50.pyth",
        {**_8x8, **_CHARADES},
    ),
    "slow_4x16_r50_ava_pytorchvideo": (f"{_PYTORCHVIDEO}/ava/SLOW_4x16_R50_DETECTION.pyth", _4x16),
    "slowfast_8x8_r50_ava_pytorchvideo": (f"{_PYTORCHVIDEO}/ava/SLOWFAST_8x8_R50_DETECTION.pyth", _8x8),
    "slowfast_4x16_r50_k400_mmaction2": (
        f"{_MMACTION2}/slowfast/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb"
        "/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb_20220901-701b0f6f.pth",
        _4x16,
    ),
    "slowfast_8x8_r50_k400_mmaction2": (
        f"{_MMACTION2}/slowfast/slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb"
        "/slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb_20220818-1cb6dfc8.pth",
        _8x8,
    ),
    "slowfast_8x8_r50_stepwise_k400_mmaction2": (
        f"{_MMACTION2}/slowfast/slowfast_r50_8xb8-8x8x1-steplr-256e_kinetics400-rgb"
        "/slowfast_r50_8xb8-8x8x1-steplr-256e_kinetics400-rgb_20220818-b62a501f.pth",
        _8x8,
    ),
    "slowfast_8x8_r101_k400_mmaction2": (
        f"{_MMACTION2}/slowfast/slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb"
        "/slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb_20220818-9c0e09bd.pth",
        _8x8,
    ),
    "slow_4x16_r50_k400_mmaction2": (
        f"{_MMACTION2}/slowonly/slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb"
        "/slowonly_r50_4x16x1_256e_8xb16_kinetics400-rgb_20220901-f6a40d08.pth",
        _4x16,
    ),
    "slow_8x8_r50_k400_mmaction2": (
        f"{_MMACTION2}/slowonly/slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb"
        "/slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb_20220901-2132fc87.pth",
        _8x8,
    ),
    "slow_8x8_r101_k400_mmaction2": (
        f"{_MMACTION2}/slowonly/slowonly_r101_8xb16-8x8x1-196e_kinetics400-rgb"
        "/slowonly_r101_8xb16-8x8x1-196e_kinetics400-rgb_20220901-e6281431.pth",
        _8x8,
    ),
    "slow_4x16_r50_imagenet_k400_mmaction2": (
        f"{_MMACTION2}/slowonly/slowonly_imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e_kinetics400-rgb"
        "/slowonly_imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e_kinetics400-rgb_20220901-e7b65fad.pth",
        _4x16,
    ),
    "slow_8x8_r50_imagenet_k400_mmaction2": (
        f"{_MMACTION2}/slowonly/slowonly_imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e_kinetics400-rgb"
        "/slowonly_imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e_kinetics400-rgb_20220901-df42dc84.pth",
        _8x8,
    ),
    "slow_4x16_r50_imagenet_k700_mmaction2": (
        f"{_MMACTION2}/slowonly/slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb"
        "/slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb_20221013-98b1b0a7.pth",
        _4x16,
    ),
    "slow_8x8_r50_imagenet_k700_mmaction2": (
        f"{_MMACTION2}/slowonly/slowonly_imagenet-pretrained-r50_16xb16-8x8x1-steplr-150e_kinetics700-rgb"
        "/slowonly_imagenet-pretrained-r50_16xb16-8x8x1-steplr-150e_kinetics700-rgb_20221013-15b93b10.pth",
        _8x8,
    ),
    "slow_8x8_r50_imagenet_k710_mmaction2": (
        f"{_MMACTION2}/slowonly/slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_kinetics710-rgb"
        "/slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_kinetics710-rgb_20230612-12ce977c.pth",
        _8x8,
    ),
}


MODELS = {name: Published(*row) for name, row in _FILES.items()}


def published_name(name: str) -> str:
    """Return the key of `MODELS` that a name means, with or without its publisher."""
    for known in (name, *(f"{name}_{publisher}" for publisher in ("pyslowfast", "pytorchvideo", "mmaction2"))):
        if known in MODELS:
            return known
    raise InputError(f"no published model {name!r}{nearest(name, MODELS)}")


def from_pretrained(name: str) -> "SlowFast":
    """Return a published model by name, downloaded and converted on first use.

    Files are kept in the `slowfast_tf` folder of Keras' cache directory (`$KERAS_HOME`, or `~/.keras`). An
    interrupted download is resumed.

    Args:
        name: a key of `MODELS`, such as "slowfast_8x8_r50_k400_pyslowfast".

    Returns:
        A `SlowFast` with the published weights.

    Raises:
        InputError: for an unknown name, a failed download, or a file that is not what was published.

    Example:
        >>> model = slowfast_tf.from_pretrained("slowfast_8x8_r50_k400_pyslowfast")
    """
    if name not in MODELS:
        raise InputError(f"no published model {name!r}{nearest(name, MODELS)}")
    address, known = MODELS[name].address, MODELS[name].fields
    folder = cache_directory()
    converted = folder / f"{name}.keras"
    if not converted.exists():
        published = folder / f"{name}{pathlib.PurePosixPath(address).suffix}"
        download(address, published)
        model = build(read(published, **known))
        with atomic(converted) as temporary:
            model.save(temporary)
        return model

    from ..models.slowfast import load_model

    return load_model(converted)
