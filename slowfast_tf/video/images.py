"""Directories of JPEG images as videos."""

import functools
import os
import re

import numpy as np

from ..errors import VideoError


def list_images(directory):
    """The JPEG images in a directory, without MMAction2's optical flow.

    Returns:
        Their paths in the order of the numbers in their names, and the place of each in time, int64 `[N]`: 0, 1, 2 and
        so on, but for images that are missing from names that end in consecutive numbers.

    Raises:
        VideoError: where there is none.
    """
    try:
        images, numbers = _list_images(directory, os.stat(directory).st_mtime_ns)
    except OSError as error:
        raise VideoError(f"{directory}: cannot be read: {error.strerror}") from error
    if not images:
        raise VideoError(f"{directory}: holds no JPEG image")
    return images, numbers


@functools.lru_cache(maxsize=8)  # the key frames of a film follow each other
def _list_images(directory, _):
    names = sorted(
        name
        for name in os.listdir(directory)
        if name.lower().endswith((".jpg", ".jpeg")) and not name.startswith((".", "flow_x_", "flow_y_"))
    )
    if len(set(map(len, names))) > 1:  # a film has thousands, almost always of one length
        names.sort(key=lambda name: [int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]+)", name))])
    order = np.arange(len(names))
    first, last = (_number(name) for name in (names[0], names[-1])) if names else (None, None)
    # Numbers of another step are not those of consecutive frames, nor are a few that lie far apart.
    if first is not None and last is not None and len(names) <= last - first < 2 * len(names):
        steps = np.diff(np.array([_number(name) for name in names], float))  # NaN where a name ends with none
        if (steps > 0).all() and (steps == 1).sum() >= len(steps) / 2:
            order = np.concatenate([[0], steps.cumsum()]).astype(int)
    return [os.path.join(directory, name) for name in names], order


def _number(name):
    """The number that the name of an image ends with."""
    found = re.search(r"([0-9]{1,9})\.[^.]*$", name)
    return int(found[1]) if found else None
