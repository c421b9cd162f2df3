"""The drawing of a network shows the frames and the shapes that the network has."""

import re

import matplotlib.image
import pytest

from slowfast_tf import describe
from slowfast_tf.data.sampling import clip_frames
from slowfast_tf.errors import InputError
from slowfast_tf.models.figure import network_figure
from slowfast_tf.models.presets import get_spec
from slowfast_tf.models.slowfast import SlowFast


def drawn(spec, size):
    """The raw frames of each pathway, and all texts below the features, in order."""
    clip, network = network_figure(spec, size).axes
    frames = {lines.get_label(): [int(line[0][0]) for line in lines.get_segments()] for lines in clip.collections}
    return frames, [text.get_text() for text in network.texts]


def test_the_sizes_of_table_1():
    """SlowFast 4x16 R50, alpha 8, beta 1/8; the lateral connections double the Fast pathway's channels."""
    frames, texts = drawn(get_spec("slowfast_4x16_r50"), 224)
    assert frames == {"slow": [0, 16, 32, 48], "fast": list(range(0, 64, 2))}
    features = [text for text in texts if "channels" in text]
    sizes = [224, 56, 56, 28, 14, 7]
    slow = [f"4 x {n}²\n{c} channels" for n, c in zip(sizes, (3, 64, 256, 512, 1024, 2048))]
    fast = [f"32 x {n}²\n{c} channels" for n, c in zip(sizes, (3, 8, 32, 64, 128, 256))]
    assert features == slow + fast
    assert [text for text in texts if text.startswith("+")] == ["+16", "+64", "+128", "+256"]
    assert "global\naverage:\n2048 + 256\n\n400 classes" in texts


@pytest.mark.parametrize("frame_index", ["strided", "linspace"])
@pytest.mark.parametrize("pathways", [("slow", "fast"), ("slow",)])
def test_frames_equal_those_of_a_clip(pathways, frame_index):
    spec = get_spec("slowfast_8x8_r50", frame_index=frame_index, pathways=pathways)
    times = clip_frames([0.0], spec.clip_span, spec)[0].numpy()
    frames, _ = drawn(spec, 224)
    assert frames[pathways[-1]] == times.tolist()
    assert frames["slow"] == times[list(spec.slow_index) if "fast" in pathways else slice(None)].tolist()


@pytest.mark.parametrize("lateral", ["conv", "channel_concat"])
def test_channels_equal_those_of_the_network(lateral):
    spec = get_spec("slowfast_2x16_demo", lateral=lateral)
    model = SlowFast(spec)
    _, texts = drawn(spec, 48)
    channels = [int(n) for text in texts for n in re.findall(r"(\d+) channels", text)]
    names = [f"{pathway}_{stage}" for pathway in spec.pathways for stage in ("stem", "res2", "res3", "res4", "res5")]
    found = [model.get_layer(name).output.shape[-1] for name in names]
    assert channels == [3, *found[:5], 3, *found[5:]]
    wide = [model.get_layer(f"lateral_{stage}").output.shape[-1] for stage in ("stem", "res2", "res3", "res4")]
    assert [text for text in texts if text.startswith("+")] == [f"+{w - n}" for w, n in zip(wide, found)]


def test_the_command_draws(tmp_path, capsys):
    path = tmp_path / "network.png"
    describe.main(["slow_8x8_r50", "--figure", str(path)])
    assert not capsys.readouterr().out
    height, width = matplotlib.image.imread(path).shape[:2]
    assert width > height > 300
    with pytest.raises(InputError, match="--figure draws one network"):
        describe.main(["--figure", str(path)])
    path.write_text("mine")
    with pytest.raises(InputError, match="network.png exists; give another --figure, or --overwrite to replace it"):
        describe.main(["slow_8x8_r50", "--figure", str(path)])
    with pytest.raises(InputError, match=r"give a name that ends in .png; got notes.md"):
        describe.main(["slow_8x8_r50", "--figure", "notes.md"])
    assert path.read_text() == "mine"
    with pytest.raises(InputError, match="^cannot write /proc/x.png"):
        describe.main(["slow_8x8_r50", "--figure", "/proc/x.png"])
    describe.main(["slow_8x8_r50", "--figure", str(path), "--overwrite"])
    assert path.stat().st_size > 1000
