"""The list of published networks."""

import json
import os
import subprocess
import sys

import pytest

from slowfast_tf import describe
from slowfast_tf.checkpoints.published import MODELS
from slowfast_tf.errors import InputError
from slowfast_tf.models.spec import SlowFastSpec

# The paper's, and PySlowFast's MODEL_ZOO.md.
PAPER = {"slowfast_4x16_r50": 36.1, "slowfast_8x8_r50": 65.7, "slow_4x16_r50": 27.3}


def command(*arguments, cache=""):
    line = [sys.executable, "-X", "importtime", "-m", "slowfast_tf.describe", *arguments]
    environment = {**os.environ, "KERAS_HOME": str(cache)}
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True, env=environment)
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "slowfast_tf.checkpoints.published" in imported and not imported & {"tensorflow", "keras", "torch"}
    return done.stdout


@pytest.mark.legacy
def test_list(tmp_path):
    (tmp_path / "slowfast_tf").mkdir()
    (tmp_path / "slowfast_tf" / "slowfast_8x8_r50_k400_pyslowfast.keras").touch()
    rows = {row["name"]: row for row in json.loads(command("--json", cache=tmp_path))}
    assert list(rows) == list(MODELS)
    assert [name for name, row in rows.items() if row["cached"]] == ["slowfast_8x8_r50_k400_pyslowfast"]
    row = rows["slowfast_8x8_r50_k400_pyslowfast"]
    assert row["dataset"] == "kinetics400" and row["recommended"] == "slowfast_8x8_r50_k400"
    assert row["accuracy"] == {"top1": 77.0, "top5": 92.6} and row["source"] == "PySlowFast model zoo"
    assert row["bytes"] == 4 * 34566488
    assert rows["slowfast_8x8_r50_k400_mmaction2"]["recommended"] is None
    for network, published in PAPER.items():
        for publisher in ("pyslowfast", "pytorchvideo", "mmaction2"):
            found = rows[f"{network}_k400_{publisher}"]["multiply_adds"] / 1e9
            assert round(found, 1) == published
    lines = command(cache=tmp_path).splitlines()
    assert [line.split()[0] for line in lines[1 : 1 + len(MODELS)]] == list(MODELS)
    (line,) = [line for line in lines if line.startswith("slowfast_8x8_r50_k400_pyslowfast ")]
    expected = "* kinetics400 top1 77.0, top5 92.6 PySlowFast model zoo 65.7 138 yes"
    assert " ".join(line.split()[1:]) == expected


def test_pages_replace_only_themselves(tmp_path):
    page = tmp_path / "table.md"
    for _ in range(2):
        describe.main(["--table", str(page)])
    assert page.read_text().startswith("# Cost of the paper's networks")
    page.write_text("# Notes\n")
    with pytest.raises(InputError, match="table.md exists and is not a result of this command"):
        describe.main(["--table", str(page)])
    assert page.read_text() == "# Notes\n"
    for words in (["slowfast_8x8_r50", "--table", str(page)], ["--keys", str(page), "--figure", "f.png"]):
        with pytest.raises(InputError, match="written alone; leave out the network, --figure and --json"):
            describe.main(words)
    with pytest.raises(InputError, match="--figure writes a PNG instead of JSON"):
        describe.main(["slowfast_8x8_r50", "--figure", "f.png", "--json"])


@pytest.mark.legacy
def test_published_network():
    for name in ("slowfast_16x8_r50_charades", "slowfast_16x8_r50_charades_pyslowfast"):
        about = json.loads(command(name, "--json"))
        spec = SlowFastSpec(**about["spec"])
        assert spec == MODELS["slowfast_16x8_r50_charades_pyslowfast"].spec()
        assert spec.views.fuse == "max" and spec.labels[156] == "Someone is eating something"
