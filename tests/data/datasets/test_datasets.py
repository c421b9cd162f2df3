"""Data sets as their owners publish them: labels, times and boxes computed by hand, and mistakes by line."""

import collections
import csv
import hashlib
import os
import pathlib
import pickle
import re

import numpy as np
import pytest
from helpers import published
from helpers.coded_video import coded, decode, numbers, write
from helpers.masks import difference
from helpers.pictures import CLASSES, told
from helpers.published import FAR, FILM, NEAR, TRAIN, VAL, ava, kinetics, put
from PIL import Image

from slowfast_tf.data import Clips, datasets
from slowfast_tf.data.datasets import files
from slowfast_tf.data.datasets.synthetic import shapes as demo
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.data.reference import Box
from slowfast_tf.errors import InputError

ALWAYS = (0.0, float("inf"))


def faults(data, path):
    """Return the problems of a file by line; line 0 is the whole file."""
    found = {}
    for problem in data.problems:
        line, text = re.fullmatch(rf"{re.escape(str(path))}(?::(\d+))?: (.*)", problem).groups()
        found[int(line or 0)] = text
    assert len(found) == len(data.problems)
    return found


def names(data):
    return [video.id for video in data.videos]


def classes(data):
    """The class indices of each video that last all of it."""
    for video in data.videos:
        assert all(label[1:] == ALWAYS for label in video.labels)
    return [tuple(label[0] for label in video.labels) for video in data.videos]


# Folders


def test_folder(folder):
    data = datasets.load_split("folder", folder, "train")
    assert data.labels == CLASSES and data.problems == ()
    order = (0, 4, 1, 5, 2, 6, 3, 7)
    assert names(data) == [f"{CLASSES[number % 4]}/{number:02d}.mp4" for number in order]
    assert classes(data) == [(number % 4,) for number in order]
    assert [video.path for video in data.videos] == [str(folder / "train" / name) for name in names(data)]


def test_folder_without_hidden_files(tmp_path):
    for name in ("train/a/1.mp4", "train/a/._1.mp4", "train/a/.trash/2.mp4", "train/.ipynb_checkpoints/3.mp4"):
        put(tmp_path / name)
    data = datasets.load_split("folder", tmp_path, "train")
    assert data.labels == ("a",) and names(data) == ["a/1.mp4"]


def test_folder_mistakes(tmp_path):
    with pytest.raises(InputError, match="no such directory.*train/CLASS"):
        datasets.load_split("folder", tmp_path / "none", "train")
    (tmp_path / "train" / "a").mkdir(parents=True)
    with pytest.raises(InputError, match="no video"):
        datasets.load_split("folder", tmp_path, "train")
    (tmp_path / "val" / "b").mkdir(parents=True)
    with pytest.raises(InputError, match="b: no such class"):
        datasets.load_split("folder", tmp_path, "val")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo") / "data"
    demo.make(root, train=10, validation=8)
    return root


def digests(root):
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*.mp4"))}


def test_demo_layout(made):
    data = datasets.load_split("demo", made, "train")
    videos = data.videos
    assert data.labels == demo.CLASSES and len(data.labels) == 8 and len(videos) == 10
    counts = collections.Counter(v.labels[0][0] for v in videos)
    assert sorted(counts.values()) == [1, 1, 1, 1, 1, 1, 2, 2]
    videos = datasets.load_split("demo", made, "val").videos
    assert [v.labels[0][0] for v in videos] == list(range(8))
    for video in videos[::5]:
        assert decode(video.path).shape == (48, 64, 80, 3)
        assert pathlib.Path(video.path).parent.name == data.labels[video.labels[0][0]]


def test_demo_is_reproducible(made, tmp_path):
    demo.make(tmp_path / "again", train=10, validation=8)
    assert digests(tmp_path / "again") == digests(made)
    # An existing data set is not changed.
    before = sorted(made.rglob("*"))
    demo.make(made, train=30, validation=1, seed=5)
    assert sorted(made.rglob("*")) == before


def test_demo_videos_are_all_different(made, tmp_path):
    assert len(set(digests(made).values())) == 18
    # The first frame's background alone sets any two apart, also those of the same number in training and validation.
    frames = [decode(path)[0].astype(float) for path in made.rglob("*.mp4")]
    for i, frame in enumerate(frames):
        for other in frames[:i]:
            assert np.abs(frame - other).mean() > 8
    demo.make(tmp_path / "other", train=1, validation=0, seed=1)
    other = next((tmp_path / "other").rglob("*.mp4"))
    assert np.abs(decode(other)[0].astype(float) - decode(made / other.relative_to(tmp_path / "other"))[0]).mean() > 8


@pytest.mark.parametrize("name", demo.CLASSES)
def test_demo_motions_stand_still_at_the_slow_stride(name):
    """16 frames apart the object looks the same; 2 frames apart, at some time, it does not."""
    slow, fast = [], []
    for seed in range(4):
        # Brighter than any background: the object, where it is fully there.
        masks = demo.render(name, np.random.default_rng(seed)).min(-1) > 135
        slow += [difference(masks[t], masks[t + 16]) for t in range(0, 32, 3)]
        fast.append(max(difference(masks[t], masks[t + 2]) for t in range(0, 16)))
    assert np.median(slow) < 0.25 and np.median(fast) > 2 * np.median(slow), (slow, fast)


# Kinetics


KINETICS = (
    ("train.csv", "validate.csv"),
    ("kinetics-400_train.csv", "kinetics-400_val.csv"),
    ("kinetics_600_train.csv", "kinetics_600_val.csv"),
    ("kinetics600/train.csv", "kinetics600/validate.csv"),
    ("annotations/train.csv", "annotations/val.csv"),
    ("annotations/train.txt", "annotations/val.txt"),
    ("annotations/kinetics_train.csv", "annotations/kinetics_val.csv"),
)


