"""Several devices and several machines give the results of one device."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
from helpers.processes import QUICK_START
from helpers.training import compare, train_section

import slowfast_tf
from slowfast_tf import config
from slowfast_tf.data import Clips
from slowfast_tf.data.datasets.synthetic import shapes as demo
from slowfast_tf.errors import InputError
from slowfast_tf.models.slowfast import load_model
from slowfast_tf.training import strategies
from slowfast_tf.training.history import read_history

ROOT = pathlib.Path(__file__).parents[2]
# One pathway; tests/benchmarks/test_scaling.py has two workers train both.
TINY = [
    'model.pathways=["slow"]',
    "model.depth=10",
    "model.width=8",
    "model.dropout=0.0",
    "train.batch_size=8",
    "train.warmup_epochs=1",
    "test.clips=1",
    "export=[]",
]
TOGETHER = ["train.epochs=2", "train.synchronize_batchnorm=true"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "demo"
    demo.make(root, train=24, validation=9, seed=3)
    return root


def words(videos, workdir, *more):
    overrides = [*TINY, f"data.root={videos}", *more]
    return [
        *("--config", str(ROOT / "configs/demo.json"), "--workdir", str(workdir)),
        *(word for override in overrides for word in ("--set", override)),
    ]


WORKER = str(ROOT / "tests/helpers/worker.py")


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Pair:
    """Two workers of a cluster on this machine, which write `NUMBER.log` and their notes in a directory."""

    def __init__(self, place, *arguments):
        """`arguments`: of both workers, or of each."""
        self.place, self.ports = place, free_ports(2)
        self.arguments = [arguments[0], arguments[-1]]
        self.processes = [None, None]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def start(self, number, place=ROOT, **variables):
        cluster = {"worker": [f"127.0.0.1:{port}" for port in self.ports]}
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", **variables}
        environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": number}})
        command = [sys.executable, WORKER, str(self.place / str(number)), *self.arguments[number]]
        with open(self.place / f"{number}.log", "a") as file:
            self.processes[number] = subprocess.Popen(
                command, env=environment, cwd=place, stdout=file, stderr=subprocess.STDOUT
            )

    def log(self, number):
        return (self.place / f"{number}.log").read_text()

    def lines(self, number, begin):
        return [line for line in self.log(number).splitlines() if line.startswith(begin)]

    def assert_ends(self, first, second):
        """Wait for both, and compare their exit codes."""
        codes = [process.wait(600) for process in self.processes]
        assert codes == [first, second], self.log(0)[-3000:] + self.log(1)[-3000:]
        assert "Traceback" not in self.log(0) + self.log(1)


@pytest.fixture(scope="module")
def undisturbed(videos, tmp_path_factory):
    """The directory of two workers that trained undisturbed; their work directory is `run`."""
    place = tmp_path_factory.mktemp("two")
    with Pair(place, words(videos, place / "run", *TOGETHER)) as pair:
        pair.start(0)
        pair.start(1)
        pair.assert_ends(0, 0)
    return place


def weights(path):
    return load_model(path).get_weights()


def test_two_workers_end_with_equal_weights(undisturbed):
    first, second = (dict(np.load(undisturbed / f"{i}.npz")) for i in range(2))
    reads = [int(noted.pop("reads")) for noted in (first, second)]
    assert len(first) > 80
    compare(first.values(), second.values(), rtol=0)
    compare(first.values(), weights(undisturbed / "run/checkpoints/epoch_0002.keras"), rtol=0)
    assert reads == [2 * 5, 2 * 4], "in each epoch, each worker reads its part of the 9 validation videos"
    assert json.loads((undisturbed / "run/metrics.json").read_text())["videos"] == 9
    assert not list((undisturbed / "run").rglob(".*")), "temporary files are left"


def test_two_workers_validate_as_one(undisturbed):
    """One worker has 5 videos, in two batches, and the other one has 4, in one batch."""
    row = read_history(undisturbed / "run")[-1]
    model = load_model(undisturbed / "run/checkpoints/epoch_0002.keras", compile=True)
    clips = Clips(config.load(undisturbed / "run/config.json"), "val")
    figures = model.evaluate(clips.validation(), return_dict=True, verbose=0)
    assert set(figures) == {"loss", "top1", "top5"}
    assert {name: row[f"val_{name}"] for name in figures} == pytest.approx(figures, rel=1e-5)


@pytest.mark.slow
def test_the_code_for_gpus(undisturbed, videos, tmp_path):
    """It computes pixels in the training step, and gives the same run. XLA, on by default on GPUs, is turned off."""
    with Pair(tmp_path, words(videos, tmp_path / "run", *TOGETHER)) as pair:
        for number in range(2):
            (tmp_path / f"{number}.txt").write_text("gpu")
            pair.start(number)
        pair.assert_ends(0, 0)
    for row, expected in zip(read_history(tmp_path / "run"), read_history(undisturbed / "run"), strict=True):
        assert [row[name] for name in ("loss", "val_loss")] == pytest.approx(
            [expected[name] for name in ("loss", "val_loss")], rel=1e-3
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "killed, where",
    [((1,), "2.1"), ((0,), "2.1"), ((0, 1), "2.1"), ((0,), "test")],
    ids=["worker", "chief", "both", "chief in the test"],
)
def test_killed_workers(undisturbed, videos, tmp_path, killed, where):
    """A survivor waits until the others are started again. All resume after the last epoch, and the run ends equally.

    Before its test, the chief has lost nobody, and needs nobody.
    """
    for number in killed:
        (tmp_path / f"{number}.txt").write_text(where)
    with Pair(tmp_path, words(videos, tmp_path / "run", *TOGETHER)) as pair:
        pair.start(0)
        pair.start(1)
        for number in killed:
            assert pair.processes[number].wait(600) == -signal.SIGKILL, pair.log(0)[-3000:] + pair.log(1)[-3000:]
            pair.start(number)
        pair.assert_ends(0, 0)
        for number in {0, 1}.difference(killed):
            assert len(pair.lines(number, "lost another worker (")) == (where != "test"), pair.log(number)
        resumed = pair.lines(0, "resuming after epoch ")
        assert [line[:27] for line in resumed] == [f"resuming after epoch {2 if where == 'test' else 1} of 2"]
    rows, expected = read_history(tmp_path / "run"), read_history(undisturbed / "run")
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [row["loss"] for row in rows] == pytest.approx([row["loss"] for row in expected], rel=1e-3)
    assert (tmp_path / "run/metrics.json").exists()
    final = "run/checkpoints/epoch_0002.keras"
    compare(weights(tmp_path / final), weights(undisturbed / final), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["configuration", "version", "data", "work directory"])
def test_a_worker_that_differs(videos, tmp_path, case):
    """It says in one line what differs, and the other one ends, too."""
    own, both, other, place = [], [], tmp_path / "run", ROOT
    if case == "configuration":
        own = ["train.epochs=3"]
        expected = "another configuration than on the chief (train.epochs: 2 on the chief, 3 here); start all"
    elif case == "version":
        (tmp_path / "1.txt").write_text("version 0.9.0")
        versions = f'slowfast_tf: "{slowfast_tf.__version__}" on the chief, "0.9.0" here'
        expected = f"another version than on the chief ({versions}); start all"
    elif case == "data":  # a relative path, in another directory
        root = os.path.relpath(videos, ROOT)
        both, place = ["data.dataset=folder", f"data.root={root}"], tmp_path
        expected = f"{root}/train: no such directory"
    else:
        (tmp_path / "run/checkpoints").mkdir(parents=True)
        (tmp_path / "run/checkpoints/epoch_0001.keras").touch()
        overrides = [*TINY, f"data.root={videos}", *TOGETHER]
        config.load(ROOT / "configs/demo.json", overrides).save(tmp_path / "run/config.json")
        (tmp_path / "1.txt").write_text("wait 1")
        other = tmp_path / "other"
        expected = f"{other} has no checkpoint after epoch 1, from which another worker resumes; all workers need"
    first = words(videos, tmp_path / "run", *TOGETHER, *both)
    with Pair(tmp_path, first, words(videos, other, *TOGETHER, *both, *own)) as pair:
        pair.start(0)
        pair.start(1, place)
        pair.assert_ends(1, 2)
        (there,), (here,) = (pair.lines(number, "error: ") for number in range(2))
        assert here.startswith(f"error: {expected}")
        assert there == f"error: worker 127.0.0.1:{pair.ports[1]} has ended: {here.removeprefix('error: ')}"


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1], ids=["chief", "worker"])
def test_a_full_disk(undisturbed, videos, disk, tmp_path, number):
    """The work directory of the chief, or the directory for temporary files of a worker, is full after an epoch."""
    place, resize = disk
    size = (undisturbed / "run/model.keras").stat().st_size
    resize(int((0.5, 2.5)[number == 0] * size))
    run = place / "run" if number == 0 else tmp_path / "run"
    variables = {} if number == 0 else {"TMPDIR": str(place)}
    with Pair(tmp_path, words(videos, run, *TOGETHER)) as pair:
        pair.start(1 - number)
        pair.start(number, **variables)
        assert pair.processes[number].wait(600) == 1, pair.log(0)[-3000:] + pair.log(1)[-3000:]
        (line,) = pair.lines(number, "error: ")
        assert line.startswith(f"error: cannot write {place}") and "the disk is full" in line
        resize(64 << 20)
        pair.start(number, **variables)
        pair.assert_ends(0, 0)
        assert len(pair.lines(1 - number, "lost another worker (")) == 1
    assert [row["epoch"] for row in read_history(run)] == [1, 2]


REPLICAS = """
import pathlib, sys
import numpy as np
import slowfast_tf
from slowfast_tf import config
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from slowfast_tf.training.run import build
from slowfast_tf.data import Clips
from slowfast_tf.training import strategies

