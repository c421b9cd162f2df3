"""The command line that the runners share: it labels videos or runs a benchmark."""

import argparse
import json
import os
import re
import sys
import time
from typing import NoReturn

import frames
import numpy as np


def main(description, load):
    """Run the command line.

    Args:
        description: description of the program, for --help.
        load: function of a path and a number of threads. It returns the metadata of the file, and a function from
            inputs to logits `[1, classes]`. It raises a ValueError if the file has another format.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("model", help="a file that `python -m slowfast_tf.export` wrote")
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="video files, or the word benchmark")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads to run on (%(default)s)")
    parser.add_argument("--top-k", type=int, default=5, help="classes to print (%(default)s)")
    parser.add_argument("--views", help="middle, or KxC for K clips and C crops; by default those of the model's test")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each video")
    parser.add_argument("--rounds", type=int, default=20, help="measured rounds of the benchmark (%(default)s)")
    options = parser.parse_args()
    if not os.path.isfile(options.model):
        _exit(f"{options.model}: no such file; give what python -m slowfast_tf.export wrote")
    for name in ("threads", "top_k", "rounds"):
        if getattr(options, name) < 1:
            _exit(f"--{name.replace('_', '-')} must be at least 1; received {getattr(options, name)}")
    try:
        about, run = load(options.model, options.threads)
        about = {**frames.EARLIER, **about}
        frames.check_inputs(about)
    except ValueError as error:
        _exit(f"{options.model}: {error}")
    if "boxes" in about["inputs"]:
        _exit(f"{options.model}: a detection network, which takes boxes as well; docs/detection.md says how to run it")
    if options.videos == ["benchmark"]:
        return _benchmark(about, run, options)
    views = _views(options.views, about)
    failed = False
    for path in options.videos:
        scores, seconds = [], 0.0
        try:
            for inputs in frames.read_views(path, about, views):
                began = time.perf_counter()
                logits = run(inputs)[0]
                seconds += time.perf_counter() - began
                scores.append(frames.scores_of(logits, about))
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
            continue
        fused = np.max(scores, 0) if about["views"]["fuse"] == "max" else np.mean(scores, 0)
        _print(path, frames.best(fused, about, options.top_k), views, 1000 * seconds, options.json)
    sys.exit(1 if failed else 0)


def _views(text, about):
    """Return (clips, crops) of the option --views; those of the file if it is not given."""
    if text is None:
        views = about["views"]["clips"], about["views"]["crops"]
        if not views[1]:
            _exit("the model's own test has whole frames, which this program does not crop; give --views, such as 10x3")
        return views
    found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,2})", "1x1" if text == "middle" else text)
    if not found:
        _exit(f"--views takes middle or KxC, such as 10x3; received {text!r}")
    return int(found[1]), int(found[2])


def _print(path, found, views, milliseconds, as_json):
    views = f"{views[0]}x{views[1]}"
    if as_json:
        found = [{"label": label, "score": score} for label, score in found]
        line = {"video": path, "views": views, "predictions": found, "milliseconds": milliseconds}
        print(json.dumps(line), flush=True)
    else:
        labels = ", ".join(f"{label} {score:.3f}" for label, score in found)
        print(f"{path} ({views} view{'s' * (views != '1x1')}): {labels} ({milliseconds:.0f} ms)", flush=True)


def _benchmark(about, run, options):
    side, count = about["crop_size"], len(about["frames"])
    clip = np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)
    inputs = frames.network_inputs(clip, about)
    run(inputs)
    seconds = []
    for _ in range(options.rounds):
        began = time.perf_counter()
        run(inputs)
        seconds.append(time.perf_counter() - began)
    low, middle, high = (1000 * np.percentile(seconds, p) for p in (0, 50, 90))
    print(
        f"{middle:.1f} ms a clip of {count}x{side}x{side} (median of {options.rounds}; fastest {low:.1f}, 90% within"
        f" {high:.1f}), {options.threads} threads"
    )


def _exit(message) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
