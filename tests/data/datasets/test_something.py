"""Something-Something v2 as its owners publish it: lists in JSON, VP9 videos, trained without mirrored clips."""

import json

import numpy as np
import pytest
from helpers.coded_video import decode, write
from helpers.pictures import picture, told
from helpers.published import put

from slowfast_tf import config
from slowfast_tf.data import Clips, datasets
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.errors import InputError
from slowfast_tf.training.run import train

# Not in the order of their names.
LABELS = {
    "Pushing something from left to right": "1",
    "Pushing something from right to left": "0",
    "Holding something next to something": "2",
    "Lifting up one end of something, then letting it drop down": "3",
}
LEFT, RIGHT = "Pushing [something] from right to left", "Pushing [something] from left to right"
NEXT, LIFTING = (
    "Holding [something] next to [something]",
    "Lifting up one end of [something], then letting it drop down",
)
# Id, template, number and frames of the video, and class: more and fewer frames than a clip has.
TRAIN = [("78687", NEXT, 0, 40, 2), ("42326", LEFT, 1, 12, 0), ("100904", RIGHT, 2, 50, 1), ("9", LIFTING, 3, 31, 3)]
VALIDATION = [("74225", RIGHT, 4, 40, 1), ("116154", NEXT, 5, 12, 2)]
# Of 16 equal parts of 40 and of 12 frames, (first + last) // 2.
FRAMES = {
    4: [1, 3, 6, 8, 11, 13, 16, 18, 21, 23, 25, 28, 30, 33, 35, 38],
    5: [0, 1, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 8, 9, 10, 10],
}
RELEASES = ("something-something-v2-{}.json", "labels/something-something-v2-{}.json", "{}.json", "labels/{}.json")
VIDEOS = "20bn-something-something-v2"
TINY = [
    *("model.preset=slowfast_2x16_demo", "model.depth=10", "model.width=8", "model.dropout=0.5"),
    *("model.crop_size=32", "data.crop_size=32", "data.short_sides=[32, 40]"),
    *("train.init=null", "train.epochs=1", "train.warmup_epochs=0", "train.batch_size=4", "train.precise_batchnorm=0"),
]


def lists(root, release=RELEASES[0], train=None, validation=None, labels=None):
    """The three lists of a release; entries are those of the videos above by default."""
    found = {"train": train, "validation": validation, "labels": LABELS if labels is None else labels}
    for split, videos in (("train", TRAIN), ("validation", VALIDATION)):
        if found[split] is None:
            found[split] = [
                {"id": name, "label": action.replace("[something]", "a red cup").lower(), "template": action}
                for name, action, *_ in videos
            ]
            for entry in found[split]:
                entry["placeholders"] = ["a red cup"] * entry["template"].count("[something]")
    for name, values in found.items():
        text = values if isinstance(values, str) else json.dumps(values)
        put(root / release.format(name), text)
    return root


def names_and_classes(data):
    """The id and the class of each video; the label lasts all of it."""
    assert all(during == [0.0, float("inf")] for video in data.videos for _, *during in video.labels)
    return [(video.id, *(label for label, *_ in video.labels)) for video in data.videos]


