"""Where clips come from: video files and folders of images by their place in a list, or records as they come.

Each source gives the clips of a training run, or those of a test in order. A clip is a dictionary of tensors: "id";
"frames", uint8 `[K, F, H, W, 3]` or JPEG images, string `[K, F]`; "flow", images for `flow.decode`, string `[K, F]`,
where it was asked for; "spans", when each of the K clips of the video begins and ends, float32 `[K, 2]`, in seconds;
and "labels", "starts", "ends", "boxes", "box_labels" and "box_scores" as `records.parse` has them.
"""

import functools
import logging
import os

import numpy as np
import tensorflow as tf

from .. import remote
from ..cli import Failure, UserError
from . import records, transforms, video

SHARDS_AT_ONCE = 16
SHUFFLED_CLIPS = 256
_SIGNATURE = {
    "id": tf.TensorSpec([], tf.string),
    "spans": tf.TensorSpec([None, 2], tf.float32),
    "labels": tf.TensorSpec([None], tf.int64),
    "starts": tf.TensorSpec([None], tf.float32),
    "ends": tf.TensorSpec([None], tf.float32),
    "boxes": tf.TensorSpec([None, 4], tf.float32),
    "box_labels": tf.TensorSpec([None, None], tf.int64),
    "box_scores": tf.TensorSpec([None], tf.float32),
}
_log = logging.getLogger("slowfast_tf")


