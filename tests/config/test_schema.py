"""The values of a configuration, and the answers to mistakes."""

import json
import pathlib

import pytest
from helpers.configurations import MINIMAL, mistake

from slowfast_tf import config
from slowfast_tf.errors import InputError

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["test.crops=1"], "tested on one clip of whole frames: set test.clips to 1 and test.crops to 0; got 1 and 1"),
        (["data.mixup=0.8"], "boxes cannot follow data.mixup; set it to 0, got 0.8"),
        (["data.fold=[0, 2]"], "fold is not for boxes; set it to null"),
        (["data.dataset=records", "data.fold=[0, 2]"], "data.fold is not for boxes; set it to null"),
        (["data.rand_augment_layers=2"], "boxes cannot follow data.rand_augment_layers"),
        (
            ["data.dataset=folder"],
            "head 'roi' needs boxes: dataset ava, demo_detection, people or records; got 'folder'",
        ),
        (["model.activation=softmax"], "head 'roi' needs activation 'sigmoid'"),
        (["model.head=pool"], "dataset 'demo_detection' has labels of boxes only, which need head 'roi'"),
    ],
)
def test_invalid_settings_are_named(configure_detection, overrides, message):
    with pytest.raises(InputError, match=message) as error:
        configure_detection(*overrides)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "ava").glob("*.json")), ids=lambda path: path.stem)
def test_ava_uses_pyslowfasts_thresholds_and_scale_jitter(path):
    """AVA.DETECTION_SCORE_THRESH of its configurations, and 1 / uniform(1 / 320, 1 / 256) of its cv2_transform.py."""
    settings = config.load(path)
    assert settings.spec().person_score == (0.9 if path.stem.startswith("slow_") else 0.8)
    assert settings.data.short_side_draw == "inverse" and settings.data.short_sides == [256, 320]


def test_defaults_are_the_papers(put):
    settings = config.load(put(MINIMAL))
    assert settings.train.momentum == 0.9 and settings.train.weight_decay == 1e-4
    assert settings.data.short_sides == [256, 320] and settings.data.crop_size == 224
    assert (settings.test.clips, settings.test.crops, settings.test.fuse) == (10, 3, "mean")


