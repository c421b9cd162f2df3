"""`person_score`: which predicted boxes, and so which key frames, count in training and testing."""

import json

import numpy as np
import pytest
from helpers import published
from helpers.coded_video import write
from helpers.published import FAR, FILM, NEAR

from slowfast_tf.data import Clips
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.errors import InputError

ANNOTATED = [f"{FILM},0902,{NEAR},12,1"]
PREDICTED = [
    f"{FILM},0902,{FAR},,0.85",
    f"{FILM},0903,{FAR},,0.60",
    f"{FILM},0904,{NEAR},,0.95",
    f"{FILM},0904,{FAR},,0.50",
]
# By person_score, the boxes of each key frame: in training the annotated ones too.
TRAIN = {0.9: [1, 1], 0.8: [1, 2], 0.6: [1, 1, 2], 0.5: [1, 2, 2]}
VAL = {0.9: {"0904": 1}, 0.8: {"0902": 1, "0904": 1}, 0.5: {"0902": 1, "0903": 1, "0904": 2}}
# The crop is the whole frame, so that no box is cut off.
SETTINGS = ["model.head=roi", "model.activation=sigmoid", "model.num_classes=80", "test.clips=1", "test.crops=0"]
SETTINGS += ["train.batch_size=1", "data.short_sides=[32, 32]"]


@pytest.fixture(scope="module")
def root(configure, tmp_path_factory):
    """AVA's lists and a film, and records of it."""
    root = tmp_path_factory.mktemp("ava")
    for split in ("train", "val"):
        published.ava(root / "data", annotated=ANNOTATED, predicted=PREDICTED, split=split)
    (root / "data" / "videos_15min").mkdir()
    write(root / "data" / "videos_15min" / f"{FILM}.mp4", [np.full((64, 64, 3), i, np.uint8) for i in range(150)])
    prepare(configure("data.dataset=ava", f"data.root={root / 'data'}", *SETTINGS), str(root / "records"))
    return root


@pytest.fixture(params=["ava", "records"])
def make(request, root, configure):
    """Makes a configuration to read the files or the records."""
    place = root / ("data" if request.param == "ava" else "records")
    settings = [f"data.dataset={request.param}", f"data.root={place}", *SETTINGS]
    return lambda score, *more: configure(*settings, f"model.person_score={score}", *more)


@pytest.mark.parametrize("score", TRAIN)
def test_training(make, score):
    clips = Clips(make(score), "train")
    assert clips.count == len(TRAIN[score])
    found = list(clips.train(range(3, 4)))
    assert sorted(int(weights.numpy().sum()) for *_, weights in found) == TRAIN[score]
    # Class 11 is that of the annotated box. Predicted boxes that overlap none have no label.
    assert sum(labels.numpy() for _, labels, _ in found).sum() == 1
    assert sum(labels.numpy()[..., 11].sum() for _, labels, _ in found) == 1


@pytest.mark.parametrize("score", VAL)
def test_testing(make, score):
    clips = Clips(make(score), "val")
    assert clips.count == clips.size((0, 1)) == len(VAL[score])
    found = {name.numpy().decode()[-4:]: len(boxes) for _, _, boxes, name in clips.key_frames()}
    assert found == VAL[score]
    weights = [weights.numpy().sum() for *_, weights in clips.validation()]
    assert sorted(weights) == sorted(VAL[score].values())
    # The protocol of another model, as in `evaluate`.
    other = Clips(make(1.0, "model.person_score=0.6"), "val").with_spec(clips.spec)
    assert {name.numpy().decode()[-4:] for *_, name in other.key_frames()} == set(VAL[score])


def test_no_box_with_a_sufficient_score(make):
    with pytest.raises(InputError, match=r"no box of val has a score of at least 0\.96; lower model\.person_score"):
        Clips(make(0.96), "val")
    assert Clips(make(0.96), "train").count == 1  # that with the annotated box


def test_records_of_an_earlier_version(root, configure, tmp_path):
    """Their index has no scores, so key frames without a sufficient score are left out when they are read."""
    for path in (root / "records").rglob("*.*"):
        (tmp_path / path.relative_to(root / "records")).parent.mkdir(exist_ok=True)
        (tmp_path / path.relative_to(root / "records")).write_bytes(path.read_bytes())
    index = json.loads((tmp_path / "index.json").read_text())
    heads = [head for split in index["splits"].values() for shard in split["shards"] for head in shard["records"]]
    assert sorted(head[4] for head in heads if len(head) > 4) == [0.6, 0.6, 0.85, 0.95, 0.95]
    for head in heads:
        del head[4:]
    (tmp_path / "index.json").write_text(json.dumps(index))

    def clips(score, split):
        settings = ["data.dataset=records", f"data.root={tmp_path}", *SETTINGS, f"model.person_score={score}"]
        return Clips(configure(*settings), split)

    assert [name.numpy().decode()[-4:] for *_, name in clips(0.9, "val").key_frames()] == ["0904"]
    # In training such a key frame has no weight.
    weights = [int(weights.numpy().sum()) for *_, weights in clips(0.9, "train").train(range(1))]
    assert sorted(weights) == [0, 1, 1]
    assert list(clips(0.96, "val").key_frames()) == []