class Files:
    """Video files, and folders of JPEG images.

    Args:
        videos: a tuple of `datasets.Video`.
        rate: frames a second that the network's stride counts; None for each video's own.
        reader: what decodes files: "pyav" or "tensorflow_io".

    Attributes:
        count: how many videos.
        skipped: for each video that cannot be read, why; grows while reading.

    Raises:
        UserError: where the reader cannot be loaded.
    """

    decoder = staticmethod(video.read)  # the benchmark puts others in its place

    def __init__(self, videos, rate, reader="pyav"):
        self.videos, self.count, self._rate = videos, len(videos), rate
        if reader == "tensorflow_io":
            from . import tensorflow_io

            self.decoder = tensorflow_io.reader()
        self.skipped = {}

    def whole(self, parts):
        """Videos of an epoch that so many parts of the data have to share."""
        return self.count

    def size(self, part):
        """Videos of a part of a test: its number, and how many parts there are."""
        return len(range(part[0], self.count, part[1]))

    def train(self, epochs, clips, part, seed, sample, finish, done=0):
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
        number, parts = part

        def read(position):
            epoch, i = position // clips, position % clips
            order = tf.stack([tf.constant(seed, tf.int64), epoch])
            index = tf.random.experimental.index_shuffle(i * parts + number, order, self.count - 1)
            return self._read(index, sample(position * parts + number), stand_in=True), position

        data = epochs.flat_map(lambda epoch: tf.data.Dataset.range(epoch * clips, (epoch + 1) * clips))
        data = data.skip(done).map(read, num_parallel_calls=tf.data.AUTOTUNE)
        return data.map(finish, num_parallel_calls=tf.data.AUTOTUNE)

    def test(self, sample, finish, part=(0, 1), done=()):
        """What `finish` makes of the clips, which a `Sampling` tells, of every video that can be read, in order.

        Args:
            sample: a `Sampling`.
            finish: makes of a clip what the dataset holds.
            part: number of the part of the videos to read, and how many there are.
            done: ids of videos to leave out.
        """
        done, indices = set(done), range(part[0], self.count, part[1])
        indices = [i for i in indices if (self.videos[i].id or self.videos[i].path) not in done]
        data = tf.data.Dataset.from_tensor_slices(np.array(indices, np.int64))
        data = data.map(lambda index: self._read(index, sample), num_parallel_calls=tf.data.AUTOTUNE)
        data = data.filter(lambda clip: tf.strings.length(clip["id"]) > 0)
        return data.map(finish, num_parallel_calls=tf.data.AUTOTUNE)

    def begin(self):
        """To be called before a test pass."""

    def settle(self):
        """To be called at the end of a test pass, before `skipped` is looked at."""

    def _read(self, index, sample, stand_in=False):
        """Clips of a video, or of the next readable one if `stand_in`, so that batches stay whole. No id: none."""

        scalar = tf.TensorSpec([])
        arguments = [tf.TensorSpec([None]), scalar, tf.TensorSpec([], tf.int32), scalar, scalar]

        @tf.function(input_signature=arguments, autograph=False)  # one after the other these take twice as long
        def indices(places, pace, frames, rate, key):
            return sample._replace(places=places, pace=pace).indices(frames, rate, self._rate, key)

        def decode(index, places, pace):
            for i in range(int(index), int(index) + self.count):
                source = self.videos[i % self.count]
                name = source.id or source.path
                try:
                    if name not in self.skipped:
                        return name, *self._decode(source, functools.partial(indices, places, pace))
                except video.VideoError as error:
                    self.skipped[name] = str(error)
                    _log.warning("skipped: %s", error)
                if not stand_in:
                    break
            nothing = [np.zeros([n or 0 for n in value.shape], value.dtype.as_numpy_dtype) for value in values[2:]]
            return "", np.zeros((1, sample.spec.clip_frames, 1, 1, 3), np.uint8), *nothing

        shape = [None, sample.spec.clip_frames, None, None, 3]
        signature = {"id": _SIGNATURE["id"], "frames": tf.TensorSpec(shape, tf.uint8), **_SIGNATURE}
        values = list(signature.values())
        found = tf.py_function(decode, [index, sample.places, sample.pace], [value.dtype for value in values])
        clip = {name: tf.ensure_shape(x, value.shape) for (name, value), x in zip(signature.items(), found)}
        if stand_in:
            message = "none of the training videos can be read"
            with tf.control_dependencies([tf.debugging.assert_greater(tf.strings.length(clip["id"]), 0, message)]):
                clip["frames"] = tf.identity(clip["frames"])
        return clip

    def _decode(self, source, indices):
        """What a clip holds after its id, in the order of the signature. `indices` makes of the number of frames, their
        rate and the key frame's time what `Sampling.indices` does."""
        if os.path.isdir(source.path):
            images = video.list_images(source.path)
            count, rate = len(images), source.rate
        else:
            images, info = None, video.probe(source.path)
            count, rate = info.frames, info.rate
        begin, end = source.span or (0, count / rate)
        first, last = max(round(begin * rate), 0), min(round(end * rate), count)
        if first >= last:
            raise video.VideoError(
                f"{source.path}: no frame between {begin:g} and {end:g} s; it lasts {count / rate:.2f} s"
            )
        key = -1.0 if source.key is None else source.key - first / rate
        indices = indices(last - first, rate, key).numpy() + first
        if images:
            frames = _read_images([images[i] for i in indices.ravel()])
        else:
            frames = self.decoder(source.path, indices.ravel())
        spans = np.stack([indices[:, 0], indices[:, -1] + 1], 1) / rate
        labels, starts, ends = zip(*source.labels) if source.labels else ((), (), ())
        width = max((len(box.labels) for box in source.boxes), default=0)
        box_labels = [(*box.labels, *[-1] * (width - len(box.labels))) for box in source.boxes]
        return (
            frames.reshape(*indices.shape, *frames.shape[1:]),
            spans,
            labels,
            starts,
            ends,
            np.reshape([box.corners for box in source.boxes], (len(source.boxes), 4)),
            np.reshape(box_labels, (len(box_labels), width)),
            [box.score for box in source.boxes],
        )


