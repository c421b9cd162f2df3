"""The cache of `probe` notices every change of a file."""

import os
import shutil

import pytest
from helpers.coded_video import coded, numbers, write

from slowfast_tf.errors import VideoError
from slowfast_tf.video import probe as probing
from slowfast_tf.video.decode import read_frames
from slowfast_tf.video.probe import probe


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
