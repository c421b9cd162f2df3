"""Recipes: published schedules at named steps, what the options of training do, and a step of every configuration."""

import math
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import write
from helpers.pictures import picture

from slowfast_tf import SlowFast, SlowFastSpec, config, load, prepare
from slowfast_tf.checkpoints import loading
from slowfast_tf.data import Clips
from slowfast_tf.data.multigrid import Phase, Shape
from slowfast_tf.errors import InputError
from slowfast_tf.training import accumulation, averaging, losses, optimizers, precise_batchnorm, schedules
from slowfast_tf.training.fitting import statistics_clips
from slowfast_tf.training.run import build

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("**/*.json"))
VARIABLE = getattr(keras, "Variable", tf.Variable)  # Keras 2 has none of its own


# Schedules


def rates(name, steps, *overrides):
    """The learning rate by epoch of a configuration, with so many steps an epoch."""
    train = config.load(ROOT / f"configs/{name}.json", overrides).train
    phases = [Phase(range(train.epochs), (Shape(train.batch_size, 4, 224),), 1.0)]
    schedule = schedules.from_config(train, phases, [steps])
    return lambda epoch: float(schedule(round(epoch * steps)))


def test_the_papers_kinetics_schedule():
    """1.6 at 1024 clips, linear over the first 8k iterations, half a cosine over 256 epochs of 240k videos."""
    steps = 240_000 // 1024
    rate = rates("kinetics400/slowfast_4x16_r50", steps, "train.batch_size=1024")
    assert 34 * steps == pytest.approx(8000, rel=0.01)
    # cos(pi * 34 / 256) = 0.914210; 1.6 * 0.5 * 1.914210 = 1.531368
    expected = {0: 0.16, 17: (0.16 + 1.531368) / 2, 34: 1.531368, 128: 0.8, 256: 0.0}
    # cos(pi * 3 / 4) = -0.707107
    expected[192] = 0.8 * (1 - 0.707107)
    for epoch, value in expected.items():
        assert rate(epoch) == pytest.approx(value, rel=1e-5, abs=1e-6), epoch


@pytest.mark.legacy
@pytest.mark.parametrize("batch", [64, 8, 256])
def test_the_published_8x8_schedule(batch):
    """0.1 at 64 clips, from 0.01 over 34 of 196 epochs; in proportion to the batch."""
    rate = rates("kinetics400/slowfast_8x8_r50", 10, f"train.batch_size={batch}")
    # cos(pi * 34 / 196) = 0.855143; 0.05 * 1.855143 = 0.092757
    expected = {0: 0.01, 17: 0.0513786, 34: 0.092757, 49: 0.05 * 1.707107, 98: 0.05, 196: 0.0}
    for epoch, value in expected.items():
        assert rate(epoch) == pytest.approx(value * batch / 64, rel=1e-4, abs=1e-6), epoch


def test_kinetics_600_takes_twice_as_long_at_half_the_rate():
    first, second = rates("kinetics400/slowfast_16x8_r101", 10), rates("kinetics600/slowfast_16x8_r101", 10)
    for epoch in (0, 5, 34, 60, 98, 150):
        assert second(2 * epoch) == pytest.approx(first(epoch) / 2, rel=1e-5)


@pytest.mark.parametrize(
    "name, expected",
    [
        pytest.param(
            "charades",
            {0: 1e-4, 2: 0.0188, 4: 0.0375, 40.99: 0.0375, 41: 0.00375, 48.99: 0.00375, 49: 0.000375},
            marks=pytest.mark.legacy,
        ),
        pytest.param(
            "ava/slowfast_4x16_r50",
            {0: 0.000125, 2.5: 0.0500625, 5: 0.1, 9.99: 0.1, 10: 0.01, 15: 0.001, 19.99: 0.001},
            marks=pytest.mark.legacy,
        ),
        ("kinetics400/slowfast_8x8_r50_stepwise", {0: 0.01, 17: 0.055, 34: 0.1, 94: 0.01, 154: 1e-3, 196: 1e-4}),
    ],
)
def test_steps(name, expected):
    rate = rates(name, 100)
    for epoch, value in expected.items():
        assert rate(epoch) == pytest.approx(value, rel=1e-5), epoch
    assert rates(name, 100, "train.batch_size=4")(34.5) == pytest.approx(
        rate(34.5) * 4 / config.load(ROOT / f"configs/{name}.json").train.batch_size
    )


