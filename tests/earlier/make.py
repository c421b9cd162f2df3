"""Writes the files of this directory, with the package as it was before a model stated its whole protocol.

    git worktree add ../earlier dbd7c02
    PYTHONPATH=../earlier python tests/earlier/make.py tests/earlier

`run/` is the directory of a run with a model and its configuration, `served/` its SavedModel, `records/` prepared
records of one video, and `expected.json` the scores that that version gave the video.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import av
import numpy as np
import tensorflow as tf

from slowfast_tf import SlowFast, config
from slowfast_tf.data import Clips
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.evaluation.views import score_videos
from slowfast_tf.exporting import saved_model
from slowfast_tf.inference import Predictor, read_clip


def write(path):
    """A second of moving bars, at 50 frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 50, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 40, 32, "yuv444p"
        y, x = np.mgrid[:32, :40]
        for time in range(50):
            waves = [np.sin(x / 4 + time / 3), np.cos(y / 5 - time / 4), np.sin((x + y) / 6 + time / 5)]
            image = (127.5 + 127.5 * np.stack(waves, -1)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())


def main(target):
    target = pathlib.Path(target)
    with tempfile.TemporaryDirectory() as scratch:
        data = pathlib.Path(scratch) / "data"
        for split in ("train", "val"):
            for label in ("bend", "jump", "turn"):
                (data / split / label).mkdir(parents=True)
        write(target / "bars.mp4")
        for split in ("train", "val"):
            shutil.copy(target / "bars.mp4", data / split / "jump")
        values = {
            "name": "earlier",
            "model": {"preset": "slowfast_2x16_demo", "depth": 10, "width": 2, "crop_size": 32},
            "data": {
                "dataset": "folder",
                "root": str(data),
                "frame_rate": 25.0,
                "crop_size": 32,
                "short_sides": [32, 40],
            },
            "train": {"epochs": 1, "batch_size": 1, "learning_rate": 0.1, "warmup_epochs": 0},
            "test": {"clips": 3, "crops": 2, "fuse": "max"},
            "prepare": {"short_side": 32},
        }
        (pathlib.Path(scratch) / "config.json").write_text(json.dumps(values))
        settings = config.load(pathlib.Path(scratch) / "config.json")
        clips = Clips(settings, "val")
        model = SlowFast(clips.spec)
        random = np.random.default_rng(0)
        model.set_weights([random.uniform(0.5, 1.5, w.shape) if w.ndim < 2 else w for w in model.get_weights()])
        tested = score_videos(model, clips)
        (target / "run").mkdir()
        model.save(target / "run" / "model.keras")
        values["data"]["root"] = "data"
        (target / "run" / "config.json").write_text(json.dumps(values, indent=2) + "\n")
        saved_model.export(model, target / "served")
        prepare(settings, str(target / "records"))
    shutil.rmtree(target / "served" / "assets.extra", ignore_errors=True)
    clip = read_clip(target / "bars.mp4", model.spec)
    serve = tf.saved_model.load(str(target / "served")).signatures["serving_default"]
    video = np.stack([frame.to_ndarray(format="rgb24") for frame in av.open(str(target / "bars.mp4")).decode(video=0)])
    expected = {
        "predict": Predictor(model).score_clips(clip[None])[0].numpy().tolist(),
        "evaluate": tested.scores[0].tolist(),
        "serving_default": serve(video=tf.constant(video[None]))["scores"][0].numpy().tolist(),
    }
    (target / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
