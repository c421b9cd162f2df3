"""Training from files demuxes each video once, and not again in the next run."""

import json
import shutil

import numpy as np
import pytest
from helpers import published
from helpers.coded_video import coded, write

from slowfast_tf.data import Clips
from slowfast_tf.data.datasets import load_split
from slowfast_tf.video import probe as probing
from slowfast_tf.video import probe_index
from slowfast_tf.video.probe_index import FILE


@pytest.fixture
def another_run(monkeypatch):
    """Forgets what this process knows of videos. Returns the paths of the files that `probe` opens from then on."""
    paths, open_video = [], probing.open_video
    monkeypatch.setattr(probing, "open_video", lambda path: paths.append(str(path)) or open_video(path))

    def start():
        probing.probe.cache_clear()
        probe_index._opened.cache_clear()
        paths.clear()
        return paths

    return start


def test_training_and_validation(folder, configure, tmp_path, another_run):
    root = shutil.copytree(folder, tmp_path / "folder", ignore=shutil.ignore_patterns(FILE))
    config, runs = configure(f"data.root={root}", "data.flip=false"), []
    for expected in (12, 0):
        opened = another_run()
        train, val = Clips(config, "train"), Clips(config, "val")
        runs.append([*train.train(range(2)), *val.validation(), *((x, y) for x, y, _ in val.views())])
        assert len(opened) == len(set(opened)) == expected
    assert (root / FILE).is_file() and len(runs[0]) == 4 + 1 + 8
    for (inputs, labels), (again, labels_again) in zip(*runs, strict=True):
        np.testing.assert_array_equal(labels, labels_again)
        for name in inputs:
            np.testing.assert_array_equal(inputs[name], again[name])


def test_strict(tmp_path, another_run):
    """Every video with times is opened at the start."""
    published.charades(tmp_path)
    for expected in (2, 0):
        opened = another_run()
        load_split("charades", tmp_path, "train", strict=True)
        assert len(opened) == expected


def test_people(tmp_path, another_run):
    """VIA marks frames by their times and boxes in pixels, so that each video of a project is opened at the start."""
    (tmp_path / "videos").mkdir()
    for name in ("a", "b"):
        write(tmp_path / "videos" / f"{name}.mp4", [coded(i) for i in range(40)])
    project = {
        "attribute": {"1": {"aname": "action", "type": 2, "options": {"0": "walk"}}},
        "file": {name: {"fname": f"{name}.mp4", "type": 4} for name in ("a", "b")},
        "view": {name: {"fid_list": [name]} for name in ("a", "b")},
        "metadata": {name: {"vid": name, "z": [0.5], "xy": [2, 1, 1, 30, 20], "av": {"1": "0"}} for name in ("a", "b")},
    }
    published.put(tmp_path / "annotations" / "train.json", json.dumps(project))
    for expected in (2, 0):
        opened = another_run()
        assert len(load_split("people", tmp_path, "train").videos) == 2
        assert len(opened) == expected
