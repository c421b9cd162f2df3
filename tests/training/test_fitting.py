"""The clips for the statistics of precise BatchNorm, and training with the code for GPUs."""

import pytest
from helpers.training import compare

from slowfast_tf.data import Clips, clips
from slowfast_tf.data.multigrid import Phase, Shape
from slowfast_tf.models import base, conv_workarounds, layers
from slowfast_tf.models.slowfast import load_model
from slowfast_tf.training import fitting, run
from slowfast_tf.training.fitting import statistics_clips
from slowfast_tf.training.history import read_history


@pytest.mark.legacy
def test_precise_batchnorm_has_the_clip_shape_of_tests(configure):
    """Clips have the last shape of the short cycle. A batch has the number of clips that BatchNorm sees in training."""
    overrides = ["train.batch_size=4", "train.gradient_accumulation=2"]
    settings = configure(*overrides)
    data = Clips(settings, "train")
    cycle = Phase(range(1), (Shape(8, 2, 16), Shape(4, 2, 32)), 1.0)
    assert [x["fast"].shape for x, _ in data.train(range(1), cycle)] == [(8, 16, 16, 16, 3)]
    assert [x["fast"].shape for x, _ in statistics_clips(settings, data, cycle, 1)] == [(2, 16, 32, 32, 3)] * 4
    assert {len(y) for _, y in statistics_clips(settings, data, cycle, 2)} == {1}
    together = configure("train.batch_size=4", "train.synchronize_batchnorm=true")
    assert {len(y) for _, y in statistics_clips(together, data, cycle, 2)} == {4}


SWITCHES = (base, layers, conv_workarounds, clips, fitting)  # the modules with separate code for GPUs


def trained(settings, workdir, monkeypatch, on_gpu, xla=False):
    """Return the history and the weights of a run with the code for CPUs or for GPUs."""
    build = run.build

    def with_xla(*args):
        model = build(*args)
        model.jit_compile = xla
        return model

    with monkeypatch.context() as patched:
        patched.setattr(run, "build", with_xla)
        for module in SWITCHES:
            patched.setattr(module, "HAS_GPU", on_gpu)
        run.train(settings, workdir)
    return read_history(workdir), load_model(workdir).get_weights()


PARTS = ["train.gradient_accumulation=2", "data.mixup=0.8"]


@pytest.mark.parametrize(
    "overrides, xla",
    [([], False), (PARTS, False), pytest.param(PARTS, True, marks=pytest.mark.slow)],
    ids=["whole", "parts", "XLA"],
)
def test_as_on_a_gpu(configure, tmp_path, monkeypatch, overrides, xla):
    """The code for GPUs, which computes pixels in the training step, gives the same run as the code for CPUs."""
    settings = configure('model.pathways=["slow"]', "model.dropout=0", "train.learning_rate=0.001", *overrides)
    history, weights = trained(settings, tmp_path / "cpu", monkeypatch, on_gpu=False)
    there, others = trained(settings, tmp_path / "gpu", monkeypatch, on_gpu=True, xla=xla)
    for row, other in zip(history, there, strict=True):
        assert other["loss"] == pytest.approx(row["loss"], rel=1e-3)
        assert other["val_loss"] == pytest.approx(row["val_loss"], rel=1e-3)
    compare(weights, others, rtol=1e-4, atol=1e-4)
