"""The output of `describe` agrees with the paper's Table 1."""

import json
import math
import subprocess
import sys

import keras
import pytest
import tensorflow as tf

from slowfast_tf import describe
from slowfast_tf.models.presets import PRESETS, get_spec
from slowfast_tf.models.slowfast import SlowFast
from slowfast_tf.models.spec import SlowFastSpec

# Whole networks


def test_stages_of_table_1():
    spec = get_spec("slowfast_4x16_r50")
    model = SlowFast(spec)
    stages = ["stem", "res2", "res3", "res4", "res5"]
    sizes, channels = [56, 56, 28, 14, 7], {"slow": [64, 256, 512, 1024, 2048], "fast": [8, 32, 64, 128, 256]}
    names = [f"{pathway}_{stage}" for pathway in ("slow", "fast") for stage in stages]
    features = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    inputs = [tf.TensorSpec((1, 4, 224, 224, 3)), tf.TensorSpec((1, 32, 224, 224, 3))]
    graph = tf.function(lambda *x: features(list(x))).get_concrete_function(*inputs)
    shapes = {name: tuple(x.shape) for name, x in zip(names, graph.structured_outputs)}
    for pathway, frames in (("slow", 4), ("fast", 32)):
        for stage, size, width in zip(stages, sizes, channels[pathway]):
            assert shapes[f"{pathway}_{stage}"] == (1, frames, size, size, width)
        types = ("Conv2D", "Conv3D")  # Slow's kernel is flat in time, so each frame is a separate image
        (conv1,) = [o for o in graph.graph.get_operations() if o.type in types and f"/{pathway}_stem" in o.name]
        assert conv1.outputs[0].shape[-3:] == (112, 112, channels[pathway][0])
        assert math.prod(conv1.outputs[0].shape[:-3]) == frames
        assert conv1.inputs[1].shape[:-2] == ((7, 7) if pathway == "slow" else (5, 7, 7))
    rows = describe.describe(spec, 224)["stages"]
    assert [row["stage"] for row in rows] == ["conv1", "pool1", "res2", "res3", "res4", "res5"]
    for pathway, frames, width in (("slow", 4, 64), ("fast", 32, 8)):
        expected = [[frames, s, s, c] for s, c in zip([112, *sizes], [width, *channels[pathway]])]
        assert [row[f"{pathway}_output"] for row in rows] == expected
    assert rows[4]["slow"] == ["(3x1^2,256; 1x3^2,256; 1x1^2,1024) x6"]
    assert rows[2]["fast"] == ["(3x1^2,8; 1x3^2,8; 1x1^2,32) x3"]


# The command


def command(*arguments):
    line = [sys.executable, "-m", "slowfast_tf.describe", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.legacy
def test_describe_command():
    text = command("slowfast_8x8_r50")
    assert text.returncode == 0 and not text.stderr
    for part in ("34,566,488", "65.709 G", "(3x1^2,512; 1x3^2,512; 1x1^2,2048) x3"):
        assert part in text.stdout
    about = json.loads(command("slowfast_8x8_r50", "--json", "--size", "224").stdout)
    assert about["parameters"] == 34566488 and about["size"] == 224
    assert about["multiply_adds"] == sum(about[part]["multiply_adds"] for part in ("slow", "fast", "lateral", "head"))
    assert SlowFastSpec(**about["spec"]) == PRESETS["slowfast_8x8_r50"]


@pytest.mark.legacy
@pytest.mark.parametrize(
    "arguments, message",
    [
        (["slowfast_8x8_r5"], "nor a preset; did you mean 'slowfast_8x8_r50'?"),
        (["nowhere/model.keras"], "nowhere/model.keras: no such file"),
        (["slowfast_16x8_r101_nl", "--size", "16"], "--size 16: an input of 16 pixels is too small"),
        (["slow_4x16_r50", "--size", "0"], "--size 0: an input needs at least 1 pixel"),
        ([__file__], "holds no network of slowfast_tf"),
        (["slowfast_8x8_r50_k40"], "nor a preset; did you mean 'slowfast_8x8_r50_k400'?"),
    ],
)
def test_describe_command_reports_mistakes(arguments, message):
    result = command(*arguments)
    assert result.returncode == 2 and not result.stdout
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert message in result.stderr


@pytest.mark.legacy
def test_describe_needs_no_tensorflow():
    command = [sys.executable, "-X", "importtime", "-m", "slowfast_tf.describe", "slowfast_8x8_r50"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "slowfast_tf.models.spec" in imported
    assert not imported & {"tensorflow", "keras"}
