"""Prepare a data set once for fast reading: videos to TensorFlow records.

During the work, the directory `.prepare` of the output has the plan and the report of each finished shard. At the end
the reports become the index. TensorFlow and Beam are imported inside functions: a command calls `check_installed`
before it imports TensorFlow, which takes seconds.
"""

import contextlib
import csv
import dataclasses
import importlib.util
import io
import json
import os
import typing
from collections.abc import Iterator, Mapping, Sequence

from ... import config
from ...errors import InputError, RunError
from ...files import remote

if typing.TYPE_CHECKING:
    from ..reference import Video
    from .output import Output
    from .plan import Plan, SourceSplit
    from .shards import Contents, RecordIndex, Shard

# A row of `skipped.csv`: the split, the video's id and path (both empty for a problem of the lists), and the reason.
Row = tuple[str, str, str, str]


@dataclasses.dataclass(frozen=True)
class Report:
    """The result of `prepare`.

    Attributes:
        output: directory of the records.
        index: index of the records.
        restored: number of files that were rewritten in a finished directory; None if it was not finished before.
        omissions: rows of `skipped.csv`: split, id, path, reason. Empty if no file had to be written.
    """

    output: str
    index: "RecordIndex"
    restored: int | None
    omissions: tuple[Row, ...] = ()


def check_installed(settings: config.Prepare) -> None:
    """Check that the packages for preparing are installed.

    Raises:
        InputError: if a package is missing.
    """
    needed = ["apache_beam", "simplejpeg", *(["cv2"] if settings.flow else [])]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"preparing needs {' and '.join(missing)}: pip install 'slowfast_tf[prepare]'")


def prepare(
    settings: config.Config, output: str | os.PathLike, strict: bool = False, beam_options: Sequence[str] = ()
) -> Report:
    """Prepare a data set, or resume an unfinished preparation.

    Args:
        settings: section `data` names the data set; section `prepare` sets how videos are stored.
        output: the directory to write: shards, `index.json` (see `read_index`) and `skipped.csv`.
        strict: raise an error for a problem of the data set's lists.
        beam_options: Apache Beam's options, including "--runner=..."; empty to use all cores of this machine.

    Raises:
        InputError: if the data set is not found, if none of its videos can be read, or if `output` holds other files
            or is an address that TensorFlow cannot write.
        RunError: if a shard cannot be written; the message has the cause.

    Example:
        >>> report = prepare(config.load("charades"), "data/charades_256")
        >>> report.index.splits["train"].videos
        7811
    """
    from .. import datasets
    from .output import Output
    from .plan import Job, check_same, load_source
    from .shards import INDEX, SPLITS, Contents, read_index
    from .writing import read_report

    directory, root = Output(os.fspath(output)), settings.data.root
    if not remote.is_native(directory.root):
        raise InputError(
            f"{output}: TensorFlow cannot write there; give a local directory or an address such as gs://bucket/records"
        )
    splits = SPLITS[:1] if settings.data.fold else SPLITS
    source = {split: load_source(settings.data.dataset, root, split) for split in splits}
    if strict:
        for data in source.values():
            datasets.check(data.videos, data.problems, root)
    digests = {split: data.digest for split, data in source.items()}
    contents = Contents(settings.data.dataset, source["train"].labels, settings.prepare.model_dump(), digests)
    if directory.is_file():
        raise InputError(f"{output} is a file, not a directory", "output")

    restored = None
    if directory.exists(INDEX):
        index = read_index(directory.root)
        check_same(directory.root, contents, index)
        with _write_errors(directory):
            restored = _reopen(directory, index, contents, source, root)
        if not restored:
            return Report(directory.root, index, restored)

    plan = _resume_or_plan(directory, contents, source, settings.prepare)
    missing = [shard for shard in plan.all_shards() if read_report(directory, plan.shard_name(*shard)) is None]
    if missing:
        from . import beam

        job = Job(root, directory.root, settings.prepare, plan, tuple(settings.plugins))
        beam.run(job, source, missing, beam_options)
    with _write_errors(directory):
        index, omissions = _finish(directory, plan, source, root)
    return Report(directory.root, index, restored, omissions)


def _resume_or_plan(
    directory: "Output", contents: "Contents", source: Mapping[str, "SourceSplit"], settings: config.Prepare
) -> "Plan":
    """Return the plan of the unfinished work in a directory, or of new work.

    Raises:
        InputError: if the directory holds other files, or cannot be written.
    """
    import tensorflow as tf

    from .output import WORK, cause
    from .plan import Plan, check_same, read_plan, shard_count, write_plan

    there = read_plan(directory)
    if there is not None:
        check_same(directory.root, contents, there)
        return there
    try:
        if directory.holds_others():
            raise InputError(f"{directory.root} is not empty", "output")
        plan = Plan.of(contents, {split: shard_count(data.videos, settings) for split, data in source.items()})
        directory.make(WORK)
        write_plan(directory, plan)
    except (OSError, tf.errors.OpError) as error:
        raise InputError(f"cannot write {directory.root}: {cause(error)}; choose another output directory") from error
    return plan


