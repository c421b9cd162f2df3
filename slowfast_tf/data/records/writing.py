"""Write one shard: the unit of work of `prepare`."""

import contextlib
import dataclasses
import json
import threading
import typing
import zlib
from collections.abc import Sequence

import tensorflow as tf

from ...errors import VideoError
from ..reference import Video
from .format import encode
from .frames import Frames
from .output import WORK, Output, checksum
from .plan import Job, SourceSplit, relative_path
from .shards import Omission, RecordHead, Shard

MAX_BYTES = 2_000_000_000  # protocol buffers hold at most 2 GiB
# Bytes of a TFRecord's framing: length (8) and checksum of the length (4) before the record, its checksum (4) after it.
BEFORE, AFTER = 12, 4


class Stopped(Exception):
    """The user has interrupted the run, or another thread of the run has failed."""


class Control:
    """Report the progress of a shard's writer, and stop it.

    Args:
        update: function that is called after each video.
    """

    def __init__(self, update: typing.Callable[[], object] = lambda: None):
        self.update = update
        self.stop = threading.Event()

    def check(self) -> None:
        """Raise `Stopped` if the run should end."""
        if self.stop.is_set():
            raise Stopped


def write_shard(job: Job, data: SourceSplit, split: str, number: int, control: Control) -> None:
    """Write a shard (whole or not at all), then its report.

    Args:
        job: the arguments for all shards.
        data: the split of the data set.
        split: "train" or "val".
        number: number of the shard.
        control: reports progress and stops the writer.

    Raises:
        Stopped: if `control.stop` is set.
        OSError, tf.errors.OpError: if the shard cannot be written.
    """
    output, name = Output(job.output), job.plan.shard_name(split, number)
    temporary = output.temporary(name)
    writer = _Writer(job, data.labels, control)
    try:
        control.check()
        with tf.io.TFRecordWriter(temporary) as file:
            for video in data.of_shard(number, job.plan.shards[split]):
                writer.add(video, file)
        shard = writer.shard(name, checksum(temporary))
        output.commit(temporary, name)
        write_report(output, shard)
    except Exception:
        with contextlib.suppress(tf.errors.OpError):
            tf.io.gfile.remove(temporary)
        raise


def write_report(output: Output, shard: Shard) -> None:
    """Write the report of a finished shard: its entry in the index."""
    output.write(_report_name(shard.file), json.dumps(shard.to_json()))


def read_report(output: Output, name: str) -> Shard | None:
    """Return the report of a finished shard by file name; None if there is no report or the shard is incomplete."""
    if not output.exists(_report_name(name)):  # at az://, a missing file would be read as an empty file
        return None
    try:
        shard = Shard.from_json(json.loads(output.read_text(_report_name(name))))
    except tf.errors.NotFoundError:
        return None
    return shard if output.is_whole(shard) else None


def remove_report(output: Output, shard: Shard) -> None:
    """Remove the report of a shard, so that the shard is written again."""
    output.remove(_report_name(shard.file))


def _report_name(file: str) -> str:
    return f"{WORK}/{file}.json"


class _Writer:
    """Write the records of a shard and collect its report."""

    def __init__(self, job: Job, labels: Sequence[str], control: Control):
        self._job, self._labels, self._control = job, labels, control
        self._frames = self._bytes = 0
        self._records: list[RecordHead] = []
        self._skipped: list[Omission] = []
        self._left_out: list[Omission] = []

    def add(self, video: Video, file: tf.io.TFRecordWriter) -> None:
        """Write a video's record, or store the reason why the video cannot be read."""
        path = relative_path(video.path, self._job.root)
        name = video.id or path
        try:
            frames = Frames(video, self._job.settings)
            images, flows = self._images(video, frames)
        except VideoError as error:
            self._skipped.append(Omission(name, path, str(error)))
        else:
            self._left_out += [Omission(name, path, problem) for problem in frames.problems]
            video = dataclasses.replace(video, labels=frames.labels)
            head, rest = encode(
                video,
                self._labels,
                images,
                frames.times,
                frames.rate,
                frames.size,
                flows=flows if self._job.settings.flow else None,
                dataset=self._job.plan.dataset,
                path=path,
            )
            file.write(head + rest)
            self._records.append(RecordHead(name, self._bytes + BEFORE, len(head), zlib.crc32(head), video.box_score))
            self._bytes += BEFORE + len(head) + len(rest) + AFTER
            self._frames += len(images)
        self._control.update()

    def _images(self, video: Video, frames: Frames) -> tuple[list[bytes], list[bytes]]:
        """Return the images of a video and of its optical flow; without optical flow, the latter are None."""
        images, flows, size = [], [], 0
        for image, flow in frames:
            self._control.check()
            images.append(image)
            flows.append(flow)
            size += len(image) + len(flow or b"")
            if size > MAX_BYTES:
                raise VideoError(f"{video.path}: too long for a record of at most 2 GB; cut it into parts")
        return images, flows

    def shard(self, name: str, sha256: str) -> Shard:
        """Return the report of the shard."""
        return Shard(
            name,
            len(self._records),
            self._frames,
            self._bytes,
            records=tuple(self._records),
            skipped=tuple(self._skipped),
            left_out=tuple(self._left_out),
            sha256=sha256,
        )
