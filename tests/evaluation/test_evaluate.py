"""The command that tests a model: parts, interruptions, written files, and mistakes."""

import html.parser
import json
import pathlib
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from helpers.processes import QUICK_START

from slowfast_tf import SlowFast, evaluate, runtime
from slowfast_tf.data import Clips
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.errors import InputError
from slowfast_tf.evaluation import metrics, scores, views
from slowfast_tf.evaluation.report import html as report
from slowfast_tf.evaluation.run import Outputs, write_results
from slowfast_tf.evaluation.scores import About, Scores, load_scores
from slowfast_tf.models.views import Views

ROOT = pathlib.Path(__file__).parents[2]
# A test that ends itself with a signal when the scores of two videos are safe.
ENDED = """
import os, sys
from slowfast_tf import evaluate, runtime
from slowfast_tf.evaluation import scores, views

views.SAVE_SECONDS = -1
save = scores.Scores.save

def save_and_end(tested, path):
    save(tested, path)
    if len(tested.ids) == 2:
        scores.Scores.save = save
        os.kill(os.getpid(), int(sys.argv[1]))

scores.Scores.save = save_and_end
runtime.run(lambda: evaluate.main(sys.argv[2:]), evaluate.ADVICE)
"""


@pytest.fixture
def run(capfd):
    """Runs the command in this process: exit code, lines out, the last line of error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            runtime.run(lambda: evaluate.main([str(a) for a in arguments]), evaluate.ADVICE)
        out, error = capfd.readouterr()
        return end.value.code, out, (error.splitlines() or [""])[-1]

    return run


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    """The file of a model with the views of `values`."""
    other = SlowFast(model.spec, views=Views(2, 3))
    other.set_weights(model.get_weights())
    path = tmp_path_factory.mktemp("views") / "tiny.keras"
    other.save(path)
    return path


@pytest.fixture(scope="module")
def command(values, saved, tmp_path_factory):
    """The first words of a command, for `values` with another data set if one is given."""

    def command(root=None):
        settings = {**values, "data": {**values["data"], "root": str(root or values["data"]["root"])}}
        path = tmp_path_factory.mktemp("config") / "tiny.json"
        path.write_text(json.dumps(settings))
        return ["--config", str(path), "--checkpoint", str(saved)]

    return command


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory):
    """A directory of all that a test writes."""
    root = tmp_path_factory.mktemp("whole")
    names = {"output": "figures.json", "report": "report.html", "scores": "scores.npz"}
    evaluate.main([*command(), *(word for option, name in names.items() for word in (f"--{option}", str(root / name)))])
    return root


def end(number, words):
    """Runs `ENDED`."""
    return subprocess.run(
        [sys.executable, "-c", QUICK_START + ENDED, str(int(number)), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_a_killed_test_resumes(command, run, whole, folder, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(folder, root)
    files = ["--output", str(tmp_path / "figures.json"), "--scores", str(tmp_path / "scores.npz")]
    words = [*command(root), *files]
    assert end(signal.SIGKILL, words).returncode == -signal.SIGKILL
    assert not (tmp_path / "figures.json").exists()

    # Another test does not take the place of this one.
    code, _, error = run(*words, "--set", "test.clips=1")
    assert code == 2 and "figures.json.partial.npz was left by an interrupted test of another" in error
    # What is done is not read again.
    for name in ("ant/08.mp4", "bee/09.mp4"):
        (root / "val" / name).write_text("no video")
    code, out, _ = run(*words)
    assert code == 0 and json.loads(out) == json.loads((whole / "figures.json").read_text())
    there, here = load_scores(whole / "scores.npz"), load_scores(tmp_path / "scores.npz")
    assert there.ids == here.ids
    np.testing.assert_allclose(there.scores, here.scores, atol=1e-6)
    assert not list(tmp_path.glob("*.partial.npz"))


def test_ctrl_c_keeps_finished_work(command, tmp_path):
    process = end(signal.SIGINT, [*command(), "--scores", str(tmp_path / "scores.npz")])
    assert process.returncode == 1
    assert process.stderr.endswith("error: interrupted; the same command resumes after 2 of 4 videos\n")
    assert len(load_scores(tmp_path / "scores.npz.partial.npz").ids) == 2
    # `--fuse part*.npz` finds this file, too; its metrics would be of two videos.
    with pytest.raises(InputError, match="scores.npz.partial.npz is of an unfinished test; resume it"):
        scores.fuse_scores([tmp_path / "scores.npz.partial.npz"])


def test_parts_add_up_to_the_whole_test(command, run, whole, tmp_path):
    parts = [tmp_path / f"part{i}.npz" for i in range(2)]
    for i, path in enumerate(parts):
        code, out, _ = run(*command(), "--part", f"{i}/2", "--scores", path)
        assert code == 0 and json.loads(out) == {"videos": 2, "skipped": 0, "views": "2x3", "part": f"{i}/2"}
    files = {name: tmp_path / f"fused.{name}" for name in ("json", "html", "npz")}
    code, fused, _ = run(
        *("--fuse", *parts[::-1], "--output", files["json"], "--report", files["html"], "--scores", files["npz"])
    )
    figures = json.loads((whole / "figures.json").read_text())
    assert code == 0 and json.loads(fused) == json.loads(files["json"].read_text()) == figures
    there, here = load_scores(whole / "scores.npz"), load_scores(files["npz"])
    assert here.ids == [there.ids[i] for i in (0, 2, 1, 3)]
    np.testing.assert_allclose(there.scores[[0, 2, 1, 3]], here.scores, atol=1e-6)
    np.testing.assert_array_equal(there.labels[[0, 2, 1, 3]], here.labels)
    assert there.about == here.about
    # The scores of a whole test give its report again.
    code, again, _ = run("--fuse", whole / "scores.npz", "--report", tmp_path / "again.html")
    assert code == 0 and json.loads(again) == figures
    assert (tmp_path / "again.html").read_text() == (whole / "report.html").read_text()


def test_parts_of_records(configure, model, tmp_path):
    prepare(configure("prepare.shards=2"), str(tmp_path / "records"))
    settings = configure("data.dataset=records", f"data.root={tmp_path / 'records'}")
    whole = views.score_videos(model, Clips(settings, "val"))
    parts = [views.score_videos(model, Clips(settings, "val"), (i, 2)) for i in range(2)]
    assert sorted(parts[0].ids + parts[1].ids) == sorted(whole.ids) and len(whole.ids) == 4
    assert whole.about.dataset == "folder"
    together = dict(zip(parts[0].ids + parts[1].ids, np.concatenate([part.scores for part in parts])))
    np.testing.assert_allclose(whole.scores, [together[name] for name in whole.ids], atol=1e-6)
    with pytest.raises(InputError, match="shard 4 of 5 holds no video"):
        views.score_videos(model, Clips(settings, "val"), (4, 5))

    # Going on: three of the videos are there already.
    earlier = Scores(whole.ids[:3], whole.labels[:3], np.zeros_like(whole.scores[:3]), {}, whole.about)
    earlier.save(tmp_path / "partial.npz")
    found = views.score_videos(model, Clips(settings, "val"), partial=tmp_path / "partial.npz")
    assert found.ids == whole.ids
    np.testing.assert_allclose(found.scores, [*np.zeros((3, 4)), whole.scores[3]], atol=1e-6)


def made(ids, shard=(0, 1), classes=("ant", "bee"), activation="softmax", skipped=(), **about):
    """Scores without a test: a random number a class, the first class for even numbers, the second for odd ones."""
    random = np.random.default_rng(0)
    labels = np.eye(len(classes), dtype=np.uint8)[[i % 2 for i in range(len(ids))]]
    values = random.random((len(ids), len(classes)), np.float32)
    config = {"name": "made", "model": {"preset": "slow_8x8_r50"}, "data": {"root": "data/folder"}}
    test = {"clips": 10, "crops": 3, "fuse": "mean"}
    about = {"weights": "aa", "test": test, "videos": 4, "dataset": "folder", "config": config, **about}
    about = About(shard=shard, classes=tuple(classes), activation=activation, **about)
    return Scores(list(ids), labels, values, {name: f"{name}: is broken" for name in skipped}, about)


def test_fuse_names_the_difference(tmp_path):
    def fuse(*parts):
        paths = [tmp_path / f"{i}.npz" for i in range(len(parts))]
        for path, part in zip(paths, parts):
            part.save(path)
        return scores.fuse_scores(paths)

    first = made("ab", (0, 2))
    fused = fuse(made("c", (1, 2), skipped="d"), first)
    assert fused.ids == ["a", "b", "c"] and fused.skipped == {"d": "d: is broken"}
    assert metrics.compute_metrics(fused)["skipped"] == 1
    for others, message in (
        ([], "missing: shard 1/2; give the files of all 2 shards"),
        ([made("c", (1, 3))], "1.npz is one of 3 shards, .*0.npz one of 2"),
        ([made("c", (0, 2))], "0.npz and .*1.npz are both shard 0/2"),
        ([made("bc", (1, 2))], "0.npz and .*1.npz both hold the video b"),
        ([made("c", (1, 2), skipped="a")], "both hold the video a"),
        ([made("c", (1, 2), weights="bb")], "1.npz was scored with other weights than .*0.npz"),
        ([made("c", (1, 2), classes=("ant", "cat"))], "has other classes"),
        ([made("c", (1, 2), test={"clips": 1, "crops": 3, "fuse": "mean"})], "has other views"),
        ([made("c", (1, 2), videos=5)], "has another number of videos"),
        ([made("c", (1, 2), dataset="lists")], "has the videos of another data set or fold"),
        ([made("c", (1, 2), config={**first.about.config, "data": {"fold": [1, 2]}})], "of another data set or fold"),
    ):
        with pytest.raises(InputError, match=message):
            fuse(first, *others)
    with pytest.raises(InputError, match="cannot read the scores .*none.npz: No such file"):
        scores.fuse_scores([tmp_path / "none.npz"])
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.save(tmp_path / "other.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("no scores")
    (tmp_path / "empty.npz").write_text("")
    (tmp_path / "half.npz").write_bytes((tmp_path / "0.npz").read_bytes()[:500])
    for name in ("other.npz", "other.npy", "text.npz", "empty.npz", "half.npz"):
        with pytest.raises(InputError, match=f"{name} holds no scores"):
            scores.fuse_scores([tmp_path / name])


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "give --config and --checkpoint, or --fuse"),
        (["--fuse", "a.npz", "--part", "0/2"], "leave out"),
        (["--fuse", "a.npz"], "cannot read the scores a.npz"),
        (["--config", "none.json", "--checkpoint", "c"], "cannot read the configuration none.json"),
        (["--config", "c", "--checkpoint", "c", "--part", "2/2", "--scores", "s"], "such as 0/4; received '2/2'"),
        (["--config", "c", "--checkpoint", "c", "--part", "-1/2", "--scores", "s"], "such as 0/4"),
        (["--config", "c", "--checkpoint", "c", "--part", "0/2"], "--part gives scores only"),
        (["--config", "c", "--checkpoint", "c", "--part", "0/2", "--scores", "s", "--output", "o"], "--fuse"),
    ],
)
def test_mistakes(run, words, message):
    if "--part" in words and words[words.index("--part") + 1].startswith("-"):
        words = [*words[:4], "--part=-1/2", *words[6:]]
    code, out, error = run(*words)
    assert code == 2 and not out and message in error


def test_nothing_is_overwritten_without_overwrite(command, run, tmp_path):
    path = tmp_path / "figures.json"
    path.write_text("mine")
    code, _, error = run(*command(), "--output", path)
    assert code == 2 and error == f"error: {path} exists; give another file, or --overwrite to replace it"
    assert path.read_text() == "mine"
    assert run(*command(), "--output", path, "--overwrite")[0] == 0
    assert json.loads(path.read_text())["videos"] == 4
    code, _, error = run(*command(), "--output", tmp_path, "--overwrite")
    assert code == 2 and "cannot write" in error
    code, _, error = run(*command(), "--scores", path / "below" / "scores.npz")
    assert code == 2 and "cannot write" in error


class Page(html.parser.HTMLParser):
    """Tables as rows of texts, images, and whatever would be loaded from elsewhere; tags must match."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.open, self.images, self.outside, self.text = [], [], [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "img":
            self.images.append(attributes["src"])
        self.outside += [v for k, v in attributes.items() if k in ("src", "href") and not v.startswith("data:")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data
        self.text += data


def test_report():
    tested = made("abcd", classes=("ant", "<b>bee & co"), skipped=["<lost>.mp4"])
    tested.scores[:] = [[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]
    text = report.report_page(tested, metrics.compute_metrics(tested))
    page = Page(text)
    assert not page.outside and "http" not in text and "@import" not in text and "url(" not in text
    assert len(page.images) == 2 and all(image.startswith("data:image/png;base64,iVBOR") for image in page.images)
    values, pairs, mistaken, classes = page.tables
    assert ["top1", "0.7500"] in values and ["skipped", "1"] in values and ["views", "10x3"] in values
    assert "top5" not in page.text  # of two classes it says nothing
    assert pairs[1:] == [["<b>bee & co", "ant", "1", "0.500"]]
    assert mistaken[1:] == [["b", "<b>bee & co", "ant", "0.600", "0.400"]] and "Misclassified videos: 1" in page.text
    assert classes == [
        ["class", "videos", "accuracy", "precision", "most often predicted as"],
        ["ant", "2", "1.000", "0.667", ""],
        ["<b>bee & co", "2", "0.500", "1.000", "ant (1)"],
    ]
    assert "<lost>.mp4: is broken" in page.text and '"preset": "slow_8x8_r50"' in page.text


def test_report_of_many_labels():
    classes = [f"class {i}" for i in range(157)]
    tested = made([f"v{i}" for i in range(60)], classes=classes, activation="sigmoid")
    tested.labels[:] = np.random.default_rng(1).random(tested.labels.shape) < 0.1
    tested.labels[:, 7] = 0
    figures = metrics.compute_metrics(tested)
    page = Page(report.report_page(tested, figures))
    assert ["mAP", f"{figures['mAP']:.4f}"] in page.tables[0] and len(page.images) == 1
    rows = page.tables[1][1:]
    assert len(rows) == 157 and rows[7] == ["class 7", "0", "0.000", ""]
    assert np.mean([float(row[3]) for row in rows if row[3]]) == pytest.approx(figures["mAP"], abs=1e-3)


def test_videos_without_a_label_do_not_count():
    tested = made("abcd")
    tested.labels[2:] = 0
    tested.scores[:] = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]]
    assert metrics.compute_metrics(tested)["top1"] == 0.5
    tested.labels[:] = 0
    with pytest.raises(InputError, match="none of the 4 videos has a label"):
        metrics.compute_metrics(tested)


