"""The metadata of an exported file: all settings that a runner needs."""

from typing import Any

from ..data import sampling
from ..models.spec import SlowFastSpec


def metadata(spec: SlowFastSpec) -> dict[str, Any]:
    """Return a JSON-compatible dictionary of all settings from a video's frames to labels.

    Keys:
        inputs: names of the inputs in order: "slow" and "fast" or one of them, and "boxes" of a detection network.
        labels: class names (numbers if there are none).
        clip_span: raw frames that a clip covers; it lies in the middle of the video.
        frames: which of these the densest pathway sees; past the end of the video the last frame is repeated.
        slow_index: which of `frames` the Slow pathway sees.
        crop_size: the shorter side is resized to it and the middle square taken (a detection network takes it all).
        mean, std: per channel, on a 0..1 scale: (x / 255 - mean) / std.
        channel_order, fast_input, activation: as in `SlowFastSpec`.
    """
    fields = "clip_span", "crop_size", "mean", "std", "channel_order", "fast_input", "activation"
    return {
        "inputs": list(spec.inputs),
        "labels": list(spec.labels or map(str, range(spec.num_classes))),
        "frames": sampling.clip_frames([0.0], spec.clip_span, spec)[0].numpy().tolist(),
        "slow_index": list(spec.slow_index),
        **{name: getattr(spec, name) for name in fields},
    }
