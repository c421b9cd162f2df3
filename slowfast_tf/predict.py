"""Tell what happens in videos, or who does what: `python -m slowfast_tf.predict VIDEO... --model NAME`."""

import argparse

from . import runtime
from .checkpoints.names import DEFAULT, FORMS, check_name, load
from .errors import InputError
from .inference import detectors
from .inference.chosen_views import with_views
from .inference.labels import check_takes_video, class_names, read_class_names
from .inference.paths import SUFFIXES, check_outputs, check_videos
from .inference.report import print_results
from .models.spec import SlowFastSpec

ADVICE = {
    "address": "or watch a stream with --camera ADDRESS",
    "directory": "give another --output",
    "output": "give another --output, or --overwrite to replace it",
    "videos": "give them one by one, with --output",
    "views": "give --views middle, KxC or sliding",
    **dict.fromkeys(("video", "timeline", "explain"), "give another name, or --overwrite to replace it"),
}


def main(arguments: list[str] | None = None) -> int | None:
    options = parse(arguments)
    check(options)
    runtime.import_tensorflow()
    from .inference import Predictor, live, people, prediction

    model = load(options.model)
    labels = class_names(model.spec, options.labels)
    check_model(model.spec, options)
    if model.spec.head == "roi":
        where = options.output, options.overwrite, options.boxes, options.detector, options.person_score
        results = people.annotate_files(model, options.videos, labels, *where, options.top_k)
    elif options.camera:
        results = live.watch(Predictor(model), options.camera, labels)
    else:
        outputs = prediction.Outputs(**options.outputs, count=min(options.top_k, 3))
        results = prediction.predict_files(model, options.videos, labels, options.views, outputs)
    try:
        return min(print_results(results, options.top_k, options.json), 1)
    except KeyboardInterrupt:
        if not options.camera:  # which Ctrl-C ends
            raise


def check_model(spec: SlowFastSpec, options: argparse.Namespace) -> None:
    check_takes_video(spec, options.model)
    detects, people = spec.head == "roi", options.boxes or options.detector or options.person_score is not None
    over_time = options.camera or options.views or options.outputs
    others = "is a detection model; leave --camera, --views, --video, --timeline and --explain out"
    refuse(
        (people and not detects, f"{options.model} is no detection model; leave --boxes, --detector and such out"),
        (detects and over_time, f"{options.model} {others}"),
    )


def refuse(*mistakes: tuple[object, str]) -> None:
    for wrong, message in mistakes:
        if wrong:
            raise InputError(message)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.predict",
        description="Prints the best classes of each video. A detection model (AVA) writes each video with the people,"
        " their actions and scores drawn in, and the same as JSON.",
        epilog="examples: predict holiday.mp4 --top-k 3; predict street.mp4 --model runs/ava --output out",
    )
    add = parser.add_argument
    add("videos", nargs="*", metavar="VIDEO", help="a video file, of any format that FFmpeg reads")
    add("--model", default=DEFAULT, help=f"{FORMS} (%(default)s)")
    add("--labels", help="a text file of class names, one a line, in place of the model's own")
    add("--top-k", type=int, default=5, help="how many classes to print (5)")
    add("--json", action="store_true", help="print one JSON object a video")
    add("--overwrite", action="store_true", help="replace files that exist")
    add("--views", metavar="VIEWS", help="KxC (clips, crops), middle (1x1) or sliding; by default the model's own")
    add("--camera", metavar="SOURCE", help="in place of VIDEO: the number of a camera, or a stream's address")
    add = parser.add_argument_group("over time", "files of one video; they do not change the scores").add_argument
    add("--video", metavar="FILE.mp4", help="write the video with the best classes on its frames")
    add("--timeline", metavar="FILE.png", help="write a plot of the scores over time")
    add("--explain", metavar="FILE.mp4", help="write the video with what speaks for the best class, in each pathway")
    add = parser.add_argument_group("detection models").add_argument
    add("--boxes", metavar="FILE", help="the people of a video, as csv or JSON (docs/detection.md)")
    add("--detector", metavar="NAME", help=f"in place of --boxes: {detectors.FORMS} ({detectors.DEFAULT})")
    add("--person-score", type=float, metavar="SCORE", help="least score of a box (0.5; of --boxes, the model's own)")
    add("--output", metavar="DIR", default="detections", help="where to write (%(default)s)")
    return parser.parse_args(arguments)


def check(options: argparse.Namespace) -> None:
    """Refuse what cannot be done, before TensorFlow takes seconds to import."""
    options.outputs = {name: path for name in SUFFIXES if (path := getattr(options, name))}
    count, found = len(options.videos), "no --camera" if options.camera else f"received {len(options.videos)}"
    refuse(
        (options.top_k < 1, f"--top-k must be at least 1; received {options.top_k}"),
        (bool(count) == bool(options.camera), "give VIDEO or --camera, and not both"),
        (options.views and options.camera, "--views is for VIDEO; --camera scores the latest clip"),
        (options.outputs and count != 1, f"--video, --timeline and --explain are for one VIDEO; {found}"),
        (options.boxes and options.detector, "give --boxes or --detector, not both"),
        (not 0 <= (options.person_score or 0) <= 1, f"--person-score is from 0 to 1; received {options.person_score}"),
        (options.boxes and count > 1, f"--boxes is for one video; received {count}"),
    )
    check_videos(options.videos)
    if options.outputs:
        check_outputs(options.videos[0], options.outputs, options.overwrite)
    if options.labels:
        read_class_names(options.labels)
    if options.detector:
        detectors.check_detector(options.detector)
    with_views(SlowFastSpec(), options.views)
    check_name(options.model)


if __name__ == "__main__":
    runtime.run(main, ADVICE)
