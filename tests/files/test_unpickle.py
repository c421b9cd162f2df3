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


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("dtype", ["?", "i1", ">i4", "<f8", ">f4", "f2", "c8", "S3", "U2"])
def test_arrays_of_each_type(tmp_path, dtype, protocol):
    array = np.asfortranarray(np.arange(6).reshape(2, 3).astype(dtype))
    values = [array, array[:0], array.T, (array[0, 0], {"shared": array})]
    values.append(values[3])
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(values, protocol))
    found = read_pickle(tmp_path / "a.pkl", "checkpoint")
    for one, other in zip([*found[:3], found[3][0], found[3][1]["shared"]], [*values[:3], array[0, 0], array]):
        assert one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other)
    assert found[4] is found[3] and found[0] is found[3][1]["shared"]


class Reduced:
    """Pickles to a call, and a state for its result."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def test_numbers_are_not_taken_for_addresses(tmp_path):
    """The type of the array says that it holds objects, and its state says that it does not: NumPy would crash."""
    create = np.zeros(1).__reduce__()[0]
    dtype = Reduced(np.dtype, ("O8", False, True), (3, "|", None, None, None, -1, -1, 0))
    array = Reduced(create, (np.ndarray, (0,), b"b"), (1, (1,), dtype, False, b"A" * 8))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"blobs": Reduced(list, (array,))}, 2))
    with pytest.raises(InputError, match="a.pkl is not a readable checkpoint"):
        read_pickle(tmp_path / "a.pkl", "checkpoint")


def test_an_array_of_a_wrong_size_is_refused(tmp_path):
    """An array without strides of its own cannot be larger than its file."""
    create, _, (_, _, dtype, _, raw) = np.zeros(8).__reduce__()
    array = Reduced(create, (np.ndarray, (0,), b"b"), (1, (2**40,), dtype, False, raw))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"blobs": array}, 2))
    with pytest.raises(InputError, match="a.pkl is not a readable checkpoint .*reshape"):
        read_pickle(tmp_path / "a.pkl", "checkpoint")


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
