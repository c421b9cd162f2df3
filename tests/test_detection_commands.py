"""Detection through the commands: the made data set, boxes in validation and testing, figures and files, exports."""

import csv
import dataclasses
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from slowfast_tf import config
from slowfast_tf import evaluate as command
from slowfast_tf.data import Clips, datasets, transforms
from slowfast_tf.data.clips import with_boxes
from slowfast_tf.data.datasets.synthetic import people as demo_detection
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.errors import InputError
from slowfast_tf.evaluation import ava, metrics, scores, views
from slowfast_tf.evaluation.report import ava_figure
from slowfast_tf.evaluation.run import Outputs, evaluate
from slowfast_tf.exporting import onnx, saved_model, tflite
from slowfast_tf.inference.predictor import Predictor
from slowfast_tf.models.layers import Conv3D
from slowfast_tf.models.slowfast import SlowFast
from slowfast_tf.training import losses
from slowfast_tf.training.run import initialize
from slowfast_tf.video.decode import read_frames
from slowfast_tf.video.probe import probe

DEMO = pathlib.Path(__file__).parents[1] / "configs" / "demo_detection.json"
SMALL = (
    *('model.pathways=["slow"]', "model.width=8", "model.crop_size=48"),
    *("data.crop_size=40", "data.short_sides=[40, 48]", "train.batch_size=2"),
)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """One film to train and two to validate, of three key frames each."""
    root = tmp_path_factory.mktemp("films") / "demo"
    demo_detection.make(root, train=1, validation=2, key_frames=3)
    return root


@pytest.fixture(scope="module")
def configure(films):
    return lambda *overrides: config.load(DEMO, [f"data.root={films}", *SMALL, *overrides])


@pytest.fixture(scope="module")
def network(configure):
    """An untrained network whose weights are random everywhere."""
    spec = Clips(configure(), "val").spec
    model, random = SlowFast(spec), np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, w.shape) if w.ndim < 2 else w for w in model.get_weights()])
    # Logits of mean 0 and deviation 1 for each class.
    random = np.random.default_rng(2)
    inputs = [clip_inputs(spec, 48, 48, random.uniform(0, 0.5, (1, 20, 4)) + [0, 0, 0.5, 0.5]) for _ in range(4)]
    logits = np.concatenate([model(x)[0] for x in inputs])
    kernel, bias = model.get_layer("head").get_weights()
    deviation = logits.std(0)
    model.get_layer("head").set_weights([kernel / deviation, (bias - logits.mean(0)) / deviation])
    return model


@pytest.fixture(scope="module")
def tested(network, configure, tmp_path_factory):
    """Figures and files of a test of `network`."""
    folder = tmp_path_factory.mktemp("tested")
    files = {"metrics": "figures.json", "report": "report.html", "scores": "scores.npz", "detections": "detections.csv"}
    outputs = Outputs(**{name: folder / file for name, file in files.items()})
    figures, found = evaluate(network, Clips(configure(), "val"), outputs=outputs)
    return folder, figures, found


def test_shapes_are_in_their_boxes():
    """Shapes are bright and backgrounds dark: what is ever bright lies in boxes, and each box has some of it."""
    images, shapes = demo_detection.render(np.random.default_rng(3))
    middle = images[10:31].min(-1).max(0) > 135
    assert images.shape == (40, 96, 96, 3) and 3 <= len(shapes) <= 4
    inside = np.zeros_like(middle)
    for corners, (shape, motion) in shapes:
        x1, y1, x2, y2 = (corners * 96).round().astype(int)
        assert shape in (0, 1) and motion in (2, 3, 4, 5)
        assert middle[y1:y2, x1:x2].mean() > 0.1
        inside[max(y1 - 4, 0) : y2 + 4, max(x1 - 4, 0) : x2 + 4] = True
    assert not (middle & ~inside).any()


