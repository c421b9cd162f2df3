"""The output directory of records: files are complete, synced to the disk, and the same at an address."""

import os
import pathlib

import pytest
import tensorflow as tf
from helpers.preparing import checksums, configuration

from slowfast_tf.data import records
from slowfast_tf.data.records.output import Output, checksum
from slowfast_tf.data.records.prepare import prepare


@pytest.fixture
def synced(monkeypatch):
    """Inodes of the files and directories that were synced, and of the files that were renamed, in order."""
    calls = []
    fsync, rename = os.fsync, tf.io.gfile.rename

    def recorded_fsync(descriptor):
        calls.append(("synced", os.fstat(descriptor).st_ino))
        fsync(descriptor)

    def recorded_rename(source, target, overwrite=False):
        if os.path.exists(source):
            calls.append(("renamed", os.stat(source).st_ino))
        rename(source, target, overwrite)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(tf.io.gfile, "rename", recorded_rename)
    return calls


def test_a_power_cut_leaves_no_partial_file(folder, tmp_path, synced):
    """Each file is synced before it gets its name, and the name is synced before `prepare` continues."""
    output = tmp_path / "records"
    prepare(configuration(folder, shards=2), str(output))
    for path in output.iterdir():
        renamed = synced.index(("renamed", path.stat().st_ino))
        assert ("synced", path.stat().st_ino) in synced[:renamed], path.name
        assert synced[renamed + 1][0] == "synced" or ("synced", output.stat().st_ino) in synced[renamed:], path.name
    assert synced.count(("synced", output.stat().st_ino)) >= len(list(output.iterdir()))


def test_an_address(folder, tmp_path, synced):
    """TensorFlow's file system in memory stands for storage elsewhere, which nothing here can sync."""
    root = f"ram://{tmp_path.name}"
    prepare(configuration(folder, shards=2), root)
    assert not synced
    prepare(configuration(folder, shards=2), str(tmp_path / "records"))
    for name, expected in checksums(tmp_path / "records").items():
        assert checksum(f"{root}/{name}") == expected
    assert len(list(records.read_records(root, "val"))) == 4


def test_write_replaces(tmp_path):
    output = Output(str(tmp_path))
    output.make(".prepare")
    for content in ("old", b"new"):
        output.write("name", content)
    assert output.read_text("name") == "new"
    assert [path.name for path in pathlib.Path(tmp_path, ".prepare").iterdir()] == []
