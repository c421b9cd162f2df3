"""From videos to batches with tf.data: pick a video, sample a clip, decode its frames, crop, normalise, batch."""

import logging

import numpy as np
import tensorflow as tf

from ..cli import UserError
from . import datasets, sampling, transforms, video

ALWAYS = (0.0, float("inf"))
_log = logging.getLogger("slowfast_tf")


def load(config, split):
    """The clips of a split for `model.fit`.

    Args:
        config: a `slowfast_tf.config.Config`.
        split: "train": one random clip a video, drawn anew for each epoch, without the last part of a batch;
            "val": the middle clip of every video.

    Returns:
        A `tf.data.Dataset` of `({"slow": ..., "fast": ...}, labels)` batches. Inputs are float32 and normalised
        as the networks take them; labels are float32 `[B, classes]`, 1 for each class that happens in the clip
        (train) or in the video (val).

    Raises:
        UserError: where the data set is not there.
    """
    clips = Clips(config, split)
    return clips.train() if split == "train" else clips.validation()


class Clips:
    """The videos of one split, and the ways to read them.

    Args:
        config: a `slowfast_tf.config.Config`.
        split: "train" or "val".

    Attributes:
        videos: a list of `datasets.Video`.
        labels: the class names.
        spec: the `SlowFastSpec` of the network, with these labels.
        skipped: for each video that cannot be read, its path and why; grows while reading.
    """

    def __init__(self, config, split):
        self.videos, self.labels = datasets.load(config.data.dataset, config.data.root, split)
        self.config = config
        self.spec = config.spec(self.labels)
        self.skipped = {}
        self._annotations = [
            tf.ragged.constant([[label[i] for label in v.labels] for v in self.videos], dtype, ragged_rank=1)
            for i, dtype in enumerate((tf.int64, tf.float32, tf.float32))  # class, start, end
        ]

    @property
    def steps(self):
        """Training steps of an epoch."""
        return len(self.videos) // self.config.train.batch_size

    def train(self, epochs=None):
        """Training batches (see `load`).

        Args:
            epochs: a range of epochs to read one after the other. Which clip comes at which step is then a
                function of the configuration's seed, the epoch and the step alone, so that a run that was
                stopped goes on as if it had not been. None: one epoch, another one at every iteration.
        """
        if not self.steps:
            raise UserError(
                f"train.batch_size {self.config.train.batch_size} is larger than the {len(self.videos)} training videos"
            )
        count, seed = len(self.videos), tf.constant(self.config.seed, tf.int64)
        if epochs is None:
            picks = tf.data.Dataset.range(count).shuffle(count, self.config.seed)
            seeds = tf.data.Dataset.random(self.config.seed, rerandomize_each_iteration=True).batch(
                2, drop_remainder=True
            )
            picks = tf.data.Dataset.zip(picks, seeds)
        else:
            size = self.steps * self.config.train.batch_size

            def pick(position):
                epoch, i = position // size, position % size
                shuffled = tf.random.experimental.index_shuffle(i, tf.stack([seed, epoch]), count - 1)
                return shuffled, tf.stack([seed, position])

            picks = tf.data.Dataset.range(epochs.start * size, epochs.stop * size).map(pick)
        data = picks.map(self._train_clip, num_parallel_calls=tf.data.AUTOTUNE)
        data = data.batch(self.config.train.batch_size, drop_remainder=True)
        return data.prefetch(2)

    def validation(self):
        """The middle clip and crop of every video, in order, in batches (see `load`)."""
        data = self._read_views(1, 1)
        data = data.map(lambda views, index: ({k: v[0] for k, v in views.items()}, self._labels_during(index, ALWAYS)))
        return data.batch(self.config.train.batch_size).prefetch(2)

    def views(self):
        """Every view of every video, in order, each video decoded once (section 4: 10 clips x 3 crops).

        Returns:
            A dataset of (inputs `[views, T, S, S, C]`, index of the video), unbatched. Videos that cannot be
            read are left out, and are in `skipped` after the pass.
        """
        return self._read_views(self.config.test.clips, self.config.test.crops).prefetch(2)

    def _train_clip(self, index, seed):
        data, spec = self.config.data, self.spec
        index, frames, span = self._decode(index, tf.random.stateless_uniform([1], seed), stand_in=True)
        frames = transforms.random_crop(
            frames[0], data.short_sides, data.crop_size, seed + 1, data.short_side_draw, data.flip
        )
        inputs = transforms.pathways(transforms.normalize(frames, spec), spec)
        return inputs, self._labels_during(index, span)

    def _read_views(self, clips, crops):
        spec = self.spec

        def read(index):
            index, frames, _ = self._decode(index, sampling.test_places(clips))
            return index, frames

        def crop(index, frames):
            views = tf.map_fn(
                lambda clip: transforms.test_crops(clip, spec.crop_size, crops), frames, fn_output_signature=tf.float32
            )
            views = tf.reshape(views, [-1, spec.clip_frames, spec.crop_size, spec.crop_size, 3])
            return transforms.pathways(transforms.normalize(views, spec), spec), index

        data = tf.data.Dataset.range(len(self.videos)).map(read, num_parallel_calls=tf.data.AUTOTUNE)
        return data.filter(lambda index, _: index >= 0).map(crop, num_parallel_calls=tf.data.AUTOTUNE)

    def _decode(self, index, places, stand_in=False):
        """Decodes clips of a video.

        Args:
            index: of the video.
            places: where the clips start, `[K]`, as `sampling.clip_frames` takes it.
            stand_in: give the next readable video for one that cannot be read, so that batches stay whole.

        Returns:
            The video's index (-1 if it cannot be read), uint8 frames `[K, F, H, W, 3]` and the time span of the
            first clip, float32 `[2]`, in seconds.
        """

        def decode(index, places):
            index = int(index)
            for i in range(index, index + len(self.videos)):
                i %= len(self.videos)
                path = self.videos[i].path
                try:
                    if path not in self.skipped:
                        info = video.probe(path)
                        wanted = sampling.clip_frames(places, info.frames, self.spec).numpy()
                        frames = video.read(path, wanted.ravel())
                        span = np.array([wanted[0, 0], wanted[0, -1] + 1], np.float32) / info.rate
                        return i, frames.reshape(*wanted.shape, *frames.shape[1:]), span
                except video.VideoError as error:
                    self.skipped[path] = str(error)
                    _log.warning("skipped: %s", error)
                if not stand_in:
                    break
            return -1, np.zeros((1, self.spec.clip_frames, 1, 1, 3), np.uint8), np.zeros(2, np.float32)

        index, frames, span = tf.py_function(decode, [index, places], [tf.int64, tf.uint8, tf.float32])
        index.set_shape([])
        frames.set_shape([None, self.spec.clip_frames, None, None, 3])
        span.set_shape([2])
        if stand_in:
            tf.debugging.assert_non_negative(index, "none of the training videos can be read")
        return index, frames, span

    def _labels_during(self, index, span):
        """1 for each class that happens in a video between two times, float32 `[classes]`."""
        classes, start, end = (column[index] for column in self._annotations)
        during = tf.logical_and(start < span[1], end > span[0])
        one_hot = tf.one_hot(tf.boolean_mask(classes, during), len(self.labels))
        return tf.minimum(tf.reduce_sum(one_hot, 0), 1.0)
