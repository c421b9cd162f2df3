"""Files that an earlier version wrote (`earlier/make.py`) load with the same meaning."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import decode
from helpers.earlier import forget

import slowfast_tf
from slowfast_tf import evaluate
from slowfast_tf.checkpoints.names import read_spec
from slowfast_tf.data import Clips
from slowfast_tf.evaluation.scores import load_scores
from slowfast_tf.evaluation.views import score_videos
from slowfast_tf.inference import Predictor, score_video
from slowfast_tf.models.slowfast import load_model
from slowfast_tf.models.spec import EARLIER
from slowfast_tf.models.views import MIDDLE, Views
from slowfast_tf.training.run import train

HERE = pathlib.Path(__file__).parent / "earlier"
VIDEO = str(HERE / "bars.mp4")
EXPECTED = {name: np.array(scores) for name, scores in json.loads((HERE / "expected.json").read_text()).items()}


@pytest.fixture
def alone(tmp_path):
    """The model's file without its run."""
    return str(shutil.copy(HERE / "run" / "model.keras", tmp_path / "model.keras"))


def test_the_expected_scores_differ():
    """Otherwise the tests below would not notice a wrong frame rate or wrong views."""
    assert np.abs(EXPECTED["predict"] - EXPECTED["evaluate"]).max() > 0.01


def test_a_model_alone_scores_the_middle_of_any_rate(alone):
    model = slowfast_tf.load(alone)
    assert model.spec.views == MIDDLE and model.spec.frame_rate is None and "views" in model.unstated
    np.testing.assert_allclose(score_video(Predictor(model), VIDEO), EXPECTED["predict"], atol=1e-4)


def test_a_run_has_the_protocol_of_its_configuration():
    model = slowfast_tf.load(HERE / "run")
    assert model.spec.frame_rate == 25 and model.spec.views == Views(3, 2, fuse="max") and not model.unstated
    np.testing.assert_allclose(score_video(Predictor(model), VIDEO), EXPECTED["evaluate"], atol=1e-4)


def test_saved_again_it_has_its_protocol(tmp_path):
    model = slowfast_tf.load(HERE / "run")
    model.save(tmp_path / "again.keras")
    again = slowfast_tf.load(tmp_path / "again.keras")
    assert again.spec == model.spec and not again.unstated


def test_evaluation_takes_missing_fields_from_the_configuration(alone, tmp_path, capsys):
    for split in ("train", "val"):
        for label in ("bend", "jump", "turn"):
            (tmp_path / "data" / split / label).mkdir(parents=True)
        shutil.copy(VIDEO, tmp_path / "data" / split / "jump")
    arguments = ["--config", str(HERE / "run" / "config.json"), "--checkpoint", alone]
    arguments += ["--set", f"data.root={tmp_path / 'data'}", "--scores", str(tmp_path / "scores.npz")]
    evaluate.main(arguments)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "taken from the configuration" in line]
    assert "frame_rate 25.0" in line and "views 3x2, fused by max" in line
    np.testing.assert_allclose(load_scores(tmp_path / "scores.npz").scores[0], EXPECTED["evaluate"], atol=1e-4)


def test_records():
    settings = ["data.dataset=records", f"data.root={HERE / 'records'}"]
    config = slowfast_tf.config.load(HERE / "run" / "config.json", settings)
    model = slowfast_tf.load(HERE / "run")
    tested = score_videos(model, Clips(config, "val", spec=model.spec))
    assert tested.labels.tolist() == [[0, 1, 0]]
    np.testing.assert_allclose(tested.scores[0], EXPECTED["evaluate"], atol=0.02)  # JPEG images


@pytest.mark.legacy
def test_a_saved_model():
    serve = tf.saved_model.load(str(HERE / "served")).signatures["serving_default"]
    scores = serve(video=tf.constant(decode(VIDEO)[None]))["scores"][0]
    np.testing.assert_allclose(scores, EXPECTED["serving_default"], atol=1e-4)


def test_saved_alone_it_has_no_protocol(alone, tmp_path):
    """Saving adds no values for the missing fields, so the configuration still applies."""
    slowfast_tf.load(alone).save(tmp_path / "again.keras")
    again = slowfast_tf.load(tmp_path / "again.keras")
    assert again.unstated == slowfast_tf.load(alone).unstated != ()


def test_described_as_loaded(alone):
    for source in (HERE / "run", alone):
        assert read_spec(source) == slowfast_tf.load(source).spec
    assert read_spec(alone).frame_rate is None and read_spec(HERE / "run").frame_rate == 25


def test_a_run_resumes(eager, tmp_path):
    """A run of an earlier version, resumed, is tested by its configuration."""
    for split in ("train", "val"):
        for label in ("bend", "jump", "turn"):
            (tmp_path / "data" / split / label).mkdir(parents=True)
            shutil.copy(VIDEO, tmp_path / "data" / split / label)
    settings = slowfast_tf.config.load(HERE / "run" / "config.json", [f"data.root={tmp_path / 'data'}", "export=[]"])
    run = tmp_path / "run"
    first = train(settings, run)
    assert first.metrics["views"] == "3x2"
    for path in (run / "model.keras", *(run / "checkpoints").glob("*.keras")):
        forget(path, *EARLIER)
    assert load_model(run).spec.frame_rate is None
    again = train(settings, run)
    assert again.metrics == {
        **first.metrics,
        **{name: again.metrics[name] for name in first.metrics if "second" in name},
    }
