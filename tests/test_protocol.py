"""One protocol: every command that scores a video gives the same scores, for a model with unusual values everywhere."""

import dataclasses
import json
import runpy
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import decode, write
from helpers.exports import ROOT
from helpers.networks import randomize

from slowfast_tf import SlowFast, evaluate, predict
from slowfast_tf.data import sampling
from slowfast_tf.evaluation.scores import load_scores
from slowfast_tf.exporting import calibration, onnx, saved_model, tflite
from slowfast_tf.inference import Predictor, read_clip, score_video
from slowfast_tf.inference.live import watch
from slowfast_tf.inference.people import Person, Scorer
from slowfast_tf.inference.sliding import Slider
from slowfast_tf.models.views import Views

LABELS = ("wave", "bow", "jump", "sit", "turn")
RATE = 24.0


def scene(time, height, width):
    """The picture at a time in seconds: moving bars of different brightness and color."""
    y, x = np.mgrid[:height, :width] / min(height, width)
    waves = [np.sin(7 * x + 9 * time), np.cos(5 * y - 6 * time), np.sin(3 * (x + y) + 4 * time + time**2)]
    return (127.5 + 127.5 * np.stack(waves, -1)).round().astype(np.uint8)


def film(path, times, height=48, width=64):
    """A lossless video of `scene` at these times in seconds."""
    ticks = [round(time * 3000) for time in times]
    images = [scene(tick / 3000, height, width) for tick in ticks]
    return write(path, images, rate=3000, times=ticks, pix_fmt="yuv444p", qp=0, codec="libx264")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Five rates, portrait, shorter than a clip, and one large enough to be made smaller as it is decoded."""
    root = tmp_path_factory.mktemp("films") / "val" / "wave"
    root.mkdir(parents=True)
    uneven = np.cumsum([0.02 if i // 10 % 2 else 0.05 for i in range(70)])
    made = [film(root / f"{rate:g}.mp4", np.arange(round(2.5 * rate)) / rate) for rate in (12.5, 25, 30, 60)]
    made.append(film(root / "uneven.mp4", uneven - uneven[0]))
    made.append(film(root / "portrait.mp4", np.arange(60) / 25, 80, 44))
    made.append(film(root / "short.mp4", np.arange(9) / 25))
    made.append(film(root / "large.mp4", np.arange(50) / 25, 96, 128))
    (root.parents[1] / "train").symlink_to(root.parent)
    return made


@pytest.fixture(scope="module")
def unusual():
    """A network whose protocol differs from every default, and whose scores differ by video."""
    model = SlowFast(
        "slowfast_4x16_r50",
        depth=10,
        width=16,
        frames=4,
        stride=8,
        alpha=4,
        num_classes=5,
        labels=LABELS,
        frame_rate=RATE,
        frame_index="linspace",
        views=Views(3, 2, to_the_end=True, fuse="max"),
        crop_size=32,
        mean=(0.4, 0.3, 0.6),
        std=(0.2, 0.3, 0.25),
        channel_order="bgr",
        activation="sigmoid",
    )
    randomize(model)
    return model


@pytest.fixture(scope="module")
def files(unusual, videos, tmp_path_factory):
    """The network in every form, for its middle view."""
    root = tmp_path_factory.mktemp("unusual")
    unusual.save(root / "model.keras")
    clips = list(calibration.read_calibration_clips(videos, unusual.spec))
    saved_model.export(unusual, root / "served" / "1", views=dataclasses.replace(unusual.spec.views, clips=1, crops=1))
    tflite.export(unusual, root / "a.tflite")
    tflite.export(unusual, root / "int8.tflite", "int8", clips)
    onnx.export(unusual, root / "a.onnx")
    return root


@pytest.fixture(scope="module")
def middle(unusual, videos):
    """The reference: the middle view of each video, cut and cropped by hand with NumPy.

    FFmpeg halves the large video in YUV, which rounds differently from RGB. So the package computes its reference.
    """
    found = {path: by_hand(unusual, path) for path in videos}
    large = Predictor(unusual).score_clips(read_clip(videos[-1], unusual.spec)[None])[0].numpy()
    np.testing.assert_allclose(large, found[videos[-1]], atol=0.02)
    return {**found, videos[-1]: large}


def by_hand(model, path):
    """Scores of the middle clip and crop, from the definition of the protocol."""
    import av

    with av.open(path) as container:
        shown = [(float(frame.pts * frame.time_base), frame.to_ndarray(format="rgb24")) for frame in container.decode()]
    times, images = zip(*sorted(shown, key=lambda pair: pair[0]))
    rate = (len(times) - 1) / (times[-1] - times[0])
    span = 4 * 8 * rate / RATE
    start = max(len(images) - span, 0) / 2
    indices = np.clip(np.floor(start + np.linspace(0, span - 1, 16) + 1e-4), 0, len(images) - 1).astype(int)
    clip = np.stack([images[i] for i in indices]).astype(np.float32)
    if min(clip.shape[1:3]) >= 64:  # halved by averaging
        n, height, width, _ = clip.shape
        clip = clip.reshape(n, height // 2, 2, width // 2, 2, 3).mean((2, 4)).round()
    height, width = clip.shape[1:3]
    size = (32, 32 * width // height) if height <= width else (32 * height // width, 32)
    clip = tf.image.resize(clip, size).numpy()
    top, left = (-(-(side - 32) // 2) for side in size)
    clip = clip[:, top : top + 32, left : left + 32, ::-1]
    fast = ((clip / 255 - (0.4, 0.3, 0.6)) / (0.2, 0.3, 0.25)).astype(np.float32)[None]
    slow = fast[:, [0, 5, 10, 15]]
    return tf.sigmoid(model({"slow": slow, "fast": fast}, training=False)).numpy()[0]


def test_the_scores_tell_the_videos_apart(middle):
    """Otherwise the tests below could not fail."""
    scores = np.stack(list(middle.values()))
    assert scores.std(0).min() > 0.01 and 0.05 < scores.mean() < 0.95


def by_label(predictions):
    return np.array([{p["label"]: p["score"] for p in predictions}[label] for label in LABELS])


def run(capsys, main, *arguments):
    capsys.readouterr()
    main([str(argument) for argument in arguments])
    return capsys.readouterr()


def test_predict(files, videos, middle, capsys):
    arguments = ("--model", files / "model.keras", "--views", "middle", "--json")
    lines = run(capsys, predict.main, *videos, *arguments).out.splitlines()
    for path, line in zip(videos, lines, strict=True):
        found = json.loads(line)
        assert found["views"] == "1x1"
        np.testing.assert_allclose(by_label(found["predictions"]), middle[path], atol=1e-3)


@pytest.fixture(scope="module")
def config_of(videos, tmp_path_factory):
    """A configuration that says something else than the model in every field of the protocol."""
    root = tmp_path_factory.mktemp("other")
    names = sorted(LABELS)
    path = root / "config.json"
    model = {"preset": "slowfast_4x16_r50", "depth": 10, "width": 16, "stride": 16, "frames": 4, "alpha": 4}
    values = {
        "name": "other",
        "model": {**model, "frame_rate": 10, "crop_size": 48},
        "data": {"dataset": "folder", "root": str(root / "data"), "crop_size": 32, "short_sides": [32, 40]},
        "train": {"epochs": 1, "batch_size": 1, "learning_rate": 0.1, "warmup_epochs": 0},
        "test": {"clips": 2, "crops": 1},
    }
    path.write_text(json.dumps(values))
    for split in ("train", "val"):
        for index, label in enumerate(names):
            folder = root / "data" / split / label
            folder.mkdir(parents=True)
            for number, video in enumerate(videos):
                if number % len(names) == index:
                    (folder / f"{number}.mp4").symlink_to(video)
    return path


def test_evaluate_with_one_view(files, unusual, videos, middle, config_of, tmp_path, capsys):
    ordered = tmp_path / "ordered.keras"
    model = SlowFast(dataclasses.replace(unusual.spec, labels=tuple(sorted(LABELS))))
    model.set_weights(unusual.get_weights())
    model.save(ordered)
    arguments = ("--config", config_of, "--checkpoint", ordered, "--scores", tmp_path / "scores.npz")
    printed = run(capsys, evaluate.main, *arguments, "--set", "test.clips=1", "--set", "test.crops=1")
    told = [line for line in printed.err.splitlines() if "protocol" in line]
    assert len(told) == 1, printed.err
    for field in ("stride 8, not 16", "frame_rate 24.0, not 10", 'frame_index "linspace"', "crop_size 32, not 48"):
        assert field in told[0]
    for field in ("mean", "std", 'channel_order "bgr"', 'activation "sigmoid"'):
        assert field in told[0]
    scores = load_scores(tmp_path / "scores.npz")
    assert scores.about.protocol["frame_rate"] == RATE
    assert scores.about.test == {"clips": 1, "crops": 1, "to_the_end": True, "fuse": "max"}
    assert len(scores.ids) == len(videos)
    for name, row in zip(scores.ids, scores.scores):
        np.testing.assert_allclose(row, middle[videos[int(name.split("/")[-1].split(".")[0])]], atol=1e-3)


def test_reversed_labels_are_refused(files, config_of, capsys):
    from slowfast_tf.errors import InputError

    with pytest.raises(InputError, match="another order"):
        run(capsys, evaluate.main, "--config", config_of, "--checkpoint", files / "model.keras")


def test_the_saved_model(files, videos, middle):
    """A video's frames and their rate."""
    sys.path.insert(0, str(ROOT / "export"))
    try:
        import frames
    finally:
        sys.path.pop(0)
    signatures = tf.saved_model.load(str(files / "served" / "1")).signatures
    for path in videos:
        count, rate = frames.probe(path)
        video = tf.constant(frames.read_frames(path, range(count), 32)[None])
        found = signatures["rated"](video=video, rate=tf.constant([rate], tf.float32))["scores"][0]
        np.testing.assert_allclose(found, middle[path], atol=1e-3)
    # Without a rate, the frames count as if they came at the network's own.
    unrated = signatures["serving_default"](video=video)["scores"][0]
    rated = signatures["rated"](video=video, rate=tf.constant([RATE], tf.float32))["scores"][0]
    np.testing.assert_allclose(unrated, rated, atol=1e-5)
    both = signatures["rated"](video=tf.repeat(video, 2, 0), rate=tf.constant([rate, RATE], tf.float32))["scores"]
    np.testing.assert_allclose(both, [found, rated], atol=1e-5)


