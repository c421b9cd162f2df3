"""The command that scores the actions of each person in a video."""

import json
import pathlib
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import decode, write
from helpers.detector import save_detector
from helpers.packets import packets
from helpers.streams import serve_stream

from slowfast_tf import SlowFast
from slowfast_tf.data.ava_csv import read_csv
from slowfast_tf.inference.detectors import Detector
from slowfast_tf.inference.people import Scorer

SHARED = pathlib.Path(__file__).parents[3] / "shared"
LABELS = ("walk", "sit", "ask, say", "wave", "run")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network with random weights and its file: 2 Slow and 8 Fast frames out of 16."""
    spec = {"depth": 10, "width": 8, "frames": 2, "stride": 8, "alpha": 4, "beta_inv": 4, "crop_size": 48}
    keras.utils.set_random_seed(0)  # the words on the frames, which cover something, depend on the scores
    model = SlowFast("slowfast_4x16_r50_ava", **spec, num_classes=5, labels=LABELS)
    random = np.random.default_rng(0)
    weights = [random.uniform(0.5, 1.5, w.shape) if w.ndim < 2 else w for w in model.get_weights()]
    weights[-2], weights[-1] = random.normal(0, 0.02, weights[-2].shape), np.zeros(5)
    model.set_weights(weights)
    path = tmp_path_factory.mktemp("model") / "people.keras"
    model.save(path)
    return model, path


def square(time, height=96, width=128):
    """A bright square that moves to the right by a pixel every second frame."""
    image = np.full((height, width, 3), 40, np.uint8)
    image[30:60, 10 + time // 2 : 40 + time // 2] = 220
    return image


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Three seconds at 20 frames a second, with sound."""
    path = tmp_path_factory.mktemp("video") / "square.mp4"
    return write(path, [square(t) for t in range(60)], rate=20, audio=True, pix_fmt="yuv444p", qp=1, bf=2)


