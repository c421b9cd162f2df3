"""Who does what in a video: boxes from files and detectors, tracks, scores, and the video that shows them."""

import fractions
import json

import av
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import decode, write

from slowfast_tf import SlowFast
from slowfast_tf.errors import InputError
from slowfast_tf.inference import people as detection
from slowfast_tf.inference.people import Person
from slowfast_tf.video.probe import frame_times, probe

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
    """The square at 0.5, 1.5 and 2.5 seconds, and something in the corner."""
    rows = ["second,x1,y1,x2,y2,score"]
    for time in (0.5, 1.5, 2.5):
        rows.append(",".join(map(str, (time, *corners(int(20 * time)), 0.9))))
        rows.append(f"{time},0.8,0.7,1,1,1")
    path = tmp_path / "boxes.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


# Boxes


@pytest.mark.parametrize(
    "row, message",
    [
        ("1,nan,0,1,1", "corners nan, 0, 1, 1 are not shares"),
        ("1,-0.5,0,1,1", "corners -0.5, 0, 1, 1 are not shares"),
        ("1,0.5,0,0.4,1", "corners 0.5, 0, 0.4, 1 are swapped"),
        ("1,0.5,0,0.5,1", "the box has no area"),
        ("3.1,0,0,1,1", "second 3.1 is not in the video, which lasts 3.00 s"),
        ("-1,0,0,1,1", "second -1 is not in the video"),
        ("nan,0,0,1,1", "second nan is not in the video"),
        ("1,0,0,1,1,2", "score 2 is not from 0 to 1"),
        ("1,0,0,1,one", "expected second,x1,y1,x2,y2"),
        ("1,0,0,1", "expected second,x1,y1,x2,y2"),
    ],
)
def test_bad_boxes_have_a_row(row, message, tmp_path):
    (tmp_path / "b.csv").write_text(f"second,x1,y1,x2,y2\n1,0,0,1,1\n\n{row}\n")
    with pytest.raises(InputError, match=rf"b\.csv:4: {message}") as error:
        detection.read_boxes(tmp_path / "b.csv", 3.0)
    assert "\n" not in str(error.value)
    time, *values = (float(x) if x != "one" else x for x in row.split(","))
    entry = {"time": time, "box": values[:4], **({"score": values[4]} if len(values) > 4 else {})}
    (tmp_path / "b.json").write_text(json.dumps([{"time": 1, "box": [0, 0, 1, 1]}, entry]))
    with pytest.raises(InputError, match=rf"b\.json, box 1 \(from 0\): {message}"):
        detection.read_boxes(tmp_path / "b.json", 3.0)


def test_boxes_of_both_kinds(tmp_path):
    (tmp_path / "b.csv").write_text("2,0,0,1,1\n1,0.1,0.2,0.3,0.4,0.5\n")
    entries = [{"time": 2, "box": [0, 0, 1, 1]}, {"time": 1, "box": [0.1, 0.2, 0.3, 0.4], "score": 0.5}]
    (tmp_path / "b.json").write_text(json.dumps(entries))
    expected = [Person(1.0, (0.1, 0.2, 0.3, 0.4), 0.5), Person(2.0, (0.0, 0.0, 1.0, 1.0), 1.0)]
    for name in ("b.csv", "b.json"):
        assert detection.read_boxes(str(tmp_path / name), 3.0) == expected
    for name, content, message in (
        ("none.csv", None, "cannot read the boxes .*none.csv"),
        ("empty.csv", "time,x1,y1,x2,y2\n", "empty.csv holds no box"),
        ("bad.json", "{", "bad.json is not JSON"),
        ("dict.json", "{}", "dict.json holds a dict; expected a list"),
        ("list.json", "[1]", "list.json, box 0 .from 0.: expected second"),
    ):
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=message):
            detection.read_boxes(tmp_path / name, 3.0)


# Tracks


def box(x, y=0.0, size=0.2):
    return (x, y, x + size, y + size)


