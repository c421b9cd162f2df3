"""A window that slides over a video."""

import weakref

import numpy as np
import pytest
from helpers.coded_video import write
from helpers.expected import window_scores
from helpers.pictures import picture

from slowfast_tf.data import transforms
from slowfast_tf.inference import Predictor, plots, sliding


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Write 90 frames with sound: the picture of one video, then of another."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    images = [picture(0 if t < 45 else 9, t % 45) for t in range(90)]
    return write(path, images, audio=True, pix_fmt="yuv444p", qp=1, g=12, bf=2)


@pytest.fixture(scope="module")
def slider(model):
    return sliding.Slider(Predictor(model))


def test_memory_is_that_of_a_window(slider, long, monkeypatch):
    crops, made, most = transforms.test_crops, [], []

    def noted(*arguments):
        class Found:
            def __getitem__(self, place):
                crop = crops(*arguments)[place]
                made.append(weakref.ref(crop))
                most.append(sum(known() is not None for known in made))
                return crop

        return Found()

    monkeypatch.setattr(sliding.transforms, "test_crops", noted)
    timeline = slider.slide(long)
    assert len(timeline.scores) == 5 and len(made) == 45 and 16 <= max(most) <= 17


@pytest.mark.parametrize("frames", [1, 32, 33])
def test_short_videos(frames, slider, infer, tmp_path):
    path = write(tmp_path / "short.mp4", [picture(3, t) for t in range(frames)], pix_fmt="yuv444p", qp=1)
    timeline = slider.slide(path)
    assert len(timeline.scores) == (1 if frames <= 32 else 2) and timeline.edges[-1] == pytest.approx(frames / 30)
    if frames == 32:
        np.testing.assert_allclose(timeline.scores, window_scores(infer, path, [0]), atol=1e-4)


def test_names_in_a_plot_are_not_mathematics(tmp_path):
    """Matplotlib refuses "$_$" as a formula."""
    timeline = sliding.Timeline(np.arange(3.0), np.zeros([2, 2]), np.array([[0.9, 0.1], [0.2, 0.8]]), {})
    plots.save_timeline(timeline, ["costs $_$", "costs $5"], "$_$.mp4", tmp_path / "timeline.png")
    assert (tmp_path / "timeline.png").exists()
