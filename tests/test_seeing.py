"""What a network says over time, where it sees it, and what it says of a stream as it happens."""

import http.server
import json
import threading
import time
import weakref

import av
import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import coded, decode, numbers, write
from helpers.pictures import CLASSES, picture
from matplotlib.image import imread

from slowfast_tf import SlowFast
from slowfast_tf.data import transforms
from slowfast_tf.errors import VideoError
from slowfast_tf.inference import live, sliding
from slowfast_tf.inference.explain import grad_cam
from slowfast_tf.inference.predictor import Predictor
from slowfast_tf.models.presets import get_spec
from slowfast_tf.video.decode import to_rgb

# Grad-CAM


def test_heat_is_the_heads_weights_times_the_features(model):
    """The head is an average and a linear layer: the gradient is known, and the maps add up to the logit."""
    random = np.random.default_rng(1)
    inputs = {
        "slow": random.normal(size=(2, 2, 64, 64, 3)).astype(np.float32),
        "fast": random.normal(size=(2, 16, 64, 64, 3)).astype(np.float32),
    }
    logits, heat = grad_cam(model, inputs, classes=tf.constant([2, 0]))
    np.testing.assert_allclose(logits, model(inputs), rtol=1e-4, atol=1e-5)
    import keras

    outputs = [model.get_layer(f"{name}_res5").output for name in ("slow", "fast")]
    slow, fast = (np.asarray(x) for x in keras.Model(model.inputs, outputs)([inputs["slow"], inputs["fast"]]))
    kernel, bias = model.get_layer("head").get_weights()
    kernels = np.split(kernel, [slow.shape[-1]])
    total = bias[[2, 0]]
    for x, part, found in zip((slow, fast), kernels, (heat["slow"], heat["fast"])):
        maps = np.einsum("bthwc,cb->bthw", x, part[:, [2, 0]]) / np.prod(x.shape[1:4])
        np.testing.assert_allclose(found, np.maximum(maps, 0), atol=1e-5 * np.abs(maps).max())
        assert (maps > 0).any() and (maps < 0).any()
        total = total + maps.sum((1, 2, 3))
    np.testing.assert_allclose(total, np.take_along_axis(logits.numpy(), np.array([[2], [0]]), 1)[:, 0], rtol=1e-4)
    best = np.asarray(logits).argmax(1)
    for name, x in grad_cam(model, inputs)[1].items():
        np.testing.assert_allclose(x, grad_cam(model, inputs, classes=best)[1][name], rtol=1e-5)


@pytest.fixture(scope="module")
def people():
    """A detection network."""
    return SlowFast("slow_4x16_r50_ava", depth=10, width=8, crop_size=32)


def test_heat_of_one_pathway_and_of_people(people):
    slow = SlowFast("slow_4x16_r50", depth=10, width=8, crop_size=32, num_classes=3)
    logits, heat = grad_cam(slow, {"slow": np.random.default_rng(0).normal(size=(1, 4, 32, 32, 3)).astype(np.float32)})
    assert logits.shape == (1, 3) and {name: x.shape for name, x in heat.items()} == {"slow": (1, 4, 1, 1)}
    with pytest.raises(ValueError, match="received one with head 'roi'"):
        grad_cam(people, {})