def tracks(*frames):
    """Tracks of boxes in frames a second apart."""
    people = [Person(float(t), corners) for t, frame in enumerate(frames) for corners in frame]
    detection.track(people)
    return [[p.track for p in people if p.time == t] for t in range(len(frames))]


def test_tracks():
    assert tracks([box(0), box(0.5)], [box(0.53), box(0.04)]) == [[0, 1], [1, 0]]
    assert tracks([box(0)], [box(0.5)], [box(0.02)]) == [[0], [1], [0]]  # away for one key frame
    assert tracks([box(0)], [], [box(0.4)]) == [[0], [], [1]]
    # Each alone would take the same box; together they take two.
    assert tracks([box(0.1), box(0.2)], [box(0.14), box(0.23)]) == [[0, 1], [0, 1]]
    away = [[box(0)]] + [[box(0.7)]] * 3 + [[box(0)]]
    assert tracks(*away)[-1] == [2]  # too long


def test_between_key_frames():
    people = [Person(0.0, box(0.0), actions=(("a", 1.0),)), Person(1.0, box(0.1), actions=(("b", 1.0),))]
    detection.track(people)
    (quarter,) = detection.shown(people, 0.25, 0.5)
    assert quarter.corners == pytest.approx(box(0.025)) and quarter.actions == (("a", 1.0),)
    assert detection.shown(people, 0.75, 0.5)[0].actions == (("b", 1.0),)
    assert detection.shown(people, 1.4, 0.5)[0].corners == box(0.1) and not detection.shown(people, 1.6, 0.5)
    people[1].time = 3.1  # no longer one after the other
    assert not detection.shown(people, 1.5, 0.5)


# The command


def packets(path, kind):
    """Times in seconds and bytes of a stream's packets."""
    with av.open(str(path)) as container:
        (stream,) = getattr(container.streams, kind)
        found = [(float(p.pts * stream.time_base), bytes(p)) for p in container.demux(stream) if p.size]
        return stream.codec_context.name, sorted(found)


def test_annotated_video(run_predict, model, source, boxes, tmp_path):
    network, path = model
    arguments = (source, "--model", path, "--boxes", boxes, "--output", tmp_path / "out", "--top-k", 2)
    code, lines, errors = run_predict(*arguments)
    assert code == 0 and not errors and "square.mp4: 2 people in 3 key frames" in lines[0]
    written = tmp_path / "out" / "square.mp4"
    assert sorted(p.name for p in written.parent.iterdir()) == ["square.json", "square.mp4"]

    codec, frames = packets(written, "video")
    assert codec == "h264" and [round(20 * time) for time, _ in frames] == list(range(60))
    assert packets(written, "audio")[1] == packets(source, "audio")[1] != []
    images = decode(written)
    assert images.shape == (60, 96, 128, 3)
    for time in (10, 20, 30, 45):  # the square has a coloured frame, also between key frames
        left = 10 + time // 2
        colored = np.ptp(images[time].astype(int), axis=-1)
        assert (colored[45:57, left] > 60).all()  # words may cover what is above
        assert (colored[45:55, left + 4 : left + 16] < 60).all()  # words of the other begin behind
    assert (np.ptp(images[:, 66:, :50].astype(int), axis=-1) < 40).all()  # far from all boxes and words

    # Scores of clips of 8 frames, two apart, around the key frame.
    found = json.loads((tmp_path / "out" / "square.json").read_text())
    assert found["video"] == source and [frame["time"] for frame in found["frames"]] == [0.5, 1.5, 2.5]
    raw = decode(source)
    for frame in found["frames"]:
        center = round(20 * frame["time"])
        clip = raw[np.clip(center - 8 + 2 * np.arange(8), 0, 59)]
        clip = (tf.image.resize(clip, (48, 64)).numpy()[None] / 255 - 0.45) / 0.225
        corners = np.array([b["box"] for b in frame["boxes"]], np.float32) * [64, 48, 64, 48]
        logits = network({"slow": clip[:, ::4], "fast": clip, "boxes": corners[None].astype(np.float32)})
        expected = tf.nn.sigmoid(logits)[0].numpy()
        assert [b["track"] for b in frame["boxes"]] == [0, 1]
        for person, row in zip(frame["boxes"], expected):
            best = np.argsort(-row)[:2]
            assert [a["label"] for a in person["actions"]] == [LABELS[i] for i in best]
            np.testing.assert_allclose([a["score"] for a in person["actions"]], row[best], atol=2e-3)
    assert [b["score"] for b in found["frames"][0]["boxes"]] == [0.9, 1.0]

    # What stands there is kept, unless asked for.
    before = written.read_bytes()
    code, _, errors = run_predict(*arguments)
    assert code == 2 and "exists; give another --output, or --overwrite" in errors[0]
    assert written.read_bytes() == before
    code, lines, _ = run_predict(*arguments, "--overwrite", "--json")
    assert code == 0 and json.loads(lines[0]) == found


