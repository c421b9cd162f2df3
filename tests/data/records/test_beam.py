"""Preparing with Apache Beam: interrupted runs, other runners and wrong options."""

import dataclasses
import gc
import logging
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers.coded_video import write
from helpers.preparing import checksums, configuration

from slowfast_tf.data.records import beam
from slowfast_tf.data.records.prepare import prepare
from slowfast_tf.errors import RunError


@pytest.mark.slow
def test_interrupted_and_killed(tmp_path):
    """A run that is resumed after SIGINT and after SIGKILL writes the same bytes as an undisturbed run."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (8, 240, 320, 3)).astype(np.uint8)
    first = write(tmp_path / "first.mp4", [noise[i % 8] for i in range(60)], crf=30)
    for split in ("train", "val"):
        (tmp_path / "videos" / split / "all").mkdir(parents=True)
        for i in range(8):
            shutil.copy(first, tmp_path / "videos" / split / "all" / f"{i}.mp4")
    settings = configuration(tmp_path / "videos", shards=8)
    settings.save(tmp_path / "config.json")
    command = [sys.executable, "-m", "slowfast_tf.prepare", "--config", str(tmp_path / "config.json"), "--output"]

    def stop(number):
        """Send a signal once a new shard is written; return the exit code and standard error."""
        output = tmp_path / "stopped"
        before = len(list(output.glob("*.tfrecord")))
        process = subprocess.Popen([*command, str(output)], stderr=subprocess.PIPE, text=True)
        while len(list(output.glob("*.tfrecord"))) == before and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        errors = process.communicate()[1]
        assert not (output / "index.json").exists()
        return process.returncode, errors

    code, errors = stop(signal.SIGINT)
    assert code == 1
    assert errors.splitlines()[-1] == "error: interrupted; prepare again with the same settings to resume"
    code, _ = stop(signal.SIGKILL)
    assert code == -signal.SIGKILL
    done = {path.name: path.stat().st_ino for path in (tmp_path / "stopped").glob("*.tfrecord")}
    prepare(settings, str(tmp_path / "stopped"))
    prepare(settings, str(tmp_path / "undisturbed"))
    assert checksums(tmp_path / "stopped") == checksums(tmp_path / "undisturbed")
    assert sorted(os.listdir(tmp_path / "stopped")) == sorted(os.listdir(tmp_path / "undisturbed"))
    # Finished shards were not written again, except at most two (the last shards may have lacked their reports).
    kept = sum((tmp_path / "stopped" / name).stat().st_ino == inode for name, inode in done.items())
    assert kept >= len(done) - 2


@pytest.mark.slow
def test_on_another_runner(prepared, tmp_path, monkeypatch):
    """As on Flink and Spark, a job server receives the pipeline, and a worker pool starts the workers.

    The test uses Beam's own job server.
    """
    settings, _, output = prepared
    monkeypatch.setenv("PATH", f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # for the pool
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    commands = [
        ["portability.local_job_service_main", "--port_file", str(tmp_path / "port"), "--staging_dir", str(tmp_path)],
        ["worker.worker_pool_main", f"--service_port={port}"],
    ]
    servers = [subprocess.Popen([sys.executable, "-m", f"apache_beam.runners.{c[0]}", *c[1:]]) for c in commands]
    try:
        while not (tmp_path / "port").exists():
            assert servers[0].poll() is None
            time.sleep(0.1)
        options = ["--runner=PortableRunner", f"--job_endpoint=localhost:{(tmp_path / 'port').read_text()}"]
        options += ["--environment_type=EXTERNAL", f"--environment_config=localhost:{port}"]
        prepare(settings, str(tmp_path / "records"), beam_options=options)
        assert checksums(tmp_path / "records") == checksums(output)
    finally:
        for server in servers:
            server.terminate()
            server.wait(60)


@pytest.fixture
def cluster():
    """A Dask cluster with two worker processes, which restart when they are killed."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.CRITICAL}
    with distributed.LocalCluster(**options) as cluster:
        yield cluster


@pytest.mark.slow
def test_on_dask(prepared, tmp_path, cluster, capsys):
    """Two workers write the same bytes as this process, although one of them is killed; the bar counts all videos."""
    settings, _, output = prepared
    records = tmp_path / "records"
    options = ["--runner=DaskRunner", f"--dask_client_address={cluster.scheduler_address}"]

    def kill():
        while not list(records.glob("*.tfrecord")):
            time.sleep(0.01)
        os.kill(cluster.workers[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    prepare(settings, str(records), beam_options=options)
    killer.join()
    assert checksums(records) == checksums(output)
    said = capsys.readouterr().err
    assert "preparing: 100%" in said and "Discarding" not in said


@pytest.mark.slow
def test_an_error_of_a_task_on_dask(prepared, tmp_path, cluster):
    """The workers cannot find the videos."""
    settings, *_ = prepared
    options = ["--runner=DaskRunner", f"--dask_client_address={cluster.scheduler_address}"]
    run = beam.run

    def elsewhere(job, *arguments):
        run(dataclasses.replace(job, root=str(tmp_path / "nowhere")), *arguments)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(RunError) as raised:
        patched.setattr(beam, "run", elsewhere)
        prepare(settings, str(tmp_path / "records"), beam_options=options)
    assert re.fullmatch(r"the runner has failed: .*nowhere.*; prepare again with .* to resume", str(raised.value))


@pytest.mark.parametrize(
    "options, reason",
    [
        (["--runner=Flonk"], "Unexpected pipeline runner: Flonk. Valid"),
        (
            ["--runner=FnApiRunner", "--direct_num_workers=abc"],
            ".*argument --direct_num_workers: invalid int value: 'abc'",
        ),
    ],
)
def test_a_mistyped_runner(prepared, tmp_path, options, reason):
    settings, *_ = prepared
    (tmp_path / "config.json").write_text(settings.model_dump_json())
    command = [sys.executable, "-m", "slowfast_tf.prepare", "--config", str(tmp_path / "config.json")]
    done = subprocess.run([*command, "--output", str(tmp_path / "x"), *options], capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
    assert re.match(f"error: Apache Beam cannot take {' '.join(options)}: {reason}", line), line


def test_local_runs_leave_no_temporary_files(folder, tmp_path):
    """After a run, `_local_runs`, by which Beam's threads find the run, is empty."""
    prepare(configuration(folder, shards=2), str(tmp_path / "records"))
    gc.collect()
    assert not beam._local_runs
