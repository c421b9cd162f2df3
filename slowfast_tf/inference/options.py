"""Check the options of `predict`. Needs no TensorFlow."""

import argparse

from ..checkpoints.names import check_name
from ..errors import InputError
from ..models.spec import SlowFastSpec
from . import detectors
from .chosen_views import with_views
from .labels import check_takes_video, read_class_names
from .paths import SUFFIXES, check_outputs, check_videos


def check(options: argparse.Namespace) -> None:
    """Refuse impossible options before TensorFlow takes seconds to import.

    Args:
        options: options of the command. Sets the attribute `outputs`: the paths of `--video`, `--timeline` and
            `--explain`, by name.

    Raises:
        InputError: one line about the first mistake.
    """
    options.outputs = {name: path for name in SUFFIXES if (path := getattr(options, name))}
    count, others = len(options.videos), {*options.outputs} - {"video"}
    refuse(
        (options.top_k < 1, f"--top-k must be at least 1; received {options.top_k}"),
        (bool(count) == bool(options.camera), "give VIDEO or --camera, and not both"),
        (options.views and options.camera, "--views is for VIDEO; --camera scores the latest clip"),
        (options.output and options.camera, "--output is for VIDEO; received --camera"),
        (options.camera and others, "--timeline and --explain are for one VIDEO; received --camera"),
        (options.outputs and count > 1, f"--video, --timeline and --explain are for one VIDEO; received {count}"),
        (options.boxes and options.detector, "give --boxes or --detector, not both"),
        (options.boxes and options.camera, "--boxes is for one VIDEO; --camera takes --detector"),
        (options.boxes and count > 1, f"--boxes is for one video; received {count}"),
    )
    check_videos(options.videos)
    if options.outputs:
        check_outputs(options.videos[0] if count else None, options.outputs, options.overwrite)
    if options.labels:
        read_class_names(options.labels)
    check_people(options)
    with_views(SlowFastSpec(), options.views)
    check_name(options.model)


def check_people(options: argparse.Namespace) -> None:
    """Refuse a detector or a person score that cannot be used.

    Raises:
        InputError: one line about the first mistake.
    """
    score = options.person_score
    refuse((not 0 <= (score or 0) <= 1, f"--person-score is from 0 to 1; received {score}"))
    if options.detector:
        detectors.check_detector(options.detector)


def check_model(spec: SlowFastSpec, options: argparse.Namespace) -> None:
    """Refuse options that the kind of model (classification or detection) does not support.

    Raises:
        InputError: one line about the first mistake.
    """
    check_takes_video(spec, options.model)
    detects = spec.head == "roi"
    others = ["views", "timeline", "explain"] if detects else ["boxes", "detector", "person_score", "output"]
    # `--video` needs a detection model with a camera, or a classification model with a file.
    if detects != bool(getattr(options, "camera", None)):
        others.append("video")
    wrong = [f"--{name.replace('_', '-')}" for name in others if getattr(options, name, None) is not None]
    kind = "a" if detects else "no"
    refuse((wrong, f"{options.model} is {kind} detection model; leave {' and '.join(wrong)} out"))


def refuse(*mistakes: tuple[object, str]) -> None:
    """Raise an error for the first condition that holds.

    Args:
        mistakes: pairs of a condition and an error message.

    Raises:
        InputError: with the message of that condition.

    Example:
        >>> refuse((count < 1, f"--count must be at least 1; received {count}"))
    """
    for wrong, message in mistakes:
        if wrong:
            raise InputError(message)