def corners(time, height=96, width=128):
    return (10 + time // 2) / width, 30 / height, (40 + time // 2) / width, 60 / height


@pytest.fixture
def boxes(tmp_path):
    """A csv file with the boxes of the square, and of an empty corner, at 0.5, 1.5 and 2.5 seconds."""
    rows = ["second,x1,y1,x2,y2,score"]
    for time in (0.5, 1.5, 2.5):
        rows.append(",".join(map(str, (time, *corners(int(20 * time)), 0.9))))
        rows.append(f"{time},0.8,0.7,1,1,1")
    rows.append("1.5,0.1,0.7,0.3,1,0.79")  # below the network's person_score
    path = tmp_path / "boxes.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_annotated_video(run_predict, model, source, boxes, tmp_path):
    network, path = model
    arguments = (source, "--model", path, "--boxes", boxes, "--output", tmp_path / "out", "--top-k", 2)
    code, lines, errors = run_predict(*arguments)
    assert (
        code == 0 and not errors and "2 people in 3 key frames (1 of the boxes left out for a low score);" in lines[0]
    )
    written = tmp_path / "out" / "square.mp4"
    assert sorted(p.name for p in written.parent.iterdir()) == ["square.csv", "square.json", "square.mp4"]

    codec, frames = packets(written, "video")
    assert codec == "h264" and [round(20 * time) for time, _ in frames] == list(range(60))
    assert packets(written, "audio")[1] == packets(source, "audio")[1] != []
    images = decode(written)
    assert images.shape == (60, 96, 128, 3)
    for time in (10, 20, 30, 45):  # the square has a colored frame, also between key frames
        left = 10 + time // 2
        colored = np.ptp(images[time].astype(int), axis=-1)
        assert (colored[45:57, left] > 60).all()  # words may cover the rows above
        assert (colored[45:55, left + 4 : left + 16] < 60).all()  # the other person's words are to the right
    assert (np.ptp(images[:, 66:, :50].astype(int), axis=-1) < 40).all()  # far from all boxes and words

    # Scores of clips of 8 frames, two apart, around the key frame.
    found = json.loads((tmp_path / "out" / "square.json").read_text())
    assert found["video"] == source and [person["time"] for person in found["people"]] == [0.5, 0.5, 1.5, 1.5, 2.5, 2.5]
    raw, rows = decode(source), read_csv(tmp_path / "out" / "square.csv", 5)
    for time in (0.5, 1.5, 2.5):
        people = [person for person in found["people"] if person["time"] == time]
        center = round(20 * time)
        clip = raw[np.clip(center - 8 + 2 * np.arange(8), 0, 59)]
        clip = (tf.image.resize(clip, (48, 64)).numpy()[None] / 255 - 0.45) / 0.225
        corners = np.array([person["box"] for person in people], np.float32) * [64, 48, 64, 48]
        logits = network({"slow": clip[:, ::4], "fast": clip, "boxes": corners[None].astype(np.float32)})
        expected = tf.nn.sigmoid(logits)[0].numpy()
        assert [person["track"] for person in people] == [0, 1]
        np.testing.assert_allclose(rows.scores[rows.times == time], expected.ravel(), atol=2e-3)  # of all classes
        for person, row in zip(people, expected):
            best = np.argsort(-row)[:2]
            assert [a["label"] for a in person["actions"]] == [LABELS[i] for i in best]
            np.testing.assert_allclose([a["score"] for a in person["actions"]], row[best], atol=2e-3)
    assert [person["score"] for person in found["people"][:2]] == [0.9, 1.0]

    # Existing files are kept without --overwrite.
    before = written.read_bytes()
    code, _, errors = run_predict(*arguments)
    assert code == 2 and "exists; give another --output, or --overwrite" in errors[0]
    assert written.read_bytes() == before
    code, lines, _ = run_predict(*arguments, "--overwrite", "--json")
    assert code == 0 and json.loads(lines[0]) == found

    # The JSON file that it writes can be passed to --boxes. People keep their numbers.
    found["people"][0]["track"] = found["people"][2]["track"] = found["people"][4]["track"] = 7
    (tmp_path / "again.json").write_text(json.dumps(found))
    arguments = (source, "--model", path, "--boxes", tmp_path / "again.json", "--output", tmp_path / "again")
    code, lines, _ = run_predict(*arguments, "--top-k", 2)
    assert code == 0 and json.loads((tmp_path / "again" / "square.json").read_text()) == found


def test_scores_that_are_not_finite(run_predict, model, source, boxes, tmp_path):
    broken = SlowFast(model[0].spec)
    broken.set_weights([weights * 1e30 for weights in model[0].get_weights()])
    broken.save(tmp_path / "broken.keras")
    arguments = (source, "--model", tmp_path / "broken.keras", "--boxes", boxes, "--output", tmp_path / "out")
    code, lines, errors = run_predict(*arguments)
    assert code == 1 and lines == []
    assert errors[-1] == f"error: the scores of {source} are not finite; train the model again"
    assert not (tmp_path / "out" / "square.mp4").exists()


def test_a_detector(run_predict, model, source, tmp_path):
    """A SavedModel that finds the square as a person and as a dog, and a person with a low score."""
    save_detector(tmp_path / "detector")
    out = tmp_path / "out"
    code, lines, errors = run_predict(source, "--model", model[1], "--detector", tmp_path / "detector", "--output", out)
    assert code == 0 and not errors and "1 person in 3 key frames" in lines[0]
    people = json.loads((out / "square.json").read_text())["people"]
    for person, time in zip(people, (0.5, 1.5, 2.5), strict=True):
        assert person["time"] == time and person["score"] == pytest.approx(0.95)
        np.testing.assert_allclose(person["box"], corners(int(20 * time)), atol=0.01)

    assert re.search(r"; detector \d+\.\d s, network \d+\.\d s$", lines[0])

    # With a lower --person-score there is another person, with a higher one there is nobody.
    words = [source, "--model", model[1], "--detector", tmp_path / "detector", "--output", out, "--overwrite"]
    code, lines, _ = run_predict(*words, "--person-score", "0.4")
    assert code == 0 and len(json.loads((out / "square.json").read_text())["people"]) == 6
    code, lines, _ = run_predict(*words, "--person-score", "0.96")
    assert code == 0 and "nobody with a person score of at least 0.96; the best is 0.95: lower --person" in lines[0]
    assert json.loads((out / "square.json").read_text())["people"] == []
    assert decode(out / "square.mp4").shape == (60, 96, 128, 3)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs a real detector and real videos")
def test_a_real_detector(run_predict, model, tmp_path):
    """It finds people in one video. In the other, no person has a sufficient score."""
    videos = [SHARED / "videos" / name for name in ("people_6fps.mp4", "short.avi")]
    words = ["--model", model[1], "--detector", SHARED / "detector" / "centernet", "--output", tmp_path]
    code, lines, errors = run_predict(*videos, *words)
    assert code == 0 and not errors
    assert "1 person in 5 key frames" in lines[0] and "of at least 0.5; the best is 0.48" in lines[1]
    for name in ("people_6fps", "short"):
        assert (tmp_path / f"{name}.mp4").exists() and (tmp_path / f"{name}.json").exists()


def test_an_interruption(run_predict, model, source, tmp_path, monkeypatch):
    """The same command resumes: no frame goes through the detector twice, and the files are the same."""
    save_detector(tmp_path / "detector")
    words = [source, "--model", model[1], "--detector", tmp_path / "detector", "--output"]
    assert run_predict(*words, tmp_path / "whole")[0] == 0

    seen, stop = [], [8]  # in the second batch of frames

    def find(self, images, find=Detector.find):
        found = find(self, images)
        seen.append(len(images))
        if len(seen) * 8 > stop[0]:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(Detector, "find", find)
    assert run_predict(*words, tmp_path / "parts")[0] == 1
    partial = tmp_path / "parts" / "square.partial.jsonl"
    assert len(partial.read_text().splitlines()) == 1 + 8
    with open(partial, "a") as file:
        file.write('{"time": 1.')  # as after a power failure
    seen.clear()
    stop[0] = 100

    def score(self, frames, people, score=Scorer.score_clip):
        if people[0].time > 2 and stop[0]:
            raise KeyboardInterrupt
        return score(self, frames, people)

    monkeypatch.setattr(Scorer, "score_clip", score)
    assert run_predict(*words, tmp_path / "parts")[0] == 1
    assert seen == [7] and len(partial.read_text().splitlines()) == 1 + 15 + 2
    stop[0] = 0
    assert run_predict(*words, tmp_path / "parts")[0] == 0 and seen == [7]
    for name in ("square.json", "square.csv", "square.mp4"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not partial.exists()


def test_a_camera(run_predict, model, tmp_path):
    """Lines are printed while the stream runs. In the written video, the square always has a colored frame."""
    save_detector(tmp_path / "detector")
    words = ["--model", model[1], "--detector", tmp_path / "detector", "--top-k", 1]
    film = tmp_path / "film.mp4"
    with serve_stream(tmp_path, [square(t) for t in range(120)]) as address:
        code, lines, errors = run_predict("--camera", address, *words, "--video", film)
    assert code == 0 and not errors
    found = [re.fullmatch(r"(\d\.\d\d) s \(delay (\d\.\d\d) s\): (new|#0) [a-z, ]+ 0\.\d{3}", line) for line in lines]
    assert len(found) >= 4 and all(found) and found[0][3] == "new" and {line[3] for line in found[1:]} == {"#0"}
    times, delays = ([float(line[i]) for line in found] for i in (1, 2))
    # Half a clip, 0.2 s, as it arrives; frames that wait while the stream is opened come at once.
    assert times == sorted(set(times)) and np.median(delays) > 0.1
    codec, frames = packets(film, "video")
    assert codec == "h264" and len(frames) >= 40
    framed = 0
    for image in decode(film):
        left, colored = np.flatnonzero(image[45].min(-1) > 130)[0], np.ptp(image.astype(int), axis=-1)
        framed += (colored[45:57, left - 3 : left] > 60).any(1).all()
        assert (colored[66:, :50] < 40).all()
    assert framed >= 0.6 * len(frames)

    # A file is a stream that arrives all at once.
    code, lines, errors = run_predict("--camera", tmp_path / "stream.ts", *words, "--json")
    assert code == 0 and not errors and json.loads(lines[-1])["people"][0]["actions"][0]["label"] in LABELS
    code, lines, errors = run_predict("--camera", tmp_path / "none.ts", *words, "--video", film, "--overwrite")
    assert code == 1 and not lines and "none.ts: No such file" in errors[0] and film.exists()


def test_no_box_with_a_sufficient_score(run_predict, model, source, tmp_path):
    (tmp_path / "unsure.csv").write_text("1,0,0,1,1,0.5\n")
    words = [source, "--model", model[1], "--boxes", tmp_path / "unsure.csv", "--output", tmp_path / "out"]
    code, lines, errors = run_predict(*words)
    assert code == 0 and not errors
    assert "nobody with a person score of at least 0.8; the best is 0.50" in lines[0]
    code, lines, errors = run_predict(*words, "--person-score", "0.5", "--overwrite")
    assert code == 0 and "1 person in 1 key frame;" in lines[0]


def test_mistakes(run_predict, model, source, boxes, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # as if it were not installed
    other = SlowFast("slowfast_2x16_demo", depth=10, width=8)
    other.save(tmp_path / "other.keras")
    (tmp_path / "late.csv").write_text("1,0,0,1,1\n9,0,0,1,1\n")
    mine = tmp_path / "mine" / "square.json"
    mine.parent.mkdir()
    mine.write_text("[]")
    path, overwrite = model[1], ("--output", mine.parent, "--overwrite")
    for arguments, message in (
        ((source, "--model", path), "efficientdet_d0: downloading a detector needs kagglehub"),
        (
            (source, "--model", path, "--detector", "efficientdet"),
            "no published detector; did you mean 'efficientdet_d",
        ),
        ((source, "--model", path, "--person-score", "80"), "--person-score is from 0 to 1; received 80.0"),
        ((source, "--model", path, "--boxes", boxes, "--detector", "x"), "not both"),
        ((source, "b.mp4", "--model", path, "--boxes", boxes), "--boxes is for one video; received 2"),
        ((source, "--model", tmp_path / "other.keras", "--boxes", boxes), "other.keras is no detection model"),
        ((source, "--model", path, "--boxes", tmp_path / "late.csv"), "late.csv:2: second 9 is not in the video"),
        ((source, source, "--model", path, "--detector", tmp_path), "two videos would be written to"),
        ((source, "--model", path, "--boxes", boxes, "--output", source[: -len("/square.mp4")]), "a video to read"),
        ((source, "--model", path, "--boxes", mine, *overwrite), "square.json is the file of boxes to read; give"),
    ):
        if "--output" not in arguments:
            arguments = (*arguments, "--output", tmp_path / "out")
        code, lines, errors = run_predict(*arguments)
        assert code == 2 and not lines and len(errors) == 1 and message in errors[0], errors
    code, _, errors = run_predict(
        tmp_path / "none.mp4", "--model", path, "--boxes", boxes, "--output", tmp_path / "out"
    )
    assert code == 1 and "none.mp4" in errors[0] and not (tmp_path / "out").exists()
