"""Long computations resume after an interruption."""

import pytest

from slowfast_tf.errors import InputError
from slowfast_tf.files.journal import Journal


def test_resumes(tmp_path):
    path = tmp_path / "there" / "a.jsonl"
    with pytest.raises(KeyboardInterrupt), Journal(path, {"of": 1}) as journal:
        journal.add([1, 2.5])
        journal.add({"x": None})
        raise KeyboardInterrupt
    with open(path, "a") as file:
        file.write('{"x": ')  # cut off
    with pytest.raises(KeyboardInterrupt), Journal(path, {"of": 1}) as journal:
        assert journal.entries == [[1, 2.5], {"x": None}]
        journal.add(3)
        raise KeyboardInterrupt
    with Journal(path, {"of": 1}) as journal:
        assert journal.entries == [[1, 2.5], {"x": None}, 3]
    assert not path.exists()


def test_another_computation_starts_over(tmp_path):
    path = tmp_path / "a.jsonl"
    with pytest.raises(ValueError), Journal(path, {"of": 1}) as journal:
        journal.add(1)
        raise ValueError
    with Journal(path, {"of": 2}) as journal:
        assert journal.entries == []


def test_mistakes(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        Journal(tmp_path / "file" / "a.jsonl", {})
    (tmp_path / "a.jsonl").write_text("{}\nnot JSON\n")
    with pytest.raises(InputError, match="a.jsonl.*remove it"):
        Journal(tmp_path / "a.jsonl", {})
