"""From a folder of videos to the mAP of people of a user's own."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
from helpers.coded_video import write
from helpers.detection import DEMO, SMALL
from helpers.detector import save_detector

from slowfast_tf import evaluate, find_people, prepare, runtime, train
from slowfast_tf.data.datasets import load_split
from slowfast_tf.evaluation import ava
from slowfast_tf.inference.detectors import Detector

HEADER = "video,second,x1,y1,x2,y2,action,person".split(",")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A detector, and three films of three seconds in which a bright square moves to the right."""
    folder = tmp_path_factory.mktemp("films")
    save_detector(folder / "detector")
    for number, name in enumerate(("street", "park", "hall, 2nd floor")):
        images = []
        for t in range(60):
            image = np.full((96, 128, 3), 40, np.uint8)
            image[30:60, left(number, t) : left(number, t) + 30] = 220
            images.append(image)
        write(folder / f"{name}.mp4", images, rate=20, pix_fmt="yuv444p", qp=1)
    return folder


def left(number, t):
    return 10 + 20 * number + t // 2


@pytest.fixture
def run(capfd):
    """Runs a command in this process: exit code, lines out, lines of error."""

    def run(module, *arguments):
        with pytest.raises(SystemExit) as end:
            runtime.run(lambda: module.main([str(a) for a in arguments]), module.ADVICE)
        out, error = capfd.readouterr()
        return end.value.code, out.splitlines(), error.splitlines()

    return run


