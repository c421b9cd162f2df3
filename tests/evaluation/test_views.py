"""The scores of views, against one forward pass at a time."""

import collections
import dataclasses
import io

import keras
import numpy as np
import pytest
import tensorflow as tf
import tqdm
from helpers.coded_video import decode, write
from helpers.expected import single_views
from helpers.pictures import CLASSES, picture

from slowfast_tf import load
from slowfast_tf.data import Clips
from slowfast_tf.errors import RunError
from slowfast_tf.evaluation import views
from slowfast_tf.evaluation.run import evaluate
from slowfast_tf.inference.predictor import Predictor
from slowfast_tf.video.decode import read_frames


def test_scores_are_those_of_the_frames(tested_detection, detection_model, films):
    """Of frames read by number, 16 before the key frame and on it, as small as tests have them."""
    _, _, found = tested_detection
    clip = read_frames(films / "videos_15min" / "demo_val_01.mp4", [120 - 16, 120], detection_model.spec.crop_size)
    here = [i for i, name in enumerate(found.ids) if name == "demo_val_01,0903"]
    assert len(here) in (3, 4)
    expected = Predictor(detection_model).score_boxes(tf.constant(clip[None]), tf.constant(found.boxes[None, here]))[0]
    np.testing.assert_allclose(found.scores[here], expected, atol=1e-5)


def test_key_frames_without_a_box_that_counts(detection_model, configure_detection, films, monkeypatch):
    """They have no rows, and the progress bar does not count them."""
    best = collections.defaultdict(float)
    for line in (films / "annotations" / "ava_val_predicted_boxes.csv").read_text().splitlines():
        film, second, *_, score = line.split(",")
        best[f"{film},{second}"] = max(best[f"{film},{second}"], float(score))
    (*_, third, second, first) = sorted(best.values())
    shown, bar = io.StringIO(), tqdm.tqdm
    monkeypatch.setattr(tqdm, "tqdm", lambda **options: bar(**{**options, "file": shown, "disable": False}))
    spec = dataclasses.replace(detection_model.spec, person_score=(second + third) / 2)
    tested = views.score_videos(detection_model, Clips(configure_detection(), "val").with_spec(spec))
    assert set(tested.ids) == {name for name, score in best.items() if score in (first, second)}
    assert "100%" in shown.getvalue() and "2/2" in shown.getvalue()


@pytest.mark.legacy
@pytest.mark.parametrize("fuse, clips, crops", [("max", 2, 3), ("mean", 5, 3)])
def test_fused_views_are_those_of_single_ones(configure, model, infer, folder, fuse, clips, crops):
    data = Clips(configure(f"test.clips={clips}", f"test.crops={crops}", f"test.fuse={fuse}"), "val")
    tested = views.score_videos(model, data)
    assert tested.ids == [f"{CLASSES[n % 4]}/{n:02d}.mp4" for n in range(8, 12)]
    np.testing.assert_array_equal(tested.labels, np.eye(4))
    assert tested.scores.shape == (4, 4) and tested.scores.dtype == np.float32
    assert tested.views == f"{clips}x{crops}" and not tested.skipped
    single = [single_views(infer, folder / "val" / name, clips, crops) for name in tested.ids]
    assert max(np.ptp(s, 0).max() for s in single) > 0.01  # the views do differ
    expected = [{"mean": np.mean, "max": np.max}[fuse](s, 0) for s in single]
    np.testing.assert_allclose(tested.scores, expected, atol=1e-4)


@pytest.mark.legacy
@pytest.mark.parametrize("fuse", ["mean", "max"])
def test_the_whole_width_in_one_pass(configure, model, folder, fuse):
    tested = views.score_videos(model, Clips(configure("test.clips=1", "test.crops=0", f"test.fuse={fuse}"), "val"))
    assert tested.views == "1xwhole"
    head = model.get_layer("head")
    kernel, bias = head.get_weights()
    features = keras.Model(model.inputs, head.input)
    positions = []
    for name, scores in zip(tested.ids, tested.scores):
        frames = decode(folder / "val" / name)
        height, width = frames.shape[1:3]
        shape = (32, width * 32 // height) if height <= width else (height * 32 // width, 32)
        start = (len(frames) - 32) // 2
        clip = tf.image.resize(frames[start : start + 32 : 2], shape).numpy()[None] / 255
        clip = ((clip - 0.45) / 0.225).astype(np.float32)
        # A crop of 32 pixels is one pixel of the features, so each of these is a crop's worth.
        pixels = np.concatenate([x.numpy().mean((0, 1)) for x in features({"slow": clip[:, ::8], "fast": clip})], -1)
        logits = pixels.reshape(-1, len(kernel)) @ kernel + bias
        expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        np.testing.assert_allclose(scores, {"mean": np.mean, "max": np.max}[fuse](expected, 0), atol=1e-4)
        positions.append(len(expected))
    assert positions == [2, 2, 2, 2]


@pytest.mark.legacy
def test_the_crop_of_a_square_video_is_the_whole_frame(configure, model, tmp_path):
    for split in ("train", "val"):
        for number, name in enumerate(CLASSES):
            (tmp_path / split / name).mkdir(parents=True)
            images = [picture(number, time, 44, 44) for time in range(36)]
            write(tmp_path / split / name / "square.mp4", images, pix_fmt="yuv444p", qp=1)
    whole, crop = (
        views.score_videos(model, Clips(configure(f"data.root={tmp_path}", f"test.crops={crops}"), "val")).scores
        for crops in (0, 1)
    )
    assert np.ptp(crop, 0).max() > 0.01
    np.testing.assert_allclose(whole, crop, atol=1e-5)


def test_scores_that_are_nan_stop_a_test(configure, saved):
    broken = load(saved)
    broken.set_weights([np.full_like(w, np.nan) for w in broken.get_weights()])
    with pytest.raises(RunError, match="the scores of ant/08.mp4 are not finite"):
        evaluate(broken, Clips(configure(), "val"))
