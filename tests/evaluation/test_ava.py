"""AVA's evaluation against the official one's numbers, a plain loop and cases worked by hand; its files."""

import json
import pathlib

import numpy as np
import pytest

from slowfast_tf.benchmarks import ava as ava_benchmark
from slowfast_tf.data import ava_csv
from slowfast_tf.errors import InputError
from slowfast_tf.evaluation import ava

GOLDEN = pathlib.Path(__file__).resolve().parents[3] / "shared" / "golden"
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden vectors are not there: ../shared/golden")
NAMES = {1: "sit", 3: "stand", 4: "fly"}
LABEL_MAP = "".join(f'item {{\n  name: "{name}"\n  id: {i}\n}}\n' for i, name in NAMES.items())
BOX, MOVED, AWAY = "0.1,0.1,0.5,0.5", "0.2,0.1,0.5,0.5", "0.6,0.6,0.9,0.9"  # the second overlaps the first by 3 / 4


@pytest.fixture
def evaluate(tmp_path):
    """Evaluates rows of text."""

    def evaluate(truth, detections, exclusions=None):
        (tmp_path / "map.pbtxt").write_text(LABEL_MAP)
        for name, rows in (("truth.csv", truth), ("detections.csv", detections), ("out.csv", exclusions or [])):
            (tmp_path / name).write_text("".join(row + "\n" for row in rows))
        out = None if exclusions is None else tmp_path / "out.csv"
        paths = tmp_path / "truth.csv", tmp_path / "detections.csv", tmp_path / "map.pbtxt"
        return ava.mean_average_precision(*paths, out)

    return evaluate


@needs_golden
@pytest.mark.parametrize("name", ["ava_eval", "ava_official"])
def test_official_numbers(name):
    expected = json.loads((GOLDEN / name / "expected.json").read_text())
    expected = {key.split("IOU")[-1].lstrip("/") or "mAP": value for key, value in expected.items()}
    label_map = GOLDEN / "ava_eval" / "ava_action_list_v2.1_for_activitynet_2018.pbtxt.txt"
    found = ava.mean_average_precision(GOLDEN / name / "gt.csv", str(GOLDEN / name / "detections.csv"), label_map)
    assert found.keys() == expected.keys() and len(found) == 61
    assert max(abs(found[name] - expected[name]) for name in expected) < 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_a_plain_loop_gives_the_same_result(seed):
    names = {i: str(i) for i in range(1, 13)}
    truth, detections = ava_benchmark.make_boxes(50, people=3, classes=12, seed=seed)
    detections.scores[:] = detections.scores.round(1 + seed)  # with ties
    expected = ava_benchmark.loop(ava_benchmark.rows(truth), ava_benchmark.rows(detections), names)
    found = ava.average_precision(truth, detections, names)
    assert found == pytest.approx(expected, abs=1e-12) and 0.2 < found["mAP"] < 0.9


def test_by_hand(evaluate):
    """Two people sit. Detections by score: right, twice the same, right, wrong: precision 1, 1/2, 2/3, 1/2."""
    truth = [f"a,0902,{BOX},1,0", f"a,0902,{AWAY},1,1", f"b,0902,{BOX},3,2"]
    detections = [f"a,0902,{AWAY},1,0.5", f"a,902,{BOX},1,0.9", f"a,0902,{MOVED},1,0.8", f"b,0902,{BOX},1,0.1"]
    found = evaluate(truth, detections)
    assert found == {"mAP": pytest.approx((5 / 6 + 0) / 2), "sit": pytest.approx(5 / 6), "stand": 0.0, "fly": None}
    # Exactly a half counts; a bit less does not.
    assert evaluate(["a,1,0,0,0.5,0.5,1,0"], ["a,1,0,0,0.5,0.25,1,1"])["sit"] == 1
    assert evaluate(["a,1,0,0,0.5,0.5,1,0"], ["a,1,0,0,0.5,0.249,1,1"])["sit"] == 0


def test_a_detection_is_matched_with_the_box_that_overlaps_most(evaluate):
    """If that box is already matched, the detection is wrong, even if another box is free: as officially."""
    truth = ["a,1,0.0,0.0,0.4,0.4,1,0", "a,1,0.1,0.0,0.4,0.4,1,1"]
    both_first = ["a,1,0.0,0.0,0.4,0.4,1,0.9", "a,1,0.01,0.0,0.4,0.4,1,0.8"]
    assert evaluate(truth, both_first)["sit"] == 0.5
    assert evaluate(truth, ["a,1,0.0,0.0,0.4,0.4,1,0.9", "a,1,0.09,0.0,0.4,0.4,1,0.8"])["sit"] == 1


def test_ties(evaluate):
    """For equal scores, the later row ranks first in different frames, and the first row gets the box in one frame."""
    truth = [f"a,1,{BOX},1,0", "b,1"]
    right, wrong = f"a,1,{BOX},1,0.5", f"b,1,{BOX},1,0.5"
    assert evaluate(truth, [right, wrong])["sit"] == 0.5
    assert evaluate(truth, [wrong, right])["sit"] == 1
    assert evaluate(truth, [right, f"a,1,{AWAY},1,0.5"])["sit"] == 0.5