def test_the_client_of_serving(files, videos, middle):
    """The lines, with scores of three digits, that it prints for every video by gRPC."""
    pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    from helpers.serving import serving

    signatures = tf.saved_model.load(str(files / "served" / "1")).signatures
    with serving(signatures) as (address, served):
        command = [sys.executable, ROOT / "export/serving/client.py", *videos, "--server", address, "--raw"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert {request.model_spec.signature_name for request in served.requests} == {"rated"}
    for path, line in zip(videos, done.stdout.splitlines(), strict=True):
        found = line.removeprefix(f"{path}: ").rsplit(" (", 1)[0].split(", ")
        found = {label: float(score) for label, score in (entry.rsplit(" ", 1) for entry in found)}
        # The client sends up to 256 pixels, so nothing halves the large video before it is resized.
        atol = 0.02 if path == videos[-1] else 1.5e-3
        np.testing.assert_allclose([found[label] for label in LABELS], middle[path], atol=atol)


@pytest.mark.parametrize("kind, name", [("tflite", "a.tflite"), ("onnx", "a.onnx"), ("tflite", "int8.tflite")])
def test_a_runner(files, videos, middle, kind, name):
    command = [sys.executable, ROOT / "export" / kind / "run.py", files / name, *videos, "--views", "middle", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    for path, line in zip(videos, done.stdout.splitlines(), strict=True):
        found = by_label(json.loads(line)["predictions"])
        atol = 0.12 if name.startswith("int8") else 1e-3  # seen: 0.07
        np.testing.assert_allclose(found, middle[path], atol=atol)


def test_the_models_own_views(unusual, files, videos, capsys):
    """`predict`, Python and a runner, without any option; and the highest score of each class over six views."""
    lines = run(capsys, predict.main, *videos, "--model", files / "model.keras", "--json").out.splitlines()
    command = [sys.executable, ROOT / "export/onnx/run.py", files / "a.onnx", *videos, "--json"]
    others = subprocess.run(command, capture_output=True, text=True, timeout=200).stdout.splitlines()
    predictor = Predictor(unusual)
    for path, line, other in zip(videos, lines, others, strict=True):
        found = by_label(json.loads(line)["predictions"])
        assert json.loads(line)["views"] == json.loads(other)["views"] == "3x2"
        np.testing.assert_allclose(found, score_video(predictor, path), atol=1e-6)
        np.testing.assert_allclose(by_label(json.loads(other)["predictions"]), found, atol=1e-3)


@pytest.fixture(scope="module")
def doubled(tmp_path_factory):
    """A video of 24 frames a second, and the same video at 48 with every frame twice."""
    root = tmp_path_factory.mktemp("doubled")
    times = np.arange(72) / RATE
    images = [scene(time, 48, 64) for time in times]
    coding = {"pix_fmt": "yuv444p", "qp": 1, "g": 6}  # a camera begins at a key frame
    once = write(root / "once.mp4", images, rate=24, **coding)
    twice = write(root / "twice.mp4", [image for image in images for _ in range(2)], rate=48, **coding)
    return once, twice


@pytest.fixture(scope="module")
def strided(unusual):
    """Return the network with "strided" frames, which do not move if every frame is doubled, unlike "linspace"."""
    model = SlowFast(dataclasses.replace(unusual.spec, frame_index="strided"))
    model.set_weights(unusual.get_weights())
    return model


def test_every_frame_twice(strided, doubled):
    """A model with a frame rate gives both videos the same scores, in every way to score a video."""
    model, predictor = strided, Predictor(strided)
    ways = {
        "views": lambda path: score_video(predictor, path),
        "clip": lambda path: predictor.score_clips(read_clip(path, model.spec)[None])[0].numpy(),
        "windows": lambda path: Slider(predictor).slide(path).scores.mean(0),
    }
    for name, way in ways.items():
        once, twice = (way(path) for path in doubled)
        np.testing.assert_allclose(twice, once, atol=0.02, err_msg=name)
        assert np.abs(once - 0.5).max() > 0.05


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_every_frame_twice_by_a_runner(strided, doubled, tmp_path, kind):
    file = tmp_path / f"strided.{kind}"
    {"tflite": tflite, "onnx": onnx}[kind].export(strided, file)
    command = [sys.executable, ROOT / "export" / kind / "run.py", file, *doubled, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    once, twice = (by_label(json.loads(line)["predictions"]) for line in done.stdout.splitlines())
    np.testing.assert_allclose(twice, once, atol=0.02)
    np.testing.assert_allclose(once, score_video(Predictor(strided), doubled[0]), atol=1e-3)


def test_every_frame_twice_by_the_client(strided, doubled, tmp_path, monkeypatch):
    """Of the middle two seconds of three."""
    pytest.importorskip("grpc")
    saved_model.export(strided, tmp_path / "1")
    rated = tf.saved_model.load(str(tmp_path / "1")).signatures["rated"]
    monkeypatch.setattr(sys, "path", list(sys.path))
    read = runpy.run_path(str(ROOT / "export/serving/client.py"))["read"]
    clips = [read(path, 2.0, 48) for path in doubled]
    assert [(len(clip), rate) for clip, rate in clips] == [(48, 24), (96, 48)]
    once, twice = (rated(video=tf.constant(c[None]), rate=tf.constant([r], tf.float32))["scores"][0] for c, r in clips)
    np.testing.assert_allclose(twice, once, atol=0.02)
    assert np.abs(once - 0.5).max() > 0.05


def test_a_camera_of_twice_the_rate(strided, doubled):
    """The latest clip, which ends with one of the last frames: 16 frames of 24 a second, every second one."""
    predictor, frames = Predictor(strided), decode(doubled[0])
    ends = [frames[end - 30 : end + 1 : 2] for end in range(65, 72)]
    expected = predictor.score_clips(np.stack(ends)).numpy()
    assert np.abs(np.diff(expected, axis=0)).max(1).min() > 0.02  # or any clip would do
    for path in doubled:
        scores = list(watch(predictor, path))[-1].scores
        assert np.abs(scores - expected).max(1).min() < 0.02, path


def test_every_frame_twice_evenly_spread(unusual):
    """PySlowFast's "linspace" ends a raw frame before the span, so frames move by up to one."""
    starts = sampling.test_starts(unusual.spec, unusual.spec.views)
    once, twice = (
        sampling.clip_frames(starts, frames, unusual.spec, ratio).numpy() for frames, ratio in ((72, 1.0), (144, 2.0))
    )
    assert once.shape == (3, 16) and np.abs(twice // 2 - once).max() <= 1


def test_every_frame_twice_in_boxes(doubled):
    model = SlowFast("slowfast_4x16_r50_ava", depth=10, width=16, crop_size=32, num_classes=5, frame_rate=RATE)
    randomize(model)
    people = [Person(1.5, (0.1, 0.1, 0.6, 0.9))]
    once, twice = (next(Scorer(model).score(path, people))[0] for path in doubled)
    assert once == pytest.approx(twice, abs=0.02)
