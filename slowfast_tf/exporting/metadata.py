"""The protocol of a network, as metadata of an exported file."""

import dataclasses
from typing import Any

from ..data import sampling
from ..models.spec import SlowFastSpec


def metadata(spec: SlowFastSpec) -> dict[str, Any]:
    """Return a dictionary that JSON can hold: everything between the frames of a video and its labels.

    Keys:
        inputs: names of the inputs in order: "slow" and "fast" or one of them, and "boxes" of a detection network.
        labels: class names (numbers if there are none).
        frame_rate: frames a second that the stride counts; null for each video's own. In a video of rate R every
            frame of the stride is R / frame_rate raw frames.
        frame_index: "strided", "linspace" or "segments": how the frames of a clip are taken, see `SlowFastSpec`.
        clip_span: raw frames that a clip covers, at `frame_rate`.
        clip_stride: raw frames from one frame of the densest pathway to the next ("strided"), at `frame_rate`.
        frames: which frames of a clip the densest pathway sees, at `frame_rate`; past the end of the video the last
            frame is repeated.
        slow_index: which of `frames` the Slow pathway sees.
        views: views of the model's test: `clips`, `crops`, `to_the_end` and `fuse`, see `Views`.
        person_score: least score of a detector's box (a detection network).
        crop_size: the shorter side is resized to it, and square crops are taken (a detection network takes it all).
        mean, std: per channel, on a 0..1 scale: (x / 255 - mean) / std.
        channel_order, slow_input, fast_input, activation: as in `SlowFastSpec`.
    """
    fields = (
        *("clip_span", "clip_stride", "frame_rate", "frame_index", "person_score", "crop_size", "mean", "std"),
        *("channel_order", "slow_input", "fast_input", "activation"),
    )
    return {
        "inputs": list(spec.inputs),
        "labels": list(spec.labels or map(str, range(spec.num_classes))),
        "frames": sampling.window_offsets(dataclasses.replace(spec, frame_rate=None), 1.0).tolist(),
        "slow_index": list(spec.slow_index),
        "views": dataclasses.asdict(spec.views),
        **{name: getattr(spec, name) for name in fields},
    }