def test_made_data_set(films, tmp_path):
    train, val = (datasets.load_split("demo_detection", films, split) for split in ("train", "val"))
    assert [len(data.videos) for data in (train, val)] == [3, 6] and not train.problems and not val.problems
    assert train.labels[:6] == demo_detection.ACTIONS and len(train.labels) == 80
    assert train.videos[0].id == "demo_train_00,0902" and train.videos[0].key == 2
    for frame in (*train.videos, *val.videos):
        assert 3 <= len(frame.boxes) <= 4
        assert all(box.score >= 0.8 for box in frame.boxes)
    for frame in train.videos:
        assert all(sorted(box.labels)[0] in (0, 1) and sorted(box.labels)[1] in range(2, 6) for box in frame.boxes)
    # Frame 80 is the first key frame, and scenes end 20 frames after theirs.
    assert probe(train.videos[0].path).frames == 60 + 3 * 40
    demo_detection.make(tmp_path / "again", train=1, validation=2, key_frames=3)
    for path in films.rglob("*.*"):
        assert (tmp_path / "again" / path.relative_to(films)).read_bytes() == path.read_bytes()


def test_boxes_follow_the_middle_crop():
    """A white rectangle is where its box is after `test_crops`; one that is cut off on the left, too."""
    for box in ((0.3, 0.25, 0.7, 0.75), (0.0, 0.5, 0.2, 1.0)):
        x1, y1, x2, y2 = (round(share * side) for share, side in zip(box, (100, 80, 100, 80)))
        image = np.zeros((1, 80, 100, 3), np.uint8)
        image[:, y1:y2, x1:x2] = 255
        crop = transforms.test_crops(image, 32, 1)[0, 0, ..., 0].numpy() > 127
        shape, window = transforms.middle_window(tf.constant([80, 100]), 32)
        left, top, right, bottom = transforms.crop_boxes(tf.constant([box]), shape, window, 32)[0].numpy()
        rows, columns = np.flatnonzero(crop.any(1)), np.flatnonzero(crop.any(0))
        np.testing.assert_allclose(
            [left, right, top, bottom], [columns[0], columns[-1] + 1, rows[0], rows[-1] + 1], atol=0.8
        )


def test_validation_batches(configure):
    clips = Clips(configure(), "val")
    (inputs, labels, weights), *rest = clips.validation()
    frames = clips.source.videos[:2]
    count = max(len(frame.boxes) for frame in frames)
    assert inputs["boxes"].shape == (2, count, 4) and labels.shape == (2, count, 80) and len(rest) == 2
    for i, frame in enumerate(frames):
        found = inputs["boxes"][i].numpy()
        np.testing.assert_allclose(
            found[: len(frame.boxes)], 48 * np.array([b.corners for b in frame.boxes]), atol=1e-4
        )
        assert not found[len(frame.boxes) :].any() and weights[i].numpy().sum() == len(frame.boxes)
        assert [set(np.flatnonzero(row)) for row in labels[i].numpy()[: len(frame.boxes)]] == [
            set(box.labels) for box in frame.boxes
        ]


def test_a_batch_without_boxes_has_no_loss(configure):
    """What a crop shows that nobody is in: a row of padding, which counts for nothing."""
    clips = Clips(configure(), "val")
    inputs, labels, weights = with_boxes({}, tf.zeros([2, 4]), tf.zeros([2, 1], tf.int64), 80)
    assert inputs["boxes"].shape == (1, 4) and labels.shape == (1, 80) and weights.numpy().tolist() == [0]
    loss, _, _ = losses.from_config(clips.config.train, clips.spec)
    assert float(loss(labels[None], tf.ones([1, 1, 80]), weights[None])) == 0


def test_training_starts_from_a_classification_network(tmp_path):
    """As AVA's recipes from Kinetics: all but the classifier, whose classes differ."""
    slow = {"preset": "slowfast_2x16_demo", "pathways": ["slow"], "depth": 10, "width": 8}
    source = SlowFast(**slow, num_classes=4)
    source.save(tmp_path / "source.keras")
    model = SlowFast(**slow, head="roi", num_classes=80, activation="sigmoid")
    before = model.get_layer("head").get_weights()
    initialize(model, tmp_path / "source.keras")
    for name in ("slow_stem", "slow_res2", "slow_res5"):
        for found, expected in zip(model.get_layer(name).get_weights(), source.get_layer(name).get_weights()):
            np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(model.get_layer("head").get_weights()[0], before[0])


