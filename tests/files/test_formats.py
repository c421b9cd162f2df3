"""Files state their format, and a file of a newer package is refused with one line that says to upgrade."""

import json
import pathlib
import shutil
import zipfile

import keras
import pytest

import slowfast_tf
from slowfast_tf.checkpoints.names import read_spec
from slowfast_tf.data.records import read_index
from slowfast_tf.data.records.shards import RecordIndex
from slowfast_tf.errors import InputError
from slowfast_tf.files.formats import FORMAT

EARLIER = pathlib.Path(__file__).parents[1] / "earlier"
NEWER = "was written by a newer slowfast_tf, in format 99; this one reads formats up to 1: upgrade slowfast_tf"


@pytest.mark.legacy
def test_a_model(tmp_path):
    path, newer = tmp_path / "model.keras", tmp_path / "newer.keras"
    slowfast_tf.SlowFast("slowfast_2x16_demo", depth=10, width=2).save(path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(newer, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                assert config["config"]["preset"]["format"] == FORMAT
                config["config"]["preset"] |= {"format": 99, "memory": "a field that this package does not know"}
                content = json.dumps(config).encode()
            new.writestr(name, content)
    assert slowfast_tf.load(path).spec == read_spec(path)
    for load in (slowfast_tf.load, read_spec):
        with pytest.raises(InputError) as error:
            load(newer)
        assert str(error.value) == f"{newer}: the model {NEWER}"
    with pytest.raises(InputError, match=f"^the model {NEWER}$"):
        keras.models.load_model(newer)


def test_records(tmp_path):
    shutil.copytree(EARLIER / "records", tmp_path, dirs_exist_ok=True)
    index = read_index(str(tmp_path))  # states no format
    values = index.to_json()
    assert values["format"] == FORMAT and RecordIndex.from_json(values) == index
    (tmp_path / "index.json").write_text(json.dumps({"format": 99, "files": "as this package does not know them"}))
    with pytest.raises(InputError) as error:
        read_index(str(tmp_path))
    assert str(error.value) == f"{tmp_path}/index.json {NEWER}"