def test_a_detector(run_predict, model, source, tmp_path):
    """A SavedModel that boxes what is bright, beside a bright dog and somebody it is not sure of."""

    class Detector(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, "input_tensor")])
        def __call__(self, image):
            bright = tf.where(image[0, :, :, 0] > 130)
            size = tf.cast(tf.shape(image)[1:3], tf.float32)
            low = tf.cast(tf.reduce_min(bright, 0), tf.float32) / size
            high = tf.cast(tf.reduce_max(bright, 0) + 1, tf.float32) / size
            box = tf.concat([low, high], 0)
            return {
                "detection_boxes": tf.tile(box[None, None], [1, 3, 1]),
                "detection_scores": tf.constant([[0.95, 0.9, 0.5]]),
                "detection_classes": tf.constant([[1.0, 18.0, 1.0]]),
                "num_detections": tf.constant([3.0]),
            }

    detector = Detector()
    tf.saved_model.save(detector, str(tmp_path / "detector"))
    out = tmp_path / "out"
    code, lines, errors = run_predict(source, "--model", model[1], "--detector", tmp_path / "detector", "--output", out)
    assert code == 0 and not errors and "1 people in 3 key frames" in lines[0]
    frames = json.loads((out / "square.json").read_text())["frames"]
    for frame, time in zip(frames, (0.5, 1.5, 2.5), strict=True):
        (person,) = frame["boxes"]
        assert frame["time"] == time and person["score"] == pytest.approx(0.95)
        np.testing.assert_allclose(person["box"], corners(int(20 * time)), atol=0.01)

    (tmp_path / "none").mkdir()
    code, _, errors = run_predict(
        source, "--model", model[1], "--detector", tmp_path / "none", "--output", tmp_path / "o"
    )
    assert code == 2 and len(errors) == 1 and "is no SavedModel of a detector" in errors[0]