def test_figures_and_files(tested, films):
    folder, figures, found = tested
    assert json.loads((folder / "figures.json").read_text()) == figures
    assert figures["videos"] == 6 and figures["boxes"] == len(found.ids) == len(found.boxes) and not figures["skipped"]
    assert set(figures["AP"]) == set(demo_detection.ACTIONS)
    lists = films / "annotations"
    again = ava.mean_average_precision(
        lists / "ava_val_v2.2.csv", folder / "detections.csv", lists / "ava_action_list_v2.2.pbtxt"
    )
    assert again == pytest.approx({"mAP": figures["mAP"], **figures["AP"]}, abs=1e-4)
    rows = list(csv.reader(open(folder / "detections.csv", newline="")))
    assert len(rows) == 6 * figures["boxes"] and rows[0][:2] == ["demo_val_00", "0902"]
    page = (folder / "report.html").read_text()
    assert "mAP swapped" in page and "blinks_slowly" in page and "action 37" not in page
    back = scores.load_scores(folder / "scores.npz")
    np.testing.assert_array_equal(back.boxes, found.boxes)
    # Figure 3 reads these figures.
    assert len(ava_figure.compare(folder / "figures.json", figures)) == 6


def test_scores_are_those_of_the_frames(tested, network, films):
    """Of frames read by number, 16 before the key frame and on it, as small as tests have them."""
    _, _, found = tested
    clip = read_frames(films / "videos_15min" / "demo_val_01.mp4", [120 - 16, 120], network.spec.crop_size)
    here = [i for i, name in enumerate(found.ids) if name == "demo_val_01,0903"]
    assert len(here) in (3, 4)
    expected = Predictor(network).score_boxes(tf.constant(clip[None]), tf.constant(found.boxes[None, here]))[0]
    np.testing.assert_allclose(found.scores[here], expected, atol=1e-5)


def test_swapped_is_what_the_network_says_of_the_next_box(tested, network, configure, films):
    _, figures, found = tested
    swapped = []
    for inputs, _, _, _ in Clips(configure(), "val").key_frames():
        inputs["boxes"] = tf.roll(inputs["boxes"], -1, axis=1)
        swapped.append(Predictor(network).score_inputs(inputs)[0].numpy())
    films_, times = zip(*(name.split(",") for name in found.ids))
    names = dict(enumerate(demo_detection.ACTIONS, 1))
    boxes = ava.detections(films_, np.array(times, float), found.boxes, np.concatenate(swapped), names)
    truth = ava.read_csv(films / "annotations" / "ava_val_v2.2.csv", scored=False)
    assert ava.average_precision(truth, boxes, names)["mAP"] == pytest.approx(figures["mAP_swapped"], abs=0.02)
    assert metrics._next_in_frame(["a", "a", "a", "b", "c", "c"]).tolist() == [1, 2, 0, 3, 5, 4]


def test_perfect_scores_and_swapped_ones(tested):
    """With the truth for scores mAP is 1; what is left of it with the scores of others is about chance."""
    _, _, found = tested
    known = found.labels.any(1)
    assert known.mean() > 0.5  # predicted boxes close to annotated ones have their labels
    truth = np.where(known[:, None], found.labels, 0.5).astype(np.float32)
    perfect = scores.Scores(found.ids, found.labels, truth, {}, found.about, found.boxes)
    figures = metrics.detection(perfect)
    assert figures["mAP"] > 0.8 and figures["mAP_swapped"] < 0.6


def test_parts_and_what_is_done(network, configure, tested, tmp_path):
    _, figures, found = tested
    paths = []
    for number in (0, 1):
        paths.append(tmp_path / f"{number}.npz")
        evaluate(network, Clips(configure(), "val"), (number, 2), Outputs(scores=paths[-1]))
    fused = scores.fuse_scores(paths)
    again = metrics.compute_metrics(fused)
    assert again.pop("AP") == pytest.approx(figures["AP"], abs=1e-6) and sorted(fused.ids) == sorted(found.ids)
    assert again == pytest.approx({name: value for name, value in figures.items() if name != "AP"}, abs=1e-6)
    done = set(found.ids[:8])
    rest = [name.numpy().decode() for *_, name in Clips(configure(), "val").key_frames(done=done)]
    assert rest == [name for name in dict.fromkeys(found.ids) if name not in done]