@pytest.mark.parametrize("train, val", KINETICS)
def test_kinetics(tmp_path, train, val):
    root = kinetics(tmp_path, train, val)
    data = datasets.load_split("kinetics", root, "train")
    assert data.labels == ("abseiling", "riding or walking with horse", "zumba")
    assert names(data) == ["-AAAAAAAAAA_000005_000015", "BBBBBBBBBBB_001200_001210", "CCC_CCCC-CC_000000_000010"]
    assert classes(data) == [(2,), (1,), (0,)]
    assert data.videos[1].path == str(root / "train/riding_or_walking_with_horse/BBBBBBBBBBB_001200_001210.webm")
    assert data.problems == (f"{root / train}: 1 of its videos not found in {root}: DDDDDDDDDDD_000007_000017",)
    data = datasets.load_split("kinetics", root, "val")
    assert len(data.labels) == 3 and data.problems == ()
    assert [(v.path, v.labels) for v in data.videos] == [
        (str(root / "val/EEEEEEEEEEE_000003_000013.mp4"), ((0, *ALWAYS),))
    ]


def test_kinetics_replacements_come_first(tmp_path):
    root = kinetics(tmp_path)
    better = put(root / "replacement" / "replacement_for_corrupted_k400" / "EEEEEEEEEEE_000003_000013.mp4")
    assert datasets.load_split("kinetics", root, "val").videos[0].path == str(better)


def test_kinetics_problems(tmp_path):
    root = kinetics(tmp_path)
    rows = [
        "abseiling,EEEEEEEEEEE,3,13,validate",
        "juggling,FFFFFFFFFFF,3,13,validate",
        "zumba,GGGGGGGGGGG,13,3,validate",
        "zumba,HHHHHHHHHHH,x,13,validate",
        "zumba,HHHHHHHHHHH,nan,inf,validate",
        "abseiling,EEEEEEEEEEE,3.0,13,validate",
        "zumba,IIIIIIIIIII,3",
        "zumba,JJJJJJJJJJJ,1,11,validate",
    ]
    path = put(root / "val.csv", "\ufeff" + VAL.splitlines()[0] + "\n" + "\n".join(rows) + "\n")
    data = datasets.load_split("kinetics", root, "val")
    assert names(data) == ["EEEEEEEEEEE_000003_000013"]
    found = faults(data, path)
    words = {
        3: "juggling",
        4: "13 to 3",
        5: "'x'",
        6: "'nan'",
        7: "again",
        8: "3 columns",
        0: "JJJJJJJJJJJ_000001_000011",
    }
    assert found.keys() == words.keys() and all(words[line] in found[line] for line in words), found
    with pytest.raises(InputError, match=r"val\.csv:8: .*first of 7 problems"):
        datasets.load_split("kinetics", root, "val", strict=True)
    assert len(datasets.load_split("kinetics", kinetics(tmp_path / "whole"), "val", strict=True).videos) == 1


def test_kinetics_mistakes(tmp_path):
    with pytest.raises(InputError, match=r"no list such as train\.csv .*cvdfoundation.*data\.root"):
        datasets.load_split("kinetics", tmp_path, "train")
    put(tmp_path / "train.csv", "a.mp4 3\nb.mp4 4\n")
    with pytest.raises(
        InputError, match=r"train\.csv:1: no column label, youtube_id, time_start, time_end; .*a\.mp4 3"
    ):
        datasets.load_split("kinetics", tmp_path, "train")
    put(tmp_path / "train.csv", TRAIN)
    with pytest.raises(InputError, match="no video is left .*4 of its videos not found in"):
        datasets.load_split("kinetics", tmp_path, "train")
    put(tmp_path / "annotations" / "train.csv", TRAIN)
    with pytest.raises(InputError, match="several lists of train: .*keep one"):
        datasets.load_split("kinetics", tmp_path, "train")


# Lists


def videos_of(root, *paths):
    for path in paths:
        put(root / path)
    return root


def test_pyslowfast_lists(tmp_path):
    """Numbers are the classes; paths are relative or absolute and may have spaces."""
    root = videos_of(tmp_path / "data", "train/a.mp4", "train/b c.mp4", "val/d.mp4")
    other = put(tmp_path / "elsewhere" / "e.mp4")
    put(root / "train.csv", f"train/a.mp4 3\ntrain/b c.mp4 0\n{other} 5\ntrain/f.mp4 1\n")
    put(root / "test.csv", "val/d.mp4 4\n")
    data = datasets.load_split("lists", root, "train")
    assert data.labels == ("0", "1", "2", "3", "4", "5")
    assert [video.path for video in data.videos] == [str(root / "train/a.mp4"), str(root / "train/b c.mp4"), str(other)]
    assert classes(data) == [(3,), (0,), (5,)]
    assert data.problems == (f"{root / 'train.csv'}: 1 of its videos not found in {root}: train/f.mp4",)
    assert classes(datasets.load_split("lists", root, "val")) == [(4,)]
    put(root / "val.csv", "val/d.mp4,2\n")
    data = datasets.load_split("lists", root, "val")
    assert classes(data) == [(2,)] and names(data) == ["val/d.mp4"] and len(data.labels) == 6


def test_lists_of_names(tmp_path):
    root = videos_of(tmp_path, "a, b.mp4", "c.mp4", "d.mp4", "e.mp4")
    put(root / "train.csv", '\ufeffpath,labels\n"a, b.mp4",run;jump high\nc.mp4,sit\n\nd.mp4,\ne.mp4, jump high ; 7\n')
    put(root / "val.csv", "c.mp4,run\nd.mp4,0\n")
    data = datasets.load_split("lists", root, "train")
    assert data.labels == ("7", "jump high", "run", "sit") and data.problems == ()
    assert names(data) == ["a, b.mp4", "c.mp4", "d.mp4", "e.mp4"]
    assert classes(data) == [(2, 1), (3,), (), (1, 0)]
    # A number is no class where classes are names.
    data = datasets.load_split("lists", root, "val")
    assert classes(data) == [(2,)] and faults(data, root / "val.csv") == {
        2: "'0' is none of the 4 classes, '7' to 'sit'"
    }


