"""What the page shows for a video."""

import json
import pathlib
import socket

import gradio_client
import numpy as np
import pytest
from helpers.coded_video import decode, write
from helpers.detector import save_detector
from helpers.expected import window_scores
from helpers.pictures import CLASSES, picture
from helpers.tags import copy_with_latin_title
from matplotlib.image import imread

from slowfast_tf.inference.detectors import load_detector
from slowfast_tf.inference.page import Answers, serve
from slowfast_tf.inference.people import page as people_page
from slowfast_tf.inference.sliding import Slider
from slowfast_tf.inference.views import checked_scores


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_the_answer_of_the_page(model, infer, tmp_path):
    good = write(tmp_path / "good.mp4", [picture(2, t % 50) for t in range(60)], qp=10, pix_fmt="yuv420p")
    (tmp_path / "bad.mp4").write_text("no video")
    with serve(model, port=free_port()) as page:
        client = gradio_client.Client(page.address, verbose=False, analytics_enabled=False)
        answer = client.predict(gradio_client.handle_file(good), api_name="/predict")
        classes, timeline, heat, words = answer
        expected = dict(zip(CLASSES, window_scores(infer, good, (14,))[0]))
        found = {entry["label"]: entry["confidence"] for entry in classes["confidences"]}
        assert found == pytest.approx(expected, abs=1e-4)
        assert (
            words.startswith("2.0 s of video in ")
            and ": 1x1 views for the best classes, 3 windows of 16 frames" in words
        )
        assert imread(timeline).std() > 0.05 and decode(heat).shape == (60, 320, 768, 3)
        bad = client.predict(gradio_client.handle_file(str(tmp_path / "bad.mp4")), api_name="/predict")
        assert "**This file cannot be shown.** bad.mp4: cannot be read as a video" in bad[3]


def test_people(detection_model, tmp_path):
    """The page of a detection model: the video with boxes, a row for each person and second, and the files."""
    images = [np.full((96, 128, 3), 40, np.uint8) for _ in range(40)]
    for t, image in enumerate(images):
        image[30:60, 10 + t : 40 + t] = 220
    good = write(tmp_path / "good.mp4", images, rate=20, qp=10)
    save_detector(tmp_path / "detector")
    with serve(detection_model, port=free_port(), detector=load_detector(tmp_path / "detector")) as page:
        client = gradio_client.Client(page.address, verbose=False, analytics_enabled=False)
        video, table, files, words = client.predict(gradio_client.handle_file(good), api_name="/predict")
        assert decode(video if isinstance(video, str) else video["video"]).shape == (40, 96, 128, 3)
        assert [row[:2] for row in table["data"]] == [["0.5", "#0"], ["1.5", "#0"]]
        found = json.loads(pathlib.Path(files[0]).read_text())["people"]
        best = found[0]["actions"][0]
        assert table["data"][0][2].startswith(f"{best['label']} {best['score']:.3f}, ")
        assert [len(found), pathlib.Path(files[1]).suffix] == [2, ".csv"]
        assert words.startswith("1 person in 2 key frames. ")
        (tmp_path / "bad.mp4").write_text("no video")
        bad = client.predict(gradio_client.handle_file(str(tmp_path / "bad.mp4")), api_name="/predict")
        assert "**This file cannot be shown.** bad.mp4: cannot be read as a video" in bad[3]


def test_windows_if_they_are_asked_for(model, infer, tmp_path):
    good = write(tmp_path / "good.mp4", [picture(2, t % 50) for t in range(60)], qp=10, pix_fmt="yuv420p")
    scores, _, _, words = Answers(model, tmp_path, "sliding")(good)
    expected = dict(zip(CLASSES, window_scores(infer, good, (0, 16, 28)).mean(0)))
    assert scores == pytest.approx(expected, abs=1e-4) and "the windows for the best classes, 3 windows" in words


def test_scores_that_are_not_finite(model, detection_model, tmp_path, monkeypatch):
    """The page says why there is no result, and does not blame the video."""

    def fail(path, *args, **options):
        checked_scores(np.array([np.nan]), path)

    expected = "**This file cannot be shown.** the scores of good.mp4 are not finite; train the model again."
    monkeypatch.setattr(Slider, "slide", lambda self, path: fail(path))
    assert Answers(model, tmp_path)(str(tmp_path / "good.mp4")) == (None, None, None, expected)
    monkeypatch.setattr(people_page, "annotate", fail)
    answers = people_page.Answers(detection_model, None, tmp_path)
    assert answers(str(tmp_path / "good.mp4")) == (None, [], None, expected)


def test_a_tag_that_is_not_utf8(model, tmp_path):
    """The answer equals that for the same video without the tag."""
    plain = write(tmp_path / "plain.mp4", [picture(2, t % 50) for t in range(40)], qp=10, pix_fmt="yuv420p")
    answers = Answers(model, tmp_path)
    expected, scores = (answers(path)[0] for path in (plain, copy_with_latin_title(plain, tmp_path / "tagged.mp4")))
    assert scores == pytest.approx(expected, abs=1e-6) and scores
