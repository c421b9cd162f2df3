"""The index of a directory of records, and reading all of it."""

import hashlib
import json
import zlib

import fsspec
import pytest
import tensorflow as tf
from helpers.coded_video import decode

from slowfast_tf.data import records, sources
from slowfast_tf.errors import InputError


def test_index(prepared):
    _, _, output = prepared
    index = json.loads((output / "index.json").read_text())
    assert index["labels"] == ["ant", "bee", "cat", "dog"]
    assert index["prepare"]["short_side"] == 32
    assert {name: index["splits"]["train"][name] for name in ("videos", "skipped")} == {"videos": 8, "skipped": 1}
    assert {name: index["splits"]["val"][name] for name in ("videos", "skipped")} == {"videos": 4, "skipped": 0}
    assert index["splits"]["val"]["frames"] == 2 * 34 + 2 * 37
    files = {"index.json", "skipped.csv"}
    for split in index["splits"].values():
        assert len(split["shards"]) == 3
        for shard in split["shards"]:
            data = (output / shard["file"]).read_bytes()
            assert shard["bytes"] == len(data)
            assert shard["sha256"] == hashlib.sha256(data).hexdigest()
            assert shard["videos"] == sum(1 for _ in tf.data.TFRecordDataset(str(output / shard["file"])))
            files.add(shard["file"])
            assert len(shard["records"]) == shard["videos"]
            for name, start, size, checksum in shard["records"]:
                head = data[start : start + size]
                assert tf.train.SequenceExample.FromString(head).context.feature["example/id"].bytes_list.value == [
                    name.encode()
                ]
                assert zlib.crc32(head) == checksum
        assert split["frames"] == sum(shard["frames"] for shard in split["shards"])
    assert {path.name for path in output.iterdir()} == files


def test_no_index(tmp_path):
    with pytest.raises(InputError, match="no prepared data there"):
        records.read_index(str(tmp_path))
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(InputError, match="is not the index of prepared data"):
        records.read_index(str(tmp_path))


@pytest.mark.parametrize(
    "damage",
    [
        lambda index, shard: index.pop("dataset"),
        lambda index, shard: shard.pop("file"),
        lambda index, shard: shard["records"][0].pop(),
        lambda index, shard: shard["records"][0].__setitem__(0, 7),
        lambda index, shard: shard["records"][0].__setitem__(1, "12"),
        lambda index, shard: shard["records"][0].__setitem__(1, 10**30),
        lambda index, shard: shard["records"][0].__setitem__(2, 10**12),
    ],
)
def test_a_damaged_index(prepared, tmp_path, damage):
    index = json.loads((prepared[2] / "index.json").read_text())
    damage(index, index["splits"]["train"]["shards"][0])
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="is not the index of prepared data"):
        records.read_index(str(tmp_path))


def test_read_index_returns_the_file_content(prepared):
    index = records.read_index(str(prepared[2]))
    there = json.loads((prepared[2] / "index.json").read_text())
    assert (list(index.labels), index.dataset, index.flow) == (there["labels"], "folder", True)
    for name, split in index.splits.items():
        expected = there["splits"][name]
        assert split.videos == expected["videos"] and split.frames == expected["frames"]
        assert split.bytes == expected["bytes"] and split.skipped == expected["skipped"]
        for shard, values in zip(split.shards, expected["shards"], strict=True):
            assert (shard.file, shard.sha256) == (values["file"], values["sha256"])
            found = [[head.id, head.offset, head.size, head.crc32] for head in shard.records]
            assert found == values["records"]
            assert [list(row) for row in shard.skipped] == values["skipped"]
    assert json.loads(json.dumps(index.to_json())) == there


def test_read_records(prepared, folder):
    """All videos of a split occur once, with the frames and images of flow of the files."""
    found = {
        video["id"].numpy().decode(): (len(video["frames"]), len(video["flow"]))
        for video in records.read_records(str(prepared[2]), "val", flow=True)
    }
    files = list((folder / "val").rglob("*.mp4"))
    assert found == {f"{path.parent.name}/{path.name}": (len(decode(path)),) * 2 for path in files}


@pytest.mark.parametrize("scheme", ["memory", "ram"])
def test_a_slash_after_the_address(prepared, tmp_path, monkeypatch, scheme):
    """At an address, "records//index.json" is another file than "records/index.json"."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    for path in prepared[2].iterdir():
        if scheme == "memory":
            fsspec.filesystem("memory").pipe(f"/slash/{path.name}", path.read_bytes())
        else:
            tf.io.gfile.copy(str(path), f"ram://slash/{path.name}", overwrite=True)
    there = f"{scheme}://slash/"
    assert records.read_index(there) == records.read_index(str(prepared[2]))
    assert sources.Records(there, "val").classes() == sources.Records(str(prepared[2]), "val").classes()
    if scheme == "ram":  # TensorFlow's own ops do not read from fsspec
        assert len(list(records.read_records(there, "val"))) == 4