def test_lists_with_class_names(tmp_path):
    root = videos_of(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    put(root / "classes.txt", "zumba\nabseiling\nriding a bike\n")
    path = put(root / "train.csv", "a.mp4,2;zumba\nb.mp4,abseiling\nc.mp4,3\n")
    data = datasets.load_split("lists", root, "train")
    assert data.labels == ("zumba", "abseiling", "riding a bike")
    assert classes(data) == [(2, 0), (1,)] and faults(data, path) == {
        3: "'3' is none of the 3 classes, 'zumba' to 'riding a bike'"
    }


def test_lists_problems(tmp_path):
    root = videos_of(tmp_path, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    path = put(root / "train.csv", "a.mp4 1\nb.mp4 -1\nc.mp4 1;1\n./a.mp4 0\nd.mp4\n\nd.mp4 x\nd.mp4 1234567890123\n")
    data = datasets.load_split("lists", root, "train")
    assert data.labels == ("0", "1") and classes(data) == [(1,)]
    words = {2: "'-1'", 3: "twice", 4: "again", 5: "'d.mp4' is not a path", 7: "'x'", 8: "'1234567890123'"}
    found = faults(data, path)
    assert found.keys() == words.keys() and all(words[line] in found[line] for line in words), found
    with pytest.raises(InputError, match=r"train\.csv:\d: .*\(the first of 6 problems"):
        datasets.load_split("lists", root, "train", strict=True)


@pytest.mark.parametrize("header", ["path,labels", "filename,label", "Path,Label", "video clip,action"])
def test_lists_with_a_header(tmp_path, header):
    root = videos_of(tmp_path, "a.mp4", "b.mp4")
    put(root / "train.csv", f"{header}\na.mp4,2\nb.mp4,0\n")
    data = datasets.load_split("lists", root, "train")
    assert names(data) == ["a.mp4", "b.mp4"] and classes(data) == [(2,), (0,)] and data.problems == ()
    put(root / "train.csv", f"{header}\na.mp4,run\nb.mp4,jump;run\n")
    data = datasets.load_split("lists", root, "train")
    assert data.labels == ("jump", "run") and classes(data) == [(1,), (0, 1)] and data.problems == ()


def test_lists_with_a_header_that_is_guessed(tmp_path):
    """A first line of unknown words is reported, because it may be a video with a typing mistake."""
    root = videos_of(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    path = put(root / "train.csv", "a.mp4 playing guitar\nb.mp4 jumping\nc.mp4 running\n")
    data = datasets.load_split("lists", root, "train")
    assert data.labels == ("jumping", "running") and names(data) == ["b.mp4", "c.mp4"]
    assert faults(data, path) == {
        1: "'a.mp4 playing' is no video, and no other line has label 'guitar': treated as the header"
    }
    with pytest.raises(InputError, match="treated as the header"):
        datasets.load_split("lists", root, "train", strict=True)


@pytest.mark.parametrize("names, line", [("run\n\njump", 2), ("run\njump\nrun", 3), ("1\n2\n3", 1), ("0\n-1", 2)])
def test_lists_with_class_names_that_are_not_clear(tmp_path, names, line):
    root = videos_of(tmp_path, "a.mp4")
    put(root / "train.csv", "a.mp4,0\n")
    put(root / "classes.txt", names)
    with pytest.raises(InputError, match=rf"classes\.txt:{line}: expected a new name, or the number {line - 1}"):
        datasets.load_split("lists", root, "train")
    put(root / "classes.txt", "0\n1\njump\n\n")
    assert datasets.load_split("lists", root, "train").labels == ("0", "1", "jump")


def test_lists_that_begin_with_a_negative_label(tmp_path):
    root = videos_of(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    path = put(root / "train.csv", "a.mp4 -1\nb.mp4 10\nc.mp4 2\n")
    data = datasets.load_split("lists", root, "train")
    assert len(data.labels) == 11 and classes(data) == [(10,), (2,)]
    assert faults(data, path) == {1: "'-1' is none of the 11 classes, '0' to '10'"}


def test_lists_with_an_unterminated_quote(tmp_path):
    root = videos_of(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    put(root / "train.csv", 'path,labels\na.mp4,run\n"b.mp4,jump\nc.mp4,run\n')
    with pytest.raises(InputError, match=r"train\.csv:3: an unterminated quote, which includes the next 1 lines"):
        datasets.load_split("lists", root, "train")


def test_lists_with_a_quote_that_ends_on_another_line(tmp_path):
    root = videos_of(tmp_path, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    path = put(root / "train.csv", 'a.mp4,"run\nb.mp4,jump\nc.mp4,"walk\nd.mp4,jump\n')
    data = datasets.load_split("lists", root, "train")
    assert names(data) == ["d.mp4"] and faults(data, path).keys() == {1}


def test_lists_above_a_symbolic_link(tmp_path):
    root = videos_of(tmp_path / "disk", "videos/a.mp4") / "set"
    put(root / "train.csv", "../videos/a.mp4 0\n")
    (tmp_path / "link").symlink_to(root)
    (video,) = datasets.load_split("lists", tmp_path / "link", "train").videos
    assert video.path == str(tmp_path / "disk/videos/a.mp4")


def test_a_refused_line_does_not_hide_a_valid_one(tmp_path):
    root = videos_of(tmp_path, "a.mp4", "b.mp4")
    put(root / "train.csv", "b.mp4 0\na.mp4 x\na.mp4 1\n")
    assert classes(datasets.load_split("lists", root, "train")) == [(0,), (1,)]


def test_links_in_circles(tmp_path):
    root = videos_of(tmp_path, "train/run/a.mp4", "elsewhere/b.mp4")
    for link, target in ("train/run/up", ".."), ("train/run/more", "../../elsewhere"), ("elsewhere/back", "../train"):
        (root / link).symlink_to(target)
    assert [path[len(str(root)) :] for path in files.walk(root)] == ["/elsewhere/b.mp4", "/elsewhere/back/run/a.mp4"]
    data = datasets.load_split("folder", root, "train")
    assert names(data) == ["run/a.mp4", "run/more/b.mp4"]


def test_what_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    """Root can read everything, so the test makes the system call fail."""
    root = videos_of(tmp_path, "train/run/a.mp4")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(InputError, match=f"cannot read or write {root}/train: Permission denied"):
        datasets.load_split("folder", root, "train")


def test_lists_without_a_header(tmp_path):
    """The first video is missing, or has no suffix."""
    root = videos_of(tmp_path, "a.mp4", "b")
    put(root / "train.csv", "x.mp4,sit\na.mp4,run\n")
    data = datasets.load_split("lists", root, "train")
    assert data.labels == ("run", "sit") and data.problems[0].endswith(f"1 of its videos not found in {root}: x.mp4")
    put(root / "train.csv", "c,run\na.mp4,run\n")
    assert datasets.load_split("lists", root, "train").problems[0].endswith(f"not found in {root}: c")
    put(root / "train.csv", "clips/c action\na.mp4 action\n")
    assert datasets.load_split("lists", root, "train").problems[0].endswith(f"not found in {root}: clips/c")
    put(root / "train.csv", "b,sit\na.mp4,run\n")
    assert names(datasets.load_split("lists", root, "train")) == ["b", "a.mp4"]


@pytest.mark.parametrize("header", ["label,path", "labels,video", "class,path", "x,path"])
def test_lists_with_columns_the_other_way_round(tmp_path, header):
    root = videos_of(tmp_path, "a.mp4")
    put(root / "train.csv", f"{header}\n2,a.mp4\n")
    with pytest.raises(
        InputError, match=rf"train.csv:1: columns {header}; a line of it is a path and its labels, such"
    ):
        datasets.load_split("lists", root, "train")


def test_lists_with_a_comma_in_the_first_path(tmp_path):
    root = videos_of(tmp_path, "x,y.mp4", "a.mp4")
    put(root / "train.csv", "x,y.mp4 1\na.mp4 0\n")
    data = datasets.load_split("lists", root, "train")
    assert names(data) == ["x,y.mp4", "a.mp4"] and classes(data) == [(1,), (0,)] and data.problems == ()


def test_lists_with_a_comma_in_the_first_directory_of_frames(tmp_path):
    root = videos_of(tmp_path, "a.mp4")
    (root / "x,y").mkdir()
    put(root / "train.csv", "x,y 1\na.mp4 0\n")
    data = datasets.load_split("lists", root, "train")
    assert names(data) == ["x,y", "a.mp4"] and classes(data) == [(1,), (0,)] and data.problems == ()


def test_lists_with_a_number_too_many(tmp_path):
    root = videos_of(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    path = put(root / "train.csv", "a.mp4 0\nb.mp4 50000\nc.mp4 399\n")
    data = datasets.load_split("lists", root, "train")
    assert len(data.labels) == 400 and faults(data, path) == {2: "'50000' is none of the 400 classes, '0' to '399'"}


def test_text_of_spreadsheets(tmp_path):
    root = videos_of(tmp_path, "a.mp4", "b.mp4")
    path = put(root / "train.csv", "a.mp4,0\r\n   \r\nb.mp4,1\r\n")
    assert datasets.load_split("lists", root, "train", strict=True).problems == ()
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):  # with the byte order mark, and without
        path.write_bytes("a.mp4,0\nb.mp4,1\n".encode(encoding))
        with pytest.raises(InputError, match="train.csv: is in UTF-16, or is not text; save it as text in UTF-8"):
            datasets.load_split("lists", root, "train")


def test_lists_mistakes(tmp_path):
    with pytest.raises(InputError, match=r"no train\.csv in .*videos/a\.mp4,3"):
        datasets.load_split("lists", tmp_path, "train")
    put(tmp_path / "train.csv", "")
    with pytest.raises(InputError, match=r"train\.csv: names no class"):
        datasets.load_split("lists", tmp_path, "train")
    put(tmp_path / "train.csv", "a.mp4 0\n")
    with pytest.raises(InputError, match="no video is left .*1 of its videos not found in"):
        datasets.load_split("lists", tmp_path, "train")


def test_lists_to_batches(configure, folder, tmp_path):
    """Videos of `folder`, labeled by a list: the labels of a batch are the list's labels of its frames."""
    wanted = {f"{n:02d}": sorted({n % 3, n % 2}) for n in range(8)}
    lines = [f"{path},{';'.join(map(str, wanted[path.stem]))}" for path in (folder / "train").rglob("*.mp4")]
    put(tmp_path / "train.csv", "\n".join(lines))
    settings = configure("data.dataset=lists", f"data.root={tmp_path}", "model.activation=sigmoid")
    ((inputs, labels), *_) = Clips(settings, "train").train(range(1))
    assert labels.shape == (4, 3)
    for number, row in zip(told(inputs["fast"])[0][:, 0], labels.numpy()):
        assert np.flatnonzero(row).tolist() == wanted[f"{number:02d}"]


# Charades


@pytest.fixture(scope="module")
def charades(tmp_path_factory):
    """`published.charades` of videos, and the spans of the actions of each."""
    root = tmp_path_factory.mktemp("charades")
    return root, published.charades(root)


def test_charades_labels(charades, configure):
    root, spans = charades
    settings = configure(
        "data.dataset=charades", f"data.root={root}", "model.activation=sigmoid", "train.batch_size=3", "seed=3"
    )
    clips = Clips(settings, "train")
    assert clips.labels == ("Holding some clothes", "Putting clothes", "Sitting")
    seen = set()
    for inputs, labels in clips.train(range(0, 8)):
        video, frame = told(inputs["fast"])
        for i, row in enumerate(labels.numpy()):
            start, end = frame[i, 0] / 30, (frame[i, -1] + 1) / 30
            expected = np.zeros(3)
            expected[[c for c, first, last in spans[video[i, 0]] if first < end and last > start]] = 1
            np.testing.assert_array_equal(row, expected)
            seen.add((int(video[i, 0]), *row.astype(int).tolist()))
    # The clips of one video differ in their labels.
    assert seen == {(0, 1, 1, 0), (0, 0, 1, 0), (1, 0, 0, 0), (2, 0, 0, 1), (2, 0, 1, 1)}

    (batch,) = Clips(settings, "val").validation()
    np.testing.assert_array_equal(batch[1], [[1, 1, 0], [0, 0, 0], [0, 1, 1]])


def charades_lists(root, rows):
    classes = "".join(f"c{i:03d} Action {i}\n" for i in range(157))
    put(root / "Charades_v1_classes.txt", f"\ufeff{classes}")  # with the mark that Windows editors write
    put(root / "Charades_v1_train.csv", "id,actions,length\n")
    return put(root / "Charades_v1_test.csv", "id,actions,length\n" + "\n".join(rows) + "\n")


def test_charades_frames(tmp_path):
    """Folders of frames are read where they are, at 24 a second."""
    charades_lists(tmp_path, ["AAAAA,c092 11.90 21.20;c147 0.00 12.60,24.83", "BBBBB,,3.5", "CCCCC,c000 0.0 1.0,4.5"])
    put(tmp_path / "Charades_v1_480" / "AAAAA.mp4")
    for name in ("AAAAA", "BBBBB"):
        put(tmp_path / "Charades_v1_rgb" / name / f"{name}-000001.jpg")
    data = datasets.load_split("charades", tmp_path, "val")
    assert len(data.labels) == 157 and data.labels[92] == "Action 92"
    assert [(v.id, v.path, v.rate) for v in data.videos] == [
        (name, str(tmp_path / "Charades_v1_rgb" / name), 24.0) for name in ("AAAAA", "BBBBB")
    ]
    assert [v.labels for v in data.videos] == [((92, 11.9, 21.2), (147, 0.0, 12.6)), ()]
    assert "1 of its videos not found in" in data.problems[-1] and data.problems[-1].endswith("rgb: CCCCC")


def test_charades_problems(tmp_path):
    """A third of the official spans end up to 1.54 s after the video; they are not reported."""
    rows = [
        "AAAAA,c000 1.00 9.50;c001 2.00 3.00,8.00",
        "BBBBB,c000 1.00 11.00;c001 2.00 3.00,8.00",
        "CCCCC,c000 18.00 10.00,8.96",
        "DDDDD,c157 1.00 2.00,8.00",
        "EEEEE,c000 1.00,8.00",
        "FFFFF,c000 -1.00 nan,8.00",
        "GGGGG,c000 1.00 2.00,long",
        "AAAAA,c000 1.00 2.00,8.00",
        "HHHHH,8.00",
    ]
    path = charades_lists(tmp_path, rows)
    for row in rows:
        put(tmp_path / "Charades_v1_480" / f"{row[:5]}.mp4")
    data = datasets.load_split("charades", tmp_path, "val")
    assert names(data) == ["AAAAA", "BBBBB", "CCCCC", "DDDDD", "EEEEE", "FFFFF", "GGGGG"]
    assert data.videos[0].labels == ((0, 1.0, 9.5), (1, 2.0, 3.0)) and data.videos[1].labels == ((1, 2.0, 3.0),)
    assert all(video.labels == () and video.rate is None for video in data.videos[2:])
    words = {
        3: "'c000 1.00 11.00' is not within",
        4: "'c000 18.00 10.00' is not within",
        5: "'c157 1.00 2.00' is not a class",
        6: "'c000 1.00' is not a class",
        7: "-1.00 nan' is not within",
        8: "'long' seconds",
        9: "AAAAA is listed again",
        10: "2 columns in place of 3",
    }
    found = faults(data, path)
    assert found.keys() == words.keys() and all(words[line] in found[line] for line in words), found


def test_charades_labels_past_the_end(configure, tmp_path):
    """The list states 60 seconds, the video lasts 2. Later actions are left out, or are an error if this is set."""
    path = charades_lists(tmp_path, ["AAAAA,c000 0.00 1.00;c001 30.00 40.00;c002 1.00 3.90,60.0"])
    put(tmp_path / "Charades_v1_train.csv", path.read_text())
    (tmp_path / "Charades_v1_480").mkdir()
    write(tmp_path / "Charades_v1_480" / "AAAAA.mp4", [coded(i) for i in range(60)])
    line = "Charades_v1_test.csv:2: a label from 30 to 40 s is not within the video; "
    with pytest.raises(InputError, match=f"{line}.*AAAAA.mp4 lasts 2.00 s"):
        datasets.load_split("charades", tmp_path, "val", strict=True)
    settings = configure("data.dataset=charades", f"data.root={tmp_path}", "model.activation=sigmoid")
    expected = [[1, 0, 1] + [0] * 154]
    np.testing.assert_array_equal(next(iter(Clips(settings, "val").validation()))[1], expected)
    with pytest.raises(InputError, match="Charades_v1_train.csv:2: a label from 30 to 40 s"):
        prepare(settings, str(tmp_path / "records"), strict=True)
    prepare(settings, str(tmp_path / "records"))
    rows = list(csv.reader((tmp_path / "records" / "skipped.csv").open()))[1:]
    assert [row[:2] for row in rows] == [["train", "AAAAA"], ["val", "AAAAA"]] and line in rows[1][3]
    settings = configure("data.dataset=records", f"data.root={tmp_path / 'records'}", "model.activation=sigmoid")
    np.testing.assert_array_equal(next(iter(Clips(settings, "val").validation()))[1], expected)


def test_charades_mistakes(tmp_path):
    with pytest.raises(InputError) as error:
        datasets.load_split("charades", tmp_path, "train")
    for name in (
        "Charades_v1_train.csv",
        "Charades_v1_test.csv",
        "Charades_v1_classes.txt",
        "Charades_v1_480",
        "https:",
    ):
        assert name in str(error.value)
    charades_lists(tmp_path, ["AAAAA,c000 0.0 1.0,4.5"])
    with pytest.raises(InputError, match="no [^,]*Charades_v1_480; .*https:"):
        datasets.load_split("charades", tmp_path, "train")
    (tmp_path / "Charades_v1_480").mkdir()
    with pytest.raises(InputError, match="no video is left .*AAAAA"):
        datasets.load_split("charades", tmp_path, "val")
    put(tmp_path / "Charades_v1_test.csv", "id,actions\nAAAAA,c000 0.0 1.0\n")
    with pytest.raises(InputError, match=r"test\.csv:1: no column length; received 'id,actions'"):
        datasets.load_split("charades", tmp_path, "val")
    # The mapping has no names: it gives an action's object and verb.
    put(tmp_path / "Charades_v1_classes.txt", "c000 Holding some clothes\nc000 Putting clothes\n")
    with pytest.raises(InputError, match=r"classes\.txt:2: expected a new code"):
        datasets.load_split("charades", tmp_path, "val")
    (tmp_path / "Charades_v1_test.csv").unlink()
    with pytest.raises(InputError, match=r"no [^,]*Charades_v1_test\.csv; "):
        datasets.load_split("charades", tmp_path, "train")


# AVA


# x1 0.4 and x2 0.39 to the right of NEAR's: intersection 0.39 x 0.7, union 0.41 x 0.7, overlap 0.951.
NEARLY, LESS = "0.110,0.200,0.510,0.900", "0.130,0.200,0.530,0.900"


def corners(text):
    return tuple(map(float, text.split(",")))


ANNOTATED = (
    f"{FILM},0902,{NEAR},80,1",
    f"{FILM},0902,{NEAR},9,1",
    f"{FILM},0902,{FAR},1,2",
    f"{FILM},0903,{NEAR},12,1",
    f"{FILM},0904",
    f"{FILM},1798,{FAR},12,1",
    f"other,0950,{NEAR},12,1",
)


@pytest.mark.parametrize("version", ["v2.1", "v2.2"])
def test_ava_annotated(tmp_path, version):
    root = ava(tmp_path, version, ANNOTATED, excluded=[f"{FILM},0903"])
    put(root / "videos_15min" / f"{FILM}.mkv")
    data = datasets.load_split("ava", root, "train")
    assert data.labels == tuple(f"do {i}" for i in range(1, 81))
    assert names(data) == [f"{FILM},0902", f"{FILM},1798"]
    first, last = data.videos
    assert (first.path, first.rate, first.labels) == (str(root / "videos_15min" / f"{FILM}.mkv"), None, ())
    assert (first.key, first.span) == (2.0, (0.0, 5.0)) and (last.key, last.span) == (898.0, (895.0, 901.0))
    assert first.boxes == (Box(corners(NEAR), (79, 8), 1.0), Box(corners(FAR), (0,), 1.0))
    path = root / "annotations" / f"ava_train_{version}.csv"
    assert faults(data, path) == {0: f"1 of its videos not found in {root / 'videos_15min'}: other"}


def test_ava_newer_version_first(tmp_path):
    ava(tmp_path, "v2.1", ANNOTATED)
    ava(tmp_path, "v2.2", [f"{FILM},1000,{NEAR},12,1"])
    put(tmp_path / "videos" / f"{FILM}.mkv")
    assert names(datasets.load_split("ava", tmp_path, "train")) == [f"{FILM},1000"]


PREDICTED = (
    f"{FILM},0902,{NEARLY},,0.95",  # the near person
    f"{FILM},0902,{LESS},-1,0.15",  # 0.37 / 0.43: not for certain
    f"{FILM},0902,{FAR},,0.85",
    f"{FILM},0905,{FAR},,0.99",
    f"{FILM},0903,{FAR},17,0.90",
    f"{FILM},0903,{FAR},3,0.90",
    f"{FILM},0906,{FAR},3,0.90",  # excluded
)


def expected_boxes(*boxes):
    return [Box(corners(text), labels, score) for text, labels, score in boxes]


def test_ava_predicted_boxes(tmp_path):
    """All boxes with any score, also those of key frames without annotations."""
    root = ava(tmp_path, "v2.2", ANNOTATED, PREDICTED, excluded=[f"{FILM},0906"])
    put(root / "videos" / f"{FILM}.webm")
    data = datasets.load_split("ava", root, "train")
    assert names(data) == [f"{FILM},{second}" for second in ("0902", "0903", "1798", "0905")]
    boxes = {video.id[-4:]: sorted(video.boxes, key=lambda box: box.corners) for video in data.videos}
    assert boxes["0902"] == expected_boxes(
        (NEAR, (79, 8), 1.0), (NEARLY, (79, 8), 0.95), (LESS, (), 0.15), (FAR, (0,), 1.0)
    )
    assert boxes["0903"] == expected_boxes((NEAR, (11,), 1.0), (FAR, (16, 2), 0.9))
    assert boxes["1798"] == expected_boxes((FAR, (11,), 1.0))
    assert boxes["0905"] == expected_boxes((FAR, (), 0.99))
    assert [video.box_score for video in data.videos] == [1, 1, 1, 0.99]
    assert data.videos[3].origin == f"{root}/annotations/ava_train_predicted_boxes.csv:4"

    # In validation the predicted boxes are the boxes.
    ava(root, "v2.2", ANNOTATED, PREDICTED, split="val", excluded=[f"{FILM},0906"])
    data = datasets.load_split("ava", root, "val")
    assert names(data) == [f"{FILM},{second}" for second in ("0902", "0905", "0903")] and data.problems == ()
    assert list(data.videos[0].boxes) == expected_boxes((NEARLY, (79, 8), 0.95), (LESS, (), 0.15), (FAR, (0,), 0.85))
    assert list(data.videos[1].boxes) == expected_boxes((FAR, (), 0.99))
    # The key frame's time is from the start of the file, which here is the film's.
    assert (data.videos[0].key, data.videos[0].span) == (902.0, (899.0, 905.0))


IOU90 = "person_box_67091280_iou90/ava_detection_{}_boxes_and_labels"


@pytest.mark.parametrize(
    "split, files",
    [
        (
            "train",
            (
                f"{IOU90}_include_negative_v2.1.csv",
                f"{IOU90}_include_negative.csv",
                f"{IOU90}.csv",
                "ava_{}_predicted_boxes.csv",
            ),
        ),
        ("val", (f"{IOU90}.csv", "ava_{}_predicted_boxes.csv")),
    ],
)
def test_ava_boxes_of_pyslowfast(tmp_path, split, files):
    """The order of preference of PySlowFast's configurations."""
    root = ava(tmp_path, "v2.1", [f"{FILM},0902,{NEAR},80,1"], split=split)
    put(root / "videos" / f"{FILM}.webm")
    for number, name in reversed(list(enumerate(files))):
        path = put(
            root / "annotations" / name.format(split),
            f"{FILM},0902,{FAR},,0.9{number}\n{FILM},0902,{LESS},12,2\n{FILM},0902,{LESS},12\n",
        )
        data = datasets.load_split("ava", root, split)
        scores = sorted(box.score for box in data.videos[0].boxes)
        assert scores == ([0.9 + number / 100, 1.0] if split == "train" else [0.9 + number / 100])
        found = faults(data, path)
        assert found.keys() == {2, 3} and "score 2.0" in found[2] and "expected film" in found[3]


def test_ava_predicted_boxes_of_an_empty_file(tmp_path):
    """They are not replaced with the annotated boxes, which would give another mAP."""
    root = ava(tmp_path, "v2.2", ANNOTATED, split="val")
    path = put(root / "annotations/ava_val_predicted_boxes.csv", "")
    put(root / "videos" / f"{FILM}.webm")
    with pytest.raises(InputError, match=rf"{path}: no box in any key frame"):
        datasets.load_split("ava", root, "val")


@pytest.mark.parametrize("protocol", [2, 4])
def test_ava_boxes_of_mmaction2(tmp_path, protocol):
    rows = {}
    for row in PREDICTED[:4]:
        film, second, *box, _, score = row.split(",")
        rows.setdefault(f"{film},{second}", []).append([*map(float, box), float(score)])
    root = ava(tmp_path, "v2.2", ANNOTATED)
    put(root / "videos" / f"{FILM}.mp4")
    path = root / "annotations" / "ava_dense_proposals_train.FAIR.recall_93.9.pkl"
    boxes = {key: np.array(value) for key, value in rows.items()}
    path.write_bytes(pickle.dumps(boxes, protocol))
    first = datasets.load_split("ava", root, "train").videos[0]
    assert sorted(first.boxes, key=lambda box: box.corners) == expected_boxes(
        (NEAR, (79, 8), 1.0), (NEARLY, (79, 8), 0.95), (LESS, (), 0.15), (FAR, (0,), 1.0)
    )

    boxes[f"{FILM},0903"] = np.array([[0.1, 0.1, 1.2, 0.5, 0.99], [0.1, 0.1, 0.2, 0.5, np.nan]])
    boxes[f"{FILM}"] = np.zeros((1, 5))
    boxes[f"{FILM},0904"] = np.zeros((2, 3))
    path.write_bytes(pickle.dumps(boxes, protocol))
    *problems, missing = datasets.load_split("ava", root, "train").problems
    assert missing.endswith("videos: other")
    starts = [f"{path}:{FILM},0903: corners", f"{path}:{FILM},0903: score", f"{path}:{FILM}: ", f"{path}:{FILM},0904: "]
    assert len(problems) == 4 and all(p.startswith(start) for p, start in zip(problems, starts)), problems

    path.write_bytes(pickle.dumps({f"{FILM},0902": os.getcwd}, protocol))
    with pytest.raises(InputError, match="asks to run .*getcwd.*nothing was run"):
        datasets.load_split("ava", root, "train")
    path.write_bytes(b"no pickle")
    with pytest.raises(InputError, match="is not a readable file of boxes"):
        datasets.load_split("ava", root, "train")


def test_ava_problems(tmp_path):
    rows = [
        f"{FILM},0902,{NEAR},12,1",
        f"{FILM},0902,0.5,0.2,0.1,0.9,12,1",
        f"{FILM},0902,0.1,0.2,1.001,0.9,12,1",
        f"{FILM},0902,0.1,nan,0.5,0.9,12,1",
        f"{FILM},0902,{NEAR},0,1",
        f"{FILM},0902,{NEAR},81,1",
        f"{FILM},0902,{NEAR},12,1",
        f"{FILM},0899,{NEAR},12,1",
        f"{FILM},0902,{NEAR}",
        f"{FILM},0902,a,b,c,d,12,1",
    ]
    root = ava(tmp_path, "v2.2", rows)
    put(root / "videos" / f"{FILM}.mp4")
    data = datasets.load_split("ava", root, "train")
    assert [video.boxes for video in data.videos] == [(Box(corners(NEAR), (11,), 1.0),)]
    words = dict.fromkeys((2, 3, 4), "must be ascending fractions, from 0 to 1")
    words.update({5: "action 0", 6: "action 81", 7: "again", 8: "second 899", 9: "expected film", 10: "expected film"})
    found = faults(data, root / "annotations" / "ava_train_v2.2.csv")
    assert found.keys() == words.keys() and all(words[line] in found[line] for line in words), found


def test_ava_label_maps(tmp_path):
    """The benchmark's label map names 60 of the 80 classes; the others have AVA's own names."""
    root = ava(tmp_path, "v2.1", ANNOTATED)
    put(root / "videos" / f"{FILM}.mp4")
    (root / "annotations" / "ava_action_list_v2.1.pbtxt").unlink()
    with pytest.raises(InputError, match=r"no [^,]*ava_action_list_v2\.1_for_activitynet_2018\.pbtxt; .*\.google"):
        datasets.load_split("ava", root, "train")
    path = root / "annotations" / "ava_action_list_v2.1_for_activitynet_2018.pbtxt"
    put(path, 'item {\n  name: "bend/bow (at the waist)"\n  id: 1\n}\nitem { id: 3 name: "crouch/kneel" }\n')
    labels = datasets.load_split("ava", root, "train").labels
    assert labels[:4] == ("bend/bow (at the waist)", "crawl", "crouch/kneel", "dance") and len(labels) == 80
    for text in (
        'item { name: "a" id: 81 }',
        'item { name: "a" id: 1 } item { name: "b" id: 1 }',
        "item { id: 1 }",
        "x",
    ):
        put(path, text)
        with pytest.raises(InputError, match="expected"):
            datasets.load_split("ava", root, "train")


def test_ava_mistakes(tmp_path):
    with pytest.raises(InputError, match=r"no [^,]*ava_val_v2\.2\.csv, [^,]*ava_val_excluded\S+_v2\.2\.csv; "):
        datasets.load_split("ava", tmp_path, "val")
    ava(tmp_path, "v2.2", ANNOTATED)
    with pytest.raises(InputError, match="none of the directories frames, rawframes, videos_15min, videos is in"):
        datasets.load_split("ava", tmp_path, "train")
    (tmp_path / "frames").mkdir()
    with pytest.raises(InputError, match="no video is left .*2 of its videos not found in"):
        datasets.load_split("ava", tmp_path, "train")


def test_ava_key_frames(tmp_path):
    """Frames, cuts and films have the same picture at the key frame's time: second 902, number 60."""
    root = ava(tmp_path, "v2.2", [f"{FILM},0902,{NEAR},12,1"])
    (root / "videos").mkdir()
    # A film at one frame a second; every picture before second 902 and after it is another.
    write(
        root / "videos" / f"{FILM}.mp4", [coded(60 if second == 902 else second % 60) for second in range(906)], rate=1
    )
    (film,) = datasets.load_split("ava", root, "train").videos
    assert numbers(decode(film.path)[int(film.key)][None]) == [60]

    # `ffmpeg -ss 900 -t 901`, at 30 frames a second
    (root / "videos_15min").mkdir()
    write(root / "videos_15min" / f"{FILM}.mp4", [coded(i) for i in range(150)])
    (cut,) = datasets.load_split("ava", root, "train").videos
    assert numbers(decode(cut.path)[int(cut.key * 30)][None]) == [60]

    # `ffmpeg -r 30 -q:v 1 FILM_%06d.jpg` of it: numbers begin at 1
    (root / "frames" / FILM).mkdir(parents=True)
    for i in range(150):
        Image.fromarray(coded(i)).save(root / "frames" / FILM / f"{FILM}_{i + 1:06d}.jpg")
    (frames,) = datasets.load_split("ava", root, "train").videos
    assert frames.rate == 30.0 and frames.path == str(root / "frames" / FILM)
    image = Image.open(sorted(pathlib.Path(frames.path).iterdir())[int(frames.key * frames.rate)])
    assert numbers(np.asarray(image)[None]) == [60]
    assert film.boxes == cut.boxes == frames.boxes


@pytest.mark.parametrize("frames", [False, True])
def test_ava_key_frames_past_the_end(configure, tmp_path, frames):
    """The film ends 2 s after second 900: key frame 902 is kept, and 903 is reported with its line."""
    rows = [f"{FILM},0902,{NEAR},12,1", f"{FILM},0903,{NEAR},12,1"]
    for split in ("train", "val"):
        ava(tmp_path, "v2.2", rows, split=split)
    if frames:
        (tmp_path / "frames" / FILM).mkdir(parents=True)
        for i in range(66):
            Image.fromarray(coded(i)).save(tmp_path / "frames" / FILM / f"{FILM}_{i + 1:06d}.jpg")
    else:
        (tmp_path / "videos_15min").mkdir()
        write(tmp_path / "videos_15min" / f"{FILM}.mp4", [coded(i) for i in range(66)])
    line = r"ava_{}_v2.2.csv:2: the key frame at 3 s is past the end; .* lasts 2.20 s"
    with pytest.raises(InputError, match=line.format("train")):
        datasets.load_split("ava", tmp_path, "train", strict=True)
    settings = "model.head=roi", "model.activation=sigmoid", "test.clips=1", "test.crops=0"
    clips = Clips(configure("data.dataset=ava", f"data.root={tmp_path}", *settings), "val")
    assert [name.numpy().decode() for *_, name in clips.key_frames()] == [f"{FILM},0902"]
    assert list(clips.skipped) == [f"{FILM},0903"]
    assert re.search(line.format("val"), clips.skipped[f"{FILM},0903"])
    prepare(clips.config, str(tmp_path / "records"))
    rows = list(csv.reader((tmp_path / "records" / "skipped.csv").open()))[1:]
    assert [row[:2] for row in rows] == [[split, f"{FILM},0903"] for split in ("train", "val")]
    assert re.search(line.format("val"), rows[1][3])


@pytest.mark.parametrize("rate", ["null", "25.0"])
def test_ava_key_frames_are_selected_by_time(configure, tmp_path, rate):
    """The frame rate of the film changes from 50 to 5: the middle of a clip is the frame shown at its time."""
    times = [*range(0, 2000, 20), *range(2000, 10000, 200)]
    rows = [f"{FILM},{second:04d},{NEAR},12,1" for second in (902, 904, 907)]
    for split in ("train", "val"):
        ava(tmp_path, "v2.2", rows, split=split)
    (tmp_path / "videos_15min").mkdir()
    write(tmp_path / "videos_15min" / f"{FILM}.mkv", [coded(i) for i in range(len(times))], times=times, qp=5)
    settings = ["model.head=roi", "model.activation=sigmoid", "test.clips=1", "test.crops=0"]
    files = configure("data.dataset=ava", f"data.root={tmp_path}", f"prepare.frame_rate={rate}", *settings)
    prepare(files, str(tmp_path / "records"))
    for config in (files, configure("data.dataset=records", f"data.root={tmp_path / 'records'}", *settings)):
        clips = Clips(config, "val")
        middle = clips.spec.clip_frames // 2
        found = list(clips.key_frames())
        assert len(found) == 3
        for inputs, *_, name in found:
            second = int(name.numpy().decode().split(",")[1]) - 900
            frame = inputs["fast"].numpy()[0, middle] * clips.spec.std[0] + clips.spec.mean[0]
            (number,) = numbers(frame[None] * 255)
            assert times[number] == second * 1000
