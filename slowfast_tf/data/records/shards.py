"""The index of a directory of records: its shards, and the position of each video in them."""

import dataclasses
import json
import operator
import typing
from collections.abc import Mapping, Sequence

import tensorflow as tf

from ...errors import InputError
from ...files import remote
from ...files.formats import FORMAT, check_format
from .format import parse

INDEX = "index.json"
SPLITS = ("train", "val")


class RecordHead(typing.NamedTuple):
    """The position of a record's head in its shard; see `format.encode`.

    Attributes:
        id: id of the video, unique in its split.
        offset: position of the first byte of the head.
        size: size of the head in bytes.
        crc32: CRC-32 of the head.
        box_score: highest score of the boxes; 1 without boxes, or if an earlier version wrote the index.
    """

    id: str
    offset: int
    size: int
    crc32: int
    box_score: float = 1.0


class Omission(typing.NamedTuple):
    """A video, or a part of a video, that is not stored: a line of `skipped.csv`."""

    id: str
    path: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of records.

    Attributes:
        file: name of the file in the directory.
        videos: number of records.
        frames: number of frames.
        bytes: size of the file.
        records: position of each record.
        skipped: videos of this shard that cannot be read; None if the index is of an earlier version, which did not
            list them.
        left_out: labels and frames that are missing in the records of stored videos.
        sha256: checksum of the file.
    """

    file: str
    videos: int
    frames: int
    bytes: int
    records: tuple[RecordHead, ...] = dataclasses.field(repr=False)  # hundreds of thousands in a large data set
    skipped: tuple[Omission, ...] | None
    left_out: tuple[Omission, ...]
    sha256: str

    @classmethod
    def from_json(cls, values: Mapping[str, typing.Any]) -> "Shard":
        """Return a shard from the value of `to_json`.

        Raises:
            ValueError, KeyError, TypeError: if the value is damaged.
        """
        records = []
        for name, *numbers in values["records"]:
            offset, size, crc32 = map(operator.index, numbers[:3])
            if not (isinstance(name, str) and 0 <= offset and 0 <= size and offset + size <= values["bytes"]):
                raise ValueError(name)
            records.append(RecordHead(name, offset, size, crc32, *map(float, numbers[3:])))
        skipped = values.get("skipped")
        return cls(
            values["file"],
            values.get("videos", len(records)),
            values.get("frames", 0),
            values["bytes"],
            tuple(records),
            None if skipped is None else tuple(Omission(*row) for row in skipped),
            tuple(Omission(*row) for row in values.get("left_out", ())),
            values.get("sha256", ""),
        )

    def to_json(self) -> dict[str, typing.Any]:
        """Return the shard as a value for the index's JSON."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        # Earlier versions read only heads of four values, so a score of 1 is left out. Predicted boxes have lower
        # scores, so an earlier version cannot read "val" records with predicted boxes.
        records = [head if head.box_score < 1 else head[:4] for head in self.records]
        return {**values, "records": records, "skipped": self.skipped or ()}


@dataclasses.dataclass(frozen=True)
class SplitIndex:
    """A split of a directory of records.

    Attributes:
        shards: the files of the split.
        skipped: number of videos that could not be read.
    """

    shards: tuple[Shard, ...]
    skipped: int

    @property
    def videos(self) -> int:
        """Number of records."""
        return sum(shard.videos for shard in self.shards)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return sum(shard.frames for shard in self.shards)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(shard.bytes for shard in self.shards)

    @classmethod
    def from_json(cls, values: Mapping[str, typing.Any]) -> "SplitIndex":
        """Return a split from the value of `to_json`; see `Shard.from_json`."""
        return cls(tuple(map(Shard.from_json, values["shards"])), values.get("skipped", 0))

    def to_json(self) -> dict[str, typing.Any]:
        """Return the split as a value for the index's JSON."""
        sums = {name: getattr(self, name) for name in ("videos", "frames", "bytes", "skipped")}
        return {**sums, "shards": [shard.to_json() for shard in self.shards]}


