"""Where clips come from: video files, folders of images and records.

Each source gives the clips of a training run, or those of a test in order. A clip is a dictionary of tensors: "id";
"frames", uint8 `[K, F, H, W, 3]` or JPEG images, string `[K, F]`; "flow", images for `flow.decode`, string `[K, F]`,
where it was asked for; "spans", when each of the K clips of the video begins and ends, float32 `[K, 2]`, in seconds;
and "labels", "starts", "ends", "boxes", "box_labels" and "box_scores" as `records.parse` has them.
"""

import atexit
import contextlib
import gc
import logging
import os
import zlib

import numpy as np
import tensorflow as tf

from ..errors import InputError, RunError, VideoError
from ..files import remote
from ..video.decode import read_frames, reduction
from ..video.log import log_damage, log_once
from ..video.probe import is_sane
from . import transforms
from .records import format as records
from .records.shards import read_index
from .reference import resolve

AT_ONCE = 16  # of a tf.data service, shards; of remote records, clips, most of whose time is waiting
SHUFFLED_CLIPS = 256
_SIGNATURE = {
    "spans": tf.TensorSpec([None, 2], tf.float32),
    "labels": tf.TensorSpec([None], tf.int64),
    "starts": tf.TensorSpec([None], tf.float32),
    "ends": tf.TensorSpec([None], tf.float32),
    "boxes": tf.TensorSpec([None, 4], tf.float32),
    "box_labels": tf.TensorSpec([None, None], tf.int64),
    "box_scores": tf.TensorSpec([None], tf.float32),
}
_log = logging.getLogger("slowfast_tf")


@atexit.register
def _end_iterators():
    """Ends the iterators that are still held at exit: one that lives until Python shuts down waits forever for
    Python code of its own."""
    for thing in gc.get_objects():
        if issubclass(type(thing), (tf.data.Iterator, tf.distribute.DistributedIterator)):
            vars(thing).clear()
    gc.collect()


