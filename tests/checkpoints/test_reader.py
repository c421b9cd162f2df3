"""Damaged, hostile and other files."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers.golden import ROOT, torch

from slowfast_tf import checkpoints
from slowfast_tf.errors import InputError

# Hostile, damaged and other files.


class Call:
    """Pickles to a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.legacy
@pytest.mark.parametrize("end", [".pkl", ".pyth"])
@pytest.mark.parametrize("function, name", [(os.system, "system"), (eval, "eval"), (getattr, "getattr")])
def test_pickles_execute_nothing(function, name, end, tmp_path):
    mark = tmp_path / "ran"
    arguments = {"eval": (f"open({str(mark)!r}, 'w')",), "getattr": (str, "join")}
    bad = Call(function, *arguments.get(name, (f"echo > {mark}",)))
    path = tmp_path / f"bad{end}"
    with open(path, "wb") as file:
        pickle.dump({"blobs": {"conv1_w": bad}}, file, protocol=2)
    with pytest.raises(InputError, match=rf"asks to run \S*{name},.*nothing was run"):
        checkpoints.read_checkpoint(path)
    if torch is not None and end == ".pyth":
        for new in (True, False):
            torch.save({"model_state": {"s1": bad}}, path, _use_new_zipfile_serialization=new)
            with pytest.raises(InputError, match=rf"asks to run \S*{name},.*nothing was run"):
                checkpoints.read_checkpoint(path)
    assert not mark.exists()


@pytest.mark.legacy
def test_other_files(tmp_path, monkeypatch):
    path = tmp_path / "file.pkl"
    for content, message in (
        (b"", "not a readable"),
        (b"hello", "not a readable"),
        (pickle.dumps([1, 2]), "holds a list"),
        (
            pickle.dumps({"blobs": {"stem.weight": np.zeros(3)}}),
            "no SlowFast checkpoint of .*first parameters are stem",
        ),
        (pickle.dumps({}), "first parameters are none"),
        (pickle.dumps({"s1.pathway0_stem.conv.weight": np.zeros((64, 3, 7, 7))}), "not a video network"),
        (pickle.dumps({"a": np.array([b"x", 1.5, "é"], dtype=object)}), "no SlowFast checkpoint"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            checkpoints.read_checkpoint(path)
    if torch is not None:
        torch.save({"a": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:-600])
        with pytest.raises(InputError, match="not a readable"):
            checkpoints.read_checkpoint(path)
        torch.save({"a": torch.zeros(1000)}, path)
        monkeypatch.setitem(sys.modules, "torch", None)  # an import of it then fails
        with pytest.raises(InputError, match=r"needs PyTorch: pip install 'slowfast_tf\[convert\]'"):
            checkpoints.read_checkpoint(path)


@pytest.mark.legacy
def test_exit_status(tmp_path):
    with open(tmp_path / "bad.pkl", "wb") as file:
        pickle.dump({"blobs": Call(os.system, f"echo > {tmp_path / 'ran'}")}, file)
    command = [sys.executable, "-m", "slowfast_tf.convert", tmp_path / "bad.pkl", "--output", tmp_path / "model.keras"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ") and "system" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["bad.pkl"]
