"""The benchmark command at a tiny size. Timings are not tested."""

import json
import subprocess
import sys

import pytest
from helpers.benchmarks import TINY, rows

from slowfast_tf import benchmark
from slowfast_tf.benchmarks import ava, scaling, serving
from slowfast_tf.benchmarks import reading as benchmark_input
from slowfast_tf.errors import InputError
from slowfast_tf.runtime import run


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


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["training", "--rounds", "0"], "--rounds must be at least 1; got 0"),
        (["inference", "--preset", "slowfast_8x8_r5"], "did you mean 'slowfast_8x8_r50'"),
        (["predict", "--preset", "slowfast_8x8_r5"], "did you mean 'slowfast_8x8_r50'"),
        (["inference", "--engine", "onnxruntime", "--precision", "bfloat16"], "none of onnxruntime runs in bfloat16"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        benchmark.main(arguments)


@pytest.mark.parametrize("task", ["training", "inference", "input", "ava", "scaling", "serving"])
def test_output_is_checked_before_measuring(task, tmp_path, monkeypatch, capsys):
    """A directory, a path below a file, and a file of the user's own."""

    def measure_nothing(*arguments, **options):
        raise AssertionError("measured before --output was checked")

    monkeypatch.setattr(benchmark, "measure", measure_nothing)
    monkeypatch.setattr(scaling, "page", measure_nothing)
    for module in (benchmark_input, ava, serving):
        monkeypatch.setattr(module, "section", measure_nothing)
    (tmp_path / "mine.md").write_text("# My diary\n")
    messages = {tmp_path: "cannot write", tmp_path / "mine.md" / "page.md": "cannot write"}
    kind = "result of this command" if task == "scaling" else "page of this benchmark"
    messages[tmp_path / "mine.md"] = f"exists and is not a {kind}"
    for path, message in messages.items():
        with pytest.raises(SystemExit) as end:
            run(lambda path=path: benchmark.main([task, "--output", str(path)]), benchmark.ADVICE)
        error = capsys.readouterr().err
        assert end.value.code == 2 and error.count("\n") == 1
        assert message in error and "choose another --output" in error
    assert (tmp_path / "mine.md").read_text() == "# My diary\n"
