"""Pickles are read without running code in them."""

import os
import pickle

import numpy as np
import pytest

from slowfast_tf.errors import InputError
from slowfast_tf.files.unpickle import read_pickle


class Code:
    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_arrays_and_plain_values(tmp_path, protocol):
    values = {"blobs": {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}, "lr": np.float32(0.5), "names": ["a", None]}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(values, protocol))
    found = read_pickle(tmp_path / "a.pkl", "checkpoint")
    assert np.array_equal(found["blobs"]["w"], values["blobs"]["w"])
    assert (found["lr"], found["names"]) == (0.5, ["a", None])


def test_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"blobs": Code()}))
    with pytest.raises(InputError, match="asks to run .*mkdir.*nothing was run"):
        read_pickle("a.pkl", "checkpoint")
    assert not (tmp_path / "ran").exists()


def test_damage_is_named(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(list(range(1000)))[:100])
    with pytest.raises(InputError, match="a.pkl is not a readable checkpoint .*download it again"):
        read_pickle(tmp_path / "a.pkl", "checkpoint")