def table(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def fill(path, actions):
    header, *rows = table(path)
    assert header == HEADER and len(rows) == len(actions)
    for row, action in zip(rows, actions):
        row[6] = action
    with open(path, "w", newline="", encoding="utf-8-sig") as file:  # as a spreadsheet does
        csv.writer(file).writerows([header, *rows])
    return rows


def test_from_videos_to_map(run, place, tmp_path, eager):
    root, films = tmp_path / "data", [place / f"{name}.mp4" for name in ("street", "park", "hall, 2nd floor")]
    words = [*films, "--output", root, "--val", films[2], "--detector", place / "detector"]
    code, lines, errors = run(find_people, *words)
    lists = root / "annotations"
    assert code == 0 and not errors
    assert lines[0] == f"{films[0]}: 1 person; boxes: 3, seconds: 3; {lists / 'train.csv'}"
    assert sorted(x.name for x in lists.iterdir()) == ["train.csv", "val.csv", "val_boxes.csv"]
    assert sorted((x.name, x.resolve()) for x in (root / "videos").iterdir()) == sorted((x.name, x) for x in films)
    header, *rows = table(lists / "train.csv")
    assert header == HEADER
    for row, (number, second) in zip(rows, [(n, s) for n in range(2) for s in (0.5, 1.5, 2.5)], strict=True):
        x = left(number, int(20 * second))
        assert (row[0], float(row[1]), row[6:]) == (films[number].name, second, ["", "0"])
        np.testing.assert_allclose(np.array(row[2:6], float) * [128, 96, 128, 96], [x, 30, x + 30, 60], atol=1.1)
    assert [row[-1] for row in table(lists / "val_boxes.csv")] == ["score", "0.95", "0.95", "0.95"]
    code, _, errors = run(find_people, *words)
    assert code == 2 and errors == [f"error: {lists / 'train.csv'} exists; {find_people.ADVICE['output']}"]

    fill(lists / "train.csv", ["walk", "walk;wave", "sit", "sit", "none", ""])
    filled = fill(lists / "val.csv", ["walk", "sit;wave", "none"])
    assert load_split("people", root, "train").labels == ("sit", "walk", "wave")
    settings = ["data.dataset=people", f"data.root={root}", *SMALL, "model.depth=10"]
    settings += ["train.epochs=1", "model.person_score=0.5"]
    options = [x for setting in settings for x in ("--set", setting)]
    train.main(["--config", str(DEMO), "--workdir", str(tmp_path / "run"), *options])
    trained = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert trained["boxes"] == trained["videos"] == 3 and set(trained["AP"]) == {"sit", "walk", "wave"}

    # By AVA's evaluation, of files in AVA's format.
    words = ["--checkpoint", tmp_path / "run", "--config", tmp_path / "run" / "config.json"]
    code, _, errors = run(evaluate, *words, "--output", tmp_path / "m.json", "--detections", tmp_path / "d.csv")
    assert code == 0, errors
    names = {1: "sit", 2: "walk", 3: "wave"}
    with open(tmp_path / "truth.csv", "w", newline="") as file:
        for row in filled:
            ids = [i for i, name in names.items() if name in row[6].split(";")]
            csv.writer(file).writerows([[*row[:6], i] for i in ids] or [row[:2]])
    found = ava.mean_average_precision(tmp_path / "truth.csv", tmp_path / "d.csv", names)
    metrics = json.loads((tmp_path / "m.json").read_text())
    assert found == pytest.approx({"mAP": metrics["mAP"], **metrics["AP"]}) and 0 < found["mAP"] < 1
    assert metrics["mAP"] == pytest.approx(trained["mAP"])

    # Records hold all of it.
    records = tmp_path / "records"
    prepare.main(["--config", str(DEMO), "--output", str(records), *options, "--set", "prepare.quality=100"])
    words += ["--set", "data.dataset=records", "--set", f"data.root={records}", "--output", tmp_path / "r.json"]
    code, _, errors = run(evaluate, *words)
    assert code == 0, errors
    again = json.loads((tmp_path / "r.json").read_text())
    assert again["boxes"] == 3 and again["AP"].keys() == metrics["AP"].keys()
    assert sorted(x.name for x in (records / "annotations").iterdir()) == ["labels.txt", "val.csv"]


def test_a_broken_video_and_an_interruption(run, place, tmp_path, monkeypatch):
    """The annotations list the other videos. The same command resumes, and no frame goes through the detector twice."""
    broken, root = tmp_path / "broken.mp4", tmp_path / "data"
    broken.write_text("no video")
    words = [broken, place / "street.mp4", tmp_path / "none.mp4", place / "park.mp4", "--output", root]
    words += ["--detector", place / "detector"]
    seen, stop = [], [25]  # frames: in the second video

    def find(self, images, find=Detector.find):
        seen.append(len(images))
        if sum(seen) > stop[0]:
            raise KeyboardInterrupt
        return find(self, images)

    monkeypatch.setattr(Detector, "find", find)
    assert run(find_people, *words)[0] == 1 and not (root / "annotations" / "train.csv").exists()
    seen.clear()
    stop[0] = 100
    code, lines, errors = run(find_people, *words)
    assert seen == [7] and code == 1 and len(lines) == len(errors) == 2
    assert "broken.mp4: cannot be read as a video" in errors[0] and "none.mp4" in errors[1]
    assert [row[0] for row in table(root / "annotations" / "train.csv")[1::3]] == ["street.mp4", "park.mp4"]
    assert sorted(x.name for x in (root / "annotations").iterdir()) == ["train.csv"]


def test_a_video_that_was_moved(run, place, tmp_path):
    """The link to its old place is replaced, and is a video of the data set, as its suffix is."""
    film, root = tmp_path / "cam.MTS", tmp_path / "data"
    (root / "videos").mkdir(parents=True)
    (root / "videos" / "cam.MTS").symlink_to(tmp_path / "before" / "cam.MTS")
    shutil.copy(place / "street.mp4", film)
    code, _, errors = run(find_people, film, "--output", root, "--detector", place / "detector")
    assert code == 0 and not errors and (root / "videos" / "cam.MTS").samefile(film)
    lines = (root / "annotations" / "train.csv").read_text().replace(",,", ",walk,")
    (root / "annotations" / "train.csv").write_text(lines)
    found = load_split("people", root, "train")
    assert found.videos and not found.problems


def test_mistakes(run, place, tmp_path):
    (tmp_path / "street.mp4").write_text("another")
    films = [place / "street.mp4", tmp_path / "street.mp4"]
    for words, message in (
        ([*films, "--detector", place / "detector"], "have the same name; rename one"),
        ([place], "is a directory; give video files"),
        (
            [place / "cam.MOD", "--detector", place / "detector"],
            "cam.MOD: a data set reads videos with the suffixes .mp4, ",
        ),
        ([os.fsdecode(b"caf\xe9.mp4")], r"caf\xe9.mp4: the name is not UTF-8; rename the file"),
        ([films[0], "--detector", "efficientdet"], "no published detector; did you mean 'efficientdet_d"),
        ([films[0], "--person-score", 50], "--person-score is from 0 to 1; received 50.0"),
    ):
        code, lines, errors = run(find_people, *words, "--output", tmp_path / "data")
        assert code == 2 and not lines and len(errors) == 1 and message in errors[0], errors
    code, lines, _ = run(
        *(find_people, films[0], "--output", tmp_path / "data", "--detector", place / "detector"),
        *("--person-score", 0.99),
    )
    assert code == 0 and "nobody; the best score is 0.95: lower --person-score to include it" in lines[0]
