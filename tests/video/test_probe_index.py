"""The index has exactly what `probe` finds, or nothing: after changes, damage, kills, and in directories of others."""

import base64
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zlib

import numpy as np
import pytest
from helpers.coded_video import coded, write
from helpers.processes import AS_COMMAND

from slowfast_tf.errors import VideoError
from slowfast_tf.video import probe as probing
from slowfast_tf.video.probe import probe
from slowfast_tf.video.probe_index import FILE, ProbeIndex, _checksum, probe_index

IRREGULAR = np.cumsum([0] + [(20, 33, 400, 61)[i % 4] for i in range(39)]).tolist()
FORMATS = {
    "even.mp4": {"count": 40, "g": 7, "bf": 2},
    "irregular.mkv": {"count": 40, "times": IRREGULAR, "g": 9},
    "no_times.avi": {"count": 30, "codec": "mpeg4"},
    "one.mp4": {"count": 1},
    "mpeg.ts": {"count": 35, "rate": 24, "g": 5},
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Videos of all kinds, by name."""
    directory = tmp_path_factory.mktemp("videos")
    for name, options in FORMATS.items():
        options = dict(options)
        write(directory / name, [coded(i) for i in range(options.pop("count"))], **options)
    return directory


@pytest.fixture
def root(videos, tmp_path):
    """A data set with these videos, and the same files with names that are hard to write in a line."""
    shutil.copytree(videos, tmp_path / "root" / "train")
    for name in ("a b\tc.mp4", "a\nb.mp4", 'ü"\\.mp4'):
        shutil.copy(videos / "even.mp4", tmp_path / "root" / name)
    return tmp_path / "root"


@pytest.fixture
def probed(monkeypatch):
    """The paths of the files that `probe` has opened."""
    paths, open_video = [], probing.open_video
    monkeypatch.setattr(probing, "open_video", lambda path: paths.append(os.fspath(path)) or open_video(path))
    return paths


def files_of(root):
    return sorted(str(path) for path in root.rglob("*") if path.is_file() and path.name != FILE)


def values(info):
    arrays = [x if x is None else (x.dtype.str, x.tolist()) for x in (info.times, info.keys)]
    return info.frames, type(info.rate), info.rate.hex(), *arrays


def check(index, root):
    for path in files_of(root):
        assert values(index.probe(path)) == values(probe(path)), path


def test_the_same_with_and_without(root, probed):
    paths = files_of(root)
    expected = {path: values(probe.__wrapped__(path)) for path in paths}
    assert {type(times) for *_, times, _ in expected.values()} == {tuple, type(None)}
    for opened in (paths, []):  # the second index reads all of it from the file
        index = ProbeIndex(root)
        del probed[:]
        for _ in range(2):
            assert {path: values(index.probe(path)) for path in paths} == expected
        assert probed == opened
    moved = root.rename(root.parent / "moved")
    assert [values(ProbeIndex(moved).probe(path)) for path in files_of(moved)] == [expected[path] for path in paths]
    assert probed == [] and (moved / FILE).stat().st_size < 200 * len(paths)


def test_videos_outside_and_a_relative_root(root, videos, probed, monkeypatch):
    monkeypatch.chdir(root.parent)
    outside = str(videos / "even.mp4")
    first = probe_index("root")
    for path in (outside, os.path.relpath(outside), "root/train/one.mp4"):
        first.probe(path)
    assert len(probed) == 2
    monkeypatch.chdir("/")
    second = ProbeIndex(root)
    second.probe(outside)
    second.probe(root / "train" / "one.mp4")
    assert len(probed) == 2 and probe_index(root) is first


def test_a_changed_file_is_probed_again(root, videos):
    path, index = root / "train" / "even.mp4", ProbeIndex(root)
    assert index.probe(path).frames == 40
    about = path.stat()
    shutil.copyfile(videos / "mpeg.ts", path)  # another size
    assert index.probe(path).frames == ProbeIndex(root).probe(path).frames == 35
    path.write_bytes(bytes(about.st_size))  # the same size at another time
    os.utime(path, ns=(0, about.st_mtime_ns + 1))
    for other in (index, ProbeIndex(root)):
        with pytest.raises(VideoError, match="cannot be read"):
            other.probe(path)
    path.unlink()
    with pytest.raises(VideoError, match="No such file"):
        index.probe(path)


def test_what_another_process_adds_is_found(root, probed):
    ours, theirs = ProbeIndex(root), ProbeIndex(root)
    for path in files_of(root):
        theirs.probe(path)
        del probed[:]
        ours.probe(path)
        assert probed == []
    shutil.copy(root / "train" / "one.mp4", root / "new.mp4")
    (root / FILE).unlink()  # the index may be deleted at any time
    theirs.probe(root / "new.mp4")
    ours.probe(root / "new.mp4")
    assert probed == [str(root / "new.mp4")]


def test_an_index_that_ends_anywhere(root):
    """A killed process or a full disk leaves a part of a line. The next line is whole."""
    for path in files_of(root)[:3]:
        ProbeIndex(root).probe(path)
    whole = (root / FILE).read_bytes()
    for length in range(0, len(whole), 5):
        (root / FILE).write_bytes(whole[:length])
        check(ProbeIndex(root), root)
        lines = (root / FILE).read_bytes().split(b"\n")
        assert sum(line[:8] == _checksum(line[9:]) for line in lines if line) == len(files_of(root))


def test_a_damaged_index(root):
    (path,) = [path for path in files_of(root) if path.endswith("irregular.mkv")]
    expected = values(ProbeIndex(root).probe(path))
    whole = (root / FILE).read_bytes()
    for i in range(len(whole)):
        (root / FILE).write_bytes(whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :])
        assert values(ProbeIndex(root).probe(path)) == expected
    for content in (bytes(1000), b"\xff" * 1000, os.urandom(10_000), b"\n" * 99):
        (root / FILE).write_bytes(content)
        check(ProbeIndex(root), root)
        index = ProbeIndex(root)
        index.probe(path)
        assert len(index._packed) == len(files_of(root))


def packed(values):
    return base64.b64encode(zlib.compress(np.diff(values, prepend=0).astype("<i8").tobytes(), 9))


RIGHT = [b"40", b"30.0", packed(np.arange(40)), packed([0])]
BOMB = base64.b64encode(zlib.compress(bytes(2**28), 9))


@pytest.mark.parametrize(
    "place, wrong",
    [
        *[(0, value) for value in (b"0", b"-1", b"41", b"9" * 30, b"9" * 5000, b"x", b"1 2", b"")],
        *[(1, value) for value in (b"nan", b"inf", b"0", b"-30.0", b"1e9", b"x")],
        *[(2, value) for value in (packed([0] * 40), packed(np.arange(39)), packed(-np.arange(40)), b"!", BOMB, b"")],
        *[(3, value) for value in (packed([1]), packed([0, 0]), packed([0, 40]), packed([-1]), BOMB, b"AAAA", b"")],
        (3, base64.b64encode(zlib.compress(b"1234567"))),
    ],
)
def test_values_that_no_video_has(root, place, wrong, probed):
    """A data set from elsewhere may bring an index whose checksums are right."""
    path = root / "train" / "even.mp4"
    about = path.stat()
    for fields in (RIGHT, [*RIGHT[:place], wrong, *RIGHT[place + 1 :]]):
        key = f'{about.st_size} {about.st_mtime_ns} "train/even.mp4"'.encode()
        text = key + b"\t" + b" ".join(fields)
        (root / FILE).write_bytes(_checksum(text) + b" " + text + b"\n")
        del probed[:]
        info = ProbeIndex(root).probe(path)
        assert probed == ([] if fields is RIGHT else [str(path)])
    assert values(info) == values(probe(path))


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="not on Windows")
@pytest.mark.parametrize("kind", ["directory", "link", "pipe"])
def test_a_place_that_is_no_file(root, kind, tmp_path, monkeypatch, probed):
    """Then the results are in the cache directory. What a link points to stays as it is."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    (tmp_path / "mine.txt").write_text("mine")
    make = {"directory": os.mkdir, "link": lambda place: os.symlink(tmp_path / "mine.txt", place), "pipe": os.mkfifo}
    make[kind](root / FILE)
    check(ProbeIndex(root), root)
    del probed[:]
    for path in files_of(root):
        ProbeIndex(root).probe(path)
    assert probed == [] and (tmp_path / "mine.txt").read_text() == "mine"
    assert len(list((tmp_path / "keras" / "slowfast_tf" / "probe").iterdir())) == 1


@pytest.mark.skipif(os.name != "posix", reason="not on Windows")
@pytest.mark.parametrize("writable", [True, False])
def test_a_data_set_that_cannot_be_written(videos, writable, monkeypatch, probed):
    """Its own index is read. New results go to the cache directory, if that can be written."""
    with tempfile.TemporaryDirectory() as scratch:  # `tmp_path` is in a directory that only its owner may enter
        root, keras = pathlib.Path(scratch, "root"), pathlib.Path(scratch, "keras")
        shutil.copytree(videos, root)
        keras.mkdir()
        monkeypatch.setenv("KERAS_HOME", str(keras))
        first, *others = files_of(root)
        ProbeIndex(root).probe(first)
        content = (root / FILE).read_bytes()
        modes = {scratch: 0o755, root: 0o555, root / FILE: 0o444, keras: 0o777 if writable else 0o555}
        for path, mode in modes.items():
            os.chmod(path, mode)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # root may write everywhere
        try:
            index = ProbeIndex(root)
            check(index, root)
            del probed[:]
            for path in [first, *others]:
                index.probe(path)
            assert probed == []
            for path in [first, *others]:
                ProbeIndex(root).probe(path)
        finally:
            os.seteuid(user)
            os.chmod(root, 0o755)
        assert probed == ([] if writable else others) and (root / FILE).read_bytes() == content
        assert len(list(keras.rglob("*/probe/*"))) == writable


CODE = """
import sys, threading
from slowfast_tf.video.probe_index import ProbeIndex
root, *paths = sys.argv[1:]
index = ProbeIndex(root)
print("ready", flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=lambda: [index.probe(path) for path in paths[i::2]]) for i in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


def test_two_processes_at_once_and_one_that_is_killed(root, videos, probed):
    """Each has two threads. Whatever they write, what is in the index is right, and no video is missing."""
    for number in range(150):
        shutil.copy(videos / list(FORMATS)[number % len(FORMATS)], root / f"{number}{list(FORMATS)[number % 5]}")
    paths = files_of(root)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", AS_COMMAND + CODE, root, *order],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for order in (paths, paths[::-1], paths[50:] + paths[:50])
    ]
    for process in processes:
        assert process.stdout.readline() == b"ready\n"
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    while not (root / FILE).exists() or (root / FILE).stat().st_size < 2000:
        assert processes[0].poll() is None
    processes[0].kill()
    processes[0].communicate()
    for process in processes[1:]:
        process.communicate(timeout=100)
        assert process.returncode == 0
    lines = [line for line in (root / FILE).read_bytes().split(b"\n") if line]
    assert all(line[:8] == _checksum(line[9:]) for line in lines) and len(lines) >= len(paths)
    index = ProbeIndex(root)
    found = [values(index.probe(path)) for path in paths]
    assert probed == []
    assert found == [values(probe.__wrapped__(path)) for path in paths]
