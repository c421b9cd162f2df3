"""The commands and the Python examples of the documentation run without errors on small networks and short videos.

The blocks of a page run in order, in a directory with the files that the pages mention, such as `runs/demo` and
`holiday.mp4`. Training takes one epoch. `NOT_RUN` lists the commands that are not run, with reasons.
"""

import glob
import importlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from helpers.coded_video import write
from helpers.detector import save_detector
from helpers.pictures import picture

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[1]
PAGES = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md"))]

NOT_RUN = {
    r"TF_CONFIG=|--part|--fuse|HOST|DispatchServer|s3://|grpc://": "needs several machines; other tests cover this",
    r"Runner": "needs a cluster for a runner of Apache Beam",
    r"--camera|slowfast_tf\.demo": "runs until it is stopped; other tests cover this",
    r"slowfast_tf\.benchmark": "takes minutes; tests/benchmarks runs each benchmark",
    r"cross_validate|ablate": "needs many runs; tests/commands has small runs",
    r"kinetics400/|charades|ava/slowfast_4x16_r50.json": "needs published videos; tests/data has their layouts",
    r"client\.py|triton\.py": "a server, or needs one; tests/exporting starts servers",
    r"configs/people\.json": "needs a user's videos of people; tests/commands has such videos",
}
SMALL = [
    *["model.depth=10", "model.width=8", "model.crop_size=32", "data.crop_size=32", "data.short_sides=[32, 40]"],
    *["train.epochs=1", "train.batch_size=2", "train.warmup_epochs=0", "train.init=null"],
]
NETWORKS = {  # replaces published networks, which would be downloaded, and runs that `NOT_RUN` leaves out
    "runs/people": "runs/ava",
    "slowfast_8x8_r101_nl_ava_pyslowfast": "runs/ava",
    "slowfast_8x8_r50_k400": "runs/demo",
}


def blocks(page):
    """Return the languages and the texts of a page's blocks; for "shell", a list of lines."""
    found = []
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S):
        if language:
            found.append((language, text))
        else:
            lines = re.findall(r"^(?:python |slowfast_tf )(?:\"[^\"]*\"|'[^']*'|\\\n|[^\n])*", text, re.M)
            found.append(("shell", [re.sub(r"\\\n\s*", "", line) for line in lines]))
    return [(language, block) for language, block in found if block]


def replaced(text):
    for name, replacement in NETWORKS.items():
        text = text.replace(name, replacement)
    return text


def is_run(line):
    return not any(re.search(pattern, line) for pattern in NOT_RUN)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Create the directory in which the pages run."""
    from slowfast_tf.data.datasets.synthetic import people, shapes, strokes

    root = tmp_path_factory.mktemp("world")
    (root / "configs").symlink_to(ROOT / "slowfast_tf" / "configs")
    shutil.copytree(ROOT / "export", root / "export")
    (root / "docs").mkdir()
    shapes.make(root / "data" / "demo", train=16, validation=8)
    strokes.make(root / "data" / "strokes", train=10, validation=10)
    people.make(root / "data" / "demo_detection", train=1, validation=1, key_frames=3)
    shapes.make(root / "videos", train=40, validation=8)  # five videos of each class, for five folds
    for name in ("holiday.mp4", "long.mp4", "street.mp4", "films/a.mp4", "films/park.mp4", "films/hall.mp4"):
        (root / name).parent.mkdir(exist_ok=True)
        write(root / name, [picture(len(name), time, 64, 80) for time in range(58)], pix_fmt="yuv444p")
    write(root / "dance.avi", [picture(3, time, 64, 80) for time in range(58)], codec="mpeg4")
    clips = root / "data" / "egogestar" / "testvideo"
    clips.mkdir(parents=True)
    for label in strokes.FIGURES:
        for scene in range(1, 6):
            shutil.copy(root / "holiday.mp4", clips / f"testvideo_{label}_{scene}.mp4")
    save_detector(root / "detector")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(root)
        _make_runs()
    return root


def _make_runs():
    """Train the networks that the pages use, and write the results that they read."""
    from slowfast_tf import evaluate, train

    for config, workdir in (("demo", "runs/demo"), ("demo_detection", "runs/ava")):
        overrides = [f"--set={change}" for change in SMALL]
        train.main(["--config", f"configs/{config}.json", "--workdir", workdir, *overrides])
    evaluate.main(["--config", "configs/demo.json", "--checkpoint", "runs/demo", "--scores", "scores.npz"])
    for name in ("ava_val_v2.2.csv", "ava_action_list_v2.2.pbtxt"):
        shutil.copy(pathlib.Path("data", "demo_detection", "annotations", name), name)
    for name in ("slow.json", "slowfast.json"):
        evaluate.main(["--config", "configs/demo_detection.json", "--checkpoint", "runs/ava", "--output", name])
    shutil.copy("runs/ava/detections.csv", "detections.csv")


def run(line):
    """Run a line as a shell does. The package's commands run in this process, which has imported TensorFlow already."""
    words = shlex.split(line, comments=True)
    words = [path for word in words for path in (sorted(glob.glob(word)) if "*" in word else [word])]
    if words[0] == "python" and words[1] != "-m":
        path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", line], env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return
    command = words[2].removeprefix("slowfast_tf.") if words[0] == "python" else words[1]
    arguments = words[3:] if words[0] == "python" else words[2:]
    if command in ("train", "prepare"):
        arguments += [f"--set={change}" for change in SMALL]
    if command == "predict" and "--model" not in arguments:
        arguments += ["--model", "runs/demo"]  # the default network would be downloaded
    if command == "find_people" or (command == "predict" and "runs/ava" in arguments):
        arguments += ["--detector", "detector"]  # the default detector would be downloaded
    importlib.import_module(f"slowfast_tf.{command}").main(arguments)
    for option in ("--output", "--report", "--video", "--timeline", "--explain", "--detections", "--workdir"):
        if option in arguments:
            assert pathlib.Path(arguments[arguments.index(option) + 1]).exists(), (line, option)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_page(page, world, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(world, tmp_path / "here", symlinks=True))
    for _, block in [found for found in blocks(page) if found[0] == "json"]:
        pathlib.Path("mine.json").write_text(block)
    for language, block in blocks(page):
        if language == "python":
            exec(compile(replaced(block).replace("runs/mine", "runs/demo"), page, "exec"), {})
        elif language == "shell":
            for line in filter(is_run, block):
                run(replaced(line))
