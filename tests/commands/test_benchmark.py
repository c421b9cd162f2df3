"""The benchmark command at a tiny size. What it measures is not tested: timings belong to benchmarks."""

import dataclasses
import importlib.util
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import decode

from slowfast_tf import benchmark, config
from slowfast_tf.benchmarks import ava, measure, page, scaling
from slowfast_tf.benchmarks import engines as benchmark_engines
from slowfast_tf.benchmarks import reading as benchmark_input
from slowfast_tf.benchmarks.engines import ENGINES, Job
from slowfast_tf.errors import InputError
from slowfast_tf.runtime import run

TINY = ("--preset", "slowfast_2x16_demo", "--size", "32", "--rounds", "1")


def rows(text):
    """The cells of the rows of a Markdown table, without head and rule."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def job(task, engine, precision="float32", **changes):
    return Job(
        task, engine, precision, **{"preset": "slowfast_2x16_demo", "size": 32, "batch": 1, "threads": 2, **changes}
    )


def test_training_table(tmp_path):
    output = tmp_path / "table.md"
    arguments = ["training", *TINY, "--batch", "1", "--engine", "tensorflow", "--precision", "float32"]
    done = subprocess.run(
        [sys.executable, "-m", "slowfast_tf.benchmark", *arguments, "--output", str(output)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ((name, precision, median, fastest, _, _, peak),) = rows(done.stdout)
    assert (name, precision) == ("TensorFlow (slowfast_tf)", "float32") and median == fastest and peak.endswith("GiB")
    assert rows(output.read_text()) == rows(done.stdout)
    assert f"python -m slowfast_tf.benchmark {' '.join(arguments)}\n" in output.read_text()
    (row,) = json.loads((tmp_path / "table_training.json").read_text())
    assert row["engine"] == name and f"{row['seconds'][0]:.3f}" == median and row["peak"] > 2**26
    assert (tmp_path / "table_training.png").read_bytes().startswith(b"\x89PNG")


def test_an_engine_that_cannot_run_is_a_row_with_the_reason(tmp_path, monkeypatch):
    """A broken file, a package that is not there, a step beyond the limit: the others go on."""
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("torch")
    broken = tmp_path / "broken.tflite"
    broken.write_text("no model")
    monkeypatch.setitem(
        ENGINES["inference"],
        "openvino",
        dataclasses.replace(ENGINES["inference"]["openvino"], package="no_such_package"),
    )
    jobs = [job("inference", "tflite", file=str(broken)), job("inference", "openvino"), job("inference", "pytorch")]
    results = measure.measure(jobs, rounds=2, limit=100)
    assert [len(result.seconds) for result in results] == [0, 0, 2]
    assert "ValueError" in results[0].reason and "\n" not in results[0].reason
    assert results[1].reason == "no_such_package is not installed: pip install 'slowfast_tf[bench]'"
    assert results[2].reason == "" and min(results[2].seconds) > 0 and results[2].peak > 2**26
    (slow,) = measure.measure(jobs[2:], rounds=1, limit=1e-5)
    assert len(slow.seconds) == 0 and slow.reason == "a step takes more than 1e-05 s"


def test_exported_files_run_in_their_runtimes(tmp_path):
    """In the process of the tests; the benchmark takes one a file, and one an engine."""
    for module in ("ai_edge_litert", "onnxruntime"):
        pytest.importorskip(module)
    keys = [("tflite", "int8"), *(("onnxruntime", p) for p in ("float32", "float16", "int8")), ("openvino", "float32")]
    jobs = [job("inference", *key) for key in keys]
    jobs = [dataclasses.replace(one, file=benchmark_engines.file_of(one, tmp_path)) for one in jobs]
    assert list(benchmark_engines.export(jobs[:4])) == [None] * 4  # OpenVINO takes ONNX Runtime's file
    answers = {}
    for one in jobs:
        if not benchmark_engines.unavailable(one):
            answers[one.engine, one.precision] = answer = ENGINES["inference"][one.engine].build(one)()
            assert answer.shape == (1, 8) and np.isfinite(answer).all() and np.ptp(answer) > 0
    exact = answers["onnxruntime", "float32"]
    for precision, most in (("float16", 0.01), ("int8", 0.2)):
        assert 0 < np.abs(answers["onnxruntime", precision] - exact).max() < most * np.ptp(exact), precision


def test_pytorch_has_no_other_networks():
    pytest.importorskip("torch")
    assert benchmark_engines.unavailable(job("training", "pytorch")) is None
    assert "two-pathway R50" in benchmark_engines.unavailable(job("training", "pytorch", preset="slow_8x8_r50"))


def test_table_and_page(tmp_path):
    """Medians, and shares of an engine's float32 and of the best peer, worked by hand."""
    timed = {
        ("saved_model", "float32"): [3.0, 2.0, 9.0],
        ("openvino", "float32"): [5.0, 4.0, 4.5],
        ("pytorch", "float32"): [6.0],
        ("saved_model", "bfloat16"): [1.5],
        ("tflite", "float32"): [2.0],
        ("tflite", "int8"): [0.5],
    }
    results = [measure.Result(job("inference", *key), seconds, 2**30) for key, seconds in timed.items()]
    results.append(measure.Result(job("inference", "pytorch", "bfloat16"), reason="a step | takes too long"))
    table = {(row[0], row[1]): row[2:] for row in rows(page.table(results))}
    assert table["SavedModel", "float32"] == ["3.000", "2.000", "1.00", "0.67", "1.0 GiB"]
    assert table["OpenVINO on our ONNX file", "float32"][2:4] == ["1.00", "1.00"]
    assert table["PyTorch eager", "float32"][2:4] == ["1.00", "1.33"]
    assert table["SavedModel", "bfloat16"][2:4] == ["0.50", ""]
    assert table["TFLite", "int8"][2:4] == ["0.25", ""]
    assert table["PyTorch eager", "bfloat16"][0] == "left out: a step / takes too long"
    path = tmp_path / "page.md"
    benchmark.write(path, "training", "## Training\n\nold", [])
    benchmark.write(path, "inference", "## Inference\n\nold", results)
    benchmark.write(path, "training", "## Training\n\nnew", [])
    text = path.read_text()
    assert text.startswith(page.HEAD) and text.count("\n## ") == 2 and "## Training\n\nnew" in text
    assert "## Inference\n\nold\n\n![The table as bars](page_inference.png)" in text
    assert len(json.loads((tmp_path / "page_inference.json").read_text())) == len(results)
    (tmp_path / "mine.md").write_text("# My diary\n")
    with pytest.raises(InputError, match="is not a page of this benchmark"):
        benchmark.write(tmp_path / "mine.md", "training", "## Training", [])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["training", "--rounds", "0"], "--rounds must be at least 1; got 0"),
        (["inference", "--preset", "slowfast_8x8_r5"], "did you mean 'slowfast_8x8_r50'"),
        (["inference", "--engine", "onnxruntime", "--precision", "bfloat16"], "none of onnxruntime runs in bfloat16"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        benchmark.main(arguments)


@pytest.mark.parametrize("task", ["training", "inference", "input", "ava", "scaling"])
def test_output_is_checked_before_measuring(task, tmp_path, monkeypatch, capsys):
    """A directory, a path below a file, and (except for scaling) a file of the user's own."""

    def measure_nothing(*arguments, **options):
        raise AssertionError("measured before --output was checked")

    for module, name in ((benchmark, "measure"), (benchmark_input, "section"), (ava, "section"), (scaling, "page")):
        monkeypatch.setattr(module, name, measure_nothing)
    (tmp_path / "mine.md").write_text("# My diary\n")
    messages = {tmp_path: "cannot write", tmp_path / "mine.md" / "page.md": "cannot write"}
    if task != "scaling":
        messages[tmp_path / "mine.md"] = "is not a page of this benchmark"
    for path, message in messages.items():
        with pytest.raises(SystemExit) as end:
            run(lambda path=path: benchmark.main([task, "--output", str(path)]), benchmark.ADVICE)
        error = capsys.readouterr().err
        assert end.value.code == 2 and error.count("\n") == 1
        assert message in error and "choose another --output" in error
    assert (tmp_path / "mine.md").read_text() == "# My diary\n"


def test_made_videos_compress_as_real_ones_do(monkeypatch, tmp_path):
    """JPEG images of two real clips, at this size and quality, have 27 and 28 kB (see `make_videos`)."""
    monkeypatch.setattr(benchmark_input, "VIDEOS", 1)
    monkeypatch.setattr(benchmark_input, "FRAMES", 12)
    (path,) = benchmark_input.make_videos(tmp_path)
    frames = decode(path)
    assert frames.shape == (12, 256, 340, 3)
    sizes = [len(tf.io.encode_jpeg(frame, quality=95).numpy()) for frame in frames]
    assert 24_000 < np.mean(sizes) < 34_000
    settings = benchmark_input.settings("folder", tmp_path)
    assert settings.spec().clip_frames == 32 and settings.prepare.quality == config.Prepare().quality


def test_input(monkeypatch):
    for name, value in {"VIDEOS": 2, "FRAMES": 70, "CLIPS": 4, "BATCH": 1, "EPOCH": 20}.items():
        monkeypatch.setattr(benchmark_input, name, value)
    text = benchmark_input.section(1)
    assert re.search(r"quality 85 and 95, 1\d and [23]\d kB each; H.264 of \d\.\d kB per frame", text)
    found = rows(text)
    readers = ["slowfast_tf", "PyAV, plain loop", *(["decord"] if importlib.util.find_spec("decord") else [])]
    for kind in ("records, quality 85", "records, quality 95"):
        assert [row[1:3] for row in found if row[0] == kind] == [
            ["training clips", "slowfast_tf"],
            ["training clips", "slowfast_tf, images in memory"],
            ["decoding alone", "every image, whole (the limit)"],
        ]
    for what in ("training clips", "decoding alone"):
        assert [row[2] for row in found if row[:2] == ["H.264", what] and "limit" not in row[2]] == readers
    assert all(float(row[3]) > 0 and float(row[4]) > 0 for row in found if row[0].startswith(("records", "H.264")))
    preparing = {row[0]: float(row[1]) for row in found if len(row) == 2 and row[1].isdigit()}
    assert len(preparing) == 3 and all(speed > 0 for speed in preparing.values())
