"""The files for Slurm and Kubernetes give the metrics of one process, with their own commands and a small network."""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import time

import pytest

from slowfast_tf import SlowFast, evaluate
from slowfast_tf.models.views import Views

ROOT = pathlib.Path(__file__).parents[2]
FILES = ROOT / "docs/multi_machine"
CONFIG = "kinetics400/slowfast_8x8_r50"  # a file of this name takes precedence over the shipped configuration
pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")]
# Starts the tasks of a step. In the first step, the node of task 1 is lost.
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
for task in $(seq 0 $((SLURM_NTASKS - 1))); do
    [ $task != 1 ] || [ -e first_step ] && SLURM_PROCID=$task "$@" &
    tasks+=" $!"
done
for task in $tasks; do wait $task || code=1; done
touch first_step
exit $code
"""


@pytest.fixture(scope="module")
def machine(values, model, tmp_path_factory):
    """The directory in which the commands of the files run, and the environment variables of a machine."""
    place = tmp_path_factory.mktemp("machine")
    (place / CONFIG).parent.mkdir(parents=True)
    (place / CONFIG).write_text(json.dumps(values))
    trained = SlowFast(model.spec, views=Views(2, 3))
    trained.set_weights(model.get_weights())
    for run in ("slowfast", "kinetics400_slowfast_8x8_r50"):  # where the files for training put the model
        (place / "runs" / run).mkdir(parents=True)
        trained.save(place / "runs" / run / "model.keras")
    programs = pathlib.Path(sys.executable).parent
    (place / ".venv/bin").mkdir(parents=True)
    (place / ".venv/bin/activate").write_text(f'PATH="{programs}:$PATH"\n')
    (place / "bin").mkdir()
    (place / "bin/srun").write_text(SRUN)
    (place / "bin/srun").chmod(0o755)
    path = f"{place / 'bin'}:{programs}:{os.environ['PATH']}"
    return place, {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "-1"}


@pytest.fixture(scope="module")
def expected(machine):
    """The metrics of one process."""
    place, _ = machine
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        evaluate.main(["--config", CONFIG, "--checkpoint", "runs/slowfast", "--output", "metrics.json"])
    return json.loads((place / "metrics.json").read_text())


def test_slurm(machine, expected):
    place, variables = machine
    text = (FILES / "slurm_evaluate.sh").read_text()
    name = re.search(r"#SBATCH --job-name=(.*)", text)[1]
    words = shlex.split(re.search(r"# sbatch ((?:.*\\\n#)*.*)", text)[1].replace("\\\n#", ""))
    variables = {**variables, "SLURM_JOB_NAME": name, "SLURM_JOB_ID": "7", "SLURM_NTASKS": "2"}

    def submit(words):
        command = ["bash", str(ROOT / words[0]), *words[1:]]
        return subprocess.run(command, capture_output=True, text=True, env=variables, cwd=place, timeout=900)

    done = submit(words)
    assert done.returncode == 0, done.stderr
    folder = place / "runs" / f"{name}_7"
    assert json.loads((folder / "metrics.json").read_text()) == expected
    assert sorted(os.listdir(folder)) == ["metrics.json", "part0.npz", "part1.npz", "report.html"]
    # The second step tested part 1 only.
    assert sorted(re.findall(r'"part": "(.*)"', done.stdout)) == ["0/2", "1/2"]
    # After a requeue, nothing is tested again.
    done = submit(words)
    assert done.returncode == 0 and '"part"' not in done.stdout, done.stderr

    variables["SLURM_JOB_ID"] = "8"
    done = submit([*words[:-1], "runs/missing"])
    assert done.returncode == 2 and "runs/missing" in done.stderr
    assert re.search("cannot read the scores .*part0.npz: No such file", done.stderr.splitlines()[-1])


def test_kubernetes(machine, expected):
    """Pod 0 waits for pod 1."""
    yaml = pytest.importorskip("yaml")
    place, variables = machine
    job = yaml.safe_load((FILES / "kubernetes_evaluate.yaml").read_text())
    container = job["spec"]["template"]["spec"]["containers"][0]
    given = {item["name"]: item.get("value") for item in container["env"]}
    assert int(given["PARTS"]) == job["spec"]["completions"] == job["spec"]["parallelism"]
    variables = {**variables, "PARTS": "2", "JOB": f"{job['metadata']['generateName']}x7k2p"}

    def start(index):
        command = [*container["command"], *container["args"]]
        return subprocess.Popen(
            command, env={**variables, "JOB_COMPLETION_INDEX": str(index)}, cwd=place, stdout=subprocess.PIPE, text=True
        )

    folder = place / "runs" / variables["JOB"]
    pods = [start(0)]
    try:
        while not (folder / "part0.npz").exists():
            assert pods[0].poll() is None
            time.sleep(0.1)
        pods.append(start(1))
        said = [pod.communicate(timeout=900)[0] for pod in pods]
    finally:
        for pod in pods:
            pod.kill()
    assert [pod.returncode for pod in pods] == [0, 0]
    assert json.loads(said[1])["part"] == "1/2"
    assert json.loads((folder / "metrics.json").read_text()) == expected
    assert (folder / "report.html").exists()