def test_records_give_the_same(network, configure, tested, tmp_path):
    _, figures, _ = tested
    prepare(configure("prepare.quality=100"), str(tmp_path / "records"))
    settings = configure("data.dataset=records", f"data.root={tmp_path / 'records'}")
    again, _ = evaluate(network, Clips(settings, "val"))
    assert again["boxes"] == figures["boxes"] and again["mAP"] == pytest.approx(figures["mAP"], abs=0.1)


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["test.crops=1"], "tested on one clip of whole frames: set test.clips to 1 and test.crops to 0; got 1 and 1"),
        (["data.mixup=0.8"], "boxes cannot follow data.mixup; set it to 0, got 0.8"),
        (["data.rand_augment_layers=2"], "boxes cannot follow data.rand_augment_layers"),
        (["data.dataset=folder"], "head 'roi' needs boxes: dataset ava, demo_detection or records; got 'folder'"),
        (["model.activation=softmax"], "head 'roi' needs activation 'sigmoid'"),
        (["model.head=pool"], "dataset 'demo_detection' has labels of boxes only, which need head 'roi'"),
    ],
)
def test_misfits_are_named(configure, overrides, message):
    with pytest.raises(InputError, match=message) as error:
        configure(*overrides)
    assert "\n" not in str(error.value)


def test_other_mistakes(network, configure, tested, tmp_path):
    folder, _, found = tested
    with pytest.raises(InputError, match="--detections is for a detection model"):
        command.main(["--config", str(DEMO.with_name("demo.json")), "--checkpoint", "x.keras", "--detections", "d.csv"])
    (tmp_path / "gone").mkdir()
    lost = dataclasses.replace(found.about, config={"data": {"root": str(tmp_path / "gone")}})
    with pytest.raises(InputError, match=r"AVA is not in .*gone.annotations: no .*ava_val_v2\.2\.csv"):
        metrics.compute_metrics(scores.Scores(found.ids, found.labels, found.scores, {}, lost, found.boxes))


def test_annotations_are_checked_before_scoring(network, configure, films, tmp_path, monkeypatch):
    """And read from where `annotation_files` says, such as local copies of files at an address."""
    clips, paths = Clips(configure(), "val"), datasets.annotation_files("demo_detection", films)
    monkeypatch.setattr(views, "score_videos", lambda *arguments: pytest.fail("scored before the check"))
    asked = []

    def moved(name, root):
        asked.append((name, root))
        return (tmp_path / "gone.csv", *list(paths)[1:])

    monkeypatch.setattr(datasets, "annotation_files", moved)
    with pytest.raises(InputError, match="cannot read .*gone.csv: No such file") as error:
        evaluate(network, clips, outputs=Outputs(scores=tmp_path / "scores.npz"))
    assert asked == [("demo_detection", str(films))] and "\n" not in str(error.value)
    monkeypatch.setattr(datasets, "annotation_files", lambda name, root: ())
    with pytest.raises(InputError, match="'demo_detection' has no annotation files of boxes"):
        evaluate(network, clips)


@pytest.mark.parametrize("height, width", [(5, 5), (6, 7), (2, 3)])
def test_dilation_is_a_kernel_with_holes(height, width):
    """Forward and gradient, in a graph: those of a dense 5 x 5 kernel with every second row and column zero."""
    random = np.random.default_rng(0)
    layer, x = Conv3D(4, (1, 3, 3), dilation=2), tf.constant(random.normal(size=(2, 3, height, width, 5)), tf.float32)
    layer.build(x.shape)
    weights = tf.constant(random.normal(size=(2, 3, height, width, 4)), tf.float32)
    holes = np.zeros((5, 3), np.float32)
    holes[[0, 2, 4], [0, 1, 2]] = 1

    def dense(x):
        kernel = tf.einsum("ai,bj,tijcf->abcf", holes, holes, layer.kernel)
        y = tf.nn.conv2d(tf.reshape(x, [6, height, width, 5]), kernel, 1, "SAME")
        return tf.reshape(y, weights.shape)

    def run(function):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
            loss = tf.reduce_sum(y * weights)
        return y, *tape.gradient(loss, [x, layer.kernel])

    for found, expected in zip(tf.function(run, jit_compile=False)(layer), run(dense)):
        np.testing.assert_allclose(found, expected, atol=1e-4)