# What the options do


def train_section(**values):
    return config.Train(**{"epochs": 2, "batch_size": 8, "learning_rate": 0.02, **values})


def network(train, pathways=("slow",), run_eagerly=True):
    """A small compiled network, the same for the same arguments; a graph would take longer to build than to run."""
    keras.utils.set_random_seed(0)
    changes = {"depth": 10, "width": 8, "crop_size": 32, "num_classes": 4, "pathways": pathways}
    model = SlowFast("slowfast_2x16_demo", dtype=train.precision, frozen=train.freeze, **changes)
    random = np.random.default_rng(0)
    # The last BatchNorm of a block starts at 0, and would hide what is inside.
    model.set_weights([random.uniform(0.5, 1.5, w.shape) if w.ndim < 2 else w for w in model.get_weights()])
    loss, metrics, weighted = losses.from_config(train, model.spec)
    schedule = schedules.Cosine(train.learning_rate, 100)
    optimizer = optimizers.from_config(train, schedule)
    model.compile(optimizer, loss, metrics=metrics, weighted_metrics=weighted, run_eagerly=run_eagerly)
    return model


@pytest.fixture(scope="module")
def batch():
    random = np.random.default_rng(1)
    fast = random.normal(size=(8, 16, 32, 32, 3)).astype(np.float32)
    return {"slow": fast[:, ::8], "fast": fast}, np.eye(4, dtype=np.float32)[np.arange(8) % 4]


def step(model, batch):
    x, y = batch
    return model.train_on_batch({name: x[name] for name in model.spec.pathways}, y, return_dict=True)


def values(variables):
    return [np.array(v.numpy()) for v in variables]


