"""Our network and the PyTorch network have equal losses on the same clips."""

import json
import re

import numpy as np
import pytest
from helpers.networks import error, noise, randomize, shapes

from slowfast_tf import SlowFast, benchmark
from slowfast_tf.benchmarks import learning, peer
from slowfast_tf.errors import InputError
from slowfast_tf.models.presets import get_spec

torch = pytest.importorskip("torch")
TINY = {"depth": 10, "width": 8, "crop_size": 32, "num_classes": 4, "dropout": 0.0}


@pytest.mark.parametrize(
    "changes",
    [
        {"beta_inv": 3},  # does not divide the width
        {"pathways": ("slow",), "depth": 18, "res4_temporal_blocks": 1},
    ],
)
def test_logits_and_running_statistics(changes):
    """Equal in both modes, also after the update of the statistics. Weights can be copied back."""
    spec = get_spec("slowfast_2x16_demo", **{**TINY, **changes})
    model, network = SlowFast(spec), peer.build(spec)
    randomize(model)
    inputs = {name: noise(*shape) for name, shape in shapes(spec, 32, 32, batch=4).items()}
    clips = [torch.from_numpy(x).movedim(-1, 1) for x in inputs.values()]
    peer.copy_to_torch(model, network)
    before = model.get_weights()
    for training in (False, True):
        network.train(training)
        with torch.no_grad():
            logits = network(*clips).numpy()
        assert error(model(inputs, training=training), logits) < 1e-4
    again = SlowFast(spec)
    peer.copy_from_torch(network, again)
    changed = 0
    for ours, others, start in zip(model.get_weights(), again.get_weights(), before, strict=True):
        assert error(ours, others) < 1e-4
        changed += (others != start).any()
    assert changed == sum("moving" in variable.path for variable in model.variables)  # all other weights are unchanged


def test_networks_without_a_pytorch_counterpart():
    assert peer.unsupported(get_spec("slowfast_8x8_r101")) is None
    assert "Fast-only" in peer.unsupported(get_spec("fast_4x16_r50"))
    assert "nonlocal_kind 'none' only" in peer.unsupported(get_spec("slow_8x8_r50_nl"))


@pytest.mark.parametrize("optimizer, rate", [("adamw", 0.002), ("sgd", 0.02)])
def test_losses(configure, optimizer, rate):
    settings = configure(
        'model.pathways=["slow"]',  # half the time
        "model.dropout=0.5",  # the comparison leaves it out
        f"train.optimizer={optimizer}",
        f"train.learning_rate={rate}",
        "train.weight_decay=0.02",
        "train.label_smoothing=0.1",
        "train.epochs=3",
    )
    losses = learning.compare_losses(settings, 5)
    ours, others = losses[learning.OURS], losses[learning.TORCH]
    print(np.subtract(ours, others), np.subtract(losses[learning.again()], others))
    assert [len(curve) for curve in losses.values()] == [5] * 4
    assert learning.largest(ours, others) < 1e-3
    assert learning.largest(ours, losses[learning.FOLLOWER]) < 1e-5
    assert np.ptp(ours) > 0.1  # the network learns, so that equal losses mean something


def test_command(values, put, tmp_path, monkeypatch, capsys):
    """A page with both comparisons; complete trainings are not repeated."""
    small = {"model": {**values["model"], "pathways": ["slow"]}, "test": {"clips": 1, "crops": 1}}
    config, work, page = put({**values, **small}), tmp_path / "work", tmp_path / "page.md"
    arguments = ["learning", "--config", str(config), "--workdir", str(work), "--steps", "2", "--output", str(page)]
    trained = []

    def train_ours(settings, workdir):
        trained.append((settings.seed, workdir.name, settings.train.keep))
        return 0.5 + 0.25 * settings.seed

    monkeypatch.setattr(learning, "train_ours", train_ours)
    monkeypatch.setattr(learning, "compare_losses", lambda settings, steps: LOSSES)
    assert benchmark.main([*arguments, "--seeds", "1"]) == 0
    torchs = json.loads((work / "results.json").read_text())["top1"]["PyTorch"]["0"]
    assert torchs in (0.0, 0.25, 0.5, 0.75, 1.0)  # of four videos

    def fail(*_):
        raise AssertionError("repeated")

    monkeypatch.setattr(learning, "compare_losses", fail)
    monkeypatch.setattr(learning, "train_torch", lambda settings: 0.5)
    capsys.readouterr()
    assert benchmark.main([*arguments, "--seeds", "2"]) == 0
    assert trained == [(0, "seed0", "last"), (1, "seed1", "last")]
    text = capsys.readouterr().out
    assert (
        text.startswith("## Learning")
        and text.strip() in page.read_text()
        and (tmp_path / "page_learning.png").exists()
    )
    assert json.loads((tmp_path / "page_learning.json").read_text())["top1"]["Keras"] == {"0": 0.5, "1": 0.75}
    assert "| Keras and PyTorch | 2.0e-04 | all 2 below | 1.2501 and 1.2500 |" in text
    assert "| Keras and PyTorch with the weights of Keras | 1.0e-04 | all 2 below |" in text
    assert re.search(r"\| PyTorch and itself with \d threads? \| 3.0e-03 \| 1 \|", text)
    first, mean = 50 - 100 * torchs, (50 - 100 * torchs + 25) / 2
    assert f"| 0 | 50.0 | {100 * torchs:.1f} | {first:+.1f} |" in text and f" {mean:+.1f} |" in text
    assert "| 1 | 75.0 | 50.0 | +25.0 |" in text and "The 95% interval" in text
    with pytest.raises(InputError, match="holds a run of another configuration"):
        benchmark.main([*arguments, "--set", "train.epochs=2"])


LOSSES = {
    learning.OURS: [1.5, 1.0002],
    learning.TORCH: [1.5, 1.0],
    learning.again(): [1.5, 1.003],
    learning.FOLLOWER: [1.5, 1.0003],
}


@pytest.mark.parametrize(
    "change, message",
    [
        ("train.ema_decay=0.9", "no train.ema_decay; set it to 0.0"),
        ("model.lateral=sample", "lateral 'conv' only; got 'sample'"),
        ("model.activation=sigmoid", "model.activation softmax"),
        ('train.optimizer={"class_name": "adagrad"}', '"sgd" and "adamw" only'),
    ],
)
def test_recipes_without_a_pytorch_counterpart(values, put, change, message):
    with pytest.raises(InputError, match=message):
        learning.load(str(put(values)), [change])