def problem(root, split="train"):
    with pytest.raises(InputError) as error:
        datasets.load_split("ssv2", root, split)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The official form, with VP9 videos of 12 frames a second."""
    root = lists(tmp_path_factory.mktemp("something"))
    (root / VIDEOS).mkdir()
    for name, _, number, frames, _ in TRAIN + VALIDATION:
        images = [picture(number, time) for time in range(frames)]
        write(root / VIDEOS / f"{name}.webm", images, codec="libvpx-vp9", rate=12, lossless=1, deadline="realtime")
    return root


@pytest.fixture(scope="module")
def settings(root, tmp_path_factory):
    """Makes a shipped configuration small, to read the files or the records made of them."""
    records = tmp_path_factory.mktemp("records") / "ssv2"
    sources = {"files": [f"data.root={root}"], "records": ["data.dataset=records", f"data.root={records}"]}

    def make(source, *overrides):
        return config.load("ssv2/slowfast_8x8_r50", [*TINY, *sources[source], *overrides])

    prepare(make("files"), str(records), strict=True)
    return make


@pytest.mark.parametrize("release", RELEASES)
def test_lists_of_both_releases(tmp_path, release):
    root = lists(tmp_path, release)
    for name, *_ in TRAIN + VALIDATION[:1]:
        put(root / VIDEOS / f"{name}.webm")
    data = datasets.load_split("ssv2", root, "train", strict=True)
    assert data.labels == (
        "Pushing something from right to left",
        "Pushing something from left to right",
        "Holding something next to something",
        "Lifting up one end of something, then letting it drop down",
    )
    assert names_and_classes(data) == [(name, label) for name, *_, label in TRAIN] and data.problems == ()
    assert data.videos[0].path == str(root / VIDEOS / "78687.webm")
    data = datasets.load_split("ssv2", root, "val")
    assert len(data.labels) == 4 and names_and_classes(data) == [("74225", 1)]
    path = root / release.format("validation")
    assert data.problems == (f"{path}: 1 of its videos not found in {root / VIDEOS}: 116154",)


def test_both_kinds_of_labels(tmp_path):
    """With brackets or without, in both files; a label that has no template beside it is one."""
    labels = {"Holding [something] next to [something]": 1, "Moving part of something": 0}
    entries = [
        {"id": "1", "label": "holding a cup next to a jar", "template": "Holding [something] next to [something]"},
        {"id": "2", "label": "moving a lid", "template": "Moving part of something"},
        {"id": "3", "label": "Moving [part] of [something]"},
        {"id": "4", "label": "Holding something next to something"},
    ]
    root = lists(tmp_path, train=entries, labels="\ufeff" + json.dumps(labels))
    for i in "1234":
        put(root / VIDEOS / f"{i}.webm")
    data = datasets.load_split("ssv2", root, "train", strict=True)
    assert data.labels == ("Moving part of something", "Holding something next to something")
    assert names_and_classes(data) == [("1", 1), ("2", 0), ("3", 0), ("4", 1)]


def test_problems(tmp_path):
    entries = [
        {"id": "1", "template": LEFT},
        {"id": "2", "template": "Juggling [something]"},
        {"id": 3, "template": LEFT},
        {"template": LEFT},
        {"id": "5"},
        {"id": "6", "label": "pushing a cup from right to left", "template": None},
        ["7", LEFT],
        {"id": "1", "template": RIGHT},
        {"id": "9", "template": RIGHT},
    ]
    root = lists(tmp_path, train=entries)
    for i in "12345678":
        put(root / VIDEOS / f"{i}.webm")
    data = datasets.load_split("ssv2", root, "train")
    assert names_and_classes(data) == [("1", 0)]
    path = root / "something-something-v2-train.json"
    words = {
        2: "'Juggling [something]' is not a class of something-something-v2-labels.json",
        **dict.fromkeys((3, 4, 5, 6, 7), "no id and template as text; received"),
        8: "1 is listed again",
    }
    assert len(data.problems) == len(words) + 1
    for found, (number, text) in zip(data.problems, words.items()):
        assert found.startswith(f"{path}: entry {number}: {text}")
    assert data.problems[-1] == f"{path}: 1 of its videos not found in {root / VIDEOS}: 9"
    with pytest.raises(InputError, match="entry 2: .*first of 8 problems"):
        datasets.load_split("ssv2", root, "train", strict=True)


def test_mistakes(tmp_path):
    line = problem(tmp_path)
    for name in ("labels.json", "train.json", "validation.json"):
        assert f"{tmp_path / 'something-something-v2-'}{name}" in line
    assert str(tmp_path / VIDEOS) in line and "https://" in line and "data.root" in line
    root = lists(tmp_path / "none")
    (root / VIDEOS).mkdir()
    assert "no video is left" in problem(root) and "4 of its videos not found" in problem(root)


@pytest.mark.parametrize(
    "file, text, words",
    [
        ("train", '[{"id": "1", ', "train.json: not JSON: Expecting property name"),
        ("train", "", "train.json: not JSON"),
        ("train", '{"1": {"template": "Holding [something]"}}', "train.json: expected entries such as"),
        ("train", "[]", "train.json: lists no video"),
        ("labels", '["Holding something"]', "labels.json: expected an object of names and numbers from 0"),
        ("labels", "{}", "received 0 names, but no number 0"),
        ("labels", '{"a": "0", "b": "2"}', "received 2 names, but no number 1"),
        ("labels", '{"a": "0", "b": "0"}', "received 2 names, but no number 1"),
        ("labels", '{"a": {"id": "0"}}', "received 1 names, but no number 0"),
    ],
)
def test_files_of_another_form(tmp_path, file, text, words):
    root = lists(tmp_path, **{file: text})
    (root / VIDEOS).mkdir()
    assert words in problem(root)


def test_videos_are_vp9(root):
    frames = decode(root / VIDEOS / "100904.webm")
    assert told((frames / 255 - 0.45) / 0.225)[1].tolist() == list(range(50))


@pytest.mark.parametrize("source", ["files", "records"])
def test_frames_of_segments(settings, source):
    """Each test clip spans the whole video, short or long; each training frame is in its own part."""
    clips = Clips(settings(source), "val")
    assert clips.dataset == "ssv2" and len(clips.labels) == 4
    numbers = {"74225": 4, "116154": 5}
    found = {}
    for inputs, labels, identity in clips.views():
        number = numbers[identity.numpy().decode()]
        video, frame = told(inputs["fast"])
        assert np.all(video == number) and video.shape[0] == 3
        assert frame.tolist() == [FRAMES[number]] * 3
        assert told(inputs["slow"])[1].tolist() == [[FRAMES[number][0], FRAMES[number][-1]]] * 3
        found[number] = np.flatnonzero(labels).tolist()
    assert found == {number: [label] for *_, number, _, label in VALIDATION}

    classes, lengths = ({number: row[i] for (*row,) in TRAIN for number in [row[2]]} for i in (4, 3))
    drawn = set()
    for inputs, labels in Clips(settings(source), "train").train(range(4)):
        video, frame = told(inputs["fast"])
        for number, row, label in zip(video[:, 0], frame, labels.numpy()):
            edges = np.round((lengths[number] - 1) / 16 * np.arange(17))
            assert np.all((edges[:-1] <= row) & (row <= edges[1:])) and label.argmax() == classes[number]
            drawn.add(tuple(row))
    assert len(drawn) > 8


def test_clips_are_not_mirrored(settings):
    """Blue rises from left to right in every video."""

    def rising(settings):
        batches = Clips(settings, "train").train(range(6))
        blue = np.concatenate([inputs["fast"].numpy()[..., 2].mean((1, 2)) for inputs, _ in batches])
        return blue[:, -1] > blue[:, 0]

    assert rising(settings("records")).all()
    assert 0 < rising(settings("records", "data.flip=true")).sum() < 24


def test_a_run(settings, eager, tmp_path):
    """Trained on records and tested with the published views, one clip and three crops."""
    # Half the network takes half the time.
    train(settings("records", 'model.pathways=["slow"]'), tmp_path / "run")
    figures = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert figures["videos"] == 2 and figures["skipped"] == 0 and figures["views"] == "1x3"
    with np.load(tmp_path / "run" / "scores.npz") as file:
        ids, labels, scores = file["ids"].tolist(), file["labels"], file["scores"]
    truth = {name: label for name, *_, label in VALIDATION}
    assert {name: row.argmax() for name, row in zip(ids, labels)} == truth
    right = [row.argmax() == truth[name] for name, row in zip(ids, scores)]
    assert figures["top1"] == np.mean(right)