class Records:
    """What `slowfast_tf.prepare` wrote. TensorFlow ops throughout, but for the account of what is damaged.

    Args:
        root: directory of the records.
        split: "train" or "val".
        rate: as for `Files`.
        flow: whether to read optical flow.
        account: whether to note in `skipped` what is damaged; a tf.data service cannot.

    Attributes:
        count: how many videos.
        skipped: for each damaged shard and video, what is wrong; grows while reading.

    Raises:
        UserError: where there are no records, or none with optical flow.
    """

    def __init__(self, root, split, rate, flow=False, account=True):
        index = records.read_index(root)
        if flow and not index["prepare"]["flow"]:
            raise UserError(
                f"{root}: its records hold no optical flow, which model.fast_input flow needs; make others with"
                " --set prepare.flow=true"
            )
        self.labels, self.dataset = tuple(index["labels"]), index["dataset"]
        self._shards = index["splits"][split]["shards"]
        self.count = index["splits"][split]["videos"]
        self._paths = [f"{root}/{shard['file']}" for shard in self._shards]
        self._rate, self._flow, self._account = rate, flow, account
        self.skipped = {}
        self._begun = {}

    def whole(self, parts):
        """See `Files.whole`. A part reads whole shards, always the same ones."""
        return min(self.size((number, parts)) for number in range(parts)) * parts

    def size(self, part):
        """See `Files.size`."""
        return sum(shard["videos"] for shard in self._shards[part[0] :: part[1]])

    def train(self, epochs, clips, part, seed, sample, finish, done=0):
        """See `Files.train`. An order is of shards, of those that are read side by side, and of the next 256 clips;
        videos are mixed over the shards already."""
        number, parts = part

        def one_epoch(epoch):
            own = list(range(len(self._shards)))[number::parts]
            order = tf.stack([tf.constant(seed, tf.int64), epoch])
            shuffled = tf.data.Dataset.range(len(own)).map(
                lambda i: tf.random.experimental.index_shuffle(i, order, len(own) - 1)
            )
            shards = shuffled.map(lambda i: tf.gather(own, i))
            # Numbers go by what is read of this part; they only have to differ.
            data = self._parsed(shards, SHARDS_AT_ONCE, lambda i: sample(i * parts + number), epoch * self.count)
            # Of this function's graph: with a global seed of 0 shuffle takes no tensor for its own.
            tf.compat.v1.set_random_seed(1)
            data = data.shuffle(SHUFFLED_CLIPS, seed + epoch, reshuffle_each_iteration=False)
            data = self._guarded(data, lambda i, clip: finish(clip, i), epoch * clips)
            data = data.repeat(2).take(clips)  # what is damaged is made up for from the epoch's start
            return data.apply(tf.data.experimental.assert_cardinality(clips))  # if it is not more than half

        return epochs.flat_map(one_epoch).skip(done)

    def serve(self, sample, finish):
        """Clips of one epoch for a tf.data service, whose workers share the shards: each time in another order."""
        shards = tf.data.Dataset.range(len(self._shards)).shuffle(len(self._shards))

        def drawn(_):
            return tf.random.uniform([], maxval=tf.int64.max, dtype=tf.int64)

        data = self._parsed(shards, SHARDS_AT_ONCE, lambda i: sample(drawn(i))).shuffle(SHUFFLED_CLIPS)
        return self._guarded(data, lambda i, clip: finish(clip, drawn(i)))

    def test(self, sample, finish, part=(0, 1), done=()):
        """See `Files.test`."""
        data = self._parsed(tf.data.Dataset.range(part[0], len(self._shards), part[1]), 1, lambda i: sample)
        if done:
            done = tf.constant(list(done))
            data = data.filter(lambda name, clip: tf.reduce_all(name != done))
        return self._guarded(data, lambda i, clip: finish(clip))

    def begin(self):
        """See `Files.begin`. What earlier passes did not finish was not asked for."""
        self._begun.clear()

    def settle(self):
        """See `Files.settle`."""
        self._note(list(self._begun))

    def _parsed(self, shards, at_once, sample, first=0):
        """Names and clips of the videos of shards; `sample` makes of a number, from `first` on, a `Sampling`."""
        paths = tf.constant(self._paths)
        # A record is megabytes: a buffer only copies them once more, unless each access is a remote one.
        buffer = None if any(map(remote.is_remote, self._paths)) else 0
        staged = not all(map(remote.is_native, self._paths))
        if staged and not self._account:
            raise UserError(
                f"{self._paths[0]}: a tf.data service reads only where TensorFlow itself can; copy the records there"
            )

        def read(shard):
            path = tf.py_function(self._fetch, [shard], tf.string) if staged else paths[shard]
            data = tf.data.TFRecordDataset(path, buffer_size=0 if staged else buffer).ignore_errors()
            # How many there were is known after the last one.
            data = data.concatenate(tf.data.Dataset.from_tensors(""))
            data = data.scan(tf.constant(0), lambda count, record: (count + 1, (count, record)))

            def is_record(count, record):
                end = (
                    (lambda: tf.py_function(self._end_of, [shard, count], tf.bool)) if self._account else lambda: False
                )
                return tf.cond(record != "", lambda: True, end)

            return data.filter(is_record).map(
                lambda count, record: (tf.strings.join([paths[shard], " record ", tf.strings.as_string(count)]), record)
            )

        records = shards.interleave(read, at_once, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        clips = self._guarded(records, lambda i, record: self._parse(record, sample(i)), first)
        return clips.map(lambda clip: (clip["id"], clip))

    def _parse(self, record, sample):
        """Clips of a video."""
        clip = records.parse(record, self._flow)
        images = clip.pop("frames")
        indices = sample.indices(tf.size(images), clip["rate"], self._rate, clip.pop("key_time"))
        spans = tf.stack([indices[:, 0], indices[:, -1] + 1], 1)
        clip["spans"] = tf.cast(spans, tf.float32) / clip.pop("rate")
        clip["frames"] = tf.gather(images, indices)
        if self._flow:
            clip["flow"] = tf.gather(clip["flow"], indices)
        return clip

    def _guarded(self, data, function, first=0):
        """`function` of numbers, from `first` on, and of the second part of the elements of a dataset, where it
        succeeds. Where it does not, the first part is the name of what is damaged."""
        data = data.enumerate(first)
        if not self._account:
            return data.map(lambda i, element: function(i, element[1]), tf.data.AUTOTUNE).ignore_errors()

        def one_pass(key):
            begun = data.map(
                lambda i, element: (tf.py_function(self._begin, [key, i, element[0]], tf.int64), element[1])
            )
            done = begun.map(lambda i, element: (i, function(tf.ensure_shape(i, []), element)), tf.data.AUTOTUNE)
            done = done.ignore_errors()
            done = done.map(lambda i, result: (tf.py_function(self._lost, [key, i], tf.int64), result))
            return done.map(lambda i, result: result)

        return tf.data.Dataset.random(rerandomize_each_iteration=True).take(1).flat_map(one_pass)

    def _begin(self, key, number, name):
        self._begun[int(key), int(number)] = name.numpy().decode()
        return number

    def _lost(self, key, number):
        """What a pass began before a clip that has come, and did not come, is damaged: clips stay in their order."""
        self._begun.pop((int(key), int(number)), None)
        self._note([begun for begun in list(self._begun) if begun[0] == int(key) and begun[1] < int(number)])
        return number

    def _note(self, lost):
        for name in map(self._begun.pop, lost):
            self.skipped[name] = f"{name}: is damaged; prepare the data anew"
            _log.warning("skipped: %s", self.skipped[name])

    def _fetch(self, shard):
        """A local copy of a shard; where it cannot be had, its records count as missing."""
        path = self._paths[int(shard)]
        try:
            return str(remote.fetch(path))
        except (UserError, Failure) as error:
            self.skipped[path] = str(error)
            _log.warning("skipped: %s", error)
            return os.devnull  # an address that cannot be opened would be tried again for ever

    def _end_of(self, shard, count):
        """Compares a shard's number of records with what it should be; always False."""
        missing = self._shards[int(shard)]["videos"] - int(count)
        path = self._paths[int(shard)]
        if missing and path not in self.skipped:
            self.skipped[path] = f"{path}: {missing} of its records are damaged or missing; prepare the data anew"
            _log.warning("skipped: %s", self.skipped[path])
        return False


def _read_images(paths):
    """JPEG images, uint8 `[N, H, W, 3]`, of the size of the first. For a damaged one the one before it stands in.

    Raises:
        VideoError: where none can be decoded.
    """
    images, waiting = [], 0
    for path in paths:
        try:
            data = tf.io.read_file(path)
            height, width, _ = tf.io.extract_jpeg_shape(data).numpy().tolist()
            if not video.is_sane(width, height):
                raise ValueError(f"{width} x {height} pixels")
            image = transforms.decode(data).numpy()
            if images and image.shape != images[0].shape:
                raise ValueError(f"{image.shape} among {images[0].shape}")
            images += [image] * (waiting + 1)
            waiting = 0
        except (tf.errors.OpError, ValueError):
            if images:
                images.append(images[-1])
            else:
                waiting += 1
    if not images:
        raise video.VideoError(f"{paths[0]}: cannot be decoded, nor can the {len(paths) - 1} others of a clip")
    return np.stack(images)
