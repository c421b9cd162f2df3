"""Read overlapping windows of a video, decoding each frame once."""

import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from .decode import iterate_frames

T = TypeVar("T")


def iterate_windows(
    path: str | os.PathLike,
    windows: np.ndarray,
    short_side: int | None = None,
    prepare: Callable[[Any], T] = np.asarray,
) -> Iterator[list[T]]:
    """Decode the frames of windows that slide over a video.

    Only the frames of one window are in memory, so memory does not depend on the length of the video.

    Args:
        path: a file that FFmpeg can open.
        windows: frame indices of each window, int `[W, F]`. Indices are ascending within a window, and a window must
            not start before the previous window.
        short_side: see `decode.reduction`.
        prepare: function that is called once for each frame, uint8 `[H, W, 3]`; its result is kept.

    Yields:
        The prepared frames of each window, in the order of the window. The list is cleared before the next window.

    Raises:
        VideoError: as `decode.read_frames`.

    Example:
        >>> [len(frames) for frames in iterate_windows("a.mp4", np.array([[0, 2, 4], [2, 4, 6]]))]
        [3, 3]
    """
    wanted = np.unique(windows)
    images = zip(wanted, iterate_frames(path, wanted, short_side))
    held: dict[int, T] = {}
    for window in windows:
        held = {index: frame for index, frame in held.items() if index >= window[0]}
        while window[-1] not in held:
            index, image = next(images)
            if index >= window[0]:
                held[index] = prepare(image)
        frames = [held[index] for index in window]
        yield frames
        frames.clear()  # otherwise the caller's loop variable keeps the frames while the next window is decoded
