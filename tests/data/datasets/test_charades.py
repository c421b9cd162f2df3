"""`configs/charades.json` as a user types it: fine-tuned from a converted checkpoint, tested with 30 views."""

import csv
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from helpers.coded_video import write
from helpers.published import CHARADES_COLUMNS
from sklearn.metrics import average_precision_score

import slowfast_tf
from slowfast_tf import convert

ROOT = pathlib.Path(__file__).parents[3]
CHECKPOINT = ROOT.parent / "shared" / "golden" / "pyslowfast_slowfast_8x8_r50_w16.pkl"
# The checkpoint is 16 wide; the rest is time.
SMALLER = [
    "model.width=16",
    *("model.crop_size=32", "data.crop_size=32", "data.short_sides=[32, 40]"),
    *("train.epochs=1", "train.warmup_epochs=1", "train.batch_size=2"),
]
# Of 157 classes, by video of the test list.
HAPPENING = {"TEST0": (3, 92, 156), "TEST1": (3,), "TEST2": (), "TEST3": (92, 147), "TEST4": (147, 3)}


def scene(random, frames):
    """A rectangle that goes over a coarse pattern, each at its own pace; width and height are a phone's."""
    pattern = np.kron(random.integers(0, 256, (12, 10, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    color, speed = random.integers(0, 256, 3), random.uniform(0.2, 1.5)
    for time in range(frames):
        image = np.roll(pattern, time // 3, 1)[:56, :40].copy()
        top = int(time * speed) % 40
        image[top : top + 14, 10:28] = color
        yield image


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with `configs`, the data set and the checkpoint where `configs/charades.json` looks for them."""
    place = tmp_path_factory.mktemp("charades")
    (place / "configs").symlink_to(ROOT / "configs")
    root = place / "data" / "charades"
    (root / "Charades_v1_480").mkdir(parents=True)
    (root / "Charades_v1_classes.txt").write_text("".join(f"c{i:03d} Doing {i}\n" for i in range(157)))
    random = np.random.default_rng(0)
    lists = {"train": {"TRAI0": (3, 92), "TRAI1": (147,), "TRAI2": (), "TRAI3": (156, 3)}, "test": HAPPENING}
    for split, videos in lists.items():
        with open(root / f"Charades_v1_{split}.csv", "w", newline="") as file:
            rows = csv.DictWriter(file, CHARADES_COLUMNS)
            rows.writeheader()
            for number, (name, classes) in enumerate(videos.items()):
                rate, seconds = (24, 6.0) if number % 2 else (30, 4.5)  # longer and shorter than a clip
                write(
                    root / "Charades_v1_480" / f"{name}.mp4", list(scene(random, int(rate * seconds))), rate=rate, bf=2
                )
                actions = ";".join(f"c{c:03d} {0.5 * i:.2f} {seconds - i:.2f}" for i, c in enumerate(classes))
                row = dict.fromkeys(CHARADES_COLUMNS, "A person, seen; so")
                rows.writerow({**row, "id": name, "actions": actions, "length": f"{seconds:.2f}"})
    output = place / "checkpoints" / "slowfast_8x8_r50_k400.keras"
    convert.main([str(CHECKPOINT), "--output", str(output), "--activation", "softmax"])
    return place


@pytest.mark.slow
@pytest.mark.skipif(not CHECKPOINT.exists(), reason="the golden vectors are not there: ../shared/golden")
def test_the_configuration_as_it_is_typed(place):
    start = "train.init=checkpoints/slowfast_8x8_r50_k400.keras"  # in place of the published file of that name
    words = [word for change in (*SMALLER, start) for word in ("--set", change)]
    done = subprocess.run(
        [sys.executable, "-m", "slowfast_tf.train", "--config", "configs/charades.json", *words],
        capture_output=True,
        text=True,
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    run = place / "runs" / "charades"
    figures = json.loads((run / "metrics.json").read_text())
    assert figures["videos"] == len(HAPPENING) and figures["skipped"] == 0 and figures["views"] == "10x3"
    with np.load(run / "scores.npz") as file:
        ids, labels, scores = file["ids"].tolist(), file["labels"], file["scores"]
    assert labels.shape == scores.shape == (len(HAPPENING), 157)
    assert {name: set(np.flatnonzero(row)) for name, row in zip(ids, labels)} == {
        name: set(classes) for name, classes in HAPPENING.items()
    }
    present = [3, 92, 147, 156]  # the others have no positives
    precisions = [average_precision_score(labels[:, c], scores[:, c]) for c in present]
    assert figures["mAP"] == pytest.approx(np.mean(precisions), abs=1e-12)
    assert f"mAP {figures['mAP']:.3f}" in done.stdout

    # Two steps of the warm-up from the checkpoint, at rates of 1e-3 or less: everything but the classifier.
    source, trained = (slowfast_tf.load(p) for p in (place / "checkpoints/slowfast_8x8_r50_k400.keras", run))
    assert source.spec.num_classes == 20 and trained.spec.num_classes == 157 and trained.spec.frames == 16
    for name in ("slow_stem", "fast_res5", "lateral_res4"):
        before, after = (m.get_layer(name).trainable_variables[0].numpy() for m in (source, trained))
        assert 0 < np.abs(after - before).max() < 0.2 * before.std(), name
