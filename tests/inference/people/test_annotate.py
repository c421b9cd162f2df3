"""A video file with people and their actions."""

import collections.abc
import json
import os
import subprocess
import sys

import numpy as np
from helpers.coded_video import write
from helpers.detector import save_detector


class Film(collections.abc.Sequence):
    """Frames of 1920 x 1080 pixels with something bright that moves."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, t):
        if t >= self.count:
            raise IndexError
        image = np.full((1080, 1920, 3), 40, np.uint8)
        image[300:800, 8 * t % 1500 : 8 * t % 1500 + 200] = 220
        return image


def test_memory_does_not_depend_on_the_length(detection_model, tmp_path):
    """Another 72 frames of 6.2 MB each would take 450 MB if all were in memory."""
    save_detector(tmp_path / "detector")
    detection_model.save(tmp_path / "model.keras")
    most = []
    for name, count in (("short", 24), ("long", 96)):
        write(tmp_path / f"{name}.mp4", Film(count), rate=1, qp=30, preset="ultrafast")
        arguments = [tmp_path / f"{name}.mp4", "--model", tmp_path / "model.keras", "--detector", tmp_path / "detector"]
        command = [sys.executable, "-m", "slowfast_tf.predict", *map(str, arguments), "--output", str(tmp_path / "out")]
        _, status, usage = os.wait4(subprocess.Popen(command, stderr=subprocess.DEVNULL).pid, 0)
        assert status == 0 and len(json.loads((tmp_path / f"out/{name}.json").read_text())["people"]) == count
        most.append(usage.ru_maxrss / 1000)  # MB
    assert most[1] < most[0] + 100, most
