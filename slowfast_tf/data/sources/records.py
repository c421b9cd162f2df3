"""Read clips of the records that `slowfast_tf.data.records.prepare` writes."""

import functools
import typing
import zlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from ...errors import InputError, RunError, VideoError
from ...files import remote
from ..clips import Clip
from ..records import format
from ..records.shards import RecordHead, read_index
from ..sampling import Sampling
from .base import Reader, Source, clip_signature

AT_ONCE = 16  # parallel reads of remote records, which are mostly latency


class _Place(typing.NamedTuple):
    """The location of a video's record: the path of its shard, and its head in the shard."""

    path: str
    head: RecordHead


class Records(Source):
    """Records of videos. A read fetches only the head of a record, and the bytes from its first to its last image.

    Args:
        root: directory of the records, a local path or an address.
        split: "train" or "val".
        flow: whether to read optical flow.

    Attributes:
        labels: the class names.
        dataset: name of the original data set.

    Raises:
        InputError: if `root` has no records, or if `flow` is set and the records contain no optical flow.
    """

    def __init__(self, root: str, split: str, flow: bool = False):
        index = read_index(root)
        if split not in index.splits:
            raise InputError(
                f"{root}: its records have no split {split!r}; they are for cross-validation, so set data.fold"
            )
        if flow and not index.flow:
            raise InputError(
                f"{root}: its records hold no optical flow, which the network needs; prepare others with"
                " prepare.flow true"
            )
        shards = index.splits[split].shards
        self._paths = [f"{root.rstrip('/')}/{shard.file}" for shard in shards]
        self._places = [_Place(path, head) for path, shard in zip(self._paths, shards) for head in shard.records]
        heads = [place.head for place in self._places]
        at_once = AT_ONCE if remote.is_remote(root) else None
        super().__init__([head.id for head in heads], [head.box_score for head in heads], at_once)
        self.labels, self.dataset, self._flow = index.labels, index.dataset, flow

    def signature(self, frames: int) -> Clip:
        images = tf.TensorSpec([None, frames], tf.string)
        return clip_signature(images, images if self._flow else ())

    def classes(self) -> list[list[int]]:
        """Return the class indices of each video, from the head of every record.

        Raises:
            InputError: if a head is damaged.
        """
        found = []
        for number, place in enumerate(self._places):
            try:
                labels = format.parse_head(self._read_head(number), self._flow)["labels"].numpy()
            except (VideoError, tf.errors.OpError) as error:
                raise InputError(self._damaged(place)) from error
            found.append(sorted(set(labels.tolist())))
        return found

    def select(self, numbers: Sequence[int]) -> "Records":
        other = typing.cast(Records, super().select(numbers))
        other._places = [self._places[i] for i in numbers]
        return other

    def reader(self, sampling: Sampling) -> Reader:
        return functools.partial(self._read, self._head_parser(sampling))

    def _read_head(self, number: int) -> bytes:
        path, head = self._places[number]
        return _whole(_read_range(path, head.offset, head.size), head.crc32, self._damaged(self._places[number]))

    @staticmethod
    def _damaged(place: _Place) -> str:
        return f"{place.path}: the record of {place.head.id} is damaged; remove that file and prepare the data again"

    def _head_parser(self, sampling: Sampling) -> typing.Any:
        """Return a concrete function from (head, starts, rate ratio) to clips without images, indices, image tables."""
        numbers = tf.float64
        arguments = [tf.TensorSpec([], tf.string), tf.TensorSpec([None], numbers), tf.TensorSpec([], numbers)]

        @tf.function(input_signature=arguments, autograph=False)
        def parse(head: tf.Tensor, starts: tf.Tensor, rate_ratio: tf.Tensor) -> tuple:
            parsed = format.parse_head(head, self._flow)
            clip, indices = self._located(parsed, sampling._replace(starts=starts, rate_ratio=rate_ratio))
            return clip, indices, [parsed[kind] for kind in self._kinds]

        # A concrete function, because TensorFlow warns if each dataset creates a new `tf.function`.
        return parse.get_concrete_function()

    @property
    def _kinds(self) -> tuple[str, ...]:
        return ("frames", "flow") if self._flow else ("frames",)

    def _located(self, parsed: dict[str, tf.Tensor], sampling: Sampling) -> tuple[Clip, tf.Tensor]:
        """Return the clips of a parsed record without images, and the indices of their images, `[K, F]`."""
        times, key = parsed["times"], parsed["key_time"]
        key = tf.where(key < 0, -1, tf.argmin(tf.abs(times - key), output_type=tf.int32))
        indices = sampling.indices(tf.size(times), parsed["rate"], key)
        ends = tf.gather(times, indices[:, -1]) + 1 / parsed["rate"]
        clip = Clip(
            id=parsed["id"],
            frames=(),
            spans=tf.stack([tf.gather(times, indices[:, 0]), ends], 1),
            labels=parsed["labels"],
            starts=parsed["starts"],
            ends=parsed["ends"],
            boxes=parsed["boxes"],
            box_labels=parsed["box_labels"],
            box_scores=parsed["box_scores"],
        )
        return clip, indices

    def _read(self, parse: typing.Any, number: int, starts: np.ndarray, rate_ratio: float) -> Clip:
        path, head = self._places[number]
        damaged = self._damaged(self._places[number])
        try:
            clip, indices, tables = parse(tf.constant(self._read_head(number)), starts, rate_ratio)
        except tf.errors.OpError as error:
            raise VideoError(damaged) from error
        images = [
            _read_images(path, head.offset + head.size, table.numpy(), indices.numpy(), damaged) for table in tables
        ]
        return clip._replace(id=head.id, frames=images[0], flow=images[1] if self._flow else ())


def _read_range(path: str, start: int, size: int) -> bytes:
    try:
        return remote.read_range(path, start, size)
    except (InputError, RunError) as error:
        raise VideoError(str(error)) from error


def _whole(data: bytes, crc32: int, damaged: str) -> bytes:
    if zlib.crc32(data) != crc32:
        raise VideoError(damaged)
    return data


def _read_images(path: str, start: int, table: np.ndarray, indices: np.ndarray, damaged: str) -> np.ndarray:
    """Return the images of clips.

    Args:
        path: path of the shard.
        start: position of the first byte after the head of the record.
        table: offset after the head, size in bytes and CRC-32 of all images, int64 `[N, 3]`.
        indices: indices of the images to return, `[K, F]`.
        damaged: message for an image with a wrong checksum.

    Returns:
        JPEG images as bytes, object `[K, F]`.
    """
    wanted = np.unique(indices)
    rows = table[wanted].tolist()
    first, end = rows[0][0], sum(rows[-1][:2])
    data = _read_range(path, start + first, end - first)
    found = {
        index: _whole(data[offset - first : offset - first + size], crc32, damaged)
        for index, (offset, size, crc32) in zip(wanted, rows)
    }
    return np.array([found[index] for index in indices.ravel()], object).reshape(indices.shape)