def test_report_names_the_data(tmp_path):
    """A configuration that is made of another one keeps its name, so the heading has the data's as well."""

    def heading(root, name="demo", title=None):
        tested = made("abcd", config={"name": name, "model": {"preset": "slow_8x8_r50"}, "data": {"root": root}})
        outputs = Outputs(report=tmp_path / "report.html", title=title)
        write_results(tested, metrics.compute_metrics(tested), outputs)
        return (tmp_path / "report.html").read_text().partition("<h1>")[2].partition("</h1>")[0]

    assert heading("/home/me/my_videos/") == "Test of demo on my_videos"
    assert heading("s3://bucket/birds", name="mine") == "Test of mine on birds"
    assert heading("data/demo") == "Test of demo"
    assert heading("data/demo", title="run 3") == "Test of run 3 on demo"


def test_files_of_earlier_versions(tmp_path):
    """Written as they were, with `about` as a dictionary whose shard is called "part"."""
    about = {"weights": "aa", "activation": "softmax", "dataset": "folder", "classes": ["ant", "bee"]}
    about.update(config={"name": "made"}, test={"clips": 10, "crops": 3, "fuse": "mean"}, part=[1, 2], videos=4)
    arrays = {"labels": np.eye(2, dtype=np.uint8), "scores": np.ones((2, 2), np.float32)}
    texts = {"skipped": json.dumps({"c": "c: is broken"}), "about": json.dumps(about)}
    np.savez_compressed(tmp_path / "old.npz", ids=np.array(["a", "b"]), classes=["ant", "bee"], **arrays, **texts)
    found = load_scores(tmp_path / "old.npz")
    assert found.about.shard == (1, 2) and found.about.classes == ("ant", "bee") and found.views == "10x3"
    found.save(tmp_path / "new.npz")
    with np.load(tmp_path / "new.npz") as file:
        assert str(file["about"]) == json.dumps({**about, "protocol": {}}) and str(file["skipped"]) == texts["skipped"]


def test_advice_names_the_options(run, tmp_path):
    """The library's messages name none; the command adds them."""
    (tmp_path / "text.npz").write_text("no scores")
    code, _, error = run("--fuse", tmp_path / "text.npz")
    assert code == 2 and error.endswith("text.npz holds no scores of a test; give files that --scores wrote")
    unlabelled = made("abcd")
    unlabelled.labels[:] = 0
    unlabelled.save(tmp_path / "scores.npz")
    code, _, error = run("--fuse", tmp_path / "scores.npz")
    assert code == 2 and error.endswith("there is nothing to compare scores with; --scores saves them")
    code, _, error = run("--fuse", tmp_path / "scores.npz", "--detections", tmp_path / "boxes.csv")
    assert code == 2 and error.endswith("these scores are of whole videos; leave out --detections")
