"""Tells what happens in videos, or who does what: `python -m slowfast_tf.predict VIDEO... --model PATH`."""

import argparse
import json
import pathlib
import sys

from . import runtime
from .errors import InputError
from .files.atomic import write_text


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.predict",
        description="Tells what happens in videos: a line for each, with the best classes and their scores. With a"
        " detection model (AVA), who does what: writes each video with boxes, actions and scores drawn in, and a JSON"
        " file of times, boxes and scores.",
        epilog="examples: python -m slowfast_tf.predict holiday.mp4 --model runs/demo --top-k 3; "
        "python -m slowfast_tf.predict long.mp4 --model runs/demo --video labels.mp4 --timeline timeline.png; "
        "python -m slowfast_tf.predict --camera 0 --model runs/demo; "
        "python -m slowfast_tf.predict street.mp4 --model runs/ava --boxes people.csv --output out",
    )
    parser.add_argument("videos", nargs="*", metavar="VIDEO", help="a video file, of any format that FFmpeg reads")
    parser.add_argument("--model", required=True, help="a .keras file, or the directory of a run")
    parser.add_argument("--labels", help="a text file of class names, one a line, in place of the model's own")
    parser.add_argument("--top-k", type=int, default=5, help="how many classes to print (5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a video")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument(
        "--camera",
        metavar="SOURCE",
        help="in place of VIDEO: the number of a camera, or a stream's address; a line for each clip, as it happens",
    )
    windows = parser.add_argument_group(
        "over time",
        "what happens when in one video, by a window that slides; the scores printed are then the mean of all windows",
    )
    windows.add_argument("--video", metavar="FILE.mp4", help="write the video with the best classes on its frames")
    windows.add_argument("--timeline", metavar="FILE.png", help="write a plot of the scores over time")
    windows.add_argument(
        "--explain", metavar="FILE.mp4", help="write the video with what speaks for the best class, in each pathway"
    )
    people = parser.add_argument_group("detection models")
    people.add_argument(
        "--boxes",
        metavar="FILE",
        help="people of the video: a csv file of second,x1,y1,x2,y2[,score], or a .json file of"
        ' [{"time": ..., "box": [x1, y1, x2, y2], "score": ...}, ...]; corners as shares of width and height',
    )
    people.add_argument(
        "--detector",
        metavar="PATH",
        help="a SavedModel with the signature of TensorFlow's object detectors, in place of --boxes",
    )
    people.add_argument("--output", metavar="DIR", default="detections", help="where to write (%(default)s)")
    options = parser.parse_args(arguments)
    if options.top_k < 1:
        raise InputError(f"--top-k must be at least 1; received {options.top_k}")
    check_sources(options)
    if options.boxes and options.detector:
        raise InputError("give --boxes or --detector, not both")
    if options.boxes and len(options.videos) > 1:
        raise InputError(f"--boxes is for one video; received {len(options.videos)}")
    labels = read_labels(options.labels) if options.labels else None

    runtime.import_tensorflow()
    from errors import VideoError

    from . import load
    from .inference.predictor import Predictor

    model = load(options.model)
    classes = model.spec.num_classes
    if labels and len(labels) != classes:
        raise InputError(f"{options.labels} has {len(labels)} lines; the model has {classes} classes")
    labels = labels or model.spec.labels or [str(i) for i in range(classes)]
    if model.spec.head == "roi":
        if options.camera or outputs(options):
            raise InputError(
                f"{options.model} is a detection model; --camera, --video, --timeline and --explain are for others"
            )
        return detect(model, labels, options)
    if options.boxes or options.detector:
        raise InputError(f"{options.model} is no detection model; leave --boxes and --detector out")
    predictor = Predictor(model)
    if options.camera:
        return watch(predictor, labels, options)
    failed = False
    for path in options.videos:
        try:
            if outputs(options):
                scores, rest = over_time(predictor, path, labels, options)
            else:
                scores, rest = predictor.score_clips(read_clip(path, predictor.spec)[None])[0].numpy(), {}
        except VideoError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
            continue
        report(scores, labels, options, f"{path}: ", {"video": path}, rest)
    return 1 if failed else 0


def check_sources(options):
    """Refuses what cannot be read, or would be written over."""
    if bool(options.videos) == bool(options.camera):
        raise InputError("give VIDEO or --camera, and not both")
    if not outputs(options):
        return
    if len(options.videos) != 1:
        what = "no --camera" if options.camera else f"received {len(options.videos)}"
        raise InputError(f"--video, --timeline and --explain are for one VIDEO; {what}")
    places = [pathlib.Path(path).resolve() for path in outputs(options)]
    for path, place in zip(outputs(options), places):
        wanted = ".png" if path == options.timeline else ".mp4"
        if place.suffix.lower() != wanted:
            raise InputError(f"{path} would hold a {wanted[1:].upper()} file; give a name that ends in {wanted}")
        if places.count(place) > 1 or place == pathlib.Path(options.videos[0]).resolve():
            raise InputError(f"{path} is given twice; each output needs a file of its own, and so does the video")
        if place.exists() and not options.overwrite:
            raise InputError(f"{path} exists; give another name, or --overwrite to replace it")


