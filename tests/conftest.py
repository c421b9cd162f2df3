"""A small data set and a small network that the tests share."""

import gc
import json
import os
import shutil
import signal
import subprocess
import warnings

import numpy as np
import pytest
from helpers.coded_video import write
from helpers.detection import DEMO, SMALL, clip_inputs
from helpers.pictures import CLASSES, SIZES, picture

# Tests import TensorFlow before slowfast_tf, which sets this; training takes several times as long without oneDNN.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# With several test processes, each computes with one thread. This takes 10% less time than competing threads.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def pytest_configure():
    """Collect no garbage while pytest collects tests: the objects that imports create are not freed.

    The background jobs of a shell script ignore Ctrl-C. The processes that tests stop with it must not inherit this.
    """
    gc.disable()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """Collect garbage rarely, as commands do (`runtime.quick_start`): building and tracing take 10% less time."""
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def pytest_collection_modifyitems(items):
    """Put files with slow tests first: otherwise, at the end, the other processes would wait for one of them."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """`root/SPLIT/CLASS/NUMBER.mp4` of `picture`s: 8 videos to train and 4 to validate, class NUMBER % 4.

    Sizes and lengths (34 or 37 frames) differ; none is shorter than a clip of `values`.
    """
    root = tmp_path_factory.mktemp("folder")
    for number in range(12):
        path = root / ("train" if number < 8 else "val") / CLASSES[number % 4] / f"{number:02d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = SIZES[number % 3]
        images = [picture(number, time, *size) for time in range(34 + 3 * (number % 2))]
        write(path, images, pix_fmt="yuv444p", qp=1, g=10, bf=2)
    return root


@pytest.fixture(scope="session")
def values(folder):
    """Return a configuration for `folder` as in JSON: 2 Slow and 16 Fast frames out of 32, crops of 32 pixels."""
    return {
        "name": "tiny",
        "model": {"preset": "slowfast_2x16_demo", "depth": 10, "width": 8, "crop_size": 32},
        "data": {"dataset": "folder", "root": str(folder), "crop_size": 32, "short_sides": [32, 40]},
        "train": {"epochs": 1, "batch_size": 4, "learning_rate": 0.01, "warmup_epochs": 0},
        "test": {"clips": 2, "crops": 3},
    }


@pytest.fixture(scope="session")
def configure(values, tmp_path_factory):
    """Makes a `slowfast_tf.config.Config` of `values` and overrides such as "train.epochs=3"."""
    from slowfast_tf import config

    path = tmp_path_factory.mktemp("config") / "tiny.json"
    path.write_text(json.dumps(values))
    return lambda *overrides: config.load(path, overrides)


@pytest.fixture(scope="session")
def model():
    """An untrained network for `values`, with weights that are random everywhere and scores that differ by video.

    Its test has one view, the middle clip and crop.

    With the usual initialization, every residual block is an identity, and all videos have nearly the same scores.
    """
    import keras
    import tensorflow as tf

    from slowfast_tf import SlowFast
    from slowfast_tf.models.views import MIDDLE

    keras.utils.set_random_seed(0)
    model = SlowFast("slowfast_2x16_demo", depth=10, width=8, crop_size=32, num_classes=4, labels=CLASSES, views=MIDDLE)
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, w.shape) if w.ndim < 2 else w for w in model.get_weights()])
    # Logits of mean 0 and deviation 1: with larger ones, softmax would give one class nearly the whole probability.
    clips = [[picture(n, time + 2 * t)[:32, n : n + 32] for t in range(16)] for n in range(12) for time in (0, 5)]
    clips = ((np.array(clips) / 255 - 0.45) / 0.225).astype(np.float32)
    kernel, bias = model.get_layer("head").get_weights()
    logits = tf.function(model)({"slow": clips[:, ::8], "fast": clips}).numpy()
    deviation = logits.std(0)
    model.get_layer("head").set_weights([kernel / deviation, (bias - logits.mean(0)) / deviation])
    return model


@pytest.fixture(scope="session")
def infer(model):
    """`model` on normalized clips `[B, 16, 32, 32, 3]`: scores `[B, 4]`."""
    import tensorflow as tf

    @tf.function(reduce_retracing=True)
    def forward(slow, fast):
        return tf.nn.softmax(model({"slow": slow, "fast": fast}, training=False))

    return lambda clips: forward(clips[:, ::8], clips).numpy()


@pytest.fixture(scope="session")
def saved(model, tmp_path_factory):
    """The `.keras` file of `model`."""
    path = tmp_path_factory.mktemp("model") / "tiny.keras"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def served(model, tmp_path_factory):
    """The SavedModel of `model`."""
    from slowfast_tf.exporting import saved_model

    path = tmp_path_factory.mktemp("served") / "tiny" / "1"
    saved_model.export(model, path)
    return path


@pytest.fixture(scope="session")
def signatures(served):
    """The signatures of `served`, loaded."""
    import tensorflow as tf

    return tf.saved_model.load(str(served)).signatures


@pytest.fixture(scope="session")
def batch():
    """Eight random clips for a small network and their one-hot labels."""
    random = np.random.default_rng(1)
    fast = random.normal(size=(8, 16, 32, 32, 3)).astype(np.float32)
    return {"slow": fast[:, ::8], "fast": fast}, np.eye(4, dtype=np.float32)[np.arange(8) % 4]


@pytest.fixture
def eager():
    """Run networks without graphs, which take longer to build than a few small steps take."""
    import tensorflow as tf

    warnings.filterwarnings("ignore", "Even though the `tf.config.experimental_run_functions_eagerly`")  # of tf.data
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def disk(tmp_path):
    """A small file system, and a function that changes its size in bytes."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(size, *options):
        where = ["-t", "tmpfs", "-o", ",".join([*options, f"size={size // 4096 * 4096}"]), "tmpfs", place]
        return subprocess.run(["mount", *where], capture_output=True).returncode

    if not shutil.which("mount") or mount(1 << 20):
        pytest.skip("needs the permission to mount a file system")
    place.chmod(0o755)
    yield place, lambda size: mount(size, "remount")
    subprocess.run(["umount", place], check=True)


