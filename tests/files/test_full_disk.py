"""A full disk gives one line and no partial file, and the same command works once there is space."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers.coded_video import write
from helpers.processes import AS_COMMAND

from slowfast_tf import export, predict, runtime, train
from slowfast_tf.errors import RunError
from slowfast_tf.files.atomic import write_text
from slowfast_tf.files.full_disk import full_disk, writing
from slowfast_tf.files.journal import Journal


@pytest.fixture
def run(capfd):
    """Run a command in this process; return the exit code, the lines of standard output and the lines with errors."""

    def run(command, *arguments):
        with pytest.raises(SystemExit) as end:
            runtime.run(lambda: command.main([str(a) for a in arguments]), getattr(command, "ADVICE", None))
        out, error = capfd.readouterr()
        return end.value.code, out.splitlines(), [line for line in error.splitlines() if line.startswith("error: ")]

    return run


def assert_full(done, path):
    code, _, errors = done
    assert code == 1 and len(errors) == 1, done
    assert errors[0].startswith(f"error: cannot write {path}: the disk is full (") and os.strerror(28) in errors[0]
    assert errors[0].endswith("; free some space, then run the same again")


@pytest.mark.legacy
def test_a_run_resumes(disk, run, saved, values, put):
    """There is space for the two files of the first epoch, but not for a third file."""
    place, resize = disk
    resize(int(4.5 * saved.stat().st_size))  # a file with the optimizer's state is 1.8 times as large
    values = {**values, "train": {**values["train"], "epochs": 2}}
    command = train, "--config", put(values), "--workdir", place / "run"
    done = run(*command)
    second = "model.keras" if f"{place}/run/model.keras" in done[2][0] else "checkpoints/epoch_0002.keras"
    assert_full(done, place / "run" / second)
    assert sorted(os.listdir(place / "run" / "checkpoints")) == ["epoch_0001.keras"]
    assert (
        {"model.keras"}
        <= set(os.listdir(place / "run"))
        <= {*("config.json", "history.csv", "model.keras", "checkpoints", "tensorboard")}
    )
    resize(64 << 20)
    code, lines, _ = run(*command)
    assert code == 0 and any(line.startswith("resuming after epoch 1 of 2") for line in lines)
    assert (place / "run" / "metrics.json").exists()


def test_logs_of_a_run(disk, run, values, put):
    """TensorBoard's files grow during the run."""
    place, resize = disk
    resize(16 << 10)
    assert_full(run(train, "--config", put(values), "--workdir", place / "run"), place / "run")
    assert not (place / "run" / "model.keras").exists()


@pytest.mark.legacy
@pytest.mark.parametrize("form, name", [("saved_model", "1"), ("tflite", "a.tflite"), ("onnx", "a.onnx")])
def test_an_export(disk, run, saved, form, name):
    if form == "onnx":
        pytest.importorskip("tf2onnx")
    place, resize = disk
    resize(200 << 10)
    command = export, "--checkpoint", saved, "--format", form, "--output", place / name
    assert_full(run(*command), place / name)
    assert os.listdir(place) == []
    resize(64 << 20)
    assert run(*command)[0] == 0 and os.listdir(place) == [name]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    random = np.random.default_rng(0)
    frames = [random.integers(0, 256, (96, 128, 3)).astype(np.uint8) for _ in range(40)]
    return write(tmp_path_factory.mktemp("video") / "a.mp4", frames)


@pytest.mark.legacy
@pytest.mark.parametrize("option, name", [("--video", "b.mp4"), ("--explain", "b.mp4"), ("--timeline", "b.png")])
def test_the_files_of_a_prediction(disk, run, saved, video, option, name):
    place, resize = disk
    resize(8 << 10)
    command = predict, video, "--model", saved, option, place / name
    assert_full(run(*command), place / name)
    assert os.listdir(place) == []
    resize(64 << 20)
    assert run(*command)[0] == 0 and os.listdir(place) == [name]


def test_a_video_is_never_cut_short(disk, tmp_path):
    """This holds even if only the last page does not fit. FFmpeg writes this page when it closes the file."""
    from slowfast_tf.video.write import open_writer

    def make(path):
        random = np.random.default_rng(0)
        with open_writer(path, 10) as write:
            for i in range(8):
                write(random.integers(0, 256, (96, 128, 3), np.uint8), i / 10)
        return path.stat().st_size

    place, resize = disk
    size, written = make(tmp_path / "whole.mp4"), []
    for pages in range(size // 4096 - 4, size // 4096 + 4):
        resize(pages * 4096)
        try:
            written.append(make(place / "a.mp4"))
            (place / "a.mp4").unlink()
        except RunError:
            written.append(0)
            assert os.listdir(place) == []
    assert written[0] == 0 and written[-1] == size and set(written) == {0, size}


def test_a_journal_keeps_its_entries(disk):
    place, resize = disk
    resize(8 << 10)
    with (
        pytest.raises(RunError, match="cannot write .*a.jsonl: the disk is full"),
        Journal(place / "a.jsonl", {}) as it,
    ):
        for number in range(20):
            it.add([number] * 1000)
    whole = len(it.entries) - 1  # the last one did not fit
    with Journal(place / "a.jsonl", {}) as it:  # on a disk that is still full
        assert whole > 0 and it.entries == [[number] * 1000 for number in range(whole)]


def test_what_was_there_stays(disk):
    place, resize = disk
    write_text(place / "a.txt", "old")
    resize(8 << 10)
    with pytest.raises(RunError, match="the disk is full"):
        write_text(place / "a.txt", "new" * 10_000)
    assert os.listdir(place) == ["a.txt"] and (place / "a.txt").read_text() == "old"


def test_other_failures_pass():
    with pytest.raises(FileNotFoundError), writing("a.txt"):
        open("missing/a.txt", "w")
    assert full_disk(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)))
    assert not full_disk(ValueError("No space"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("flush", [True, False])
def test_standard_output(flush):
    script = f"{AS_COMMAND}from slowfast_tf import runtime\nruntime.run(lambda: print('x', flush={flush}))"
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: the disk is full ([Errno 28] No space left on device); free some space, then run the same again"
    ]