two = strategies.from_environment()
assert two.num_replicas_in_sync == 2
one = tf.distribute.MirroredStrategy(["CPU:0"])
for name, strategy, synchronize in ("one", one, "true"), ("two", two, "true"), ("apart", two, "false"):
    settings = config.load(sys.argv[2], [*sys.argv[3:], f"train.synchronize_batchnorm={synchronize}"])
    keras.utils.set_random_seed(1)
    clips = Clips(settings, "train")
    with strategy.scope():
        model = build(settings, clips)
    phase = clips.phases[0]
    history = model.fit(strategies.training_data(strategy, clips, range(1), phase, 0), steps_per_epoch=1, verbose=0)
    # Of 4 + 2 clips one replica gets none of the second batch; of 3 the replicas get 2 and 1.
    tested = Clips(settings, "val").validation().unbatch()
    figures = [model.evaluate(tested.take(n).batch(4), verbose=0) for n in (6, 3)]
    np.savez(pathlib.Path(sys.argv[1]) / name, *model.get_weights(), loss=history.history["loss"], figures=figures)
"""


@pytest.mark.slow
def test_replicas_equal_one_device(videos, tmp_path):
    """With synchronized BatchNorm one step gives the same weights, statistics and metrics, to 1e-4; without,
    others."""
    overrides = [*TINY, f"data.root={videos}", "train.learning_rate=0.01"]
    process = subprocess.run(
        [sys.executable, "-c", QUICK_START + REPLICAS, str(tmp_path), str(ROOT / "configs/demo.json"), *overrides],
        capture_output=True,
        text=True,
        timeout=900,
        cwd=ROOT,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    one, two, apart = (np.load(tmp_path / f"{name}.npz") for name in ("one", "two", "apart"))

    def difference(some, others):
        return max(np.abs(some[name] - others[name]).max() for name in some.files)

    assert len(one.files) > 80
    assert difference(one, two) < 1e-4
    assert difference(one, apart) > 1e-2


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batch_size": 6}, "train.batch_size 6 cannot be divided among 4 devices; give a multiple of 4"),
        (
            {"gradient_accumulation": 2, "synchronize_batchnorm": True},
            "train.synchronize_batchnorm cannot be combined with train.gradient_accumulation on 4 devices; set"
            " synchronize_batchnorm to false or gradient_accumulation to 1",
        ),
    ],
)
def test_settings_that_need_one_device(changes, message):
    train = train_section(**changes)
    strategies.check_batch(types.SimpleNamespace(num_replicas_in_sync=1), train)
    with pytest.raises(InputError) as caught:
        strategies.check_batch(types.SimpleNamespace(num_replicas_in_sync=4), train)
    assert str(caught.value) == message


class WithoutServers:
    """A multi-worker strategy that knows its cluster but does not wait for the other workers."""

    def __init__(self, cluster_resolver=None):
        self.cluster_resolver = cluster_resolver or tf.distribute.cluster_resolver.TFConfigClusterResolver()


@pytest.fixture
def strategy_of(monkeypatch):
    """Returns the strategy of a run with the given environment variables."""
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", WithoutServers)

    def strategy_of(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return strategies.from_environment()

    return strategy_of


def test_slurm_assigns_each_task_its_part(strategy_of):
    """Two nodes, one with two tasks: the variables that srun sets."""
    slurm = {
        "NTASKS": "3",
        "STEP_NUM_TASKS": "3",
        "PROCID": "2",
        "STEP_NODELIST": "n[01-02]",
        "STEP_TASKS_PER_NODE": "2,1",
    }
    resolver = strategy_of(**{f"SLURM_{name}": value for name, value in slurm.items()}).cluster_resolver
    assert resolver.cluster_spec().as_dict()["worker"] == ["n01:8888", "n01:8889", "n02:8888"]
    assert resolver.task_id == 2


def test_sigterm_ends_a_run_that_has_joined(strategy_of, monkeypatch):
    """TensorFlow installs a handler while it joins the workers. The previous handler is restored afterwards."""

    class WithHandler(WithoutServers):
        def __init__(self, cluster_resolver):
            super().__init__(cluster_resolver)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", WithHandler)
    before = signal.getsignal(signal.SIGTERM)
    try:
        strategy_of(TF_CONFIG=as_task({"worker": ["a:1", "b:1"]}, ("worker", 0)))
        assert signal.getsignal(signal.SIGTERM) == before == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_kubernetes_pods_find_each_other():
    yaml = pytest.importorskip("yaml")
    service, job = yaml.safe_load_all((ROOT / "docs/multi_machine/kubernetes.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    variables = {item["name"]: item["value"] for item in container["env"]}
    assert int(variables["WORKERS"]) == job["spec"]["completions"] == job["spec"]["parallelism"]
    assert pod["subdomain"] == service["metadata"]["name"]
    script = container["args"][0].rsplit("exec ", 1)[0] + 'echo "$TF_CONFIG"'
    environment = {**os.environ, **variables, "JOB_COMPLETION_INDEX": "3"}
    said = subprocess.run([*container["command"], script], capture_output=True, text=True, env=environment, check=True)
    found = json.loads(said.stdout)
    assert found["cluster"]["worker"] == [f"slowfast-{i}.slowfast:2222" for i in range(4)]
    assert found["task"] == {"type": "worker", "index": 3}


def as_task(cluster, task):
    """TF_CONFIG of a task of a cluster."""
    return json.dumps({"cluster": cluster, "task": {"type": task[0], "index": task[1]}})


@pytest.mark.parametrize(
    "cluster, task, expected",
    [
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, ("chief", 0), (0, 3, True)),
        ({"chief": ["a:1"], "worker": ["b:1", "c:1"]}, ("worker", 0), (1, 3, False)),
        ({"chief": ["a:1"]}, ("chief", 0), (0, 1, True)),
        ({"worker": ["b:1", "c:1"]}, ("worker", 1), (1, 2, False)),
    ],
)
def test_the_chief_precedes_the_workers(strategy_of, cluster, task, expected):
    """As on Vertex AI. In a cluster without a chief, worker 0 writes the files."""
    found = strategy_of(TF_CONFIG=as_task(cluster, task))
    assert (*strategies.shard(found), strategies.is_chief(found)) == expected


@pytest.mark.parametrize(
    "task, message",
    [
        ({"type": "worker", "index": 2}, "counts the addresses of the job 'worker', from 0 to 1; got 2"),
        ({"type": "worker", "index": "a"}, 'from 0 to 1; got "a"'),
        ({"type": "worker"}, "from 0 to 1; got null"),
        ({"type": "chief", "index": 0}, "the task has the job 'chief', which the cluster does not have"),
    ],
)
def test_a_task_that_is_not_in_the_cluster(strategy_of, task, message):
    with pytest.raises(InputError, match=f"^TF_CONFIG: .*{message}"):
        strategy_of(TF_CONFIG=json.dumps({"cluster": {"worker": ["a:1", "b:1"]}, "task": task}))


def test_jobs_other_than_chief_and_worker_are_refused(strategy_of):
    with pytest.raises(InputError, match="^TF_CONFIG has the job 'evaluator'"):
        strategy_of(TF_CONFIG=as_task({"chief": ["a:1"], "worker": ["b:1"], "evaluator": ["c:1"]}, ("evaluator", 0)))