# Exports

BOXES = np.array([[[0.1, 0.2, 0.5, 0.9], [0, 0, 0, 0], [0.4, 0.0, 1.0, 0.6]]], np.float32)


def clip_inputs(spec, height, width, boxes=BOXES):
    random = np.random.default_rng(1)
    sizes = np.array([width, height, width, height], np.float32)
    slow = random.normal(size=(1, spec.frames, height, width, 3)).astype(np.float32)
    return {"slow": slow, "boxes": (boxes * sizes).astype(np.float32)}


def test_saved_model(network, films, tmp_path):
    saved_model.export(network, tmp_path / "1")
    signatures = tf.saved_model.load(str(tmp_path / "1")).signatures
    assert set(signatures) == {"serving_default", "clips"}
    inputs = clip_inputs(network.spec, 40, 72)
    expected = tf.nn.sigmoid(network(inputs))
    found = signatures["clips"](**{name: tf.constant(x) for name, x in inputs.items()})["scores"]
    np.testing.assert_allclose(found[:, ::2], expected[:, ::2], atol=1e-5)

    raw = read_frames(films / "videos_15min" / "demo_val_00.mp4", range(60, 101))[:, :, :90]  # the middle one is 80
    found = signatures["serving_default"](video=tf.constant(raw[None]), boxes=tf.constant(BOXES))
    expected = Predictor(network).score_boxes(tf.constant(raw[None, [20 - 16, 20]]), tf.constant(BOXES)).numpy()
    np.testing.assert_allclose(found["scores"][0, ::2], expected[0, ::2], atol=1e-4)
    assert not found["scores"][0, 1].numpy().any() and found["labels"].shape == (1, 3, 5)
    best = expected[0, 0].argmax()
    assert found["labels"][0, 0, 0].numpy().decode() == network.spec.labels[best]
    with pytest.raises(tf.errors.InvalidArgumentError, match="a request needs a video, a frame and a pixel"):
        signatures["serving_default"](video=tf.zeros([1, 0, 8, 8, 3], tf.uint8), boxes=tf.constant(BOXES))
    with pytest.raises(InputError, match="a detection network has one view"):
        saved_model.export(network, tmp_path / "2", views=(3, 1))


def test_onnx(network, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx.export(network, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    for height, width in ((48, 48), (48, 85)):  # any size, any number of boxes
        inputs = clip_inputs(network.spec, height, width, BOXES[:, : 3 if width == 48 else 1])
        np.testing.assert_allclose(session.run(["logits"], inputs)[0], network(inputs), atol=1e-3)
    about = json.loads(session.get_modelmeta().custom_metadata_map["slowfast"])
    assert about["inputs"] == ["slow", "boxes"]


@pytest.mark.parametrize("quantize, tolerance", [("none", 1e-3), ("float16", 1e-2), ("dynamic", 0.1)])
def test_tflite(quantize, tolerance, network, tmp_path):
    """Tolerances are shares of the largest logit."""
    tflite.export(network, tmp_path / "model.tflite", quantize)
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    runner = interpreter.Interpreter(model_path=str(tmp_path / "model.tflite")).get_signature_runner()
    inputs = clip_inputs(network.spec, 48, 48)
    expected = network(inputs).numpy()
    assert np.abs(runner(**inputs)["logits"] - expected).max() < tolerance * np.abs(expected).max()


def test_boxes_do_not_go_with_int8(network, tmp_path):
    for form in (tflite, onnx):
        with pytest.raises(InputError, match="corners of boxes"):
            form.export(network, tmp_path / "model", "int8", [])
    assert not list(tmp_path.iterdir())