@pytest.fixture
def put(tmp_path):
    """Writes a JSON file below `tmp_path` and gives its path."""

    def put(values, name="c.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(values if isinstance(values, str) else json.dumps(values))
        return path

    return put


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """The detection demo: one film to train and two to validate, of three key frames each."""
    from slowfast_tf.data.datasets.synthetic import people

    root = tmp_path_factory.mktemp("films") / "demo"
    people.make(root, train=1, validation=2, key_frames=3)
    return root


@pytest.fixture(scope="session")
def configure_detection(films):
    """Makes a `slowfast_tf.config.Config` of the detection demo on `films` and overrides."""
    from slowfast_tf import config

    return lambda *overrides: config.load(DEMO, [f"data.root={films}", *SMALL, *overrides])


@pytest.fixture(scope="session")
def detection_model(configure_detection):
    """An untrained detection network whose weights are random everywhere."""
    from slowfast_tf import SlowFast
    from slowfast_tf.data import Clips

    spec = Clips(configure_detection(), "val").spec
    model, random = SlowFast(spec), np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 1.5, w.shape) if w.ndim < 2 else w for w in model.get_weights()])
    # Logits of mean 0 and deviation 1 for each class.
    random = np.random.default_rng(2)
    inputs = [clip_inputs(spec, 48, 48, random.uniform(0, 0.5, (1, 20, 4)) + [0, 0, 0.5, 0.5]) for _ in range(4)]
    logits = np.concatenate([model(x)[0] for x in inputs])
    kernel, bias = model.get_layer("head").get_weights()
    deviation = logits.std(0)
    model.get_layer("head").set_weights([kernel / deviation, (bias - logits.mean(0)) / deviation])
    return model


@pytest.fixture(scope="session")
def tested_detection(detection_model, configure_detection, tmp_path_factory):
    """Figures and files of a test of `detection_model`: their directory, the figures, the scores."""
    from slowfast_tf.data import Clips
    from slowfast_tf.evaluation.run import Outputs, evaluate

    folder = tmp_path_factory.mktemp("tested")
    files = {"metrics": "figures.json", "report": "report.html", "scores": "scores.npz", "detections": "detections.csv"}
    clips = Clips(configure_detection(), "val")
    outputs = Outputs(**{name: folder / file for name, file in files.items()})
    figures, found = evaluate(detection_model, clips, outputs=outputs)
    return folder, figures, found


@pytest.fixture
def run_predict(capfd):
    """Runs `slowfast_tf.predict` in this process: exit code, lines out, lines of error."""

    from slowfast_tf import predict, runtime

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            runtime.run(lambda: predict.main([str(a) for a in arguments]), predict.ADVICE)
        out, error = capfd.readouterr()
        return end.value.code, out.splitlines(), error.splitlines()

    return run
