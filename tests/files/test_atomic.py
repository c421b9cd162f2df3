"""Files and directories are written completely or not at all, even if a process is killed in between."""

import os
import platform
import signal
import subprocess
import sys

import pytest
from helpers.processes import AS_COMMAND

from slowfast_tf.errors import InputError
from slowfast_tf.files.atomic import atomic, remove_stale, write_text

# Writes half of a file or of a directory, says so, and waits.
HALF = """
import sys, time
from slowfast_tf.files.atomic import atomic
with atomic(sys.argv[1]) as temporary:
    if sys.argv[2] == "directory":
        temporary.mkdir()
        (temporary / "half").write_text("half")
    else:
        temporary.write_text("half")
    print("half", flush=True)
    time.sleep(600)
"""


def start_half(target, kind="file"):
    process = subprocess.Popen(
        [sys.executable, "-c", AS_COMMAND + HALF, str(target), kind], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "half\n"
    return process


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_later_write_removes_files_of_a_killed_process(tmp_path, kind):
    target = tmp_path / "model.keras"
    write_text(target, "old")
    process = start_half(target, kind)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert target.read_text() == "old" and len(os.listdir(tmp_path)) == 2
    write_text(tmp_path / "model", "another target")
    write_text(tmp_path / "model.keras.json", "another target")
    assert len(os.listdir(tmp_path)) == 4
    write_text(target, "new")
    assert sorted(os.listdir(tmp_path)) == ["model", "model.keras", "model.keras.json"]
    assert target.read_text() == "new"


def test_what_others_are_writing_stays(tmp_path):
    """Another process that runs, this one, and another machine, whose processes cannot be looked up."""
    target = tmp_path / "model.keras"
    process = start_half(target)
    elsewhere = tmp_path / f".model.keras.not-{platform.node()}.999999999.5.abcdefgh"
    elsewhere.mkdir()
    try:
        with atomic(target) as temporary:
            temporary.write_text("outer")
            write_text(target, "inner")
            assert temporary.read_text() == "outer"
        assert len(os.listdir(tmp_path)) == 3 and elsewhere.exists()
    finally:
        process.kill()
        process.wait()


def test_what_killed_processes_left_can_be_removed_at_once(tmp_path):
    """This includes targets that are never written again, but not the files of running processes or other machines."""
    remove_stale(tmp_path / "missing")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / f".model.keras.not-{platform.node()}.999999999.5.abcdefgh").mkdir()
    write_text(tmp_path / "epoch_0001.keras", "whole")
    running = start_half(tmp_path / "epoch_0002.keras")
    kept = set(os.listdir(tmp_path))
    for name, kind in (("epoch_0001_step_000003.keras", "file"), ("saved.model.v1", "directory")):
        killed = start_half(tmp_path / name, kind)
        killed.kill()
        killed.wait()
    try:
        assert len(os.listdir(tmp_path)) == len(kept) + 2
        remove_stale(tmp_path)
        assert set(os.listdir(tmp_path)) == kept and len(kept) == 4
    finally:
        running.kill()
        running.wait()


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc to tell when a process started")
def test_a_reused_process_number(tmp_path):
    """As in a container that restarts, whose main process is always number 1."""
    left = tmp_path / f".model.keras.{platform.node()}.{os.getpid()}.5.abcdefgh"
    left.mkdir()
    write_text(tmp_path / "model.keras", "new")
    assert os.listdir(tmp_path) == ["model.keras"]


