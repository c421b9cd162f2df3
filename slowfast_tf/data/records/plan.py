"""Plan the preparation of a data set: the videos of each shard.

The plan depends only on the data set and the settings, so shards can be written in any order, on any machine, and more
than once.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import typing
from collections.abc import Mapping, Sequence

from ... import config
from ...errors import InputError, VideoError
from .. import datasets
from ..reference import Video
from .frames import Frames
from .output import PLAN, Output
from .shards import SPLITS, Contents, SourceDigest, contents_from_json

SHARD_BYTES = 150e6
MIN_SHARDS = 16  # so that several machines, or the cores of one machine, can share a small data set


@dataclasses.dataclass(frozen=True)
class SourceSplit:
    """A split of a data set in the order of its records: shuffled, but always in the same order.

    Attributes:
        videos: references to the videos, in this order.
        labels: class names.
        problems: one line for each entry of the data set's lists that was dropped.
        digest: digest of the split, which changes if the split changes.
    """

    videos: Sequence[Video]
    labels: tuple[str, ...]
    problems: tuple[str, ...]
    digest: SourceDigest

    def of_shard(self, number: int, shards: int) -> Sequence[Video]:
        """Return the videos of shard `number` of `shards`."""
        return self.videos[number::shards]


@dataclasses.dataclass(frozen=True)
class Plan(Contents):
    """Everything that determines the content of each shard.

    Attributes:
        dataset, labels, prepare, source: see `Contents`.
        shards: the number of shards of each split.
    """

    shards: Mapping[str, int]

    @classmethod
    def of(cls, contents: Contents, shards: Mapping[str, int]) -> "Plan":
        """Return the plan that divides the contents into shards."""
        return cls(contents.dataset, contents.labels, contents.prepare, contents.source, shards)

    @classmethod
    def from_json(cls, values: Mapping[str, typing.Any]) -> "Plan":
        """Return a plan from the value of `to_json`."""
        return cls(**contents_from_json(values), shards=values["shards"])

    def to_json(self) -> dict[str, typing.Any]:
        """Return the plan as a value for JSON."""
        return {**super().to_json(), "shards": dict(self.shards)}

    def all_shards(self) -> list[tuple[str, int]]:
        """Return (split, number) of every shard."""
        return [(split, number) for split, count in self.shards.items() for number in range(count)]

    def shard_name(self, split: str, number: int) -> str:
        """Return the name of a shard's file."""
        return f"{split}-{number:05d}-of-{self.shards[split]:05d}.tfrecord"


@dataclasses.dataclass(frozen=True)
class Job:
    """The arguments for all shards.

    Attributes:
        root: directory of the data set.
        output: directory of the records.
        settings: how videos are stored.
        plan: the content of each shard.
        plugins: names of modules to import before the work.
    """

    root: str
    output: str
    settings: config.Prepare
    plan: Plan
    plugins: tuple[str, ...] = ()


def load_source(dataset: str, root: str, split: str) -> SourceSplit:
    """Load a split of a data set in the order of its records.

    Args:
        dataset: name of the data set.
        root: directory of the data set.
        split: "train" or "val".

    Raises:
        InputError: if the data set is not found.
    """
    data = datasets.load_split(dataset, root, split)
    videos = [dataclasses.replace(video, path=relative_path(video.path, root)) for video in data.videos]
    digest = SourceDigest(len(videos), hashlib.sha256(repr((data.labels, videos)).encode()).hexdigest())
    keys = [hashlib.sha256((video.id or video.path).encode()).digest() for video in videos]
    videos = [data.videos[i] for i in sorted(range(len(keys)), key=keys.__getitem__)]
    return SourceSplit(videos, data.labels, data.problems, digest)


def relative_path(path: str, root: str) -> str:
    """Return a video's path as stored in records: relative to the data set, so that the data set may be moved."""
    inside = os.path.relpath(path, root)
    return path if inside.startswith("..") else inside.replace(os.sep, "/")


def shard_count(videos: Sequence[Video], settings: config.Prepare) -> int:
    """Return the number of shards of a split: `settings.shards`, or enough for about `SHARD_BYTES` per shard.

    The size is estimated from the middle frame of about eight videos.
    """
    if settings.shards:
        return min(settings.shards, len(videos))
    sizes = []
    for video in videos[:: math.ceil(len(videos) / 8)]:
        with contextlib.suppress(VideoError):
            frames = Frames(video, settings)
            sizes.append(len(frames) * len(frames.middle()[0]))
    total = len(videos) * sum(sizes) / max(len(sizes), 1)
    return min(max(math.ceil(total / SHARD_BYTES), MIN_SHARDS), len(videos))


def read_plan(output: Output) -> Plan | None:
    """Return the plan of unfinished work; None if there is no unfinished work."""
    return Plan.from_json(json.loads(output.read_text(PLAN))) if output.exists(PLAN) else None


def write_plan(output: Output, plan: Plan) -> None:
    """Write the plan of new work."""
    output.write(PLAN, json.dumps(plan.to_json()))


def check_same(output: str, ours: Contents, theirs: Contents) -> None:
    """Check that the contents of a directory, or of its unfinished work, are the expected ones.

    Args:
        output: the directory.
        ours: the expected contents.
        theirs: the contents of the directory.

    Raises:
        InputError: with the first difference.
    """
    wanted, found = ({"dataset": contents.dataset, **contents.prepare} for contents in (ours, theirs))
    for name, value in wanted.items():
        if found.get(name) != value:
            change = f"{name}: {json.dumps(found.get(name))} there, {json.dumps(value)} here"
            raise InputError(f"{output} holds records of other settings ({change})", "output")
    for split in SPLITS:
        here, there = ours.source.get(split), theirs.source.get(split)
        if here != there or ours.labels != theirs.labels:
            videos = [source.videos if source else 0 for source in (there, here)]
            change = f"{videos[0]} there, {videos[1]} here, or other labels"
            raise InputError(f"{output} holds records of another list of {split} videos ({change})", "output")