def test_only_the_50_best_rows_of_a_frame_count(evaluate):
    """The right detection has the lowest score, and is the first row of the file."""
    truth = [f"a,1,{BOX},1,0", f"b,1,{BOX},1,0"]
    right = f"a,1,{BOX},1,0.2"
    others = [f"a,1,{AWAY},3,0.{i}" for i in range(30, 80)]
    assert evaluate(truth, [right, *others[1:]])["sit"] == 0.5
    assert evaluate(truth, [right, *others])["sit"] == 0
    # Each frame has its own limit, also within a video.
    assert evaluate([*truth, f"a,2,{BOX},1,0"], [*others, f"a,2,{BOX},1,0.2", right])["sit"] == pytest.approx(1 / 3)
    assert evaluate(truth, [*others, f"b,1,{BOX},1,0.2"])["sit"] == 0.5
    # Rows of other frames may be between those of a frame.
    assert evaluate(truth, [*others[:20], f"b,1,{BOX},1,0.2", right, *others[20:]])["sit"] == 0.5
    # Rows of actions outside the label map do not count towards the limit. Boxes without area do.
    assert evaluate(truth, [right, *(f"a,1,{AWAY},2,0.{i}" for i in range(30, 80))])["sit"] == 0.5
    assert evaluate(truth, [right, *(f"a,1,0.1,0.1,0.1,0.5,3,0.{i}" for i in range(30, 80))])["sit"] == 0
    # For equal scores, the first rows are taken.
    same = [f"a,1,{AWAY},3,0.2"] * 30
    assert evaluate(truth, [*others[:20], *same[:29], right, same[29]])["sit"] == 0.5
    assert evaluate(truth, [*others[:20], *same, right])["sit"] == 0


def test_only_frames_of_the_ground_truth_count(evaluate):
    right, wrong = f"a,1,{BOX},1,0.5", f"b,1,{BOX},1,0.9"
    truth = [f"a,1,{BOX},1,0"]
    assert evaluate(truth, [right, wrong])["sit"] == 1
    assert evaluate(truth, [right, f"a,2,{BOX},1,0.9"])["sit"] == 1
    # Frames without boxes, and frames whose boxes have other actions, inside or outside the label map.
    for row in ("b,0001", f"b,1,{AWAY},3,0", f"b,1,{AWAY},2,0"):
        assert evaluate([*truth, row], [right, wrong])["sit"] == 0.5
        assert evaluate([row, *truth], [wrong, right], ["b,1"])["sit"] == 1


def test_what_does_not_count(evaluate):
    truth = [f"a,1,{BOX},1,0", f"a,1,{BOX},2,0", f"b,1,{BOX},1,0", f"c,1,{BOX},1,0", "d,0001"]
    detections = [f"a,1,{BOX},1,0.9", f"a,1,{BOX},2,0.9", f"b,1,{BOX},1,0.8", f"d,0001,{BOX},1,0.95"]
    # Action 2 is not in the label map. The detection with the highest score is in a frame without people.
    assert evaluate(truth, detections)["sit"] == pytest.approx(2 / 3 * 2 / 3)
    assert evaluate(truth, detections, ["c,0001"])["sit"] == pytest.approx(2 / 3)
    assert evaluate(truth, detections, ["c,0001", "d,1"])["sit"] == 1
    # A box without area does not count. The order of frames does not matter.
    assert evaluate(truth[:1], ["a,1,0.1,0.1,0.1,0.5,1,1", f"a,1,{BOX},1,0.5"])["sit"] == 1
    shuffled = [detections[i] for i in (2, 3, 0, 1)]
    assert evaluate(truth, shuffled) == evaluate(truth, detections)
    # Scores and person ids may be missing, as in the files of other years. There may be no detections at all.
    assert evaluate([f"a,1,{BOX},1"], [f"a,1,{BOX},1"])["sit"] == 1
    assert evaluate([f"a,1,{BOX},1,tom"], [])["mAP"] == 0
    long = "x" * 50
    assert evaluate([f"{long}1,1,{BOX},1,0"], [f"{long}2,1,{BOX},1,0.5"])["mAP"] == 0
    assert evaluate([f"{long}1,1,{BOX},1,0"], [f"{long}1,1,{BOX},1,0.5"])["mAP"] == 1
    with pytest.raises(InputError, match="none of the 1 annotated boxes has an action of the label map"):
        evaluate([f"a,1,{BOX},2,0"], [])