@pytest.mark.parametrize(
    "name", ["動" * 83 + ".keras", "a" * 255, "\udcff" * 250 + ".mp4"], ids=["utf8", "ascii", "bytes"]
)
def test_long_names(tmp_path, monkeypatch, name):
    """A name may have 255 bytes. Names that begin in the same way are told apart."""
    monkeypatch.setattr(platform, "node", lambda: "compute-node-17.cluster.example.org" * 6)
    target, other = tmp_path / name, tmp_path / (name[:-1] + "b")
    with atomic(other) as temporary:
        temporary.write_text("other")
        (ours,) = os.listdir(tmp_path)
        # As a killed process would leave it: no process has this number.
        left = tmp_path / ours.replace(f".{os.getpid()}.", ".999999999.")
        left.mkdir()
        with atomic(target) as inner:
            assert inner.name == name and left.exists()
            inner.write_text("content")
        assert left.exists() and target.read_text() == "content"
        write_text(other, "other")
        assert not left.exists() and sorted(os.listdir(tmp_path)) == sorted([ours, name, other.name])
        left.mkdir()
        remove_stale(tmp_path)
        assert not left.exists() and temporary.exists()
    assert sorted(os.listdir(tmp_path)) == sorted([name, other.name])


def test_content_is_synced_before_the_rename(tmp_path, monkeypatch):
    calls = []
    fsync, replace, rename = os.fsync, os.replace, os.rename

    def name(descriptor):
        return os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append(name(descriptor)), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("renamed"), replace(*paths)))
    monkeypatch.setattr(os, "rename", lambda *paths: (calls.append("renamed"), rename(*paths)))
    write_text(tmp_path / "file", "content")
    assert calls == ["file", "renamed", tmp_path.name]
    calls.clear()
    with atomic(tmp_path / "directory") as temporary:
        (temporary / "inner").mkdir(parents=True)
        (temporary / "inner" / "a").write_text("a")
        (temporary / "b").write_text("b")
    assert calls[-2:] == ["renamed", tmp_path.name]
    assert sorted(calls[:-2]) == ["a", "b", "directory", "inner"]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_a_failure_keeps_the_old_file(tmp_path, kind):
    target = tmp_path / "target"
    with atomic(target) as temporary:
        temporary.mkdir() if kind == "directory" else temporary.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic(target) as temporary:
        temporary.mkdir() if kind == "directory" else temporary.write_text("new")
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["target"]
    assert target.is_dir() if kind == "directory" else target.read_text() == "old"


def test_a_signal_right_after_the_scratch_directory_is_made(tmp_path, monkeypatch):
    make = os.mkdir

    def interrupted(path, *arguments, **options):
        make(path, *arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "mkdir", interrupted)  # pathlib and tempfile call it
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "target", "text")
    assert os.listdir(tmp_path) == []


def test_text_is_utf8_in_any_locale(tmp_path):
    """Readers of configurations and reports expect UTF-8; Python's default is the encoding of the locale."""
    code = AS_COMMAND + "from slowfast_tf.files.atomic import write_text; write_text(sys.argv[1], 'caf\\u00e9')"
    ascii_locale = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "text")], env=ascii_locale, check=True)
    assert (tmp_path / "text").read_text("utf-8") == "café"


def test_a_directory_replaces_another(tmp_path):
    for name in ("old", "new"):
        with atomic(tmp_path / "target") as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert os.listdir(tmp_path) == ["target"] and os.listdir(tmp_path / "target") == ["new"]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_the_target_of_a_link_is_written(tmp_path, kind):
    """The link stays, and so does the suffix that Keras checks. The target may be missing."""
    (tmp_path / "disk").mkdir()
    link, target = tmp_path / "model.keras", tmp_path / "disk" / "made" / "content"
    link.symlink_to("disk/made/content")
    for text in ("first", "second"):
        with atomic(link) as temporary:
            assert temporary.name == "model.keras"
            if kind == "directory":
                temporary.mkdir()
            (temporary / "inner" if kind == "directory" else temporary).write_text(text)
        assert os.readlink(link) == "disk/made/content"
        assert (target / "inner" if kind == "directory" else target).read_text() == text
    assert sorted(os.listdir(tmp_path)) == ["disk", "model.keras"] and os.listdir(target.parent) == ["content"]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"cannot write {tmp_path}/file/x: "):
        write_text(tmp_path / "file" / "x", "")