class Source:
    """What files and records have in common: each video has a number and can be read alone.

    Args:
        names: of the videos.
        rate: frames a second that the network's stride counts; None for each video's own.
        at_once: clips to read side by side; None for as many as pay.

    Attributes:
        count: how many videos.
        skipped: for each video that cannot be read, why; grows while reading.
    """

    def __init__(self, names, rate, at_once=None):
        self._names, self.count, self._rate = names, len(names), rate
        self._at_once = at_once or tf.data.AUTOTUNE
        self.skipped = {}

    def size(self, shard):
        """Videos of a part of a test: its number, and how many parts there are."""
        return len(range(shard[0], self.count, shard[1]))

    def train(self, epochs, clips, shard, seed, sample, finish, done=0):
        """Clips of a training run. The seed and a clip's place in the run decide everything about it.

        Args:
            epochs: a dataset of the numbers of epochs.
            clips: of an epoch, that this part reads.
            part: its number and how many there are; parts share no video in an epoch.
            seed: of the order.
            sample: makes of a clip's number a `Sampling`.
            finish: makes of a clip and its number in this part what the dataset holds.
            done: clips of the first epoch to leave out.
        """
        number, parts = shard

        def read(position):
            epoch, i = position // clips, position % clips
            # Of a seed index_shuffle takes some bits alone: those of hashed ones differ.
            seeds = tf.stack([tf.constant(seed, tf.int64), epoch])
            seeds = tf.random.stateless_uniform([2], seeds, minval=None, maxval=None, dtype=tf.int32)
            index = tf.random.experimental.index_shuffle(i * parts + number, seeds, self.count - 1)
            return self._read(index, sample(position * parts + number), stand_in=True), position

        data = epochs.flat_map(lambda epoch: tf.data.Dataset.range(epoch * clips, (epoch + 1) * clips))
        data = data.skip(done).map(read, num_parallel_calls=self._at_once)
        return data.map(finish, num_parallel_calls=tf.data.AUTOTUNE)

    def test(self, sample, finish, shard=(0, 1), done=()):
        """What `finish` makes of the clips, which a `Sampling` tells, of every video that can be read, in order.

        Args:
            sample: a `Sampling`.
            finish: makes of a clip what the dataset holds.
            part: number of the part of the videos to read, and how many there are.
            done: ids of videos to leave out.
        """
        done = set(done)
        indices = [i for i in range(shard[0], self.count, shard[1]) if self._names[i] not in done]
        data = tf.data.Dataset.from_tensor_slices(np.array(indices, np.int64))
        data = data.map(lambda index: self._read(index, sample), num_parallel_calls=self._at_once)
        data = data.filter(lambda clip: tf.strings.length(clip["id"]) > 0)
        return data.map(finish, num_parallel_calls=tf.data.AUTOTUNE)

    def _read(self, index, sample, stand_in=False):
        """Clips of a video, or of the next readable one if `stand_in`, so that batches stay whole. No id: none."""
        decode = self._decoder(sample)

        def read(index, starts, rate_ratio):
            for i in range(int(index), int(index) + self.count):
                i %= self.count
                name = self._names[i]
                try:
                    if name not in self.skipped:
                        return name, *decode(i, starts, rate_ratio)
                except VideoError as error:
                    self.skipped[name] = str(error)
                    _log.warning("skipped: %s", error)
                if not stand_in:
                    break
            return "", *(np.zeros([n or 0 for n in x.shape], x.dtype.as_numpy_dtype) for x in values[1:])

        signature = {"id": tf.TensorSpec([], tf.string), **self._images(sample.spec.clip_frames), **_SIGNATURE}
        values = list(signature.values())
        starts, rate_ratio = (tf.convert_to_tensor(x, tf.float64) for x in (sample.starts, sample.rate_ratio))
        found = tf.py_function(read, [index, starts, rate_ratio], [value.dtype for value in values])
        clip = {name: tf.ensure_shape(x, value.shape) for (name, value), x in zip(signature.items(), found)}
        if stand_in:
            message = "none of the training videos can be read"
            with tf.control_dependencies([tf.debugging.assert_greater(tf.strings.length(clip["id"]), 0, message)]):
                clip["frames"] = tf.identity(clip["frames"])
        return clip

    # What a source of its own has to tell.

    def _images(self, count):
        """The signature of "frames" (and "flow") of clips of so many frames."""
        raise NotImplementedError

    def _decoder(self, sample):
        """A function of a video's number, and of starts and rate ratio in place of the sample's, that gives what a clip
        holds after its id, in the order of the signature; or raises a VideoError."""
        raise NotImplementedError


class Files(Source):
    """Video files, and folders of JPEG images.

    Args:
        videos: a tuple of `reference.Video`.
        rate: see `Source`.
        reader: what decodes files: "pyav" or "tensorflow_io".

    Raises:
        InputError: where the reader cannot be loaded.
    """

    decoder = staticmethod(read_frames)  # the benchmark puts others in its place

    def __init__(self, videos, rate, reader="pyav"):
        super().__init__([source.id or source.path for source in videos], rate)
        self.videos = videos
        if reader == "tensorflow_io":
            from ..video import tensorflow_io

            self.decoder = tensorflow_io.reader()

    def _images(self, count):
        return {"frames": tf.TensorSpec([None, count, None, None, 3], tf.uint8)}

    def _decoder(self, sample):
        scalar = tf.TensorSpec([], tf.float64)
        whole = tf.TensorSpec([], tf.int32)
        arguments = [tf.TensorSpec([None], tf.float64), scalar, whole, scalar, whole]

        @tf.function(input_signature=arguments, autograph=False)  # one after the other these take twice as long
        def indices(starts, rate_ratio, frames, rate, key):
            return sample._replace(starts=starts, rate_ratio=rate_ratio).indices(frames, rate, self._rate, key)

        indices = indices.get_concrete_function()  # TensorFlow warns of a new one for each dataset

        def decode(number, starts, rate_ratio):
            source = self.videos[number]
            there = resolve(source)
            for problem in there.problems:
                log_once(problem, problem)
            count = there.last - there.first
            taken = indices(starts, rate_ratio, count, there.rate, there.key).numpy() + there.first
            if there.images:
                frames = _read_images([there.images[i] for i in taken.ravel()], sample.short_side)
            else:
                frames = self.decoder(source.path, taken.ravel(), sample.short_side)
            spans = np.stack([there.times[taken[:, 0]], there.times[taken[:, -1]] + 1 / there.rate], 1)
            labels, starts, ends = zip(*there.labels) if there.labels else ((), (), ())
            width = max((len(box.labels) for box in source.boxes), default=0)
            box_labels = [(*box.labels, *[-1] * (width - len(box.labels))) for box in source.boxes]
            return (
                frames.reshape(*taken.shape, *frames.shape[1:]),
                spans,
                labels,
                starts,
                ends,
                np.reshape([box.corners for box in source.boxes], (len(source.boxes), 4)),
                np.reshape(box_labels, (len(box_labels), width)),
                [box.score for box in source.boxes],
            )

        return decode