@pytest.mark.parametrize(
    "override, said",
    [
        ("a.b", ["KEY=VALUE", "'a.b'"]),
        ("train.epochs", ["KEY=VALUE", "'train.epochs'"]),
        ("name.first=x", ["'name'", "holds a value"]),
        ("train.epochs.x.y=3", ["'epochs'", "holds a value"]),
        ("data.short_sides.0=3", ["data.short_sides", "list", "{'0': 3}"]),
        ("=3", ["unknown key"]),
        ("train.=3", ["unknown key 'train.'"]),
        ("trian.epochs=3", ["'trian'", "did you mean 'train'?"]),
        ("train.leaning_rate=3", ["'train.leaning_rate'", "did you mean 'learning_rate'?"]),
        ("leaning_rate=3", ["unknown key 'leaning_rate'"]),
        ("nam=3", ["'nam'", "did you mean 'name'?"]),
        ("data.crop=3", ["'data.crop'", "did you mean 'crop_size'?"]),
        ("test.zzz=3", ["'test.zzz'", "clips, crops, to_the_end, fuse"]),
        ("model.alfa=3", ["'alfa'", "did you mean 'alpha'?"]),
        ("model.preset=slowfast_8x8_r5", ["'slowfast_8x8_r5'", "did you mean 'slowfast_8x8_r50'?"]),
        ("train.epochs=three", ["train.epochs", "'three'"]),
        ("train.epochs=2.5", ["train.epochs", "2.5"]),
        ("seed=-1", ["seed", "greater than or equal to 0", "received -1"]),
        ("seed=4294967296", ["seed", "less than 4294967296"]),
        ("train.epochs=0", ["train.epochs", "greater than or equal to 1", "received 0"]),
        ("train.epochs=true", ["train.epochs", "True"]),
        ("train.learning_rate=-1", ["train.learning_rate", "greater than or equal to 0", "received -1"]),
        ("train.learning_rate=NaN", ["train.learning_rate", "nan"]),
        ("train.learning_rate=Infinity", ["train.learning_rate", "inf"]),
        ("train.momentum=1", ["train.momentum", "less than 1", "received 1"]),
        ("train.schedule=sine", ["train.schedule", "'cosine'", "'steps'", "'sine'"]),
        ("train.step_epochs=[1, 2]", ["2 step_epochs", "0 step_rates"]),
        ("train.schedule=steps", ["step_epochs", "'steps'"]),
        ("data.flip=yes", ["data.flip", "'yes'"]),
        ("data.dataset=imagenet", ["data.dataset", "'demo'", "'imagenet'"]),
        ("data.short_sides=[1]", ["data.short_sides", "[1]"]),
        ("data.short_sides=[320, 256]", ["short_sides", "[320, 256]"]),
        ("data.crop_size=300", ["crop_size 300", "[256, 320]"]),
        ("data.short_sides=[256, 320.5]", ["data.short_sides.1", "320.5"]),
        ('export=["onyx"]', ["export.0", "'onyx'"]),
        ("model=3", ["model", "received 3"]),
        ("train=[]", ["train", "received []"]),
        ("model.alpha=3", ["alpha 3", "1, 2, 4, 8, 16"]),
        ("model.alpha=0", ["alpha", "0"]),
        ("model.width=wide", ["width", "'wide'"]),
        ("model.width=true", ["width", "True"]),
        ("model.width=null", ["width", "None"]),
        ("model.slow_kernels=3", ["slow_kernels", "list", "received 3"]),
        ("model.mean=0.45", ["mean", "list", "received 0.45"]),
        ("model.dropout=half", ["dropout", "number", "'half'"]),
        ("model.lateral_norm=1", ["lateral_norm", "true or false", "received 1"]),
        ("model.nonlocal_blocks=[1, 2]", ["nonlocal_blocks"]),
        ('model.std=["a", "b", "c"]', ["mean and std take 3 numbers", "'a'"]),
        ("model.frame_rate=true", ["frame_rate", "from 0.0001 to 10000.0", "True"]),
        ("model.activation=relu", ["activation", "softmax", "'relu'"]),
    ],
)
def test_mistakes(put, override, said):
    path = put(MINIMAL)
    message = mistake(path, override)
    for text in said:
        assert text in message, message


def test_only_mistakes_of_the_network_begin_with_model(put):
    path = put(MINIMAL)
    assert mistake(path, "train.keep=pr_auc").startswith(f"{path}: train.keep 'pr_auc'")
    assert mistake(path, "model.frames=0").startswith(f"{path}: model: frames ")


def test_a_wrong_type_deep_in_a_list(put):
    message = mistake(put(MINIMAL), "model.nonlocal_kind=softmax", "model.nonlocal_blocks=[1, 2, 3, 4]")
    assert "nonlocal_blocks takes 4 lists (res2 to res5); got (1, 2, 3, 4)" in message


@pytest.mark.parametrize("key", ["name", "model", "data", "train", "model.preset", "data.root", "train.epochs"])
def test_missing_keys(put, key):
    values = json.loads(json.dumps(MINIMAL))
    *parents, last = key.split(".")
    section = values
    for parent in parents:
        section = section[parent]
    del section[last]
    assert f"{key!r} is missing" in mistake(put(values))


