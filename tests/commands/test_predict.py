"""Predictions from the command line."""

import json
import os
import pathlib
import subprocess
import sys

import av
import numpy as np
import pytest
from helpers.coded_video import decode, write
from helpers.expected import middle_scores, window_scores, write_videos
from helpers.pictures import CLASSES, picture
from helpers.streams import serve_stream
from helpers.tags import copy_with_latin_title
from matplotlib.image import imread

from slowfast_tf import SlowFast

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp("videos"))


def test_one_line_per_video(run_predict, infer, saved, videos):
    code, lines, errors = run_predict(*videos, "--model", saved, "--top-k", 3)
    assert code == 0 and errors == [] and len(lines) == 4
    for path, line in zip(videos, lines):
        scores = middle_scores(infer, path)
        best = np.argsort(-scores)
        assert line.startswith(f"{path} (1x1 view): {CLASSES[best[0]]} ")
        shown = [entry.rsplit(" ", 1) for entry in line.removeprefix(f"{path} (1x1 view): ").split(", ")]
        assert [name for name, _ in shown] == [CLASSES[i] for i in best[:3]]
        np.testing.assert_allclose([float(score) for _, score in shown], scores[best[:3]], atol=0.0006)


@pytest.fixture(scope="module")
def command(saved, videos, tmp_path_factory):
    """The result of `subprocess.run` for the command as users type it, with two unreadable files among `videos`."""
    directory = tmp_path_factory.mktemp("command")
    (directory / "bad.mp4").write_text("no video")
    return subprocess.run(
        [sys.executable, "-m", "slowfast_tf.predict", videos[0], "bad.mp4", *videos[1:], "missing.mp4"]
        + ["--model", str(saved), "--json", "--top-k", "99"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_bad_files_among_good_ones(command, videos):
    assert command.returncode == 1
    assert [json.loads(line)["video"] for line in command.stdout.splitlines()] == videos
    errors = command.stderr.splitlines()
    assert len(errors) == 2, errors
    assert errors[0].startswith("error: bad.mp4: cannot be read as a video: ")
    assert errors[1].startswith("error: missing.mp4: ") and errors[1].endswith("No such file or directory")


@pytest.mark.legacy
def test_json(command, infer, videos):
    for path, line in zip(videos, command.stdout.splitlines(), strict=True):
        found = json.loads(line)["predictions"]
        scores = [p["score"] for p in found]
        assert len(scores) == 4 and scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1, abs=1e-5)
        expected = dict(zip(CLASSES, middle_scores(infer, path)))
        assert {p["label"]: p["score"] for p in found} == pytest.approx(expected, abs=1e-4)


@pytest.mark.legacy
def test_the_directory_of_a_run_and_other_labels(run_predict, infer, saved, videos, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.keras").write_bytes(saved.read_bytes())
    # Editors of Windows write a byte order mark.
    (tmp_path / "names.txt").write_text("ameise\nbiene\n\nkatze \nhund, groß\n", encoding="utf-8-sig")
    code, lines, errors = run_predict(
        videos[0], "--model", tmp_path / "run", "--labels", tmp_path / "names.txt", "--json"
    )
    assert code == 0 and errors == []
    expected = dict(zip(("ameise", "biene", "katze", "hund, groß"), middle_scores(infer, videos[0])))
    assert {p["label"]: p["score"] for p in json.loads(lines[0])["predictions"]} == pytest.approx(expected, abs=1e-4)


def refused(run_predict, *arguments):
    code, lines, errors = run_predict(*arguments)
    assert code == 2 and lines == [] and len(errors) == 1 and errors[0].startswith("error: ")
    return errors[0]


def test_mistakes(run_predict, saved, videos, tmp_path):
    (tmp_path / "three.txt").write_text("a\nb\nc\n")
    error = refused(run_predict, videos[0], "--model", saved, "--labels", tmp_path / "three.txt")
    assert "three.txt has 3 lines" in error and "4 classes" in error
    assert "none.txt" in refused(run_predict, videos[0], "--model", saved, "--labels", tmp_path / "none.txt")
    assert "none.keras" in refused(run_predict, videos[0], "--model", tmp_path / "none.keras")
    assert "model.keras" in refused(run_predict, videos[0], "--model", tmp_path)
    (tmp_path / "text.keras").write_text("no model")
    assert "text.keras" in refused(run_predict, videos[0], "--model", tmp_path / "text.keras")
    (tmp_path / "half.keras").write_bytes(saved.read_bytes()[:5000])
    assert "half.keras" in refused(run_predict, videos[0], "--model", tmp_path / "half.keras")
    assert "received 0" in refused(run_predict, videos[0], "--model", saved, "--top-k", 0)


# Over time, and streams


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Write 90 frames with sound: the picture of one video, then of another."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    images = [picture(0 if t < 45 else 9, t % 45) for t in range(90)]
    return write(path, images, audio=True, pix_fmt="yuv444p", qp=1, g=12, bf=2)


@pytest.fixture(scope="module")
def people():
    """A detection network."""
    return SlowFast("slow_4x16_r50_ava", depth=10, width=8, crop_size=32)


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    with serve_stream(tmp_path_factory.mktemp("stream")) as address:
        yield address


def test_over_time(run_predict, infer, saved, long, tmp_path):
    names = [tmp_path / name for name in ("labels.mp4", "timeline.png", "heat.mp4")]
    arguments = (long, "--model", saved, "--json", "--top-k", 4)
    names[1].write_text("mine")
    arguments += tuple(x for pair in zip(("--video", "--timeline", "--explain"), names) for x in pair)
    code, _, errors = run_predict(*arguments)
    assert code == 2 and "timeline.png exists; give another name, or --overwrite" in errors[0]
    assert names[1].read_text() == "mine" and not names[0].exists()
    code, lines, errors = run_predict(*arguments, "--overwrite")
    assert code == 0 and not errors
    found = json.loads(lines[0])
    scores = window_scores(infer, long, (0, 16, 32, 48, 58))
    assert len(found["windows"]) == 5
    for window, row, start in zip(found["windows"], scores, (0, 16, 32, 48, 58)):
        assert (window["start"], window["end"]) == pytest.approx((start / 30, (start + 30) / 30))
        assert {p["label"]: p["score"] for p in window["predictions"]} == pytest.approx(
            dict(zip(CLASSES, row)), abs=1e-4
        )
    # Output files do not change the scores: of the views, or of the windows with their option.
    by_label = {p["label"]: p["score"] for p in found["predictions"]}
    assert found["views"] == "1x1"
    assert by_label == pytest.approx(dict(zip(CLASSES, window_scores(infer, long, (29,))[0])), abs=1e-4)
    code, lines, _ = run_predict(long, "--model", saved, "--json", "--top-k", 4, "--views", "sliding")
    sliding = json.loads(lines[0])
    by_label = {p["label"]: p["score"] for p in sliding["predictions"]}
    assert sliding["views"] == "sliding" and sliding["windows"] == found["windows"]
    assert by_label == pytest.approx(dict(zip(CLASSES, scores.mean(0))), abs=1e-4)
    assert decode(names[0]).shape == (90, 240, 288, 3) and decode(names[2]).shape == (90, 320, 768, 3)
    assert imread(names[1]).std() > 0.05
    for name in (names[0], names[2]):
        with av.open(str(name)) as container:
            assert container.streams.video[0].codec_context.name == "h264" and container.streams.audio
            times = [frame.time for frame in container.decode(video=0)]
            np.testing.assert_allclose(times, np.arange(90) / 30, atol=1e-4)


def test_camera_command(run_predict, infer, saved, stream, long, tmp_path):
    code, lines, errors = run_predict("--camera", stream, "--model", saved)
    assert code == 0 and not errors and all(" s (delay " in line for line in lines) and lines
    # A file is a stream that arrives all at once, so that the last clip is its end.
    code, lines, errors = run_predict("--camera", long, "--model", saved, "--json", "--top-k", 4)
    assert code == 0 and not errors
    last = json.loads(lines[-1])
    assert last["camera"] == long and last["time"] <= 89 / 30 + 0.01 and last["delay"] >= 0
    scores = [next(p["score"] for p in last["predictions"] if p["label"] == name) for name in CLASSES]
    ends = window_scores(infer, long, (58, 59))
    assert np.abs(ends - scores).max(1).min() < 1e-3
    code, lines, errors = run_predict("--camera", tmp_path / "none.ts", "--model", saved)
    assert code == 1 and not lines and errors == [f"error: {tmp_path / 'none.ts'}: No such file or directory"]
    code, lines, errors = run_predict("--camera", 987, "--model", saved)
    assert code == 1 and not lines and errors == ["error: camera 987 (/dev/video987): No such file or directory"]


def test_mistakes_over_time(run_predict, saved, people, long, tmp_path):
    (tmp_path / "there.png").write_text("mine")
    out = tmp_path / "out.mp4"
    for arguments, message in (
        ((), "give VIDEO or --camera, and not both"),
        ((long, "--camera", "0"), "give VIDEO or --camera, and not both"),
        (("--camera", "0", "--timeline", out), "are for one VIDEO; received --camera"),
        (("--camera", "0", "--video", out), "is no detection model; leave --video out"),
        (("--camera", "0", "--output", tmp_path), "--output is for VIDEO; received --camera"),
        ((long, "--output", tmp_path), "is no detection model; leave --output out"),
        ((long, long, "--video", out), "are for one VIDEO; received 2"),
        ((long, "--video", tmp_path / "out.avi"), "out.avi would hold a MP4 file; give a name that ends in .mp4"),
        ((long, "--timeline", out), "would hold a PNG file"),
        ((long, "--video", out, "--explain", out), "out.mp4 is given twice"),
        ((long, "--video", long, "--overwrite"), "long.mp4 is given twice"),
        ((long, "--timeline", tmp_path / "there.png"), "there.png exists"),
    ):
        code, lines, errors = run_predict(*arguments, "--model", saved)
        assert code == 2 and not lines and len(errors) == 1 and message in errors[0], errors
    assert (tmp_path / "there.png").read_text() == "mine"
    people.save(tmp_path / "people.keras")
    code, _, errors = run_predict(long, "--model", tmp_path / "people.keras", "--video", out)
    assert code == 2 and "is a detection model" in errors[0]
    (tmp_path / "bad.mp4").write_text("no video")
    code, _, errors = run_predict(
        tmp_path / "bad.mp4", "--model", saved, "--video", out, "--timeline", tmp_path / "t.png"
    )
    assert code == 1 and len(errors) == 1 and "bad.mp4: cannot be read" in errors[0]
    assert not out.exists() and not (tmp_path / "t.png").exists()


def test_a_tag_that_is_not_utf8(run_predict, saved, videos, long, tmp_path):
    """The scores equal those of the same file without the tag, also if the file is rewritten or read as a stream."""
    plain = run_predict(videos[0], "--model", saved)[1][0].removeprefix(videos[0])
    code, lines, errors = run_predict(copy_with_latin_title(videos[0], tmp_path / "tag.mp4"), "--model", saved)
    assert code == 0 and not errors and lines[0].removeprefix(str(tmp_path / "tag.mp4")) == plain
    tagged = copy_with_latin_title(long, tmp_path / "sound.mp4")
    code, _, errors = run_predict(tagged, "--model", saved, "--video", tmp_path / "labels.mp4")
    assert code == 0 and not errors and len(decode(tmp_path / "labels.mp4")) == 90
    code, lines, errors = run_predict("--camera", tagged, "--model", saved)
    assert code == 0 and not errors and lines


def test_a_network_of_optical_flow(run_predict, videos, tmp_path):
    path = tmp_path / "flow.keras"
    SlowFast("slowfast_2x16_demo", depth=10, width=8, crop_size=32, fast_input="flow").save(path)
    for source in ((videos[0],), ("--camera", videos[0]), (videos[0], "--video", tmp_path / "out.mp4")):
        error = refused(run_predict, *source, "--model", path)
        assert "flow.keras takes optical flow" in error and "give a model that takes RGB" in error


def test_directories_and_addresses(run_predict, videos):
    directory = str(pathlib.Path(videos[0]).parent)
    error = refused(run_predict, videos[0], directory, "--model", "none.keras")
    assert error == f"error: {directory}: is a directory; give video files, such as {directory}/*.mp4"
    error = refused(run_predict, "https://example.org/a.mp4", "--model", "none.keras")
    assert error == (
        "error: https://example.org/a.mp4: is an address, not a file; download the file first;"
        " or watch a stream with --camera ADDRESS"
    )


@pytest.mark.legacy
@pytest.mark.parametrize("options", [[], ["--views", "sliding"]])
def test_scores_that_are_not_finite(run_predict, model, videos, tmp_path, options):
    """Weights that are finite can overflow all the same."""
    broken = SlowFast(model.spec)
    broken.set_weights([weights * 1e30 for weights in model.get_weights()])
    broken.save(tmp_path / "broken.keras")
    code, lines, errors = run_predict(videos[0], "--model", tmp_path / "broken.keras", *options)
    assert code == 1 and lines == []
    assert errors[-1] == f"error: the scores of {videos[0]} are not finite; train the model again"