def outputs(options):
    """What is to be written over time: paths."""
    return [path for path in (options.video, options.timeline, options.explain) if path]


def report(scores, labels, options, start, about, rest):
    """Prints the best classes: a line, or a JSON object with what else there is to tell."""
    from .inference.sliding import best

    top = best(scores, labels, options.top_k)
    if options.json:
        print(json.dumps({**about, "predictions": _named(top), **rest}), flush=True)
    else:
        print(start + ", ".join(f"{label} {score:.3f}" for label, score in top), flush=True)


def _named(pairs):
    return [{"label": label, "score": score} for label, score in pairs]


def over_time(predictor, path, labels, options):
    """Writes what `--video`, `--timeline` and `--explain` ask for.

    Returns:
        The mean scores of all windows, and, for JSON, those of each.
    """
    from .inference import plots, sliding

    timeline = sliding.Slider(predictor, explain=bool(options.explain)).slide(path)
    if options.timeline:
        plots.save_timeline(timeline, labels, pathlib.Path(path).name, options.timeline)
    if options.video:
        sliding.write_labels(path, timeline, labels, options.video, min(options.top_k, 3))
    if options.explain:
        sliding.write_heat(path, timeline, labels, options.explain, predictor.spec)
    windows = [
        {"start": times[0], "end": times[-1], "predictions": _named(sliding.best(scores, labels, options.top_k))}
        for times, scores in zip(timeline.times.tolist(), timeline.scores)
    ]
    return timeline.scores.mean(0), {"windows": windows}


def watch(predictor, labels, options):
    """Prints what happens in a camera or stream until it ends or Ctrl-C; 1 if it cannot be read, else 0."""
    from errors import VideoError

    from .inference import live

    try:
        for moment in live.watch(predictor, options.camera):
            start = f"{moment.time:.2f} s (delay {moment.delay:.2f} s): "
            about = {"camera": options.camera, "time": moment.time, "delay": moment.delay}
            report(moment.scores, labels, options, start, about, {})
    except VideoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass  # the way to end it
    return 0


def detect(model, labels, options):
    """Writes who does what in each video; 1 if one cannot be read, else 0."""
    from errors import VideoError
    from video.probe import duration, probe

    from .inference import people as detection

    if not options.boxes and not options.detector:
        raise InputError(f"{options.model} is a detection model: say where people are, by --boxes or --detector")
    places = [pathlib.Path(options.output, pathlib.Path(path).stem) for path in options.videos]
    for place in places:
        for path in (f"{place}.mp4", f"{place}.json"):
            if places.count(place) > 1:
                raise InputError(f"two videos would be written to {path}; give them one by one, with --output")
            if any(pathlib.Path(path).resolve() == pathlib.Path(source).resolve() for source in options.videos):
                raise InputError(f"{path} is a video to read; give another --output")
            if pathlib.Path(path).exists() and not options.overwrite:
                raise InputError(f"{path} exists; give another --output, or --overwrite to replace it")
    scorer = detection.Scorer(model)
    failed = False
    for path, place in zip(options.videos, places):
        try:
            length = duration(probe(path))
            if options.boxes:
                people = detection.read_boxes(options.boxes, length)
            else:
                people = detection.detect(path, options.detector, length)
            detection.track(people)
            scorer.score(path, people, labels, options.top_k)
            detection.write_video(path, people, f"{place}.mp4", min(options.top_k, 3))
        except VideoError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
            continue
        found = detection.as_json(path, people)
        write_text(f"{place}.json", json.dumps(found, indent=1) + "\n")
        if options.json:
            print(json.dumps(found), flush=True)
        else:
            count = len({person.track for person in people})
            print(f"{path}: {count} people in {len(found['frames'])} key frames; {place}.mp4, {place}.json", flush=True)
    return 1 if failed else 0


def read_clip(path, spec):
    """The middle clip of a video, uint8 `[F, H, W, 3]`: the frames of the densest pathway.

    Args:
        path: a video file.
        spec: a `SlowFastSpec`.

    Raises:
        VideoError: where it cannot be read.
    """
    from video.decode import read_frames
    from video.probe import probe

    from .data import sampling

    count = probe(path).frames
    return read_frames(path, sampling.middle_clip(count, spec).numpy())


def read_labels(path):
    """Class names from a text file, one a line."""
    try:
        return [line.strip() for line in pathlib.Path(path).read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the class names {path}: {error}") from error


if __name__ == "__main__":
    runtime.run(main)
