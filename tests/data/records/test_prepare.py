"""Preparing a data set: the stored content, its completeness, the same bytes every time, and repairs."""

import csv
import json
import os
import resource
import shutil
import time

import av
import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import decode
from helpers.preparing import checksums, configuration, pixels
from helpers.tags import copy_with_latin_title

from slowfast_tf import config
from slowfast_tf.data import records
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.errors import InputError, RunError


def test_skipped_videos_are_listed(prepared):
    _, root, output = prepared
    rows = list(csv.reader((output / "skipped.csv").open()))
    assert rows[0] == ["split", "id", "path", "reason"]
    (row,) = rows[1:]
    assert row[:3] == ["train", "ant/broken.mp4", "train/ant/broken.mp4"]
    assert row[3].startswith(f"{root}/train/ant/broken.mp4: cannot be read as a video")


def test_records_contain_the_videos(prepared):
    _, root, output = prepared
    seen = {}
    for split in ("train", "val"):
        paths = sorted(str(path) for path in output.glob(f"{split}-*"))
        for parsed in tf.data.TFRecordDataset(paths).map(lambda record: records.parse(record, flow=True)):
            seen[f"{split}/{parsed['id'].numpy().decode()}"] = parsed
    assert sorted(seen) == sorted(
        str(path.relative_to(root)) for path in root.rglob("*.mp4") if path.name != "broken.mp4"
    )
    for name, parsed in seen.items():
        there = decode(root / name)
        kept = np.stack([pixels(image) for image in parsed["frames"].numpy()])
        assert len(kept) == len(there) == len(parsed["flow"])
        assert min(kept.shape[1:3]) == 32
        np.testing.assert_allclose(kept.mean((1, 2)), there.mean((1, 2)), atol=4)  # each frame is of another color
        assert parsed["labels"].numpy().tolist() == [["ant", "bee", "cat", "dog"].index(name.split("/")[1])]
        assert parsed["starts"].numpy().tolist() == [0]
        np.testing.assert_allclose(parsed["ends"], [len(there) / 30], rtol=1e-5)


def test_problems_of_a_list_are_listed_or_fatal(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "videos")
    (tmp_path / "videos/train.csv").write_text("train/ant/00.mp4 0\ntrain/bee/01.mp4 1\nno/such.mp4 1\n")
    (tmp_path / "videos/val.csv").write_text("val/bee/09.mp4 1\nval/ant/08.mp4 7\n")
    data = config.Data(dataset="lists", root=str(tmp_path / "videos"))
    settings = configuration(tmp_path).model_copy(update={"data": data})
    with pytest.raises(InputError, match="train.csv"):
        prepare(settings, str(tmp_path / "records"), strict=True)
    assert not (tmp_path / "records").exists()
    prepare(settings, str(tmp_path / "records"))
    rows = list(csv.reader((tmp_path / "records/skipped.csv").open()))[1:]
    assert [row[0] for row in rows] == ["train", "val"]
    assert "no/such.mp4" in rows[0][3]
    assert f"{tmp_path}/videos/val.csv:2: '7' is none" in rows[1][3]
    assert records.read_index(str(tmp_path / "records")).splits["train"].videos == 2


def test_an_address_that_tensorflow_cannot_write(folder):
    with pytest.raises(InputError, match="^nothing://there: TensorFlow cannot write there; give a local directory or"):
        prepare(configuration(folder), "nothing://there")


def test_running_twice_changes_nothing(prepared):
    settings, _, output = prepared
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in output.iterdir()}
    assert prepare(settings, str(output)).restored == 0
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in output.iterdir()} == before


@pytest.mark.parametrize("left_over", [False, True])
def test_deleted_files_are_written_again(prepared, tmp_path, left_over):
    """One is removed, one is cut off, and the list of skipped videos is removed; the others stay as they are, also
    beside what a stopped run has left."""
    settings, _, output = prepared
    there = tmp_path / "records"
    shutil.copytree(output, there)
    gone, cut, *kept = sorted(there.glob("*.tfrecord"))
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-1])
    if left_over:
        (there / ".prepare").mkdir()
        (there / ".prepare" / f"{gone.name}.json").write_text("{}")
    (there / "skipped.csv").unlink()
    before = {path: path.stat().st_ino for path in kept}
    assert prepare(settings, str(there)).restored == 3
    assert checksums(there) == checksums(output) and not (there / ".prepare").exists()
    assert {path: path.stat().st_ino for path in kept} == before


