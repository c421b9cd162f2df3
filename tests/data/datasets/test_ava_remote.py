"""Annotations of records at an address."""

import fsspec
import pytest

from slowfast_tf.data.datasets.ava import annotation_files
from slowfast_tf.errors import InputError

FILES = {
    "ava_val_v2.2.csv": "a,0902,0.1,0.1,0.2,0.2,1,0\n",
    "ava_action_list_v2.2_for_activitynet_2019.pbtxt": 'item {\n  name: "run"\n  id: 1\n}\n',
    "ava_val_excluded_timestamps_v2.2.csv": "",
}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras"


def test_annotation_files_at_an_address(cache):
    for name, text in FILES.items():
        fsspec.filesystem("memory").pipe(f"/bucket/records/annotations/{name}", text.encode())
    found = annotation_files("memory://bucket/records")
    assert [path.name for path in found] == list(FILES)
    assert [path.read_text() for path in found] == list(FILES.values())
    assert all(path.is_relative_to(cache) for path in found)


def test_missing_annotation_files(cache):
    with pytest.raises(InputError, match=r"memory://bucket/none/annotations/ava_val_v2\.2\.csv: cannot be read"):
        annotation_files("memory://bucket/none")
