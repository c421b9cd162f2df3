"""List the people in your own videos, to fill in their actions: `python -m slowfast_tf.find_people VIDEO...`."""

import argparse
import sys

from . import runtime
from .errors import VideoError
from .inference import detectors
from .inference.options import check_people
from .inference.paths import check_videos

ADVICE = {
    "address": "give a file",
    "output": "give another --output, or --overwrite to replace the filled-in labels",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: arguments of the command line; None for those of this process.

    Returns:
        1 if a video could not be read, otherwise 0.
    """
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.find_people",
        description="Finds and tracks the people in videos, and writes a csv file with a row for each person and"
        " second. Fill in the column action, and train on the directory (docs/detection.md). The same command resumes"
        " work that was stopped.",
        epilog="example: python -m slowfast_tf.find_people films/*.mp4 --val films/park.mp4 --output data/people",
    )
    add = parser.add_argument
    add("videos", nargs="+", metavar="VIDEO", help="a video file, of any format that FFmpeg reads")
    add("--output", required=True, metavar="DIR", help="where to write annotations/train.csv, and link the videos")
    add("--val", nargs="+", default=[], metavar="VIDEO", help="videos for validation, listed in annotations/val.csv")
    add("--detector", default=detectors.DEFAULT, metavar="NAME", help=f"{detectors.FORMS} (%(default)s)")
    add("--person-score", type=float, metavar="SCORE", help="lowest score of a box that counts as a person (0.5)")
    add("--overwrite", action="store_true", help="replace existing files, including filled-in labels")
    options = parser.parse_args(arguments)
    check_videos([*options.videos, *options.val])
    check_people(options)
    runtime.import_tensorflow()
    from .inference.people import list_people

    detector = detectors.load_detector(options.detector, options.person_score)
    failed = 0
    for found in list_people(options.videos, options.output, detector, options.val, options.overwrite):
        failed += isinstance(found, VideoError)
        if isinstance(found, VideoError):
            print(f"error: {found}", file=sys.stderr)
        else:
            print(found.line(), flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    runtime.run(main, ADVICE)
