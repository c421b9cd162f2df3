"""A step of every configuration, and the picture at the end of a run."""

import pathlib
import types

import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import write
from helpers.pictures import picture
from PIL import Image

from slowfast_tf import SlowFast, config, prepare
from slowfast_tf.data import Clips
from slowfast_tf.models.presets import get_spec
from slowfast_tf.training import pictures
from slowfast_tf.training.run import build

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("**/*.json"))
SMALL = [
    *("model.depth=10", "model.width=16", "model.frames=4", "model.crop_size=32", "model.res4_temporal_blocks=0"),
    *("model.nonlocal_blocks=[[], [0], [0], []]", "data.crop_size=32", "data.short_sides=[32, 40]"),
    *("train.batch_size=2", "data.fold=null", "data.groups=null"),
]


@pytest.fixture(scope="module")
def videos(folder, tmp_path_factory):
    """The videos of `folder`, five times: the first batches of a multigrid run are large."""
    root = tmp_path_factory.mktemp("recipes")
    for path in folder.rglob("*.mp4"):
        for copy in range(5):
            other = root / path.relative_to(folder).with_stem(f"{path.stem}_{copy}")
            other.parent.mkdir(parents=True, exist_ok=True)
            other.symlink_to(path)
    return root


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Four seconds of a film in the layout of AVA, with two key frames of one and two people."""
    root = tmp_path_factory.mktemp("ava")
    (root / "videos_15min").mkdir()
    (root / "annotations").mkdir()
    write(root / "videos_15min" / "film.mp4", [picture(1, i % 50) for i in range(150)])
    rows = ["0902,0.1,0.2,0.5,0.9,80,1", "0903,0.1,0.2,0.5,0.9,9,1", "0903,0.4,0.2,0.9,0.8,1,2"]
    labels = "".join(f'label {{\n  name: "do {i}"\n  label_id: {i}\n  label_type: X\n}}\n' for i in range(1, 81))
    (root / "annotations" / "ava_action_list_v2.2.pbtxt").write_text(labels)
    for split in ("train", "val"):
        (root / "annotations" / f"ava_{split}_v2.2.csv").write_text("".join(f"film,{row}\n" for row in rows))
        (root / "annotations" / f"ava_{split}_excluded_timestamps_v2.2.csv").write_text("")
    return root


@pytest.fixture(scope="module")
def flow_records(configure, tmp_path_factory):
    root = tmp_path_factory.mktemp("records") / "flow"
    prepare.prepare(configure("prepare.flow=true", "prepare.short_side=32"), root)
    return root


# Fields of a network that its clips do not depend on.
LAYERS = {
    *("depth", "fast_depth", "width", "beta_inv", "lateral", "lateral_kernel", "lateral_norm", "dropout"),
    *("nonlocal_kind", "nonlocal_blocks", "nonlocal_pool", "nonlocal_pool_last", "slow_kernels", "fast_kernels"),
    *("res4_temporal_blocks", "fast_res4_temporal_blocks"),
}


@pytest.fixture(scope="module")
def first_batch():
    """Returns the first batch of some clips, which is read once for all configurations that read the same."""
    found = {}

    def first_batch(clips):
        spec = {name: value for name, value in clips.spec.as_dict().items() if name not in LAYERS}
        key = repr((spec, clips.config.data, clips.config.seed, clips.phases[-1]))
        if key not in found:
            found[key] = next(iter(clips.train()))
        return found[key]

    return first_batch


def configuration(path):
    """Return a parameter. The older stack runs only the published configurations of Charades and AVA."""
    name = str(path.relative_to(ROOT / "configs"))[:-5]
    return pytest.param(path, id=name, marks=() if name.startswith(("ablations", "kinetics")) else pytest.mark.legacy)


@pytest.mark.parametrize("path", [configuration(path) for path in CONFIGS])
def test_a_step_of_every_configuration(path, videos, film, first_batch, request):
    dataset = config.load(path).data.dataset
    where = {"ava": ("ava", film), "demo_detection": ("ava", film), "people": ("ava", film)}.get(
        dataset, ("folder", videos)
    )
    if dataset == "records":
        where = "records", request.getfixturevalue("flow_records")
    settings = config.load(path, [*SMALL, f"data.dataset={where[0]}", f"data.root={where[1]}", "train.init=null"])
    clips = Clips(settings, "train")
    model = build(settings, clips)
    model.run_eagerly = True  # a graph takes longer to build than to run once
    logs = model.train_on_batch(*first_batch(clips), return_dict=True)
    one_label = ("top1", "top5") if clips.spec.num_classes > 5 else ("top1",)
    assert set(logs) == {"loss", *(one_label if clips.spec.activation == "softmax" else ("pr_auc",))}
    assert np.isfinite(logs["loss"])
    assert model.optimizer.iterations == 1
    assert all(np.isfinite(w).all() for w in model.get_weights())


@pytest.mark.parametrize(
    "pathways, inputs", [(("slow",), {"slow_input": "flow"}), (("fast",), {"fast_input": "difference"})]
)
@pytest.mark.parametrize("head", ["roi", "pool"])
def test_the_prediction_picture_of_other_inputs(head, pathways, inputs, tmp_path):
    changes = {"depth": 10, "width": 8, "head": head, "activation": "sigmoid", "channel_order": "bgr"}
    spec = get_spec("slowfast_2x16_demo", pathways=pathways, **inputs, **changes, labels=tuple("abcdefgh"))
    (name,) = pathways
    frames = np.zeros((3, spec.clip_frames, 48, 48, spec.input_channels(name)), np.float32)
    frames[..., 0] = 0.9
    boxes = tf.constant([[[4.0, 4.0, 40.0, 40.0]]])
    truth, one = tf.zeros((3, 8)), {name: tf.constant(frames[:1]), "boxes": boxes}
    clips = types.SimpleNamespace(
        labels=spec.labels,
        key_frames=lambda: [(one, truth[:1], boxes[0] / 48, "film")],
        validation=lambda: [({name: tf.constant(frames)}, truth)],
    )
    pictures.show_prediction(SlowFast(spec), clips, tmp_path / "prediction.png")
    image = np.asarray(Image.open(tmp_path / "prediction.png").convert("RGB")).reshape(-1, 3)
    # Motion to the right is red; a difference is a gray that is lighter than the mean.
    color = (242, 128, 128) if name == "slow" else (166, 166, 166)
    assert (image == color).all(1).mean() > 0.01
