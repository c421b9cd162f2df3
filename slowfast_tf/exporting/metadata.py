"""The protocol of a network, as metadata of an exported file."""

import dataclasses
from typing import Any

from ..data import sampling
from ..models.spec import SlowFastSpec


def metadata(spec: SlowFastSpec) -> dict[str, Any]:
    """Return a dictionary that JSON can hold, with everything that inference needs besides the network.

    Keys:
        inputs: names of the inputs in order: "slow" and "fast" or one of them; for a detection network also "boxes".
        labels: class names; class numbers as text if there are no names.
        frame_rate: frame rate to which the stride refers; null for the video's own rate. In a video of rate R, a frame
            of the stride is R / frame_rate raw frames.
        frame_index: how the frames of a clip are selected: "strided", "linspace" or "segments", see `SlowFastSpec`.
        clip_span: number of raw frames that a clip covers, at `frame_rate`.
        clip_stride: raw frames from one frame of the densest pathway to the next ("strided"), at `frame_rate`.
        frames: frame numbers in a clip that the densest pathway sees, at `frame_rate`. Past the end of the video, the
            last frame is repeated.
        slow_index: indices in `frames` of the frames that the Slow pathway sees.
        views: views of the model's test: `clips`, `crops`, `to_the_end` and `fuse`, see `Views`.
        person_score: lowest score of a box that counts as a person (detection networks).
        crop_size: length of the shorter side after resizing, and side of the square crops, in pixels. A detection
            network takes whole frames.
        mean, std: normalization of each channel, for values from 0 to 1: (x / 255 - mean) / std.
        channel_order, slow_input, fast_input, activation: as in `SlowFastSpec`.

    Example:
        >>> metadata(get_spec("slowfast_8x8_r50"))["crop_size"]
        256
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