@pytest.mark.parametrize(
    "row, message",
    [
        ("a,1,nan,0.1,0.5,0.5,1,0.5", "corners nan, 0.1, 0.5, 0.5 are not fractions of width and height, from 0 to 1"),
        ("a,1,-0.1,0.1,0.5,0.5,1,0.5", "corners -0.1, .* are not fractions"),
        ("a,1,12,30,100,200,1,0.5", "corners 12, 30, 100, 200 are not fractions"),
        ("a,1,0.5,0.1,0.1,0.5,1,0.5", "corners 0.5, 0.1, 0.1, 0.5 are swapped; give x1,y1,x2,y2"),
        (f"a,-1,{BOX},1,0.5", "second -1 is not a time in a video"),
        (f"a,nan,{BOX},1,0.5", "second nan is not a time in a video"),
        (f"a,1,{BOX},0,0.5", "unknown action 0; the label map has 1 to 4"),
        (f"a,1,{BOX},5,0.5", "unknown action 5"),
        (f"a,1,{BOX},sit,0.5", "invalid literal .*sit"),
        (f"a,1,{BOX},1,nan", "score nan is not a number"),
        (f"a,1,{BOX},1,high", "could not convert string to float: 'high'"),
        ("a,1,0.1,0.1,0.5,1,0.5", "invalid literal .*0.5"),
        ("a,1,0.1,0.1,0.5", "expected video,second,x1,y1,x2,y2,action"),
    ],
)
def test_mistakes_have_a_file_and_a_row(row, message, evaluate, tmp_path):
    good = f"a,1,{BOX},1,0.5"
    with pytest.raises(InputError, match=rf"detections\.csv:4: {message}") as error:
        evaluate([good], [good, "", good, row, good])
    assert "\n" not in str(error.value)
    if "score" not in message and "high" not in row:
        with pytest.raises(InputError, match=rf"truth\.csv:2: {message}"):
            evaluate([good, row], [good])


def test_other_mistakes(evaluate, tmp_path):
    with pytest.raises(InputError, match="out.csv:2: expected video,second; received a"):
        evaluate([f"a,1,{BOX},1,0"], [], ["a,1", "a"])
    (tmp_path / "map.pbtxt").write_text(LABEL_MAP)
    with pytest.raises(InputError, match="cannot read .*none.csv: No such file"):
        ava.mean_average_precision(tmp_path / "none.csv", tmp_path / "none.csv", tmp_path / "map.pbtxt")
    with pytest.raises(InputError, match="cannot read .*none.pbtxt: No such file"):
        ava.mean_average_precision(tmp_path / "truth.csv", tmp_path / "detections.csv", tmp_path / "none.pbtxt")


def test_csv_is_read_back(tmp_path):
    truth, detections = ava_benchmark.make_boxes(40, people=2, classes=5)
    for path, boxes in ((tmp_path / "t.csv", truth), (tmp_path / "d.csv", detections)):
        ava_csv.write_csv(path, boxes)
    assert (tmp_path / "t.csv").read_text().startswith("video_00000,0902,0.")
    (tmp_path / "e.csv").write_text("a,0902\na,0903,0.100000,0.100000,0.500000,0.500000,2,1.000000\n")
    ava_csv.write_csv(tmp_path / "again.csv", ava_csv.read_csv(tmp_path / "e.csv", 5))
    assert (tmp_path / "again.csv").read_text() == (tmp_path / "e.csv").read_text()
    back = ava_csv.read_csv(tmp_path / "d.csv", 5)
    for name in ("videos", "times", "actions"):
        assert (getattr(back, name) == getattr(detections, name)).all()
    np.testing.assert_allclose(back.corners, detections.corners, atol=1e-6)
    np.testing.assert_allclose(back.scores, detections.scores, atol=1e-6)
    names = {i: str(i) for i in range(1, 6)}
    found = ava.mean_average_precision(tmp_path / "t.csv", tmp_path / "d.csv", names)
    assert found == pytest.approx(ava.average_precision(truth, detections, names), abs=1e-9)


def test_names_of_videos(tmp_path):
    """The fast reader decodes names as the reader of single rows does, which also reads the excluded frames."""
    names = ["café", "café", 'a "b"']
    corners = [[0.1, 0.1, 0.5, 0.5]] * 3
    ava_csv.write_csv(tmp_path / "d.csv", ava_csv.detections(names, [902.0] * 3, corners, [[0.9]] * 3, [1]))
    (tmp_path / "bom.csv").write_text("\ufeff" + (tmp_path / "d.csv").read_text("utf-8"), "utf-8")
    for path in (tmp_path / "d.csv", tmp_path / "bom.csv"):
        assert ava_csv.read_csv(path).videos.tolist() == names
        assert ava_csv._read_slowly(path, 80, True).videos.tolist() == names


def test_detections_of_a_network():
    scores = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]])
    corners = np.array([[0, 0, 0.5, 0.5], [0.1, 0.1, 1, 1]])
    boxes = ava_csv.detections(["a", "b"], [902, 903], corners, scores, NAMES)
    assert boxes.videos.tolist() == ["a"] * 3 + ["b"] * 3 and boxes.actions.tolist() == [1, 3, 4] * 2
    assert boxes.scores.tolist() == [0.1, 0.3, 0.4, 0.5, 0.7, 0.8]
    np.testing.assert_array_equal(boxes.corners[3:], [corners[1]] * 3)