def _reopen(
    directory: "Output", index: "RecordIndex", contents: "Contents", source: Mapping[str, "SourceSplit"], root: str
) -> int:
    """Turn a finished directory into unfinished work if files are missing or skipped videos have changed.

    Args:
        directory: directory of the records.
        index: index of the records.
        contents: contents of the records.
        source: the splits of the data set.
        root: directory of the data set.

    Returns:
        Number of files to write; if 0, the directory does not change.
    """
    from .output import WORK
    from .plan import Plan, write_plan
    from .shards import INDEX
    from .writing import write_report

    written = directory.index_time() + 1_000_000_000  # file systems may round to whole seconds
    names = ["skipped.csv", *_annotations(contents.dataset, root)]
    missing = sum(not directory.exists(name) for name in names)
    whole = []
    for split, content in index.splits.items():
        for number, shard in enumerate(content.shards):
            videos = source[split].of_shard(number, len(content.shards))
            if directory.is_whole(shard) and _is_current(shard, videos, root, written):
                whole.append(shard)
            else:
                missing += 1
    directory.remove_work()  # a run that stopped just before its end leaves this directory
    if missing:
        directory.make(WORK)
        for shard in whole:
            write_report(directory, shard)
        write_plan(directory, Plan.of(contents, {name: len(split.shards) for name, split in index.splits.items()}))
        directory.remove(INDEX)
    return missing


def _is_current(shard: "Shard", videos: Sequence["Video"], root: str, written: int) -> bool:
    """Return whether each video is stored or skipped, and none in `skipped.csv` has changed since the index."""
    from .plan import relative_path

    if shard.skipped is None:
        return True
    stored, listed = {head.id for head in shard.records}, {row.id for row in (*shard.skipped, *shard.left_out)}
    for video in videos:
        name = video.id or relative_path(video.path, root)
        if name in listed and _has_changed(video.path, written) or name not in listed | stored:
            return False
    return True


def _has_changed(path: str, since: int) -> bool:
    found = [os.lstat(path)]
    with contextlib.suppress(OSError):  # the path is a broken symbolic link
        found.append(os.stat(path))
    return max(status.st_ctime_ns for status in found) >= since  # a copy may keep the modification time of the original


def _finish(
    directory: "Output", plan: "Plan", source: Mapping[str, "SourceSplit"], root: str
) -> tuple["RecordIndex", tuple[Row, ...]]:
    """Write `skipped.csv`, the annotations and the index of finished shards, and remove the directory of the work.

    Raises:
        InputError: if no video of a split could be read.
    """
    from .shards import INDEX, RecordIndex, SplitIndex
    from .writing import read_report, remove_report

    splits, rows = {}, []
    for split, count in plan.shards.items():
        found = [read_report(directory, plan.shard_name(split, number)) for number in range(count)]
        shards = [shard for shard in found if shard is not None]
        if len(shards) < count:
            raise RunError(f"{directory.root}: a shard of {split} was removed meanwhile; prepare again to resume")
        skipped = [row for shard in shards for row in shard.skipped or ()]
        splits[split] = SplitIndex(tuple(shards), len(skipped))
        if not splits[split].videos:
            for shard in shards:  # so that the next run tries the videos again
                remove_report(directory, shard)
            raise InputError(f"none of the {len(skipped)} videos of {split} can be read: {skipped[0].reason}")
        # A problem of a film is listed once, not for each of its key frames.
        left_out = {(row.path, row.reason): row for shard in shards for row in shard.left_out}.values()
        rows += [(split, "", "", problem) for problem in source[split].problems]
        rows += [(split, *row) for row in (*left_out, *skipped)]
    # The detection metric uses all annotations, including those of videos without a record.
    for name, content in _annotations(plan.dataset, root).items():
        directory.make(os.path.dirname(name))
        directory.write(name, content)  # not gfile.copy, which creates a directory at the target for az://
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("split", "id", "path", "reason"), *rows])
    directory.write("skipped.csv", text.getvalue())
    index = RecordIndex(plan.dataset, plan.labels, plan.prepare, plan.source, splits)
    directory.write(INDEX, json.dumps(index.to_json()) + "\n")
    directory.remove_work()
    return index, tuple(rows)


def _annotations(dataset: str, root: str) -> dict[str, bytes]:
    """Return the contents of the data set's annotation files, by their path in the directory of the records."""
    from .. import datasets

    return {f"annotations/{name}": content for name, content in datasets.annotation_texts(dataset, root).items()}


@contextlib.contextmanager
def _write_errors(directory: "Output") -> Iterator[None]:
    """Turn a write error into a `RunError` with a message of one line."""
    import tensorflow as tf

    from .output import cause

    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        message = f"cannot write {directory.root}: {cause(error)}; prepare again with the same settings to resume"
        raise RunError(message) from error
