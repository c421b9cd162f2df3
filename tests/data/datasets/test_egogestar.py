"""EgoGestAR's layout, with made clips."""

import pytest
from helpers.coded_video import write
from helpers.pictures import picture

from slowfast_tf.data import datasets
from slowfast_tf.errors import InputError


def test_clips(tmp_path):
    root = tmp_path / "source"
    names = ["tick_1", "tick_12", "left_12", "left_2", "unclassified_3"]
    for name in names:
        (root / "testvideo").mkdir(parents=True, exist_ok=True)
        write(root / "testvideo" / f"testvideo_{name}.mp4", [picture(0, t, 32, 48) for t in range(4)])
    (root / "testvideo" / "readme.txt").write_text("not a clip")
    found = datasets.load_split("egogestar", root, "train")
    assert found.labels == ("left", "tick")
    assert [(video.id, video.labels[0][0]) for video in found.videos] == [
        ("left_2", 0),
        ("left_12", 0),
        ("tick_1", 1),
        ("tick_12", 1),
    ]
    with pytest.raises(InputError, match=r"no validation videos; set data.fold"):
        datasets.load_split("egogestar", root, "val")


def test_what_is_missing(tmp_path):
    advice = "git clone --depth 1 https://github.com/varunj/EgoGestAR"
    with pytest.raises(InputError, match=f"EgoGestAR is not in .*{advice}"):
        datasets.load_split("egogestar", tmp_path, "train")
    (tmp_path / "testvideo").mkdir()
    with pytest.raises(InputError, match=f"no testvideo_CLASS_SCENE.mp4; {advice}"):
        datasets.load_split("egogestar", tmp_path, "train")
