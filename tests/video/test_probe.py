"""The cache of `probe` notices every change of a file. A long gap between frames is reported."""

import os
import shutil

import pytest
from helpers.coded_video import coded, numbers, write

from slowfast_tf.data.reference import Video, resolve
from slowfast_tf.errors import VideoError
from slowfast_tf.video import probe as probing
from slowfast_tf.video.decode import read_frames
from slowfast_tf.video.probe import probe
from slowfast_tf.video.probe_index import ProbeIndex


@pytest.fixture
def opened(monkeypatch):
    """The paths of the files that `probe` has opened."""
    paths, open_video = [], probing.open_video
    monkeypatch.setattr(probing, "open_video", lambda path: paths.append(os.fspath(path)) or open_video(path))
    return paths


def test_a_file_is_read_once(tmp_path, opened):
    path = tmp_path / "a.mp4"
    write(path, [coded(i) for i in range(8)])
    assert probe(path) is probe(path) and probe(str(path)).frames == 8
    assert len(opened) <= 2
    probe.cache_clear()
    opened.clear()
    probe(path)
    assert len(opened) == 1


def test_a_file_that_is_replaced(tmp_path):
    path = write(tmp_path / "a.mp4", [coded(i) for i in range(8)])
    assert probe(path).frames == 8
    write(tmp_path / "b.mp4", [coded(100 + i) for i in range(20)])
    os.replace(tmp_path / "b.mp4", path)
    assert probe(path).frames == 20 and numbers(read_frames(path, [3, 19])) == [103, 119]
    content, times = (tmp_path / "a.mp4").read_bytes(), os.stat(path)
    (tmp_path / "a.mp4").write_bytes(bytes(len(content)))  # of the same size
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    with pytest.raises(VideoError, match=r"a\.mp4: cannot be read as a video"):
        probe(path)
    os.remove(path)
    with pytest.raises(VideoError, match=r"a\.mp4: cannot be read as a video: No such file"):
        probe(path)


def test_a_relative_path_in_another_directory(tmp_path, monkeypatch):
    for name, count in ("first", 8), ("second", 20):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "a.mp4", [coded(i) for i in range(count)])
        shutil.copystat(tmp_path / "first" / "a.mp4", tmp_path / name / "a.mp4")
        monkeypatch.chdir(tmp_path / name)
        assert probe("a.mp4").frames == count
    with pytest.raises(VideoError, match="^missing.mp4: "):
        probe("missing.mp4")


@pytest.mark.parametrize("path", ["http://localhost/a.mp4", "rtsp://localhost/a", "s3://bucket/a.mp4", "a\0.mp4", "."])
def test_what_is_no_file(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with pytest.raises(VideoError) as error:
            probe(path)
        assert str(error.value).startswith(f"{path}: ")


def test_a_long_gap_between_frames(tmp_path, caplog):
    """Three seconds at 30 a second, ten minutes without a frame, and three seconds again."""
    times = [33 * i for i in range(90)] + [600_000 + 33 * i for i in range(90)]
    path = write(tmp_path / "a.mkv", [coded(i) for i in range(180)], times=times)
    line = f"{path}: 597 s between two frames, after 2.9 s, make its frame rate (0.297 per second) uncertain;"
    for _ in range(2):
        probe.cache_clear()
        assert probe(path).rate == pytest.approx(0.297, abs=1e-3)
    assert caplog.messages == [f"{line} cut the video there"]
    caplog.clear()
    index = ProbeIndex(tmp_path)  # a data set reports the gap with the other problems of its videos
    assert resolve(Video(path, ()), index.probe).problems == (f"{line} cut the video there",)
    assert not caplog.messages


@pytest.mark.parametrize("times", [[0, 5_000, 10_000, 40_000], [*range(0, 990, 33), 9_000], [0], [0, 20_000]])
def test_other_intervals(times, tmp_path, caplog):
    """A slow video, a pause of less than 10 seconds, and videos that are too short to tell."""
    path = write(tmp_path / "a.mkv", [coded(i) for i in range(len(times))], times=times)
    assert not resolve(Video(path, ())).problems and not caplog.messages
