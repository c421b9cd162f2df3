"""The table of published networks agrees with the publishers' pages and configurations."""

import collections
import pathlib

import pytest

from slowfast_tf import describe
from slowfast_tf.checkpoints.published import MODELS, published_name, recommended
from slowfast_tf.errors import InputError
from slowfast_tf.labels import DATASETS
from slowfast_tf.models.cost import total
from slowfast_tf.models.views import Views

# Parameters in M, as the pages of PyTorchVideo and MMAction2 have them.
PARAMETERS = {
    "slow_4x16_r50_k400_pytorchvideo": 32.45,
    "slowfast_4x16_r50_k400_pytorchvideo": 34.48,
    "slowfast_8x8_r50_k400_pytorchvideo": 34.57,
    "slowfast_8x8_r101_k400_pytorchvideo": 62.83,
    "slowfast_16x8_r101_k400_pytorchvideo": 53.77,
    "slow_8x8_r50_charades_pytorchvideo": 31.96,
    "slowfast_8x8_r50_charades_pytorchvideo": 34.00,
    "slowfast_8x8_r50_k400_mmaction2": 34.6,
    "slowfast_8x8_r101_k400_mmaction2": 62.9,
    "slow_8x8_r101_k400_mmaction2": 60.36,
    "slowfast_4x16_r101_r50_k400_mmaction2": 62.4,
    "slow_4x16_r50_nl_imagenet_k400_mmaction2": 39.81,
}
# Files of SlowFast and Slow-only networks on the pages; PySlowFast links three in its column of pre-training.
ZOOS = {"pyslowfast": 17, "pytorchvideo": 12, "mmaction2": 37}
# Frame rate, frame index and views.
PROTOCOLS = {
    "slowfast_8x8_r50_k400_pyslowfast": (30, "linspace", Views(10, 3)),
    "slowfast_8x8_r50_k400_pytorchvideo": (30, "linspace", Views(10, 3)),
    "slowfast_8x8_r50_k400_mmaction2": (None, "strided", Views(10, 3, to_the_end=True)),
    "slow_8x8_r50_imagenet_k710_mmaction2": (None, "strided", Views(10, 3, to_the_end=True)),
    "slowfast_16x8_r50_charades_pyslowfast": (24, "linspace", Views(10, 3, to_the_end=True, fuse="max")),
    "slowfast_8x8_r50_charades_pytorchvideo": (24, "linspace", Views(10, 3, fuse="max")),
    "slowfast_16x8_r50_ssv2_pyslowfast": (None, "segments", Views(1, 1)),
    "slowfast_8x8_r50_ssv2_pytorchvideo": (None, "segments", Views(1, 3)),
    "slowfast_8x8_r50_ava_pytorchvideo": (30, "linspace", Views(1, 0)),
}


@pytest.mark.legacy
@pytest.mark.parametrize("name", MODELS)
def test_entry(name):
    published = MODELS[name]
    assert published.address.startswith("https://") and published.address.endswith((".pkl", ".pyth", ".pth"))
    spec = published.spec()
    # PySlowFast names its AVA networks after the Fast pathway's frames, and one after C2D.
    size, fast = f"{spec.frames}x{spec.stride}", f"{spec.clip_frames}x{spec.clip_stride}"
    other = fast if "_nl_" in name else "8x8"
    assert name.split("_")[1] == size
    assert (other if "/model_zoo/ava/" in published.address and "pyslowfast" in name else size) in published.address
    assert f"r{spec.depth}" in name and f"R{spec.depth}" in published.address.upper()
    assert name.startswith("slowfast" if len(spec.pathways) == 2 else "slow_")
    assert len(spec.labels) == spec.num_classes == DATASETS[published.dataset]
    assert spec.activation == ("sigmoid" if published.dataset in ("charades", "ava") else "softmax")
    by_map = published.dataset in ("charades", "ava", "multisports")
    unknown = published.dataset == "kinetics600"
    assert list(published.accuracy) == ([] if unknown else ["mAP"] if by_map else ["top1", "top5"])
    assert (spec.head == "roi") == (published.dataset in ("ava", "multisports"))
    assert (spec.nonlocal_kind != "none") == ("_nl_" in name)
    assert spec.roi_context == ("context" in published.address or "tricks" in published.address)
    assert (spec.roi_time == "max") == ("temporal-max" in published.address or "tricks" in published.address)
    assert spec.roi_hidden == ("nl-head" in published.address or "tricks" in published.address)
    # A field is either stated by the file or told to the reader of it.
    assert not set(published.fields) & set(published.architecture)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    assert total(MODELS[name].spec())["parameters"] / 1e6 == pytest.approx(PARAMETERS[name], abs=0.05)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_protocol(name):
    spec = MODELS[name].spec()
    assert (spec.frame_rate, spec.frame_index, spec.views) == PROTOCOLS[name]


def test_person_score():
    slow, slowfast = (MODELS[f"{name}_ava_pytorchvideo"].spec() for name in ("slow_4x16_r50", "slowfast_8x8_r50"))
    assert (slow.person_score, slowfast.person_score) == (0.9, 0.8)


def test_names():
    assert published_name("slowfast_8x8_r50_k400") == "slowfast_8x8_r50_k400_pyslowfast"
    assert published_name("slowfast_8x8_r101_k400") == "slowfast_8x8_r101_k400_pytorchvideo"
    assert published_name("slow_8x8_r101_k400") == "slow_8x8_r101_k400_mmaction2"
    assert published_name("slowfast_8x8_r50_k400_mmaction2") == "slowfast_8x8_r50_k400_mmaction2"
    assert {name.rpartition("_")[0] for name in MODELS} == set(recommended())
    with pytest.raises(InputError, match="no published model 'slowfast_8x8_r50_k40'; did you mean 'slowfast_8x8"):
        published_name("slowfast_8x8_r50_k40")


def test_page(tmp_path):
    """The page in `docs` is what the command writes. Its networks are those of the three zoos' pages."""
    describe.main(["--networks", str(tmp_path / "page.md")])
    written = (tmp_path / "page.md").read_text()
    assert written == (pathlib.Path(__file__).parents[2] / "docs" / "published_networks.md").read_text()
    rows = [line.split(" | ") for line in written.splitlines() if line.startswith("| `")]
    assert collections.Counter(row[0].rpartition("_")[2].rstrip("`") for row in rows) == ZOOS
    for name, dataset, accuracy, file in (
        ("slowfast_8x8_r50_k400_pyslowfast", "kinetics400", "77.0 top1, 92.6 top5", "SLOWFAST_8x8_R50.pkl"),
        ("slow_8x8_r50_ssv2_pytorchvideo", "ssv2", "60.04 top1, 85.19 top5", "SLOW_8x8_R50.pyth"),
        ("slow_4x16_r50_multisports_mmaction2", "multisports", "26.4 mAP", "slowonly_kinetics400-pretrained-r50_8xb16"),
    ):
        (row,) = [row for row in rows if row[0] == f"| `{name}`"]
        assert row[1:3] == [dataset, accuracy] and row[4].startswith(f"[{file}")
    assert "| MMAction2 model zoo | OmniSource Slow-only 8x8 R50 (K400) | another backbone (OmniResNet)" in written
    assert "| PyTorchVideo model zoo | CSN 32x2 R101 (K400) | no SlowFast network |" in written
