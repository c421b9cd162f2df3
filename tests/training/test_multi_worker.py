"""Several devices and several machines give the results of one device."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from helpers.processes import QUICK_START

from slowfast_tf.data.datasets.synthetic import shapes as demo
from slowfast_tf.errors import InputError
from slowfast_tf.training import strategies

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
TOGETHER = ["train.epochs=3", "train.synchronize_batchnorm=true"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "demo"
    demo.make(root, train=24, validation=8, seed=3)
    return root


def words(videos, workdir, *more):
    overrides = [*TINY, f"data.root={videos}", *more]
    return [
        *("--config", str(ROOT / "configs/demo.json"), "--workdir", str(workdir)),
        *(word for override in overrides for word in ("--set", override)),
    ]


def start(number, ports, arguments, log, script=("-m", "slowfast_tf.train")):
    """A worker of a cluster on this machine."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": number}})
    with open(log, "a") as file:
        return subprocess.Popen(
            [sys.executable, *script, *arguments], env=environment, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT
        )


WORKER = str(ROOT / "tests/helpers/worker.py")


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def weights(path):
    import slowfast_tf

    return slowfast_tf.load(path).get_weights()


@pytest.fixture(scope="module")
def undisturbed(videos, tmp_path_factory):
    """The work directory of a run of two workers, and the final weights of each."""
    place = tmp_path_factory.mktemp("two")
    ports, arguments = free_ports(2), words(videos, place / "run", *TOGETHER)
    workers = [start(i, ports, [str(place / f"{i}.npz"), *arguments], place / f"{i}.log", [WORKER]) for i in range(2)]
    try:
        codes = [worker.wait(900) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert codes == [0, 0], (place / "0.log").read_text()[-3000:] + (place / "1.log").read_text()[-3000:]
    return place / "run", [list(np.load(place / f"{i}.npz").values()) for i in range(2)]


@pytest.mark.slow
def test_two_workers_end_with_equal_weights(undisturbed):
    workdir, (first, second) = undisturbed
    assert len(first) > 80
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(first, weights(workdir / "checkpoints/epoch_0003.keras")):
        np.testing.assert_array_equal(a, b)
    assert json.loads((workdir / "metrics.json").read_text())["videos"] == 8
    assert not list(workdir.rglob(".*")), "temporary files are left"


@pytest.mark.slow
def test_a_killed_worker_is_waited_for(undisturbed, videos, tmp_path):
    ports, arguments = free_ports(2), words(videos, tmp_path / "run", *TOGETHER)
    workers = [start(i, ports, arguments, tmp_path / f"{i}.log") for i in range(2)]
    try:
        deadline = time.time() + 900
        while not list((tmp_path / "run/checkpoints").glob("epoch_0001.keras")):
            assert time.time() < deadline and workers[0].poll() is None, (tmp_path / "0.log").read_text()[-3000:]
            time.sleep(0.2)
        workers[1].send_signal(signal.SIGKILL)
        workers[1].wait()
        workers[1] = start(1, ports, arguments, tmp_path / "1.log")
        codes = [worker.wait(900) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    log = (tmp_path / "0.log").read_text()
    assert codes == [0, 0], log[-3000:] + (tmp_path / "1.log").read_text()[-3000:]
    assert "lost another worker" in log and re.search(r"resuming after epoch [12] of 3", log), log[-3000:]
    for a, b in zip(weights(tmp_path / "run/checkpoints/epoch_0003.keras"), undisturbed[1][0]):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


REPLICAS = """
import pathlib, sys
import numpy as np
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


def test_jobs_other_than_chief_and_worker_are_refused(strategy_of):
    with pytest.raises(InputError, match="^TF_CONFIG has the job 'evaluator'"):
        strategy_of(TF_CONFIG=as_task({"chief": ["a:1"], "worker": ["b:1"], "evaluator": ["c:1"]}, ("evaluator", 0)))