# A window that slides


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """90 frames with sound: the picture of one video, then that of another."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    images = [picture(0 if t < 45 else 9, t % 45) for t in range(90)]
    return write(path, images, audio=True, pix_fmt="yuv444p", qp=1, g=12, bf=2)


def expected_scores(infer, path, starts):
    """Scores of the windows that start at some frames, by plain code; frames are 40 x 48."""
    frames = decode(path)
    clips = np.stack([frames[start : start + 32 : 2] for start in starts])
    clips = tf.image.resize(clips.reshape(-1, 40, 48, 3), (32, 38)).numpy()[:, :, 3:35].reshape(-1, 16, 32, 32, 3)
    return infer(((clips / 255 - 0.45) / 0.225).astype(np.float32))


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
    scores = expected_scores(infer, long, (0, 16, 32, 48, 58))
    assert len(found["windows"]) == 5
    for window, row, start in zip(found["windows"], scores, (0, 16, 32, 48, 58)):
        assert (window["start"], window["end"]) == pytest.approx((start / 30, (start + 30) / 30))
        assert {p["label"]: p["score"] for p in window["predictions"]} == pytest.approx(
            dict(zip(CLASSES, row)), abs=1e-4
        )
    mean = dict(zip(CLASSES, scores.mean(0)))
    assert {p["label"]: p["score"] for p in found["predictions"]} == pytest.approx(mean, abs=1e-4)
    assert decode(names[0]).shape == (90, 240, 288, 3) and decode(names[2]).shape == (90, 320, 768, 3)
    assert imread(names[1]).std() > 0.05
    for name in (names[0], names[2]):
        with av.open(str(name)) as container:
            assert container.streams.video[0].codec_context.name == "h264" and container.streams.audio
            times = [frame.time for frame in container.decode(video=0)]
            np.testing.assert_allclose(times, np.arange(90) / 30, atol=1e-4)


@pytest.fixture(scope="module")
def slider(model):
    return sliding.Slider(Predictor(model))


def test_memory_is_that_of_a_window(slider, long, monkeypatch):
    crops, made, most = transforms.test_crops, [], []

    def noted(*arguments):
        class Found:
            def __getitem__(self, place):
                crop = crops(*arguments)[place]
                made.append(weakref.ref(crop))
                most.append(sum(known() is not None for known in made))
                return crop

        return Found()

    monkeypatch.setattr(sliding.transforms, "test_crops", noted)
    timeline = slider.slide(long)
    assert len(timeline.scores) == 5 and len(made) == 45 and 16 <= max(most) <= 17


@pytest.mark.parametrize("frames", [1, 32, 33])
def test_short_videos(frames, slider, infer, tmp_path):
    path = write(tmp_path / "short.mp4", [picture(3, t) for t in range(frames)], pix_fmt="yuv444p", qp=1)
    timeline = slider.slide(path)
    assert len(timeline.scores) == (1 if frames <= 32 else 2) and timeline.edges[-1] == pytest.approx(frames / 30)
    if frames == 32:
        np.testing.assert_allclose(timeline.scores, expected_scores(infer, path, [0]), atol=1e-4)


def line(**changes):
    """A timeline worked by hand: two windows, nearest until 0.95 s and from then on."""
    times = np.stack([np.linspace(0, 1, 16), np.linspace(1, 2, 16)])
    values = {"edges": np.array([0.0, 0.95, 2.0]), "times": times, "scores": np.eye(2, 4, dtype=np.float32), "heat": {}}
    return sliding.Timeline(**{**values, **changes})


@pytest.fixture
def gray(tmp_path):
    """20 gray frames of 128 x 320 pixels in 2 seconds."""
    return write(tmp_path / "gray.mp4", [np.full((128, 320, 3), 160, np.uint8)] * 20, rate=10)


def test_labels_change_where_windows_do(gray, tmp_path):
    """The dark ground of the words is as wide as the label of the time."""
    sliding.write_labels(gray, line(), ["ant", "a label of many words", "c", "d"], tmp_path / "out.mp4", 1)
    frames = decode(tmp_path / "out.mp4")
    assert frames.shape == (20, 256, 640, 3)
    wide = (frames[..., 0] < 100).any(1).sum(1)
    assert np.ptp(wide[:10]) <= 2 and np.ptp(wide[10:]) <= 2 and wide[10] > 2.5 * wide[9]
    assert np.abs(frames[:, 40:].astype(int) - 160).max() < 8


def test_heat_is_where_the_features_are(gray, tmp_path):
    """One warm cell in each pathway: top right of the crop at 0 s, bottom left from 1.87 s on."""
    spec = get_spec("slowfast_2x16_demo", width=8, crop_size=32, num_classes=4)
    heat = {"slow": np.zeros((2, 2, 4, 4), np.float32), "fast": np.zeros((2, 16, 4, 4), np.float32)}
    heat["slow"][0, 0, 0, 3], heat["fast"][1, 13:, 3, 0] = 2e-3, 5.0
    sliding.write_heat(gray, line(heat=heat), CLASSES, tmp_path / "out.mp4", spec)
    frames = decode(tmp_path / "out.mp4").astype(int)
    assert frames.shape == (20, 320, 1600, 3)
    slow, fast = frames[:, :, :800], frames[:, :, 800:]

    def warm(image):
        """Where red is above blue, as shares of height and width; words are gray."""
        return np.argwhere(image[..., 0] - image[..., 2] > 60).mean(0) / image.shape[:2]

    # The crop is the middle 320 of 800 columns: its last quarter is at 0.65, its first at 0.35.
    np.testing.assert_allclose(warm(slow[0]), [0.125, 0.65], atol=0.05)
    np.testing.assert_allclose(warm(fast[19]), [0.875, 0.35], atol=0.05)
    for image in (slow[19], fast[0]):
        assert not (image[..., 0] - image[..., 2] > 60).any()
    # Half way from one frame of the Slow pathway (0 s) to the next (8 / 15 s), half the heat.
    strength = [frame[10:70, 490:550, 0].mean() - frame[10:70, 490:550, 2].mean() for frame in slow]
    assert strength[0] > strength[1] > strength[3] and strength[6] < 0.1 * strength[0]
    outside = frames[:, 60:, 20:220]
    assert np.abs(outside - 0.35 * 160).max() < 10


# Streams


@pytest.fixture(scope="module")
def stream(tmp_path_factory):
    """The address of an MPEG transport stream of 90 numbered frames, 30 a second, as they happen."""
    path = tmp_path_factory.mktemp("stream") / "stream.ts"
    images = [coded(t, 64, 64) for t in range(90)]
    write(path, images, tune="zerolatency", g=15, qp=10)
    content = path.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path == "/silent.ts":
                return time.sleep(3)
            if self.path != "/stream.ts":
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Connection", "close")
            self.end_headers()
            start = time.monotonic()
            for i in range(90):
                time.sleep(max(start + i / 30 - time.monotonic(), 0))
                part = content[len(content) * i // 90 : len(content) * (i + 1) // 90]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/stream.ts"
        server.shutdown()


class Told:
    """In place of a network: its scores are the rows of its frames, which carry their numbers; slow if it is to be."""

    def __init__(self, spec, seconds):
        self.spec, self.seconds = spec, seconds

    def score_crops(self, crops):
        def wait(x):
            time.sleep(self.seconds)
            return x

        columns = tf.reduce_mean(crops, [2, 4])
        return tf.reshape(tf.numpy_function(wait, [columns], tf.float32), [1, -1])


def watch(spec, seconds, stream):
    """Moments of a stream, and the numbers of the frames of each."""
    for moment in live.watch(Told(spec, seconds), stream):
        yield moment, numbers(moment.scores.reshape(16, 1, 32, 1).repeat(32, 1).repeat(3, 3))


def test_a_slow_network_does_not_lag(model, stream, monkeypatch):
    """Each clip is of the newest frames, two apart; a network too slow for the stream leaves clips out."""
    monkeypatch.setattr(live, "DELAY", 60.0)
    clips = list(watch(model.spec, 0.5, stream))
    assert 2 <= len(clips) <= 8  # of the 30 that there would be, and 15 s behind
    start = clips[0][0].time - clips[0][1][-1] / 30
    for moment, found in clips:
        assert found == list(range(found[0], found[0] + 31, 2)), found
        assert moment.time - found[-1] / 30 == pytest.approx(start, abs=0.01)
        assert moment.delay >= 0.5
    lasts = [found[-1] for _, found in clips]
    assert lasts == sorted(set(lasts)) and lasts[-1] >= 87  # also what came while the one before was scored


def test_a_decoder_that_lags_goes_on_at_a_key_frame(model, stream, monkeypatch):
    """Where decoding is slower than the stream, frames are left out, and the newest are still seen in time."""
    upright = to_rgb

    def slow(*arguments):
        time.sleep(0.15)
        return upright(*arguments)

    monkeypatch.setattr(live.video, "upright", slow)
    monkeypatch.setattr(live, "DELAY", 0.3)
    lasts = [found[-1] for _, found in watch(model.spec, 0.0, stream)]
    assert lasts == sorted(set(lasts)) and lasts[-1] >= 75  # the last key frame, at the least
    # Of the 30 frames and more after the first clip, those of about 3 s were decoded.
    assert len(lasts) < 25


def test_camera_command(run_predict, infer, saved, stream, long, tmp_path):
    code, lines, errors = run_predict("--camera", stream, "--model", saved)
    assert code == 0 and not errors and all(" s (delay " in line for line in lines) and lines
    # A file is a stream that comes at once: the last clip is its end.
    code, lines, errors = run_predict("--camera", long, "--model", saved, "--json", "--top-k", 4)
    assert code == 0 and not errors
    last = json.loads(lines[-1])
    assert last["camera"] == long and last["time"] <= 89 / 30 + 0.01 and last["delay"] >= 0
    scores = [next(p["score"] for p in last["predictions"] if p["label"] == name) for name in CLASSES]
    ends = expected_scores(infer, long, (58, 59))
    assert np.abs(ends - scores).max(1).min() < 1e-3
    code, lines, errors = run_predict("--camera", tmp_path / "none.ts", "--model", saved)
    assert code == 1 and not lines and errors == [f"error: {tmp_path / 'none.ts'}: No such file or directory"]


def test_streams_that_cannot_be_read(model, stream, tmp_path, monkeypatch):
    (tmp_path / "bad.ts").write_text("nothing")
    for source in (str(tmp_path / "bad.ts"), stream.replace("stream.ts", "none"), "97"):
        with pytest.raises(VideoError, match=source):
            next(live.watch(Told(model.spec, 0.0), source))
    monkeypatch.setattr(live, "PATIENCE", 0.5)
    with pytest.raises(VideoError, match="silent.ts: no frame for 0.5 seconds"):
        next(live.watch(Told(model.spec, 0.0), stream.replace("stream.ts", "silent.ts")))


def test_mistakes(run_predict, saved, people, long, tmp_path):
    (tmp_path / "there.png").write_text("mine")
    out = tmp_path / "out.mp4"
    for arguments, message in (
        ((), "give VIDEO or --camera, and not both"),
        ((long, "--camera", "0"), "give VIDEO or --camera, and not both"),
        (("--camera", "0", "--video", out), "are for one VIDEO"),
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