def compare(some, others, **tolerance):
    for a, b in zip(some, others, strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


@pytest.mark.legacy
def test_adamw_is_pytorchs_but_for_batchnorm():
    torch = pytest.importorskip("torch")
    names = ("kernel", "gamma")
    starts = [np.array([1.0, -2.0, 3.0], np.float32), np.array([0.5, 0.25], np.float32)]
    variables = [VARIABLE(x, name=name) for x, name in zip(starts, names)]
    optimizer = optimizers.from_config(train_section(optimizer="adamw", weight_decay=0.1), 0.05)
    tensors = [torch.tensor(x, requires_grad=True) for x in starts]
    groups = [{"params": [x], "weight_decay": decay} for x, decay in zip(tensors, (0.1, 0.0))]
    other = torch.optim.AdamW(groups, lr=0.05)
    for i in range(5):
        gradients = [np.cos(x + i) for x in starts]
        optimizer.apply_gradients(zip(gradients, variables))
        for tensor, gradient in zip(tensors, gradients):
            tensor.grad = torch.tensor(gradient)
        other.step()
    compare(values(variables), [x.detach().numpy() for x in tensors], rtol=1e-5)


@pytest.mark.legacy
def test_gradients_are_clipped_before_the_decay():
    """Gradients 3 and 4 have the norm 5: clipped to 1 they are 0.6 and 0.8. Then decay 0.5 of 2 and 1, rate 0.1."""
    variables = [VARIABLE([2.0], name="kernel"), VARIABLE([1.0], name="beta")]
    optimizer = optimizers.from_config(train_section(clip_norm=1.0, weight_decay=0.5, momentum=0.0), 0.1)
    optimizer.apply_gradients(zip([tf.constant([3.0]), tf.constant([4.0])], variables))
    compare(values(variables), [[2 - 0.1 * (0.6 + 0.5 * 2)], [1 - 0.1 * 0.8]], rtol=1e-6)


REPLICAS = """
import keras, numpy as np, tensorflow as tf
from slowfast_tf import config
from slowfast_tf.training import accumulation, averaging, optimizers

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
x = np.random.default_rng(0).normal(size=(8, 5)).astype("float32") * np.arange(1, 9, dtype="float32")[:, None]
y = x.sum(1, keepdims=True)
for optimizer in ("sgd", "adamw"):
    found = []
    for devices in (["CPU:0"], ["CPU:0", "CPU:1"]):
        with tf.distribute.MirroredStrategy(devices).scope():
            keras.utils.set_random_seed(0)
            model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3), keras.layers.Dense(1)])
            train = config.Train(epochs=1, batch_size=8, learning_rate=0.1, clip_norm=0.5, ema_decay=0.6,
                                 optimizer=optimizer)
            model.compile(optimizers.from_config(train, 0.1), "mse", metrics=["mae"])
        if len(devices) == 2:
            accumulation.in_parts(model, 2)
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8).repeat(4)
        history = model.fit(data, epochs=1, verbose=0).history
        found.append([*model.get_weights(), history["loss"][0], history["mae"][0]])
        with averaging.holding(model, True):
            found[-1] += model.get_weights()
        assert all((a == b).all() for a, b in zip(found[-1], model.get_weights()))
    assert len(found[0]) == 4 + 2 + 4
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6, err_msg=optimizer)
    print("the same with", optimizer)
"""


@pytest.mark.legacy
def test_two_replicas_clip_and_average_as_one_does():
    """Also where each goes through its clips in two parts."""
    done = subprocess.run(
        [sys.executable, "-c", REPLICAS],
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split("\n")[:2] == ["the same with sgd", "the same with adamw"]


@pytest.mark.legacy
def test_averages_of_weights(batch, tmp_path):
    """The first average is the first weights; then a quarter of what is new comes in."""
    model = network(train_section(ema_decay=0.75))
    expected = None
    for _ in range(3):
        step(model, batch)
        now = values(model.trainable_variables)
        expected = now if expected is None else [0.75 * a + 0.25 * b for a, b in zip(expected, now)]
    with averaging.holding(model, True):
        compare(values(model.trainable_variables), expected, rtol=1e-5, atol=1e-6)
        with averaging.holding(model, False):  # as a checkpoint wants it, in the middle of a test
            compare(values(model.trainable_variables), now)
            model.save(tmp_path / "on.keras")
        compare(values(model.trainable_variables), expected, rtol=1e-5, atol=1e-6)
    compare(values(model.trainable_variables), now)
    # Gone on with from a file it ends as if it had gone on at once.
    again = load(tmp_path / "on.keras", compile=True)
    for other in (model, again):
        step(other, batch)
    compare(values(again.optimizer.variables), values(model.optimizer.variables), rtol=1e-4, atol=1e-6)


@pytest.mark.legacy
def test_validation_has_the_averages_and_precise_batchnorm(batch):
    batch = {"slow": batch[0]["slow"]}, batch[1]
    x, y = batch
    model = network(train_section(ema_decay=0.75))
    batches = [({"slow": x["slow"][i : i + 4]}, y[i : i + 4]) for i in (0, 4)]
    callbacks = [averaging.TestedWeights(batches, 2)]
    history = model.fit(*batch, batch_size=8, epochs=2, verbose=0, validation_data=batch, callbacks=callbacks)
    with averaging.holding(model, True):
        tested = model.evaluate(*batch, verbose=0, return_dict=True)
    assert history.history["val_loss"][-1] == pytest.approx(tested["loss"], rel=1e-5)
    without = model.evaluate(*batch, verbose=0, return_dict=True)
    assert without["loss"] != pytest.approx(tested["loss"], rel=1e-3)


@pytest.mark.legacy
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_parts_of_a_batch_are_the_batch(batch, precision):
    """But for BatchNorm, which is frozen here."""
    made = []
    for parts in (1, 4):
        train = train_section(gradient_accumulation=parts, freeze=["norm"], clip_norm=1.0, precision=precision)
        model = network(train, run_eagerly=precision != "float32")
        accumulation.in_parts(model, parts)
        logs = [step(model, batch) for _ in range(3)]
        made.append((logs, values(model.trainable_variables)))
    (whole, weights), (parts, others) = made
    tolerance = 1e-4 if precision == "float32" else 2e-2
    for a, b in zip(whole, parts):
        assert a == pytest.approx(b, rel=tolerance)
    compare(weights, others, rtol=tolerance, atol=tolerance / 10)


@pytest.mark.legacy
def test_precise_batchnorm(batch):
    """The stem's statistics, from the outputs of its convolution; those of a frozen layer stay."""
    x, _ = batch
    model = network(train_section(freeze=["fast_stem"]), ("slow", "fast"))
    stem, frozen = (model.get_layer(name).conv for name in ("slow_stem", "fast_stem"))
    before = values([frozen.norm.moving_mean, frozen.norm.moving_variance])
    weights = values(model.trainable_variables)
    parts = [x["slow"][i : i + 2] for i in range(0, 8, 2)]
    kernel = stem.conv.kernel.numpy()[0]  # 1 x 7 x 7
    means, variances = [], []
    for part in parts[:3]:
        padded = np.pad(part, [(0, 0), (0, 0), (3, 3), (3, 3), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7), (2, 3))[:, :, ::2, ::2]
        found = np.einsum("bthwcij,ijcf->bthwf", windows, kernel).reshape(-1, kernel.shape[-1])
        means.append(found.mean(0))
        variances.append(found.var(0, ddof=1))
    batches = [({"slow": p, "fast": x["fast"][:2]}, None) for p in parts]
    precise_batchnorm.recompute(model, batches, 3)
    np.testing.assert_allclose(stem.norm.moving_mean.numpy(), np.mean(means, 0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(stem.norm.moving_variance.numpy(), np.mean(variances, 0), rtol=1e-4)
    compare(values([frozen.norm.moving_mean, frozen.norm.moving_variance]), before)
    compare(values(model.trainable_variables), weights)
    assert stem.norm.momentum == 0.9
    with pytest.raises(ValueError, match="at least one"):
        precise_batchnorm.recompute(model, [], 3)


@pytest.mark.legacy
def test_precise_batchnorm_takes_what_is_tested(configure):
    """Of a short cycle its last shape alone; and as many clips as BatchNorm has in a step."""
    overrides = ["train.batch_size=4", "train.gradient_accumulation=2"]
    settings = configure(*overrides)
    clips = Clips(settings, "train")
    cycle = Phase(range(1), (Shape(8, 2, 16), Shape(4, 2, 32)), 1.0)
    assert [x["fast"].shape for x, _ in clips.train(range(1), cycle)] == [(8, 16, 16, 16, 3)]
    assert [x["fast"].shape for x, _ in statistics_clips(settings, clips, cycle, 1)] == [(2, 16, 32, 32, 3)] * 4
    assert {len(y) for _, y in statistics_clips(settings, clips, cycle, 2)} == {1}
    together = configure(*overrides, "train.synchronize_batchnorm=true")
    assert {len(y) for _, y in statistics_clips(together, clips, cycle, 2)} == {2}


def trainable(model):
    of_a_step = {id(v) for v in model.trainable_variables}
    return [path for path, v in loading.variables(model).items() if id(v) in of_a_step]


@pytest.mark.legacy
def test_frozen_layers_stay(batch, tmp_path):
    model = network(train_section(freeze=["fast_*", "slow_stem", "norm"]), ("slow", "fast"))
    before = {path: v.numpy() for path, v in loading.variables(model).items()}
    step(model, batch)
    moved = {path for path, v in loading.variables(model).items() if (v.numpy() != before[path]).any()}
    assert moved and all(path.split("/")[-1] in ("kernel", "bias") for path in moved)
    assert {path.split("/")[0] for path in moved} >= {"slow_res2", "slow_res5", "lateral_stem", "head"}
    assert not any(path.startswith(("fast_", "slow_stem")) for path in moved)
    model.save(tmp_path / "frozen.keras")
    again = load(tmp_path / "frozen.keras", compile=True)
    assert trainable(again) == trainable(model) != []
    compare(values(again.optimizer.variables), values(model.optimizer.variables))


@pytest.mark.legacy
def test_a_layer_that_is_not_there(configure):
    settings = configure('train.freeze=["slow_res1"]')
    with pytest.raises(InputError, match="train.freeze: no layer .* is called 'slow_res1'; layers: .*slow_res2"):
        build(settings, Clips(settings, "train"))


@pytest.mark.legacy
def test_weights_of_a_frozen_network_come_from_a_file(configure, saved):
    settings = configure(f"train.init={saved}", 'train.freeze=["slow_*", "norm"]')
    model, source = build(settings, Clips(settings, "train")), load(saved)
    ours, theirs = loading.variables(model), loading.variables(source)
    assert list(ours) == list(theirs)
    compare(values(ours.values()), values(theirs.values()))


@pytest.mark.legacy
def test_other_colours_are_refused(configure, saved):
    settings = configure(f"train.init={saved}", "model.channel_order=bgr")
    with pytest.raises(InputError, match='trained with channel_order "rgb", the configuration has "bgr"'):
        build(settings, Clips(settings, "train"))


def test_float16_scales_its_loss(batch, tmp_path):
    model = network(train_section(precision="mixed_float16"))
    assert math.isfinite(step(model, batch)["loss"])
    before = values(model.trainable_variables)
    model.optimizer.dynamic_scale.assign(1e30)  # gradients overflow: the step must not count
    step(model, batch)
    compare(values(model.trainable_variables), before)
    assert float(model.optimizer.dynamic_scale.numpy()) == pytest.approx(5e29)
    model.optimizer.dynamic_scale.assign(1024.0)
    step(model, batch)
    assert any((a != b).any() for a, b in zip(before, values(model.trainable_variables)))
    model.save(tmp_path / "half.keras")
    again = load(tmp_path / "half.keras", compile=True)
    compare(values(again.optimizer.variables), values(model.optimizer.variables))
    # Both networks alone, or Keras would wrap the one of the file once more.
    assert type(again.optimizer) is type(model.optimizer) is keras.mixed_precision.LossScaleOptimizer
    assert isinstance(again.optimizer.inner_optimizer, optimizers.SGD)


@pytest.mark.legacy
def test_padded_boxes_do_not_count():
    """Logits 0, log 3 and -log 3 are probabilities 1/2, 3/4 and 1/4."""
    logits = np.log([[[1.0, 3.0], [3.0, 1 / 3]], [[1.0, 1.0], [9e9, 9e9]]]).astype(np.float32)
    truth = np.array([[[1, 1], [0, 0]], [[0, 1], [0, 0]]], np.float32)
    weights = np.array([[1, 1], [1, 0]], np.float32)
    boxes = [(math.log(2) + math.log(4 / 3)) / 2, (math.log(4) + math.log(4 / 3)) / 2, math.log(2)]
    loss = losses.BinaryCrossentropy(from_logits=True)
    assert float(loss(truth, logits, weights)) == pytest.approx(np.mean(boxes), rel=1e-5)
    assert float(loss(truth, logits, 0 * weights)) == 0
    # Of clips it is Keras' own, smoothed labels and all.
    smooth = {"from_logits": True, "label_smoothing": 0.2}
    assert float(losses.BinaryCrossentropy(**smooth)(truth[0], logits[0])) == pytest.approx(
        float(keras.losses.BinaryCrossentropy(**smooth)(truth[0], logits[0]))
    )
    area = {"curve": "PR", "multi_label": True, "num_labels": 2, "from_logits": True}
    ours, keras_own = losses.AUC(**area), keras.metrics.AUC(**area)
    ours.update_state(truth, logits, weights)
    keras_own.update_state(truth.reshape(4, 2)[:3], logits.reshape(4, 2)[:3])
    assert float(ours.result()) == pytest.approx(float(keras_own.result()))


@pytest.mark.legacy
def test_mixed_and_smoothed_labels():
    """A clip that is 0.7 of class 0 and 0.3 of class 2, smoothed by 0.1: 0.7 * 0.9 + 0.1 / 3, and so on."""
    loss, _, _ = losses.from_config(train_section(label_smoothing=0.1), SlowFast("slowfast_2x16_demo", width=8).spec)
    logits = np.array([[2.0, 1.0, -1.0]])
    shares = np.array([0.7, 0.0, 0.3]) * 0.9 + 0.1 / 3
    expected = -(shares * (logits[0] - np.log(np.exp(logits[0]).sum()))).sum()
    assert float(loss(np.array([[0.7, 0.0, 0.3]]), logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("classes, names", [(2, ["top1"]), (5, ["top1"]), (6, ["top1", "top5"])])
def test_top5_needs_more_than_five_classes(classes, names):
    spec = SlowFastSpec(num_classes=classes)
    assert [metric.name for metric in losses.from_config(train_section(), spec)[1]] == names


@pytest.mark.legacy
def test_parts_must_be_equal(configure):
    with pytest.raises(InputError, match="batch_size 4 cannot be divided into gradient_accumulation 3 equal parts"):
        configure("train.gradient_accumulation=3")


# Every configuration

SMALL = [
    *("model.depth=10", "model.width=16", "model.frames=4", "model.crop_size=32", "model.res4_temporal_blocks=0"),
    *("model.nonlocal_blocks=[[], [0], [0], []]", "data.crop_size=32", "data.short_sides=[32, 40]"),
    "train.batch_size=2",
]


@pytest.fixture(scope="module")
def videos(folder, tmp_path_factory):
    """The videos of `folder`, five times: the first batches of a multigrid run are large."""
    root = tmp_path_factory.mktemp("recipes")
    for path in folder.rglob("*.mp4"):
        for copy in range(5):
            other = root / path.relative_to(folder).with_stem(f"{path.stem}_{copy}")
            other.parent.mkdir(parents=True, exist_ok=True)
            other.symlink_to(path)
    return root


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Four seconds of a film in the layout of AVA, with two key frames of one and two people."""
    root = tmp_path_factory.mktemp("ava")
    (root / "videos_15min").mkdir()
    (root / "annotations").mkdir()
    write(root / "videos_15min" / "film.mp4", [picture(1, i % 50) for i in range(150)])
    rows = ["0902,0.1,0.2,0.5,0.9,80,1", "0903,0.1,0.2,0.5,0.9,9,1", "0903,0.4,0.2,0.9,0.8,1,2"]
    labels = "".join(f'label {{\n  name: "do {i}"\n  label_id: {i}\n  label_type: X\n}}\n' for i in range(1, 81))
    (root / "annotations" / "ava_action_list_v2.2.pbtxt").write_text(labels)
    for split in ("train", "val"):
        (root / "annotations" / f"ava_{split}_v2.2.csv").write_text("".join(f"film,{row}\n" for row in rows))
        (root / "annotations" / f"ava_{split}_excluded_timestamps_v2.2.csv").write_text("")
    return root


@pytest.fixture(scope="module")
def flow_records(configure, tmp_path_factory):
    root = tmp_path_factory.mktemp("records") / "flow"
    prepare.prepare(configure("prepare.flow=true", "prepare.short_side=32"), root)
    return root


def configuration(path):
    """A parameter; of the published configurations the older stack runs those of Charades and AVA only."""
    name = str(path.relative_to(ROOT / "configs"))[:-5]
    return pytest.param(path, id=name, marks=() if name.startswith(("ablations", "kinetics")) else pytest.mark.legacy)


@pytest.mark.parametrize("path", [configuration(path) for path in CONFIGS])
def test_a_step_of_every_configuration(path, videos, film, request):
    dataset = config.load(path).data.dataset
    where = {"ava": ("ava", film), "demo_detection": ("ava", film)}.get(dataset, ("folder", videos))
    if dataset == "records":
        where = "records", request.getfixturevalue("flow_records")
    settings = config.load(path, [*SMALL, f"data.dataset={where[0]}", f"data.root={where[1]}", "train.init=null"])
    clips = Clips(settings, "train")
    model = build(settings, clips)
    model.run_eagerly = True  # a graph takes longer to build than to run once
    logs = model.train_on_batch(*next(iter(clips.train())), return_dict=True)
    one_label = ("top1", "top5") if clips.spec.num_classes > 5 else ("top1",)
    assert set(logs) == {"loss", *(one_label if clips.spec.activation == "softmax" else ("pr_auc",))}
    assert np.isfinite(logs["loss"])
    assert model.optimizer.iterations == 1
    assert all(np.isfinite(w).all() for w in model.get_weights())