@dataclasses.dataclass(frozen=True)
class SourceDigest:
    """A digest of a split of the data set: the number of its videos, and a SHA-256 of its lists."""

    videos: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Contents:
    """Everything that determines the content of records.

    Attributes:
        dataset: name of the data set.
        labels: class names.
        prepare: the settings of `config.Prepare`, by name.
        source: digest of each split.
    """

    dataset: str
    labels: tuple[str, ...]
    prepare: Mapping[str, typing.Any]
    source: Mapping[str, SourceDigest]

    def to_json(self) -> dict[str, typing.Any]:
        """Return the contents as a value for the JSON of the index and of the plan."""
        return {
            "dataset": self.dataset,
            "labels": list(self.labels),
            "prepare": dict(self.prepare),
            "source": {split: dataclasses.asdict(source) for split, source in self.source.items()},
        }


def contents_from_json(values: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Return the arguments of `Contents` from the JSON of the index or of the plan.

    Raises:
        ValueError, KeyError, TypeError: if the JSON is damaged.
    """
    source = {split: SourceDigest(about["videos"], about["sha256"]) for split, about in values["source"].items()}
    return {
        "dataset": values["dataset"],
        "labels": tuple(values["labels"]),
        "prepare": values["prepare"],
        "source": source,
    }


@dataclasses.dataclass(frozen=True)
class RecordIndex(Contents):
    """The index of a directory of records.

    Attributes:
        dataset, labels, prepare, source: see `Contents`.
        splits: splits by name, "train" and "val"; only "train" if `data.fold` divides it.
    """

    splits: Mapping[str, SplitIndex]

    @property
    def flow(self) -> bool:
        """Whether the records contain optical flow."""
        return self.prepare["flow"]

    @classmethod
    def from_json(cls, values: Mapping[str, typing.Any]) -> "RecordIndex":
        """Return an index from the value of `to_json` of this or an earlier version.

        Raises:
            ValueError, KeyError, TypeError: if the value is damaged.
        """
        values["prepare"]["flow"]  # the property `flow` needs it; a damaged index raises here
        splits = {name: SplitIndex.from_json(split) for name, split in values["splits"].items()}
        return cls(**contents_from_json(values), splits=splits)

    def to_json(self) -> dict[str, typing.Any]:
        """Return the index as a value for its JSON."""
        splits = {name: split.to_json() for name, split in self.splits.items()}
        return {"format": FORMAT, **super().to_json(), "splits": splits}


def read_index(root: str) -> RecordIndex:
    """Read the index of a directory of records.

    Args:
        root: the directory, local or remote.

    Raises:
        InputError: if the index is missing, damaged or from a newer version of the package.

    Example:
        >>> read_index("data/charades_256").splits["train"].videos
        7811
    """
    path = f"{root.rstrip('/')}/{INDEX}"  # at an address, "records//index.json" is another file
    advice = "prepare the data set with slowfast_tf.prepare, or give the directory that it wrote"
    try:
        local = path if remote.is_native(path) else str(remote.fetch_file(path))
        with tf.io.gfile.GFile(local) as file:
            values = json.loads(file.read())
        check_format(values.get("format", 0), path)
        return RecordIndex.from_json(values)
    except tf.errors.OpError as error:
        raise InputError(f"{root}: no prepared data there ({INDEX} cannot be read); {advice}") from error
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is not the index of prepared data; {advice}") from error


def read_records(root: str, split: str, flow: bool = False) -> tf.data.Dataset:
    """Return a `tf.data.Dataset` of all videos of a split, parsed, in the order of the shards.

    The dataset reads whole records with TensorFlow's own ops. To read clips, use `data.Clips`.

    Args:
        root: the directory, local or at an address that TensorFlow can open without fsspec.
        split: "train" or "val".
        flow: whether to return the optical flow as well.

    Returns:
        A dataset of the dictionaries of `format.parse`.

    Raises:
        InputError: if there is no index, if `flow` is set and the records contain no optical flow, or if TensorFlow
            cannot open the address.

    Example:
        >>> for video in read_records("data/charades_256", "val"):
        ...     print(video["id"].numpy(), len(video["frames"]))
    """
    index = read_index(root)
    if not remote.is_native(root):
        raise InputError(f"{root}: TensorFlow does not open this address; copy the records to a local directory")
    if flow and not index.flow:
        raise InputError(f"{root}: the records hold no optical flow; prepare the data set with prepare.flow=true")
    paths: Sequence[str] = [f"{root.rstrip('/')}/{shard.file}" for shard in index.splits[split].shards]
    return tf.data.TFRecordDataset(paths).map(lambda record: parse(record, flow))
