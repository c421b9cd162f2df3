"""Folds against their definition: nothing twice, no group apart, classes spread; files and records have the same."""

import collections
import shutil

import numpy as np
import pytest

from slowfast_tf.data import Clips, folds
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.data.sampling import Sampling
from slowfast_tf.errors import InputError

NAMES = [f"{name}_{scene}" for scene in range(1, 13) for name in ("left", "right", "up")]
CLASSES = [[i % 3] for i in range(len(NAMES))]


@pytest.mark.parametrize("count", (2, 5, 12))
def test_groups_stay_together(count):
    found = folds.divide(NAMES, CLASSES, count, r"_(\d+)$")
    assert sorted(np.concatenate(found)) == list(range(len(NAMES)))
    scenes = [{NAMES[i].split("_")[1] for i in fold} for fold in found]
    assert sum(map(len, scenes)) == len(set.union(*scenes)) == 12
    for fold in found:  # each scene has all classes once
        assert len(set(collections.Counter(CLASSES[i][0] for i in fold).values())) == 1


def test_without_groups_classes_are_spread():
    """30 of one class and 10 of another: 6 and 2 of each in 5 folds."""
    for fold in folds.divide([f"v{i:02d}" for i in range(40)], [[int(i >= 30)] for i in range(40)], 5):
        assert sorted(int(i >= 30) for i in fold) == [0] * 6 + [1] * 2


def test_the_order_of_videos_does_not_count():
    order = np.random.default_rng(0).permutation(len(NAMES))
    shuffled = folds.divide([NAMES[i] for i in order], [CLASSES[i] for i in order], 4, r"_(\d+)$")
    there = [{NAMES[i] for i in fold} for fold in folds.divide(NAMES, CLASSES, 4, r"_(\d+)$")]
    assert [{NAMES[order[i]] for i in fold} for fold in shuffled] == there


def test_several_labels_are_divided_by_groups_alone():
    found = folds.divide(NAMES, [[0, 1], *CLASSES[1:]], 4, r"_(\d+)$")
    assert sorted(map(len, found)) == [9, 9, 9, 9]


@pytest.mark.parametrize(
    "count, pattern, message",
    [
        (13, r"_(\d+)$", "data.fold: 13 folds of 12 groups; use fewer folds"),
        (40, None, "data.fold: 40 folds of 36 videos"),
        (13, None, "data.fold: 13 folds are too many"),
        (2, "scene", "data.groups 'scene' is not in the id 'left_1'"),
    ],
)
def test_mistakes(count, pattern, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        folds.divide(NAMES, CLASSES, count, pattern)


@pytest.mark.parametrize(
    "fold, message", [([2, 2], r"fold is \[K, N\]"), ([0, 1], r"fold is \[K, N\]"), ([-1, 3], r"fold is \[K, N\]")]
)
def test_mistakes_of_the_configuration(fold, message, configure):
    with pytest.raises(InputError, match=message):
        configure(f"data.fold={fold}")


@pytest.mark.parametrize(
    "change, message",
    [('data.groups="("', "groups is a regular expression"), ('data.dataset="demo_detection"', "fold is not for boxes")],
)
def test_more_mistakes_of_the_configuration(change, message, configure):
    with pytest.raises(InputError, match=message):
        configure("data.fold=[0,2]", change)


def classes_of(clips):
    return [index for some in clips.source.classes() for index in some]


def test_clips_of_a_fold(configure, tmp_path):
    """Only the training videos are divided; videos of `val` are in no fold. Their records have the same folds."""
    parts = []
    for number in range(2):
        settings = configure(f"data.fold=[{number},2]")
        train, val = Clips(settings, "train"), Clips(settings, "val")
        assert not set(train.source.names) & set(val.source.names) and train.count + val.count == 8
        assert sorted(classes_of(val)) == [0, 1, 2, 3]
        parts.append(set(val.source.names))
    assert len(parts[0] | parts[1]) == 8
    settings = configure("data.fold=[1,2]", "prepare.shards=3")
    report = prepare(settings, tmp_path / "records")
    assert list(report.index.splits) == ["train"]
    data = settings.data.model_copy(update={"dataset": "records", "root": str(tmp_path / "records")})
    records = settings.model_copy(update={"data": data})
    val = Clips(records, "val")
    assert set(val.source.names) == parts[1]
    inputs, labels = next(iter(val.validation()))
    assert labels.shape == (4, 4) and set(labels.numpy().argmax(1)) == {0, 1, 2, 3} and len(inputs) == 2
    # Records of a single split are for folds only.
    with pytest.raises(InputError, match="no split 'val'.*set data.fold"):
        Clips(records.model_copy(update={"data": data.model_copy(update={"fold": None})}), "val")
    assert prepare(settings, tmp_path / "records").restored == 0


def test_an_unreadable_video_is_not_replaced_by_a_validation_video(configure, folder, tmp_path):
    """Another training video completes the batch; a validation video would leak."""
    root = tmp_path / "folder"
    shutil.copytree(folder, root)
    settings = configure("data.fold=[0,2]", f"data.root={root}", "train.batch_size=4")
    train = Clips(settings, "train")
    (root / "train" / train.source.names[0]).write_bytes(b"broken")
    clips = [train.source.read(i, Sampling(train.spec, [0.0]), stand_in=True) for i in range(train.count)]
    assert {clip.id.numpy().decode() for clip in clips} == set(train.source.names[1:])
