"""The table and the page of a benchmark, worked by hand."""

import json

import pytest
from helpers.benchmarks import job, rows

from slowfast_tf import benchmark
from slowfast_tf.benchmarks import measure, page
from slowfast_tf.errors import InputError


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
