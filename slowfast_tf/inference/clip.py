"""The middle clip of a video file."""

import os

import numpy as np

from ..data import sampling
from ..models.spec import SlowFastSpec
from ..video.decode import read_frames
from ..video.probe import probe


def read_clip(path: str | os.PathLike, spec: SlowFastSpec) -> np.ndarray:
    """Decode the middle clip of a video: the frames of the densest pathway, at the network's frame rate.

    The decoder downscales frames whose shorter side is at least twice the crop size, as in a test.

    Args:
        path: a video file that FFmpeg can open.
        spec: spec of the network.

    Returns:
        uint8 `[F, H, W, 3]`, RGB; F is `spec.clip_frames`.

    Raises:
        VideoError: if the video cannot be read.

    Example:
        >>> scores = Predictor(model).score_clips(read_clip("holiday.mp4", model.spec)[None])[0]  # doctest: +SKIP
    """
    info = probe(path)
    return read_frames(path, sampling.middle_clip(info.frames, info.rate, spec).numpy(), spec.crop_size)
