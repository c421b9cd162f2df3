"""Recognize the actions in videos, or of each person: `python -m slowfast_tf.predict VIDEO... --model NAME`."""

import argparse

from . import runtime
from .checkpoints.names import DEFAULT, FORMS, load
from .inference import detectors
from .inference.labels import class_names
from .inference.options import check, check_model
from .inference.report import print_results

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
    if model.spec.head == "roi" and options.camera:
        detector = detectors.load_detector(options.detector or detectors.DEFAULT, options.person_score)
        scorer, lines = people.Scorer(model), min(options.top_k, 3)
        results = people.watch_people(scorer, detector, options.camera, labels, options.video, lines)
    elif model.spec.head == "roi":
        results = people.annotate_files(
            model,
            options.videos,
            labels,
            directory=options.output or "detections",
            overwrite=options.overwrite,
            boxes=options.boxes,
            detector=options.detector,
            person_score=options.person_score,
            top=options.top_k,
        )
    elif options.camera:
        results = live.watch(Predictor(model), options.camera, labels)
    else:
        outputs = prediction.Outputs(**options.outputs, count=min(options.top_k, 3))
        results = prediction.predict_files(model, options.videos, labels, options.views, outputs)
    try:
        return min(print_results(results, options.top_k, options.json), 1)
    except KeyboardInterrupt:
        if not options.camera:  # Ctrl-C is the normal end of a camera
            raise


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.predict",
        description="Prints the best classes of each video. A detection model (AVA) finds the people in each video,"
        " and writes their boxes, actions and scores: drawn on the video, as JSON and as csv.",
        epilog="examples: predict holiday.mp4 --top-k 3; predict street.mp4 --model runs/ava --output out",
    )
    add = parser.add_argument
    add("videos", nargs="*", metavar="VIDEO", help="a video file, of any format that FFmpeg reads")
    add("--model", default=DEFAULT, help=f"{FORMS} (%(default)s)")
    add("--labels", help="a text file of class names, one per line, in place of the model's own")
    add("--top-k", type=int, default=5, help="number of classes to print (5)")
    add("--json", action="store_true", help="print one JSON object per video")
    add("--overwrite", action="store_true", help="replace files that exist")
    add("--views", metavar="VIEWS", help="KxC (clips, crops), middle (1x1) or sliding; by default the model's own")
    add("--camera", metavar="SOURCE", help="in place of VIDEO: the number of a camera, or a stream's address")
    add = parser.add_argument_group("over time", "files of one video; they do not change the scores").add_argument
    add("--video", metavar="FILE.mp4", help="write the video with the best classes on its frames, or a camera's people")
    add("--timeline", metavar="FILE.png", help="write a plot of the scores over time")
    add("--explain", metavar="FILE.mp4", help="write the video with Grad-CAM heat maps of the best class")
    add = parser.add_argument_group("detection models").add_argument
    add("--boxes", metavar="FILE", help="boxes of the people in a video, as csv or JSON (docs/people.md)")
    add("--detector", metavar="NAME", help=f"in place of --boxes: {detectors.FORMS} ({detectors.DEFAULT})")
    add("--person-score", type=float, metavar="SCORE", help="lowest score of a box (0.5; for --boxes, the model's own)")
    add("--output", metavar="DIR", help="where to write (detections)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    runtime.run(main, ADVICE)