def test_an_index_of_an_earlier_version(prepared, tmp_path):
    """It does not list the skipped videos, so nothing is prepared again."""
    settings, _, output = prepared
    there = tmp_path / "records"
    shutil.copytree(output, there)
    index = json.loads((there / "index.json").read_text())
    for split in index["splits"].values():
        for shard in split["shards"]:
            del shard["skipped"], shard["left_out"]
    (there / "index.json").write_text(json.dumps(index))
    assert prepare(settings, str(there)).restored == 0


def test_a_repaired_video_is_added(prepared, tmp_path):
    """The broken video of `prepared` is replaced by an intact one, whose file is older than the records."""
    settings, root, _ = prepared
    shutil.copytree(root, tmp_path / "videos")
    settings = configuration(tmp_path / "videos", **settings.prepare.model_dump())
    prepare(settings, str(tmp_path / "records"))
    before = {path.name: path.stat().st_ino for path in (tmp_path / "records").glob("*.tfrecord")}
    time.sleep(2)  # the index has times in whole seconds
    broken = tmp_path / "videos/train/ant/broken.mp4"
    shutil.copy2(root / "train/ant/00.mp4", broken)
    os.utime(broken, (0, 0))
    assert prepare(settings, str(tmp_path / "records")).restored == 1
    prepare(settings, str(tmp_path / "undisturbed"))
    assert checksums(tmp_path / "records") == checksums(tmp_path / "undisturbed")
    index = records.read_index(str(tmp_path / "records")).splits["train"]
    assert (index.videos, index.skipped) == (9, 0)
    after = {path.name: path.stat().st_ino for path in (tmp_path / "records").glob("*.tfrecord")}
    assert sum(after[name] != inode for name, inode in before.items()) == 1
    # A video that is still broken is read once.
    broken.write_bytes(broken.read_bytes()[:700])
    shutil.rmtree(tmp_path / "records")
    prepare(settings, str(tmp_path / "records"))
    time.sleep(2)
    broken.write_bytes(broken.read_bytes()[:600])
    for files in (1, 0):
        assert prepare(settings, str(tmp_path / "records")).restored == files


def test_a_video_with_repaired_frames_is_stored_again(folder, tmp_path):
    """`skipped.csv` lists a video in whose place other frames are stored. A new file is read again."""
    shutil.copytree(folder, tmp_path / "videos")
    path = tmp_path / "videos/train/ant/00.mp4"
    intact = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    damaged = bytearray(intact)
    for start, size in packets[12:15]:
        damaged[start : start + size] = bytes(size)
    path.write_bytes(damaged)
    settings = configuration(tmp_path / "videos")
    (row,) = prepare(settings, str(tmp_path / "records")).omissions
    assert row[1] == "ant/00.mp4" and "frames cannot be decoded" in row[3]
    assert prepare(settings, str(tmp_path / "records")).restored == 0
    time.sleep(2)  # the index has times in whole seconds
    path.write_bytes(intact)
    done = prepare(settings, str(tmp_path / "records"))
    assert (done.restored, done.omissions) == (1, ())
    prepare(settings, str(tmp_path / "undisturbed"))
    assert checksums(tmp_path / "records") == checksums(tmp_path / "undisturbed")


def test_the_data_set_may_move(prepared, tmp_path):
    settings, root, output = prepared
    shutil.copytree(root, tmp_path / "elsewhere")
    moved = configuration(tmp_path / "elsewhere", **settings.prepare.model_dump())
    prepare(moved, str(tmp_path / "records"))
    found = []
    for place in (output, tmp_path / "records"):
        index = json.loads((place / "index.json").read_text())
        for split in index["splits"].values():
            for shard in split["shards"]:
                # Only the reason for what was skipped names the true path.
                shard["skipped"] = [row[:2] for row in shard["skipped"]]
        found.append((index, {k: v for k, v in checksums(place).items() if k not in ("skipped.csv", "index.json")}))
    assert found[0] == found[1] and len(found[0][1]) > 1


