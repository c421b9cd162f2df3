"""List the images of directories of JPEG images that are read as videos."""

import functools
import os
import re

import numpy as np

from ..errors import VideoError


def list_images(directory: str | os.PathLike) -> tuple[list[str], np.ndarray]:
    """Return the JPEG images in a directory, without MMAction2's optical flow.

    Returns:
        The paths, ordered by the numbers in their names, and the frame number of each image, int64 `[N]`: 0, 1, 2
        and so on, with gaps where consecutively numbered images are missing.

    Raises:
        VideoError: if the directory cannot be read or contains no JPEG image.
    """
    try:
        images, numbers = _list_images(directory, os.stat(directory).st_mtime_ns)
    except OSError as error:
        raise VideoError(f"{directory}: cannot be read: {error.strerror}") from error
    if not images:
        raise VideoError(f"{directory}: holds no JPEG image")
    return images, numbers


@functools.lru_cache(maxsize=8)  # key frames of the same film are usually consecutive
def _list_images(directory, _):
    names = sorted(
        name
        for name in os.listdir(directory)
        if name.lower().endswith((".jpg", ".jpeg")) and not name.startswith((".", "flow_x_", "flow_y_"))
    )
    if len(set(map(len, names))) > 1:  # names of equal length, the usual case, need no slow numeric sorting
        names.sort(key=lambda name: [int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]+)", name))])
    order = np.arange(len(names))
    first, last = (_number(name) for name in (names[0], names[-1])) if names else (None, None)
    # Use the numbers as frame numbers only if most steps are 1 and the gaps are not large.
    if first is not None and last is not None and len(names) <= last - first < 2 * len(names):
        steps = np.diff(np.array([_number(name) for name in names], float))  # NaN where a name has no number
        if (steps > 0).all() and (steps == 1).sum() >= len(steps) / 2:
            order = np.concatenate([[0], steps.cumsum()]).astype(int)
    return [os.path.join(directory, name) for name in names], order


def _number(name: str) -> int | None:
    """Return the number at the end of an image's name; None without a number."""
    found = re.search(r"([0-9]{1,9})\.[^.]*$", name)
    return int(found[1]) if found else None
