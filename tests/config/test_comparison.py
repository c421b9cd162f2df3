"""The pages that compare published configurations with ours."""

import dataclasses
import pathlib

import pytest

from slowfast_tf import config, describe
from slowfast_tf.checkpoints.published import MODELS
from slowfast_tf.config import comparison

DOCS = pathlib.Path(__file__).parents[2] / "docs"
# Networks of the paper that neither PySlowFast nor MMAction2 has a configuration for.
PAPER = """ava/slowfast_8x8_r101 ava/slowfast_8x8_r101_k600 charades/slowfast_16x8_r101 charades/slowfast_16x8_r101_nl
    charades/slowfast_16x8_r101_nl_k600 kinetics600/slowfast_16x8_r101 kinetics600/slowfast_16x8_r101_nl
    kinetics600/slowfast_4x16_r50 kinetics600/slowfast_8x8_r101 kinetics600/slowfast_8x8_r50""".split()
FOLDERS = ("kinetics400/", "kinetics600/", "charades", "ssv2/", "ava/")
# Files of the two repositories, counted by folder.
FILES = {
    "PySlowFast configs/AVA": 2,
    "PySlowFast configs/AVA/c2": 5,
    "PySlowFast configs/Charades": 2,
    "PySlowFast configs/Charades/pytorchvideo": 2,
    "PySlowFast configs/Kinetics": 10,
    "PySlowFast configs/Kinetics/c2": 9,
    "PySlowFast configs/Kinetics/pytorchvideo": 6,
    "PySlowFast configs/SSv2": 2,
    "PySlowFast configs/SSv2/pytorchvideo": 2,
    "MMAction2 configs/recognition/slowfast": 5,
    "MMAction2 configs/recognition/slowonly": 11,
    "MMAction2 configs/detection/slowfast": 7,
    "MMAction2 configs/detection/slowonly": 15,
}
# Files, and the networks that were trained with them: their weights confirm the architecture.
TRAINED = {
    "PySlowFast configs/Kinetics/c2/SLOWFAST_4x16_R50": "slowfast_4x16_r50_k400_pyslowfast",
    "PySlowFast configs/SSv2/SLOWFAST_16x8_R50_multigrid": "slowfast_16x8_r50_multigrid_ssv2_pyslowfast",
    "PySlowFast configs/Charades/pytorchvideo/SLOW_8x8_R50": "slow_8x8_r50_charades_pytorchvideo",
    "PySlowFast configs/Kinetics/pytorchvideo/SLOWFAST_8x8_R101": "slowfast_8x8_r101_k400_pytorchvideo",
    "PySlowFast configs/AVA/c2/SLOWFAST_64x2_R101_50_50": "slowfast_16x8_r101_nl_ava_pyslowfast",
    "PySlowFast configs/AVA/c2/SLOW_8x8_R50": "slow_4x16_r50_ava_pyslowfast",
    "MMAction2 configs/recognition/slowfast/slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb": (
        "slowfast_8x8_r101_k400_mmaction2"
    ),
    "MMAction2 configs/recognition/slowfast/slowfast_r101-r50_32xb8-4x16x1-256e_kinetics400-rgb": (
        "slowfast_4x16_r101_r50_k400_mmaction2"
    ),
    "MMAction2 configs/recognition/slowonly/"
    "slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-4x16x1-steplr-150e_kinetics400-rgb": (
        "slow_4x16_r50_nl_imagenet_k400_mmaction2"
    ),
    "MMAction2 configs/detection/slowfast/slowfast_kinetics400-pretrained-r50-context_8xb16-4x16x1-20e_ava21-rgb": (
        "slowfast_4x16_r50_context_ava21_mmaction2"
    ),
}


def values_of(path):
    source, _, name = path.rpartition("/")
    suffix = ".yaml" if source.startswith("PySlowFast") else ".py"
    return comparison.published()[source][name + suffix]


def test_pages_are_up_to_date(tmp_path):
    describe.main(["--configurations", str(tmp_path)])
    pages = sorted(page.name for page in tmp_path.iterdir())
    assert pages == sorted(page.name for page in DOCS.glob("published_configurations*.md")) and len(pages) == 2
    for page in pages:
        assert (tmp_path / page).read_text() == (DOCS / page).read_text()


def test_every_published_file_is_listed():
    assert {source: len(files) for source, files in comparison.published().items()} == FILES
    for files in comparison.published().values():
        for values in files.values():
            assert bool(values["ours"]) != bool(values.get("why"))


def test_every_configuration_of_ours_is_listed():
    listed = {values["ours"] for files in comparison.published().values() for values in files.values()} - {None}
    assert listed.isdisjoint(PAPER)
    assert listed | set(PAPER) == {name for name in config.shipped() if name.startswith(FOLDERS)}
    assert comparison.unpublished(comparison.published()) == PAPER


def test_a_difference_needs_a_reason():
    source, file = "PySlowFast configs/Kinetics", "SLOW_8x8_R50.yaml"
    values = comparison.published()[source][file]
    (found,) = comparison.differences(source, file, values)
    assert found[:3] == ("model.frame_index", "linspace", "strided")
    with pytest.raises(LookupError, match="train.momentum differs from ours without a reason"):
        comparison.differences(source, file, {**values, "train.momentum": 0.8})


def test_every_reason_is_used(monkeypatch):
    text = "".join(comparison.configurations_pages().values())
    for start, fields, reason in comparison.REASONS:
        assert reason in text
        for field in fields.split():
            rows = [row for row in comparison.REASONS if row != (start, fields, reason)]
            rows += [(start, fields.replace(field, "").strip(), reason)]
            monkeypatch.setattr(comparison, "REASONS", rows)
            with pytest.raises(LookupError):
                comparison.configurations_pages()


@pytest.mark.parametrize("path", TRAINED)
def test_networks(path):
    """The values of the network are those of the published weights."""
    spec = dataclasses.asdict(MODELS[TRAINED[path]].spec())
    values = {field: value for field, value in values_of(path).items() if field.startswith("model.")}
    for field, value in values.items():
        expected = spec[field.removeprefix("model.")]
        if field in ("model.mean", "model.std"):
            assert value == pytest.approx(list(expected), abs=1e-4)
        else:
            assert _lists(expected) == value, field


def _lists(value):
    return [_lists(v) for v in value] if isinstance(value, tuple) else value


def test_recipes_of_mmaction2():
    """Batches over all devices and steps from the start of the run; both configurations inherit theirs."""
    folder = "MMAction2 configs/recognition"
    values = values_of(f"{folder}/slowfast/slowfast_r101-r50_32xb8-4x16x1-256e_kinetics400-rgb")
    assert (values["train.batch_size"], values["train.learning_rate"], values["train.clip_norm"]) == (256, 0.4, 40)
    assert (values["train.warmup_epochs"], values["train.warmup_learning_rate"]) == (34, 0.04)
    values = values_of(f"{folder}/slowonly/slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_kinetics710-rgb")
    # milestones=[90, 130] count from the end of the warm-up of 10 epochs.
    assert (values["train.batch_size"], values["train.learning_rate"]) == (256, 0.04)
    assert (values["train.step_epochs"], values["train.step_rates"]) == ([100, 140], [0.1, 0.01])
