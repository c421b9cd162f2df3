"""Tells what happens in videos: `python -m slowfast_tf.predict VIDEO... --model PATH`."""

import argparse
import json
import pathlib
import sys

from . import cli


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.predict",
        description="Tells what happens in videos: a line for each, with the best classes and their scores.",
        epilog="example: python -m slowfast_tf.predict holiday.mp4 --model runs/demo --top-k 3",
    )
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="a video file, of any format that FFmpeg reads")
    parser.add_argument("--model", required=True, help="a .keras file, or the directory of a run")
    parser.add_argument("--labels", help="a text file of class names, one a line, in place of the model's own")
    parser.add_argument("--top-k", type=int, default=5, help="how many classes to print (5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a video")
    options = parser.parse_args(arguments)
    if options.top_k < 1:
        raise cli.UserError(f"--top-k must be at least 1; received {options.top_k}")
    labels = read_labels(options.labels) if options.labels else None

    cli.import_tensorflow()
    from . import load
    from .data.video import VideoError
    from .inference import Predictor

    predictor = Predictor(load(options.model))
    classes = predictor.spec.num_classes
    if labels and len(labels) != classes:
        raise cli.UserError(f"{options.labels} has {len(labels)} lines; the model has {classes} classes")
    labels = labels or [label.decode() for label in predictor.labels.numpy()]
    failed = False
    for path in options.videos:
        try:
            clip = read_clip(path, predictor.spec)
        except VideoError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
            continue
        scores = predictor.score_clips(clip[None])[0].numpy()
        top = sorted(zip(scores.tolist(), labels), key=lambda pair: -pair[0])[: options.top_k]
        if options.json:
            found = [{"label": label, "score": score} for score, label in top]
            print(json.dumps({"video": path, "predictions": found}), flush=True)
        else:
            print(f"{path}: " + ", ".join(f"{label} {score:.3f}" for score, label in top), flush=True)
    return 1 if failed else 0


def read_clip(path, spec):
    """The middle clip of a video, uint8 `[F, H, W, 3]`: the frames of the densest pathway.

    Args:
        path: a video file.
        spec: a `SlowFastSpec`.

    Raises:
        slowfast_tf.data.video.VideoError: where it cannot be read.
    """
    from .data import sampling, video

    count = video.probe(path).frames
    return video.read(path, sampling.clip_frames(sampling.test_places(1), count, spec)[0].numpy())


def read_labels(path):
    """Class names from a text file, one a line."""
    try:
        return [line.strip() for line in pathlib.Path(path).read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise cli.UserError(f"cannot read the class names {path}: {error}") from error


if __name__ == "__main__":
    cli.run(main)