def test_a_warmup_may_last_the_whole_run(put):
    path = put(MINIMAL)
    assert config.load(path, ["train.warmup_epochs=2"]).train.warmup_epochs == 2
    steps = ["train.schedule=steps", "train.step_epochs=[1]", "train.step_rates=[0.1]"]
    config.load(path, ["train.warmup_epochs=2"]).check_new_run()
    with pytest.raises(InputError, match="train.warmup_epochs 3 is longer than the run of 2 epochs"):
        config.load(path, [*steps, "train.warmup_epochs=3"]).check_new_run()
    # A multigrid run has 1.5 times the epochs.
    multigrid = [*steps, "train.multigrid=true"]
    config.load(path, [*multigrid, "train.warmup_epochs=3"]).check_new_run()
    with pytest.raises(InputError, match="3.5 is longer than the run of 3 epochs"):
        config.load(path, [*multigrid, "train.warmup_epochs=3.5"]).check_new_run()


def test_a_network_of_optical_flow_has_no_saved_model(put):
    path = put({**MINIMAL, "model": {"preset": "slowfast_4x16_r50", "fast_input": "flow"}})
    assert config.load(path).export == []
    with pytest.raises(InputError, match="optical flow.*tflite or onnx"):
        config.load(path, ['export=["saved_model"]']).check_new_run()
    # Without the Fast pathway there is no flow.
    config.load(path, ['export=["saved_model"]', 'model.pathways=["slow"]']).check_new_run()


def test_a_network_tested_on_whole_frames_has_no_saved_model(put, configure_detection):
    path = put(MINIMAL)
    config.load(path, ["test.crops=0"]).check_new_run()
    with pytest.raises(InputError, match="a SavedModel scores crops, and test.crops 0 is whole frames; set test.crops"):
        config.load(path, ["test.crops=0", 'export=["saved_model"]']).check_new_run()
    configure_detection('export=["saved_model"]').check_new_run()  # whose SavedModel takes boxes


@pytest.mark.parametrize("path", sorted(ROOT.glob("configs/**/*.json")), ids=lambda p: str(p.relative_to(ROOT)))
def test_configurations_of_the_repository(path, tmp_path):
    settings = config.load(path)
    assert settings.spec(["only one"]).num_classes == 1
    settings.save(tmp_path / "config.json")
    again = config.load(tmp_path / "config.json")
    assert again == settings and again.spec() == settings.spec()


def test_saved_and_loaded_again(put, tmp_path):
    put({**MINIMAL, "model": {"preset": "slow_8x8_r50", "mean": [0.1, 0.2, 0.3], "dropout": 0}}, "base.json")
    settings = config.load(put({"base": "base.json", "seed": 2}), ["train.warmup_epochs=1", "train.weight_decay=1e-7"])
    settings.save(tmp_path / "deep" / "config.json")
    again = config.load(tmp_path / "deep" / "config.json")
    assert again == settings and again.spec() == settings.spec()
    assert again.spec().mean == (0.1, 0.2, 0.3) and again.train.weight_decay == 1e-7
    assert "base" not in json.loads((tmp_path / "deep" / "config.json").read_text())


def test_unknown_split_or_dataset_settings(values, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="data.dataset"):
        config.load(path, ["data.dataset=imagenet"])


@pytest.mark.parametrize("epochs", [[20, 10], [10, 10]])
def test_step_epochs_ascend(put, epochs):
    steps = ["train.schedule=steps", "train.step_rates=[0.1, 0.01]", "train.epochs=30"]
    assert config.load(put(MINIMAL), [*steps, "train.step_epochs=[10, 20]"]).train.step_epochs == [10, 20]
    message = mistake(put(MINIMAL), *steps, f"train.step_epochs={epochs}")
    assert f"step_epochs must ascend; got {[float(epoch) for epoch in epochs]}" in message


def test_keras_own_averages_are_refused(put):
    path, optimizer = put(MINIMAL), 'train.optimizer={"class_name": "Adam", "config": {"use_ema": %s}}'
    config.load(path, [optimizer % "false"])
    message = mistake(path, optimizer % "true")
    assert "use_ema is not supported; use train.ema_decay with sgd or adamw" in message


@pytest.mark.legacy
def test_parts_must_be_equal(configure):
    with pytest.raises(InputError, match="batch_size 4 cannot be divided into gradient_accumulation 3 equal parts"):
        configure("train.gradient_accumulation=3")
