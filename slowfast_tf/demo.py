"""Open a page to drop videos on, on this machine: `python -m slowfast_tf.demo --model NAME`."""

import argparse
import importlib.util
import socket

from . import runtime
from .checkpoints.names import DEFAULT, FORMS, check_name, load
from .errors import InputError
from .inference import detectors
from .inference.chosen_views import with_views
from .inference.options import check_model, check_people, refuse
from .models.spec import SlowFastSpec


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.demo",
        description="Opens a web page on this machine to drop videos on. It shows the best classes, their scores over"
        " time, a Grad-CAM heat map for each pathway, and the run time. No data leaves the machine. Ctrl-C stops it.",
        epilog="example: python -m slowfast_tf.demo --model runs/demo",
    )
    parser.add_argument("--model", default=DEFAULT, help=f"{FORMS} (%(default)s)")
    parser.add_argument("--views", help="views of a video, as in predict; by default the model's own")
    parser.add_argument(
        "--detector", metavar="NAME", help=f"for a detection model: {detectors.FORMS} ({detectors.DEFAULT})"
    )
    parser.add_argument("--person-score", type=float, metavar="SCORE", help="lowest score of a box that counts (0.5)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s: this machine only)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (%(default)s)")
    parser.add_argument("--limit", type=int, default=200, metavar="MB", help="largest upload, in MB (%(default)s)")
    options = parser.parse_args(arguments)
    check(options)

    runtime.import_tensorflow()
    from .inference.page import serve

    model = load(options.model)
    check_model(model.spec, options)
    detector = None
    if model.spec.head == "roi":
        detector = detectors.load_detector(options.detector or detectors.DEFAULT, options.person_score)
    with serve(model, options.host, options.port, options.limit, options.views, detector) as page:
        print(f"{page.address} (Ctrl-C ends it)", flush=True)
        page.wait()


def check(options: argparse.Namespace) -> None:
    """Refuse wrong options before importing TensorFlow, which takes seconds."""
    refuse((options.limit < 1, f"--limit must be at least 1; received {options.limit}"))
    check_people(options)
    if not importlib.util.find_spec("gradio"):
        raise InputError("the page needs Gradio: pip install 'slowfast_tf[demo]'")
    try:
        socket.create_server((options.host, options.port)).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot listen: {reason}; try another --host or --port") from error
    with_views(SlowFastSpec(), options.views)
    check_name(options.model)


if __name__ == "__main__":
    runtime.run(main)
