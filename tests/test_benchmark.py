"""The benchmark command at a tiny size. What it measures is not tested: timings belong to benchmarks."""

import subprocess
import sys

import pytest

from slowfast_tf import benchmark
from slowfast_tf.cli import UserError

TINY = ("--preset", "slowfast_2x16_demo", "--size", "48", "--batch", "1", "--rounds", "1")


def rows(text):
    """The cells of the rows of a Markdown table, without head and rule."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_training_table(tmp_path):
    output = tmp_path / "table.md"
    done = subprocess.run(
        [sys.executable, "-m", "slowfast_tf.benchmark", "training", *TINY, "--output", str(output)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ours = [row for row in rows(done.stdout) if row[0].startswith("TensorFlow")]
    assert [row[1] for row in ours] == ["float32", "bfloat16"]
    assert all(float(row[2]) > 0 and row[5].endswith("GiB") for row in ours)
    assert rows(output.read_text()) == rows(done.stdout)
    assert "python -m slowfast_tf.benchmark training --preset slowfast_2x16_demo" in output.read_text()


def test_inference_table_without_pytorch(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "missing_peer", lambda spec: "PyTorch's rows need PyTorch")
    benchmark.main(["inference", *TINY])
    text = capsys.readouterr().out
    assert [(row[0].split("BatchNorm ")[1], row[1]) for row in rows(text)] == [
        (folding, precision) for precision in ("float32", "bfloat16") for folding in ("not folded", "folded")
    ]
    assert "PyTorch's rows need PyTorch" in text


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["training", "--rounds", "0"], "--rounds must be at least 1; got 0"),
        (["inference", "--preset", "slowfast_8x8_r5"], "did you mean 'slowfast_8x8_r50'"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        benchmark.main(arguments)
