"""Frames of streams: their times, and clocks that go back."""

import pathlib

import numpy as np
import pytest
from helpers.coded_video import coded, numbers, write
from helpers.files_server import serve_files
from helpers.tags import copy_with_latin_title

from slowfast_tf.errors import VideoError
from slowfast_tf.video import stream as streams
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


def test_a_file_is_a_stream_that_arrives_at_once(take):
    frames = read(take)
    assert numbers([frame.image for frame in frames]) == list(range(75))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(75) / 30, atol=1e-4)
    assert not any(frame.restarted for frame in frames)
    assert numbers([frame.image for frame in read(take, 3.0)]) == list(range(0, 75, 3))


def test_a_clock_that_goes_back(take, tmp_path):
    """A file of four takes: no frame is lost, and times increase."""
    path = tmp_path / "four.ts"
    with open(take, "rb") as file:
        path.write_bytes(4 * file.read())
    frames = read(path)
    assert numbers([frame.image for frame in frames]) == 4 * list(range(75))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(300) / 30, atol=1e-3)
    assert [i for i, frame in enumerate(frames) if frame.restarted] == [75, 150, 225]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain.mp4", {}),
        ("b_frames.avi", {"bf": 2}),
        ("mpeg4.avi", {"codec": "mpeg4", "qscale": 2, "bf": 2}),
        ("raw.h264", {"bf": 0}),
    ],
)
def test_a_file_is_read_completely(tmp_path, monkeypatch, name, options):
    """Every frame, at its time from the first, also if decoding is slow and if the container stores no times."""
    monkeypatch.setattr(streams, "DELAY", -1.0)  # with a decoder for live streams, every frame would be late
    path = write(tmp_path / name, [coded(t, 64, 64) for t in range(75)], **{"qp": 10, "g": 15, **options})
    with open_stream(path) as stream:
        frames, rate = list(stream.frames()), stream.rate
    assert numbers([frame.image for frame in frames]) == list(range(75))
    assert rate == (25 if name == "raw.h264" else 30)  # raw H.264 states none
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(75) / rate, atol=1e-3)
    assert not any(frame.restarted for frame in frames)


def test_a_recording_at_an_address_is_read_completely(tmp_path):
    path = write(tmp_path / "plain.mp4", [coded(t, 64, 64) for t in range(75)], qp=10, g=15)
    with serve_files() as server:
        server.files["/plain.mp4"] = pathlib.Path(path).read_bytes()
        with open_stream(f"{server.address}/plain.mp4") as stream:
            frames = list(stream.frames())
    assert not stream.live and numbers([frame.image for frame in frames]) == list(range(75))


def test_a_live_frame_without_a_time_is_timed_by_its_arrival():
    clock = streams._Clock(30, live=True)
    times = []
    for seconds, now in ((None, 45000.0), (None, 45000.5), (7.0, 45001.0), (7.25, 45001.25), (None, 45001.5)):
        assert not clock.advance(seconds, now)
        times.append(clock.time)
    assert times == [0, 0.5, 1, 1.25, 1.5]


def test_a_tag_that_is_not_utf8(tmp_path):
    path = write(tmp_path / "plain.mp4", [coded(t, 64, 64) for t in range(75)], qp=10, g=15)
    frames = read(copy_with_latin_title(path, tmp_path / "tag.mp4"))
    assert numbers([frame.image for frame in frames]) == list(range(75))


def test_frames_of_an_unsupported_shape(tmp_path):
    path = write(tmp_path / "long.mp4", [np.zeros((34, 680, 3), np.uint8)])
    with open_stream(path) as stream, pytest.raises(VideoError, match="680 x 34 pixels; .* scale the video down"):
        next(stream.frames())


def test_sources_that_cannot_be_opened(tmp_path):
    (tmp_path / "bad.ts").write_text("nothing")
    for name in ("bad.ts", "none.ts"):
        with pytest.raises(VideoError, match=name):
            read(tmp_path / name)
