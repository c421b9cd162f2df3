"""Windows that move through a video."""

import numpy as np
from helpers.coded_video import write

from slowfast_tf.video.decode import read_frames
from slowfast_tf.video.windows import iterate_windows


def test_windows(tmp_path):
    """The frames that `read_frames` reads, each prepared once; those before a window are let go."""
    images = [np.full((32, 48, 3), 5 * t, np.uint8) for t in range(40)]
    path = write(tmp_path / "a.mp4", images, qp=1, g=10, bf=2)
    windows = np.array([[0, 0, 3], [2, 4, 6], [2, 3, 9], [20, 25, 39]])
    prepared = []

    def prepare(image):
        prepared.append(int(image.mean()))
        return image[:16]

    for frames, window in zip(iterate_windows(path, windows, prepare=prepare), windows, strict=True):
        np.testing.assert_array_equal(frames, read_frames(path, window)[:, :16])
    assert len(prepared) == len(set(prepared)) == len(np.unique(windows))
    assert list(iterate_windows(path, np.zeros((0, 3), int))) == []
