"""Frames of streams: their times, and clocks that go back."""

import numpy as np
import pytest
from helpers.coded_video import coded, numbers, write
from helpers.tags import copy_with_latin_title

from slowfast_tf.errors import VideoError
from slowfast_tf.video.stream import open_stream


@pytest.fixture(scope="module")
def take(tmp_path_factory):
    """75 numbered frames, 30 a second, as an MPEG transport stream."""
    path = tmp_path_factory.mktemp("take") / "take.ts"
    return write(path, [coded(t, 64, 64) for t in range(75)], g=15, qp=10, bf=0)


def read(source, stride=1.0):
    with open_stream(str(source)) as stream:
        assert stream.rate == 30
        return list(stream.frames(stride))


def test_a_file_is_a_stream_that_comes_at_once(take):
    frames = read(take)
    assert numbers([frame.image for frame in frames]) == list(range(75))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(75) / 30, atol=1e-4)
    assert not any(frame.restarted for frame in frames)
    assert numbers([frame.image for frame in read(take, 3.0)]) == list(range(0, 75, 3))


def test_a_clock_that_goes_back(take, tmp_path):
    """Four takes in one file: no frame is lost, and time goes on."""
    path = tmp_path / "four.ts"
    with open(take, "rb") as file:
        path.write_bytes(4 * file.read())
    frames = read(path)
    assert numbers([frame.image for frame in frames]) == 4 * list(range(75))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(300) / 30, atol=1e-3)
    assert [i for i, frame in enumerate(frames) if frame.restarted] == [75, 150, 225]


def test_a_tag_that_is_not_utf8(tmp_path):
    path = write(tmp_path / "plain.mp4", [coded(t, 64, 64) for t in range(75)], qp=10, g=15)
    # FFmpeg drops what it reads of an MP4 file before it knows the codec, since nothing is to be buffered.
    expected = numbers([frame.image for frame in read(path)])
    frames = read(copy_with_latin_title(path, tmp_path / "tag.mp4"))
    assert numbers([frame.image for frame in frames]) == expected and expected[-1] >= 70


def test_what_cannot_be_opened(tmp_path):
    (tmp_path / "bad.ts").write_text("nothing")
    for name in ("bad.ts", "none.ts"):
        with pytest.raises(VideoError, match=name):
            read(tmp_path / name)
