"""The export command: the same bytes twice, interrupts and mistakes."""

import hashlib
import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.exports import ROOT
from helpers.processes import QUICK_START

from slowfast_tf import export
from slowfast_tf.errors import InputError


def run_command(*arguments, **options):
    command = [sys.executable, "-m", "slowfast_tf.export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=280, **options)


def refused(*arguments):
    """The one line of a user's mistake."""
    with pytest.raises(InputError) as error:
        export.main([str(a) for a in arguments])
    assert "\n" not in str(error.value)
    return str(error.value)


# The command


def sha(path):
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    return [(str(p.relative_to(path)), hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]


BOTH = """
import sys
from slowfast_tf import export
checkpoint, folder, *videos = sys.argv[1:]
int8 = ["--quantize", "int8", "--calibration", *videos]
jobs = ("saved_model", "1", []), ("onnx", "tiny.onnx", []), ("onnx", "int8.onnx", int8), ("tflite", "int8.tflite", int8)
for form, name, more in jobs:
    export.main(["--checkpoint", checkpoint, "--format", form, "--output", f"{folder}/{name}", *more])
"""


@pytest.mark.slow
def test_processes_write_the_same(saved, files, videos, tmp_path):
    """Two processes at once; TensorFlow numbers functions and nodes throughout a process.

    This process writes the same TFLite file, after other networks.
    """
    names = "1", "tiny.onnx", "int8.onnx", "int8.tflite"
    folders = [tmp_path / "a", tmp_path / "b"]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", QUICK_START + BOTH, saved, folder, *videos],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for folder in folders
    ]
    for process, folder in zip(processes, folders):
        output, error = process.communicate(timeout=280)
        assert process.returncode == 0, error
        assert output == "".join(f"wrote {folder / name}\n" for name in names)
        assert {path.name for path in folder.iterdir()} == set(names)
    for name in names:
        assert sha(folders[0] / name) == sha(folders[1] / name)
    assert sha(folders[0] / "int8.tflite") == sha(files / "int8.tflite")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_export_leaves_nothing_half_written(saved, tmp_path, number):
    output = tmp_path / "models" / "1"
    arguments = ["--checkpoint", str(saved), "--format", "saved_model", "--output", str(output)]
    process = subprocess.Popen(
        [sys.executable, "-m", "slowfast_tf.export", *arguments], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.time() + 100
    while not list(output.parent.glob(".1.*")):
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0 and not output.exists()
    # What TF Serving would take for a version is a number.
    assert not [p for p in output.parent.iterdir() if p.name.isdigit()]
    if number == signal.SIGTERM:
        assert list(output.parent.iterdir()) == []


def test_mistakes_are_named(saved, videos, tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "text.tfrecord").write_text("no record")
    (tmp_path / "there.onnx").write_text("mine")
    to = ["--checkpoint", saved, "--output", tmp_path / "m.tflite", "--format", "tflite"]
    int8 = [*to, "--quantize", "int8", "--calibration"]
    assert "text.mp4: cannot be read as a video" in refused(*int8, tmp_path / "text.mp4")
    assert "text.tfrecord" in refused(*int8, videos[0], tmp_path / "text.tfrecord")
    assert "none.mp4" in refused(*int8, tmp_path / "none.mp4")
    onnx = ["--format", "onnx", "--output", tmp_path / "m.onnx"]  # it reads clips in the middle of its work
    assert "text.mp4: cannot be read as a video" in refused(*int8, videos[0], tmp_path / "text.mp4", *onnx)
    assert not (tmp_path / "m.onnx").exists()
    assert "needs --calibration" in refused(*to, "--quantize", "int8")
    assert "needs --quantize int8; received float16" in refused(*to, "--quantize", "float16", "--int8-io")
    assert "received --format tflite" in refused(*to, "--precision", "bfloat16")
    float16 = refused(*to, "--format", "onnx", "--quantize", "float16")
    assert "--quantize float16 is for --format tflite; received --format onnx" in float16
    int8_io = refused(*int8, videos[0], "--int8-io", "--format", "onnx", "--output", tmp_path / "m.onnx")
    assert "--int8-io is for --format tflite; received --format onnx" in int8_io
    assert "--views is for --format saved_model" in refused(*to, "--views", "10x3")
    served = ["--checkpoint", saved, "--output", tmp_path / "1", "--format", "saved_model"]
    assert "views are middle or KxC, such as 10x3; got '10'" in refused(*served, "--views", "10")
    assert "--views takes middle or KxC here" in refused(*served, "--views", "sliding")
    assert "a SavedModel scores crops, and the views are 2xwhole" in refused(*served, "--views", "2xwhole")
    assert "must end in .tflite" in refused(*to, "--output", tmp_path / "m.bin")
    assert "exists already" in refused(*to, "--format", "onnx", "--output", tmp_path / "there.onnx")
    assert (tmp_path / "there.onnx").read_text() == "mine"
    assert "did you mean 'slowfast_8x8_r50'" in refused(*to, "--checkpoint", "slowfast_8x8_r5")
    assert "cannot write" in refused(*to, "--output", tmp_path / "text.mp4" / "m.tflite")
    if sys.platform == "linux":  # where not even root may write
        assert "cannot write /proc/m.tflite" in refused(*to, "--output", "/proc/m.tflite")
    assert "needs --quantize int8; received none" in refused(*to, "--report", tmp_path / "layers.csv")
    assert "there.onnx exists already" in refused(*int8, videos[0], "--report", tmp_path / "there.onnx")
    same = refused(*int8, videos[0], "--report", tmp_path / "there" / ".." / "m.tflite")
    assert "--report cannot be written to" in same
    assert "--report cannot be written to" in refused(
        *int8, videos[0], "--report", tmp_path / "text.mp4" / "layers.csv"
    )
    assert "cannot write" in refused(*to, "--format", "saved_model", "--output", tmp_path / "text.mp4" / "1")
    assert not (tmp_path / "m.tflite").exists()


@pytest.mark.legacy
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_target_without_write_permission(saved, tmp_path):
    tmp_path.chmod(0o500)
    try:
        output = tmp_path / "m.onnx"
        assert "cannot write" in refused("--checkpoint", saved, "--format", "onnx", "--output", output)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.legacy
def test_a_mistake_is_one_line_and_exit_code_2(saved, tmp_path):
    done = run_command("--checkpoint", tmp_path / "none.keras", "--format", "onnx", "--output", tmp_path / "m.onnx")
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1


def test_signal_handlers_are_restored(saved, tmp_path):
    def handler(*_):
        raise AssertionError

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with pytest.raises(InputError):  # after the work has begun
            export.main(
                ["--checkpoint", str(saved), "--format", "saved_model", "--views", "2xwhole"]
                + ["--output", str(tmp_path / "1")]
            )
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
