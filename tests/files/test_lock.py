"""Only one process has a lock. Another process waits, or gets an error that names the owner."""

import os
import platform
import subprocess
import sys
import threading

import pytest
from helpers.processes import AS_COMMAND

from slowfast_tf.errors import InputError
from slowfast_tf.files.lock import hold

pytest.importorskip("fcntl")


def test_the_process_with_the_lock_is_named(tmp_path):
    path = tmp_path / "runs" / "demo" / ".lock"
    with hold(path, wait=False):
        holder = f"{path.parent} is in use by process {os.getpid()} on {platform.node()}; wait until it ends"
        for _ in range(2):  # a refused process does not erase the name
            with pytest.raises(InputError, match=f"^{holder}"), hold(path, wait=False):
                pass
    assert not (tmp_path / "runs").exists()
    with hold(path, wait=False):
        (path.parent / "result").touch()
    assert os.listdir(path.parent) == ["result"]


def test_waiting(tmp_path):
    order, entered = [], threading.Event()

    def second():
        entered.set()
        with hold(tmp_path / "lock"):
            order.append(2)

    thread = threading.Thread(target=second)
    with hold(tmp_path / "lock"):
        thread.start()
        entered.wait()
        thread.join(0.2)
        order.append(1)
    thread.join(60)
    assert order == [1, 2] and not os.listdir(tmp_path)


def test_a_killed_process_releases_its_lock(tmp_path):
    code = (
        "import pathlib, sys, time\nfrom slowfast_tf.files.lock import hold\n"
        "with hold(pathlib.Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)\n"
    )
    path = tmp_path / "lock"
    process = subprocess.Popen([sys.executable, "-c", AS_COMMAND + code, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(InputError, match=f"process {process.pid} on "), hold(path, wait=False):
        pass
    process.kill()
    process.communicate()
    assert path.exists()
    with hold(path, wait=False):
        assert path.read_text() == f"process {os.getpid()} on {platform.node()}\n"
    assert not path.exists()