def test_other_settings_are_refused(prepared, tmp_path):
    settings, root, output = prepared
    with pytest.raises(InputError, match=r"other settings \(quality: 85 there, 90 here\)"):
        prepare(configuration(root, short_side=32, shards=3, flow=True, quality=90), str(output))
    with pytest.raises(InputError, match="is not empty"):
        prepare(settings, str(root))
    with pytest.raises(InputError, match="broken.mp4 is a file, not a directory"):
        prepare(settings, str(root / "train/ant/broken.mp4"))
    shutil.copytree(root, tmp_path / "more")
    shutil.copy(tmp_path / "more/val/ant/08.mp4", tmp_path / "more/val/ant/09.mp4")
    with pytest.raises(InputError, match=r"another list of val videos \(4 there, 5 here"):
        prepare(configuration(tmp_path / "more", short_side=32, shards=3, flow=True), str(output))


def test_full_disk_leaves_no_half_shard(prepared, tmp_path):
    """A limit on the size of a file fails as a full disk does: in the middle of a write."""
    settings, _, output = prepared
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in output.glob("*.tfrecord"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, limits[1]))
    try:
        with pytest.raises(RunError, match=r"cannot write .*\.tfrecord: File too large; prepare again .* to resume"):
            prepare(settings, str(tmp_path / "records"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    whole = checksums(output)
    assert all(whole[name] == value for name, value in checksums(tmp_path / "records").items())
    assert not list(tmp_path.rglob("*.tfrecord.????*[!n]"))
    prepare(settings, str(tmp_path / "records"))
    assert checksums(tmp_path / "records") == whole


def test_a_split_without_readable_videos_is_an_error(folder, tmp_path):
    root = tmp_path / "videos"
    shutil.copytree(folder, root)
    for path in (root / "val").rglob("*.mp4"):
        path.write_bytes(b"no video")
    with pytest.raises(InputError, match=r"none of the 4 videos of val can be read: .*cannot be read as a video"):
        prepare(configuration(root), str(tmp_path / "records"))
    shutil.copytree(folder / "val", root / "val", dirs_exist_ok=True)
    prepare(configuration(root), str(tmp_path / "records"))
    assert records.read_index(str(tmp_path / "records")).splits["val"].videos == 4


def test_an_output_that_cannot_be_written(prepared, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"cannot write {tmp_path}/file/x: .*; choose another output directory"):
        prepare(prepared[0], str(tmp_path / "file/x"))


def test_names_of_other_bytes_and_links_to_nothing(folder, tmp_path):
    """A name that is not UTF-8, and a link to nothing: each is skipped and listed, and all the rest prepared, once."""
    root = tmp_path / "videos"
    shutil.copytree(folder, root)
    other = os.fsencode(root / "train/ant") + b"/caf\xe9.mp4"
    shutil.copy(next((root / "train/ant").glob("*.mp4")), other)
    (root / "train/bee/gone.mp4").symlink_to("nowhere")
    prepare(configuration(root), str(tmp_path / "records"))
    rows = list(csv.reader((tmp_path / "records/skipped.csv").open()))[1:]
    reasons = "\n".join(row[3] for row in rows)
    assert "caf\ufffd.mp4: a name that is not in UTF-8" in reasons and "gone.mp4: cannot be read as a video" in reasons
    assert prepare(configuration(root), str(tmp_path / "records")).restored == 0


def test_a_tag_that_is_not_utf8(folder, tmp_path):
    """Every frame is stored, as of the same video without the tag."""
    (tmp_path / "videos").mkdir()
    for split, source in (("train", "train/ant/00.mp4"), ("val", "val/ant/08.mp4")):
        (tmp_path / "videos" / split / "ant").mkdir(parents=True)
        copy_with_latin_title(folder / source, tmp_path / "videos" / split / "ant" / "tagged.mp4")
    prepare(configuration(tmp_path / "videos"), str(tmp_path / "records"))
    index = records.read_index(str(tmp_path / "records")).splits
    assert [(split.videos, split.skipped) for split in index.values()] == [(1, 0), (1, 0)]
    (record,) = tf.data.TFRecordDataset([str(path) for path in (tmp_path / "records").glob("val-*")])
    kept = np.stack([pixels(image) for image in records.parse(record, flow=False)["frames"].numpy()])
    there = decode(folder / "val/ant/08.mp4")
    np.testing.assert_allclose(kept.mean((1, 2)), there.mean((1, 2)), atol=4)