@pytest.mark.parametrize("codec, kept", [("pcm_s16le", False), ("libmp3lame", True)])
def test_sound_of_other_kinds(codec, kept, tmp_path):
    """An odd size loses a pixel; a tone stays a tone, at its time."""
    path, rate = tmp_path / "odd.mkv", 16_000
    tone = (8000 * np.sin(np.arange(rate * 2) * 2 * np.pi * 440 / rate)).astype(np.int16)
    tone[:rate] = 0  # a second of silence first
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("libx264", 10), container.add_stream(codec, rate, layout="mono")
        pictures.height, pictures.width, pictures.pix_fmt = 51, 75, "yuv444p"
        for t in range(20):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(square(t)[:51, :75].copy(), "rgb24")))
        frame = av.AudioFrame.from_ndarray(tone[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, fractions.Fraction(1, rate)
        resampler = av.AudioResampler(sound.codec_context.format, "mono", rate, sound.codec_context.frame_size or None)
        for part in resampler.resample(frame) + resampler.resample(None):
            container.mux(sound.encode(part))
        container.mux(pictures.encode())
        container.mux(sound.encode())
    people = [Person(0.5, box(0.2), track=0, actions=(("walk", 0.5),))]
    detection.write_video(path, people, tmp_path / "out.mp4")
    assert decode(tmp_path / "out.mp4").shape == (20, 50, 74, 3)
    assert packets(tmp_path / "out.mp4", "audio")[0] == ("mp3float" if kept else "aac")
    with av.open(str(tmp_path / "out.mp4")) as container:
        parts = [(f.time, f.to_ndarray().reshape(-1).astype(float)) for f in container.decode(audio=0)]
    heard = np.concatenate([part for _, part in parts])
    scale = np.abs(heard).max()
    start = parts[0][0] + np.argmax(np.abs(heard) > 0.3 * scale) / rate
    assert start == pytest.approx(1.0, abs=0.1) and len(heard) / rate == pytest.approx(2.0, abs=0.2)


def test_frames_that_are_not_even_in_time(tmp_path):
    times = [0, 40, 80, 400, 440, 1000]
    path = write(tmp_path / "uneven.mkv", [square(t) for t in range(6)], times=times)
    people = [Person(0.0, box(0.2), track=0), Person(1.0, box(0.2), track=0)]
    assert frame_times(probe(path)) == pytest.approx(np.array(times) / 1000)
    detection.write_video(path, people, tmp_path / "out.mp4")
    assert [time for time, _ in packets(tmp_path / "out.mp4", "video")[1]] == pytest.approx(np.array(times) / 1000)


@pytest.mark.parametrize("height, width", [(256, 340), (1080, 1920), (60, 40)])
def test_words_are_readable(height, width):
    """White on dark, of a height that follows the picture's; what is outside boxes and words stays."""
    image = np.full((height, width, 3), 128, np.uint8)
    person = Person(0, (0.4, 0.5, 0.6, 0.9), track=3, actions=(("talk to (e.g., a person)", 0.871), ("sit", 0.5)))
    drawn = detection.draw(image, [person])
    white = (drawn == 255).all(-1)
    rows = np.flatnonzero(white.any(1))
    assert len(rows) and np.ptp(rows) >= max(14, min(height, width) / 25)
    assert (drawn[:, : width // 3][: height // 4] == 128).all() or height == 60
    assert (image == 128).all()
    many = [Person(0, (0, 0, 1, 1), track=i, actions=(("a", 0.1),)) for i in range(20)]
    assert detection.draw(image, many).shape == image.shape


def test_mistakes(run_predict, model, source, boxes, tmp_path):
    other = SlowFast("slowfast_2x16_demo", depth=10, width=8)
    other.save(tmp_path / "other.keras")
    (tmp_path / "late.csv").write_text("1,0,0,1,1\n9,0,0,1,1\n")
    path = model[1]
    for arguments, message in (
        ((source, "--model", path), "is a detection model: say where people are, by --boxes or --detector"),
        ((source, "--model", path, "--boxes", boxes, "--detector", "x"), "not both"),
        ((source, "b.mp4", "--model", path, "--boxes", boxes), "--boxes is for one video; received 2"),
        ((source, "--model", tmp_path / "other.keras", "--boxes", boxes), "other.keras is no detection model"),
        ((source, "--model", path, "--boxes", tmp_path / "late.csv"), "late.csv:2: second 9 is not in the video"),
        ((source, source, "--model", path, "--detector", "x"), "two videos would be written to"),
        ((source, "--model", path, "--boxes", boxes, "--output", source[: -len("/square.mp4")]), "a video to read"),
    ):
        if "--output" not in arguments:
            arguments = (*arguments, "--output", tmp_path / "out")
        code, lines, errors = run_predict(*arguments)
        assert code == 2 and not lines and len(errors) == 1 and message in errors[0], errors
    code, _, errors = run_predict(
        tmp_path / "none.mp4", "--model", path, "--boxes", boxes, "--output", tmp_path / "out"
    )
    assert code == 1 and "none.mp4" in errors[0] and not (tmp_path / "out").exists()
