"""Damaged videos and records by the thousand: each one is read or listed; nothing crashes, hangs or fills memory."""

import ctypes
import gc
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import coded, write
from helpers.processes import QUICK_START
from PIL import Image

from slowfast_tf import runtime
from slowfast_tf.data import Clips, sampling
from slowfast_tf.data.sources import Files
from slowfast_tf.data.sources.files import read_images
from slowfast_tf.errors import VideoError
from slowfast_tf.video.decode import read_frames

ROOT = pathlib.Path(__file__).parents[2]
ENCODERS = {
    ".mp4": {"bf": 2},
    ".avi": {"codec": "mpeg4"},
    ".mkv": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    ".webm": {"codec": "libvpx-vp9", "deadline": "realtime", "cpu-used": 8},
}
COUNT = 1000


def mutate(data, random):
    """Bytes that are damaged in one of the ways of disks, networks and programs."""
    data = bytearray(data)
    size = len(data)
    place, length = int(random.integers(size)), int(random.integers(1, 1 + size // 4))
    kind = random.integers(7)
    if kind == 0:
        return bytes(data[:place])
    if kind == 1:
        data[place : place + length] = bytes(length)
    elif kind == 2:
        del data[place : place + length]
    elif kind == 3:
        data[place:place] = data[:length]
    elif kind == 4:  # sizes and counts, most of which are four bytes at the start
        place = int(random.integers(min(size, 700)))
        data[place : place + 4] = random.choice(
            [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\1\x86\xa0"]
        )
    else:
        for place in random.integers(size * 8, size=2 ** random.integers(0, 6)):
            data[place // 8] ^= 1 << place % 8
    return bytes(data)


def resident():
    """The resident memory of this process in MB, after the allocator has returned its free memory."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024


def read_all(path):
    """Reads a configuration's data as tests and training do, and prints the counts; runs in a separate process."""
    from slowfast_tf import config

    clips = Clips(config.load(path), "val")
    seen, memory = {}, []
    for inputs, _, name in clips.views():
        assert inputs["fast"].shape == (1, 16, 32, 32, 3) and np.isfinite(inputs["fast"]).all()
        seen[name.numpy().decode()] = seen.get(name.numpy().decode(), 0) + 1
        if len(seen) % 10 == 0 and seen[name.numpy().decode()] == 2:
            memory.append(resident())
    training = Clips(config.load(path), "train")
    batches = sum(1 for _ in training.train(range(1)))
    print(json.dumps({"seen": seen, "skipped": clips.skipped, "memory": memory, "batches": batches}))


def main(path):
    runtime.run(lambda: read_all(path))


def run(path, timeout=280):
    done = subprocess.run(
        [sys.executable, "-c", f"{QUICK_START}import test_robustness; test_robustness.main({str(path)!r})"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tests/data'}", "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def check_memory(memory):
    """The mean of the last fifth of the measurements is less than 50 MB above the second fifth."""
    part = len(memory) // 5
    start, end = np.mean(memory[part : 2 * part]), np.mean(memory[-part:])
    assert end < start + 50, memory


def settings_for(configure, tmp_path, *overrides):
    path = tmp_path / "c.json"
    configure(*overrides, "train.batch_size=20", "test.crops=1").save(path)
    return path


@pytest.mark.slow
def test_mutated_videos(configure, tmp_path):
    random = np.random.default_rng(0)
    whole = {}
    for suffix, options in ENCODERS.items():
        write(tmp_path / f"whole{suffix}", [coded(i) for i in range(40)], **options)
        whole[suffix] = (tmp_path / f"whole{suffix}").read_bytes()
    folder = tmp_path / "data" / "val" / "a"
    folder.mkdir(parents=True)
    (tmp_path / "data" / "train").symlink_to(tmp_path / "data" / "val")
    for i in range(COUNT):
        suffix = list(ENCODERS)[i % len(ENCODERS)]
        (folder / f"{i:04d}{suffix}").write_bytes(mutate(whole[suffix], random))
    found = run(settings_for(configure, tmp_path, "data.dataset=folder", f"data.root={tmp_path / 'data'}"))
    names = {f"a/{path.name}" for path in folder.iterdir()}
    assert found["seen"].keys() | found["skipped"].keys() == names and len(names) == COUNT
    assert not found["seen"].keys() & found["skipped"].keys() and set(found["seen"].values()) == {2}
    assert len(found["seen"]) > COUNT / 2 and len(found["skipped"]) > COUNT / 20
    for name, cause in found["skipped"].items():
        assert cause.startswith(f"{folder.parent}/{name}: ") and "\n" not in cause
    assert found["batches"] == COUNT // 20
    check_memory(found["memory"])


@pytest.mark.slow
def test_mutated_records(configure, tmp_path):
    """Shards of one record each: bytes on disk that are damaged, and heads that are, with a sum that is right."""
    from slowfast_tf.data.records.prepare import prepare

    random = np.random.default_rng(1)
    for split in ("train", "val"):
        (tmp_path / "data" / split / "a").mkdir(parents=True)
        write(tmp_path / "data" / split / "a" / "b.mp4", [coded(i) for i in range(34)])
    prepare(configure(f"data.root={tmp_path / 'data'}", "prepare.shards=1"), str(tmp_path / "records"))
    index = json.loads((tmp_path / "records" / "index.json").read_text())
    (shard,) = index["splits"]["val"]["shards"]
    whole = (tmp_path / "records" / shard["file"]).read_bytes()
    ((_, start, size, checksum),) = shard["records"]
    shards = []
    for i in range(COUNT):
        path = tmp_path / "records" / f"{i:04d}.tfrecord"
        place = start, size, checksum
        if i % 2:
            path.write_bytes(mutate(whole, random))
        else:
            head = mutate(whole[start : start + size], random)
            path.write_bytes(whole[:start] + head + whole[start + size :])
            place = start, len(head), zlib.crc32(head)
        shards.append({**shard, "file": path.name, "records": [(f"a/{i:04d}", *place)]})
    index["splits"] = {split: {"videos": COUNT, "shards": shards} for split in ("train", "val")}
    (tmp_path / "records" / "index.json").write_text(json.dumps(index))
    found = run(settings_for(configure, tmp_path, "data.dataset=records", f"data.root={tmp_path / 'records'}"))
    assert found["seen"].keys() | found["skipped"].keys() == {f"a/{i:04d}" for i in range(COUNT)}
    assert not found["seen"].keys() & found["skipped"].keys() and set(found["seen"].values()) == {2}
    assert len(found["seen"]) > COUNT / 30 and len(found["skipped"]) > COUNT / 2
    for name, cause in found["skipped"].items():
        path = f"{tmp_path / 'records'}/{name[2:]}.tfrecord"
        assert cause == f"{path}: the record of {name} is damaged; remove that file and prepare the data again"
    assert found["batches"] == COUNT // 20
    check_memory(found["memory"])


def absurd_avi(path, side):
    """Raw video: only its header (BITMAPINFOHEADER) states its size."""
    write(path, [coded(0)] * 5, codec="rawvideo", pix_fmt="bgr24")
    data = bytearray(path.read_bytes())
    place = data.index(b"strf") + 12
    width, height = struct.unpack_from("<ii", data, place)
    assert (width, abs(height)) == (64, 32)
    struct.pack_into("<ii", data, place, side, side)
    path.write_bytes(data)


def absurd_mkv(path, side):
    """Motion JPEG: each image states its size, too."""
    write(path, [coded(0)] * 5, codec="mjpeg", pix_fmt="yuvj420p")
    size = struct.pack(">HH", 32, 64)
    data = path.read_bytes()
    assert data.count(b"\x08" + size) == 5
    path.write_bytes(data.replace(b"\x08" + size, b"\x08" + struct.pack(">HH", side, side)))


@pytest.mark.parametrize(
    "make, name, side, said",
    [
        (absurd_avi, "a.avi", 100_000, "no frame can be decoded"),  # FFmpeg knows no such frames
        (absurd_avi, "b.avi", 10_000, "frames of 10000 x 10000 pixels; at most 7680 x 4320"),
        (absurd_mkv, "a.mkv", 65_000, "no frame can be decoded"),
    ],
)
def test_implausible_sizes(tmp_path, make, name, side, said):
    path = tmp_path / name
    make(path, side)
    with pytest.raises(VideoError) as error:
        read_frames(str(path), [0, 3])
    assert str(error.value).startswith(f"{path}: {said}") and "\n" not in str(error.value)


def test_images_of_implausible_size(configure, tmp_path):
    """One JPEG image states a size of 20,000 x 20,000. The image before it is repeated instead."""
    paths = []
    for i in range(3):
        paths.append(tmp_path / f"{i}.jpg")
        Image.fromarray(coded(i)).save(paths[-1], quality=95)
    data = bytearray(paths[1].read_bytes())
    place = data.index(b"\xff\xc0") + 5
    assert struct.unpack_from(">HH", data, place) == (32, 64)
    struct.pack_into(">HH", data, place, 20_000, 20_000)
    paths[1].write_bytes(data)
    images = read_images([str(path) for path in paths])
    assert images.shape == (3, 32, 64, 3)
    np.testing.assert_array_equal(images[1], images[0])
    with pytest.raises(VideoError, match=r"1\.jpg: no image of the clip can be decoded \(1 damaged\)"):
        read_images([str(paths[1])])


@pytest.mark.parametrize("frames", [False, True])
def test_large_frames_are_made_smaller(configure, tmp_path, monkeypatch, frames):
    """For crops of 32 pixels, jittered up to 40, frames of 360 x 480: 8 times smaller, of 45 x 60."""
    images = [np.full((360, 480, 3), 6 * i, np.uint8) for i in range(40)]
    for split in ("train", "val"):
        (tmp_path / f"{split}.csv").write_text("v 0\n")
    if frames:
        (tmp_path / "v").mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image).save(tmp_path / "v" / f"{i:03d}.jpg", quality=95)
    else:
        write(tmp_path / "v.mp4", images)
        (tmp_path / "v.mp4").rename(tmp_path / "v")
    overrides = ["data.dataset=lists", f"data.root={tmp_path}", "data.short_sides=[32, 40]", "train.batch_size=1"]
    settings = configure(*overrides, "test.clips=2")
    found, made = [], Files.read

    def noted(*arguments, **options):
        clip = made(*arguments, **options)
        tf.py_function(lambda x: found.append(x.numpy()), [clip.frames], [])
        return clip

    monkeypatch.setattr(Files, "read", noted)
    clips = Clips(settings, "val")
    assert len(list(clips.views())) == 2
    assert len(list(Clips(settings, "train").train())) == 1
    tested, trained = found
    assert tested.shape == (2, 16, 45, 60, 3) and trained.shape == (1, 16, 45, 60, 3)
    expected = sampling.clip_frames(sampling.test_starts(clips.spec, clips.spec.views), 40, clips.spec).numpy()
    np.testing.assert_allclose(tested.mean((2, 3, 4)) / 6, expected, atol=0.5)


def test_a_video_without_key_frames(tmp_path):
    """A file without flags of key frames is read from its start."""
    path = write(tmp_path / "a.mkv", [coded(i) for i in range(12)], codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(pathlib.Path(path).read_bytes())
    # Blocks of one track, SimpleBlock: id, size, track 1, time, flags (0x80: key frame)
    blocks = [
        m.start() for m in re.finditer(rb"\xa3(?:[\x40-\x7f].|[\x20-\x3f]..|[\x10-\x1f]...)\x81..\x80", data, re.S)
    ]
    assert len(blocks) == 12
    for place in blocks:
        data[data.index(b"\x80", place + 5)] = 0
    (tmp_path / "b.mkv").write_bytes(data)
    for first in (0, 7):
        np.testing.assert_array_equal(read_frames(str(tmp_path / "b.mkv"), [first]), read_frames(path, [first]))