class Records(Source):
    """What `slowfast_tf.prepare` wrote. Of each video only its head is read, and from the first image that
    its clips need to the last.

    Args:
        root: directory of the records.
        split: "train" or "val".
        rate: see `Source`.
        flow: whether to read optical flow.

    Raises:
        InputError: where there are no records, or none with optical flow.
    """

    def __init__(self, root, split, rate, flow=False):
        index = read_index(root)
        if flow and not index.flow:
            raise InputError(
                f"{root}: its records hold no optical flow, which model.fast_input flow needs; make others with"
                " --set prepare.flow=true"
            )
        self.labels, self.dataset, self._flow = index.labels, index.dataset, flow
        self._kinds = ("frames", "flow") if flow else ("frames",)
        shards = index.splits[split].shards
        self._paths = [f"{root}/{shard.file}" for shard in shards]
        self._heads = [(path, *head) for path, shard in zip(self._paths, shards) for _, *head in shard.records]
        names = [name for shard in shards for name, *_ in shard.records]
        super().__init__(names, rate, AT_ONCE if remote.is_remote(root) else None)

    def serve(self, shard, sample, finish):
        """Clips of one epoch for a tf.data service, whose workers share the shards: each time in another order. They
        run TensorFlow's own ops alone, which read whole records; what is damaged is left out, as their logs tell.

        Args:
            part: its number and how many there are; parts share no shard, unless these are fewer.
            sample, finish: see `train`.
        """
        if not all(map(remote.is_native, self._paths)):
            raise InputError(
                f"{self._paths[0]}: a tf.data service reads only where TensorFlow itself can; copy the records there"
            )

        def drawn():
            return tf.random.uniform([], maxval=tf.int64.max, dtype=tf.int64)

        def parse(record):
            clip = records.parse(record, self._flow)
            about, indices = self._sampled(clip, sample(drawn()))
            return {**about, **{name: tf.gather(clip[name], indices) for name in self._kinds}}

        def readable(path):
            """What TensorFlow cannot open it would try again forever below."""
            byte = tf.data.FixedLengthRecordDataset(path, 1, buffer_size=1).take(1)
            count = byte.reduce(0, lambda count, _: count + 1)
            with tf.control_dependencies([tf.debugging.Assert(count > 0, [path, "is empty"])]):
                return tf.identity(path)

        # Workers have a working directory of their own.
        paths = self._paths[shard[0] :: shard[1]] or self._paths
        paths = [path if remote.is_remote(path) else os.path.abspath(path) for path in paths]
        with _without_seed():
            shards = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths))
            shards = shards.map(readable).ignore_errors(log_warning=True)
            # A record is megabytes: a buffer only copies them once more, unless each access is a remote one.
            buffer = None if any(map(remote.is_remote, self._paths)) else 0
            data = shards.interleave(
                lambda path: tf.data.TFRecordDataset(path, buffer_size=buffer).ignore_errors(log_warning=True),
                AT_ONCE,
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            data = data.map(parse, tf.data.AUTOTUNE).ignore_errors(log_warning=True).shuffle(SHUFFLED_CLIPS)
            return data.map(lambda clip: finish(clip, drawn()), tf.data.AUTOTUNE).ignore_errors(log_warning=True)

    def _images(self, count):
        return {name: tf.TensorSpec([None, count], tf.string) for name in self._kinds}

    def _sampled(self, clip, sample):
        """What the head of a record tells of the clips of a sample but for images, and the indices of these."""
        times, key = clip["times"], clip["key_time"]
        key = tf.where(key < 0, -1, tf.argmin(tf.abs(times - key), output_type=tf.int32))
        indices = sample.indices(tf.size(times), clip["rate"], self._rate, key)
        spans = tf.stack([tf.gather(times, indices[:, 0]), tf.gather(times, indices[:, -1]) + 1 / clip["rate"]], 1)
        clip = {**clip, "spans": spans}
        return {name: clip[name] for name in ("id", *_SIGNATURE)}, indices

    def _decoder(self, sample):
        numbers = tf.float64
        arguments = [tf.TensorSpec([], tf.string), tf.TensorSpec([None], numbers), tf.TensorSpec([], numbers)]

        @tf.function(input_signature=arguments, autograph=False)
        def parse(head, starts, rate_ratio):
            clip = records.parse_head(head, self._flow)
            about, indices = self._sampled(clip, sample._replace(starts=starts, rate_ratio=rate_ratio))
            return [about[name] for name in _SIGNATURE], indices, [clip[name] for name in self._kinds]

        parse = parse.get_concrete_function()  # TensorFlow warns of a new one for each dataset

        def decode(number, starts, rate_ratio):
            path, start, size, checksum = self._heads[number]
            damaged = (
                f"{path}: the record of {self._names[number]} is damaged; remove that file and prepare the data again"
            )

            def read(start, size):
                try:
                    return remote.read_range(path, start, size)
                except (InputError, RunError) as error:
                    raise VideoError(str(error)) from error

            def whole(data, checksum):
                if zlib.crc32(data) != checksum:
                    raise VideoError(damaged)
                return data

            try:
                about, indices, tables = parse(whole(read(start, size), checksum), starts, rate_ratio)
            except tf.errors.OpError as error:
                raise VideoError(damaged) from error
            indices = indices.numpy()
            wanted = np.unique(indices)
            images = []
            for table in tables:
                rows = table.numpy()[wanted].tolist()
                first, end = rows[0][0], sum(rows[-1][:2])
                data = read(start + size + first, end - first)
                found = dict(zip(wanted, (whole(data[i - first : i - first + n], crc) for i, n, crc in rows)))
                images.append(np.array([found[i] for i in indices.ravel()], object).reshape(indices.shape))
            return *images, *about

        return decode


@contextlib.contextmanager
def _without_seed():
    """With the seed that a run sets, all workers of a service, and all epochs, would draw the same."""
    seed, _ = tf.compat.v1.get_seed(None)
    tf.random.set_seed(None)
    try:
        yield
    finally:
        tf.random.set_seed(seed)


def _read_images(paths, short_side=None):
    """JPEG images of a directory, uint8 `[N, H, W, 3]`, of the size of the first. Of damaged ones see `read_frames`.

    Args:
        paths: of the images.
        short_side: see `reduction`; libjpeg makes an image an eighth of its size at most.

    Raises:
        VideoError: where none can be decoded.
    """
    images, waiting, damaged = [], 0, 0
    for path in paths:
        try:
            data = tf.io.read_file(path)
            height, width, _ = tf.io.extract_jpeg_shape(data).numpy().tolist()
            if not is_sane(width, height):
                raise ValueError(f"{width} x {height} pixels")
            image = transforms.decode(data, min(reduction(height, width, short_side), 8)).numpy()
            if images and image.shape != images[0].shape:
                raise ValueError(f"{image.shape} among {images[0].shape}")
            images += [image] * (waiting + 1)
            waiting = 0
        except (tf.errors.OpError, ValueError):
            damaged += 1
            if images:
                images.append(images[-1])
            else:
                waiting += 1
    if not images:
        raise VideoError(f"{paths[0]}: cannot be decoded, nor can the {len(paths) - 1} others of a clip")
    log_damage(os.path.dirname(paths[0]), damaged, len(paths))
    return np.stack(images)
