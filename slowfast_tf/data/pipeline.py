"""From videos to batches with tf.data: pick a video, sample a clip, decode its frames, crop, normalise, batch."""

import dataclasses

import numpy as np
import tensorflow as tf

from .. import plugins
from ..errors import InputError
from . import augment, datasets, flow, multigrid, service, transforms
from .sampling import Sampling, test_starts
from .sources import Files, Records

ALWAYS = (0.0, float("inf"))
# Here no Python statement goes by the value of a tensor; to look for such takes seconds of every start.
_as_it_is = tf.autograph.experimental.do_not_convert


def load(config, split):
    """The clips of a split for `model.fit`.

    Args:
        config: a `slowfast_tf.config.Config`.
        split: "train": one random clip a video, drawn anew for each epoch, without the last part of a batch;
            "val": the middle clip of every video.

    Returns:
        A `tf.data.Dataset` of `({"slow": ..., "fast": ...}, labels)` batches. Inputs are float32 and normalised
        as the networks take them; labels are float32 `[B, classes]`, 1 for each class that happens in the clip
        (train) or in the video (val). For a network with boxes see `Clips`.

    Raises:
        InputError: where the data set is not there.
    """
    plugins.load(config.plugins)
    clips = Clips(config, split)
    data = clips.train() if split == "train" else clips.validation()
    options = tf.data.Options()
    # Several workers take every so manieth element: there need not be a file for each of them.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return data.with_options(options)


class Clips:
    """The videos of one split, and the ways to read them.

    For a network with boxes (head "roi") inputs have "boxes" as well, float32 `[B, N, 4]`, labels are
    `[B, N, classes]`, and a batch has a third part: weights, float32 `[B, N]`, 0 for padding. Boxes of which less than
    a pixel is in the crop are left out.

    Args:
        config: a `slowfast_tf.config.Config`.
        split: "train" or "val".
        strict: take anything wrong in the data set's lists for an error.

    Attributes:
        count: how many videos.
        labels: the class names.
        dataset: name of the data set; for records, of the one that they were made of.
        spec: the `SlowFastSpec` of the network, with these labels.
        phases: what `multigrid.schedule` gives; a single one without multigrid training.
        problems: lines of what is wrong in the data set's lists, and was left out.
        skipped: for each video that cannot be read, why; grows while reading.
    """

    def __init__(self, config, split, strict=False):
        self.config = config
        data, spec = config.data, config.spec()
        self._flow = "fast" in spec.pathways and spec.fast_input == "flow"
        if data.service and split == "train":
            service.wait(data.service)
        if data.dataset == "records":
            self._source = Records(data.root, split, data.frame_rate, self._flow)
            self.labels, self.dataset, self.problems = self._source.labels, self._source.dataset, ()
        else:
            if self._flow:
                raise InputError(
                    f"model.fast_input flow needs records with optical flow, not dataset {data.dataset!r}; make them"
                    " with python -m slowfast_tf.prepare --set prepare.flow=true and give data.dataset records"
                )
            found = datasets.load_split(data.dataset, data.root, split, strict)
            self._source = Files(found.videos, data.frame_rate, data.reader)
            self.labels, self.dataset, self.problems = found.labels, data.dataset, found.problems
        self.count, self.skipped = self._source.count, self._source.skipped
        self.spec = config.spec(self.labels)
        train = config.train
        if train.multigrid:
            base = train.batch_size, spec.frames, data.crop_size
            self.phases = multigrid.schedule(*base, train.epochs, train.step_epochs, train.step_rates)
        else:
            shape = multigrid.Shape(train.batch_size, spec.frames, data.crop_size)
            self.phases = [multigrid.Phase(range(train.epochs), (shape,), 1.0)]

    def steps(self, phase):
        """Training steps of an epoch of a phase."""
        steps = phase.steps(self.count)
        if not steps:
            raise InputError(
                f"train.batch_size {phase.shapes[0].batch} is larger than the {self.count} training videos; lower it"
            )
        return steps

    @_as_it_is
    def train(self, epochs=None, phase=None, shard=(0, 1), skip=0):
        """Training batches (see `load`).

        Args:
            epochs: a range of epochs to read one after the other. Which clip comes at which step is then a
                function of the configuration's seed, the epoch and the step alone, so that a run that was
                stopped goes on as if it had not been. None: one epoch, another one at every iteration.
            phase: one of `phases`, whose shapes of a batch to take; the last one if None.
            shard: number of the shard of the data to read, and how many there are. Parts share no video, and
                batches are smaller by as much.
            skip: steps of the first epoch to leave out, of a run that is gone on with.
        """
        phase = phase or self.phases[-1]
        number, parts = shard
        config, shapes = self.config, [s._replace(batch=s.batch // parts) for s in phase.shapes]
        cycle = np.cumsum([shape.batch for shape in shapes])
        steps = self.steps(phase)
        clips, done = (
            int(cycle[-1]) * (count // len(shapes)) + sum(s.batch for s in shapes[: count % len(shapes)])
            for count in (steps, skip)
        )
        spec = dataclasses.replace(self.spec, frames=shapes[0].frames)
        slowest, fastest = multigrid.strides(self.spec.stride, self.spec.frames, shapes[0])

        def seeds(i):
            return tf.stack([tf.constant(config.seed, tf.int64), i])

        def sample(i):
            draws = tf.random.stateless_uniform([2], seeds(i), dtype=tf.float64)
            stride = tf.floor(slowest + draws[1] * (fastest - slowest + 1))
            return Sampling(spec, draws[:1], stride / self.spec.stride, config.data.short_sides[1])

        def finish(clip, i):
            place = tf.searchsorted(tf.constant(cycle), [i % clips % cycle[-1]], "right")[0]
            i = i * parts + number
            return place, i, self._train_clip(clip, spec, shapes, place, seeds(i) + 1)

        if config.data.service:
            data = self._source.serve(shard, sample, finish)
        else:
            if epochs is None:
                numbers = tf.data.Dataset.random(config.seed, rerandomize_each_iteration=True).take(1)
                numbers = numbers.map(lambda i: i % 2**20)
            else:
                numbers = tf.data.Dataset.range(epochs.start, epochs.stop)
            data = self._source.train(numbers, clips, shard, config.seed, sample, finish, done)

        mixes = config.data.mixup or config.data.cutmix

        def batched(data, size):
            data = data.map(lambda place, i, clip: (i, clip) if mixes else clip)
            # Boxes differ in number; padding takes a pass over the batch.
            return (data.padded_batch if spec.head == "roi" else data.batch)(size, drop_remainder=True)

        if len(shapes) == 1:
            data = batched(data, shapes[0].batch)
        else:
            batches = tf.constant([shape.batch for shape in shapes], tf.int64)
            data = data.group_by_window(
                lambda place, *_: tf.cast(place, tf.int64),
                lambda place, window: batched(window, batches[place]),
                window_size_func=lambda place: batches[place],
            )
        if mixes:  # with a draw of the first clip's, behind those of its own
            data = data.map(
                lambda i, batch: augment.mix(*batch, config.data.mixup, config.data.cutmix, seeds(i[0]) + 5),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
        if config.data.service:
            data = service.distribute(data, config.data.service, forever=epochs is not None)
        else:  # Keras needs to know where several devices share the batches
            count = (len(epochs) if epochs else 1) * steps - skip
            data = data.apply(tf.data.experimental.assert_cardinality(count))
        options = tf.data.Options()
        options.threading.max_intra_op_parallelism = 1  # clips side by side keep the cores busy
        return data.prefetch(2).with_options(options)

    @_as_it_is
    def validation(self):
        """The middle clip and crop of every video, in order, in batches (see `load`)."""

        def finish(clip):
            images = self._decode(clip, 0)
            inputs = {name: x[0] for name, x in self._crops(images, 1).items()}
            if self.spec.head == "roi":
                shape, window = transforms.middle_window(tf.shape(images["frames"])[1:3], self.spec.crop_size)
                boxes = transforms.crop_boxes(clip["boxes"], shape, window, self.spec.crop_size)
                return self._with_boxes(inputs, boxes, clip["box_labels"])
            return inputs, self._labels_during(clip, ALWAYS)

        data = self._source.test(self._test_sampling(1), finish)
        return data.padded_batch(self.config.train.batch_size).prefetch(2)

    def size(self, shard):
        """Videos of a part of the data, as `views` reads them."""
        return self._source.size(shard)

    @_as_it_is
    def views(self, shard=(0, 1), done=()):
        """Every view of every video, in order, each video decoded once (section 4: 10 clips x 3 crops).

        Args:
            shard: number of the shard of the videos to read, and how many there are.
            done: ids of videos to leave out.

        Yields:
            Inputs of the crops of one clip, `[crops, T, S, S, C]` (with `test.crops` 0 a single one, of the whole
            width and height); labels of the video, float32 `[classes]`; and
            its id. The clips of a video follow each other. Videos that cannot be read are left out, and are in
            `skipped` after the pass.
        """
        test = self.config.test
        sample = self._test_sampling(test.clips, test.to_the_end)

        def finish(clip):
            return self._decode(clip), self._labels_during(clip, ALWAYS), clip["id"]

        def split(clips, labels, name):
            return tf.data.Dataset.from_tensor_slices(clips).map(lambda clip: (clip, labels, name))

        data = self._source.test(sample, finish, shard, done).flat_map(split)
        data = data.map(
            lambda clip, labels, name: (self._crops(clip, test.crops), labels, name),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return data.prefetch(2)

    @_as_it_is
    def key_frames(self, shard=(0, 1), done=()):
        """The clip around every key frame, in order, with its boxes: what a network with boxes is tested on.

        Args:
            shard, done: as for `views`.

        Yields:
            Inputs of the whole width and height, `[1, T, H, W, C]`, with "boxes" `[1, N, 4]` in their pixels; labels,
            float32 `[N, classes]`; boxes as shares of width and height, float32 `[N, 4]`; and the key frame's id.
            Videos that cannot be read are left out, and are in `skipped` after the pass.
        """

        def finish(clip):
            inputs = self._crops(self._decode(clip, 0), 0)
            sides = tf.cast(tf.shape(inputs[self.spec.pathways[0]])[2:4], tf.float32)
            inputs["boxes"] = (clip["boxes"] * tf.tile(sides[::-1], [2]))[None]
            return inputs, self._box_labels(clip["box_labels"]), clip["boxes"], clip["id"]

        return self._source.test(self._test_sampling(1), finish, shard, done).prefetch(2)

    def _test_sampling(self, *clips):
        return Sampling(self.spec, test_starts(*clips), short_side=self.spec.crop_size)

    def _train_clip(self, clip, spec, shapes, place, seed):
        """What the network takes of a clip for training, and its labels."""
        data = self.config.data
        sizes = [shape.size for shape in shapes]
        size = sizes[0] if len(set(sizes)) == 1 else tf.constant(sizes)[place]
        lows, highs = zip(*(multigrid.short_sides(data.short_sides, data.crop_size, shape) for shape in shapes))
        sides = tf.constant(lows)[place], highs[0]

        frames = clip["frames"][0]
        shape = tf.shape(frames)[1:3] if frames.dtype == tf.uint8 else tf.io.extract_jpeg_shape(frames[0])[:2]
        window = transforms.draw_window(shape, sides, size, seed, data.short_side_draw, data.flip)
        # Colors are changed on a 0..255 scale.
        colored = data.color_jitter or data.rand_augment_layers
        frames = transforms.crop_window(frames, window, size, None if colored else spec)
        if data.color_jitter:
            frames = augment.color_jitter(frames, data.color_jitter, seed + 1)
        if data.rand_augment_layers:
            frames = augment.rand_augment(frames, data.rand_augment_layers, data.rand_augment_magnitude, seed + 2)
        if colored:
            frames = transforms.normalize(frames, spec)
        if data.random_erasing:
            frames = augment.random_erasing(frames, data.random_erasing, seed + 3)
        motion = None
        if self._flow:
            motion = transforms.crop_flow(flow.decode(clip["flow"][0]), window, size) / flow.LIMIT
        inputs = transforms.pathways(frames, spec, motion)
        for name, x in inputs.items():
            side = spec.input_size(name, size) if isinstance(size, int) else None
            count = spec.frames if name == "slow" else spec.clip_frames
            inputs[name] = tf.ensure_shape(x, [count, side, side, spec.input_channels(name)])
        if spec.head == "roi":
            boxes = transforms.crop_boxes(clip["boxes"], shape, window, size)
            return self._with_boxes(inputs, boxes, clip["box_labels"])
        return inputs, self._labels_during(clip, tf.unstack(clip["spans"][0]))

    def _decode(self, clip, *place):
        """Frames (and optical flow) of a test clip, `[K, F, H, W, C]`, or of the K-th one."""
        images = {"frames": clip["frames"]}
        if self._flow:
            images["flow"] = clip["flow"]
        images = {name: x[place] for name, x in images.items()}

        def decode(images):
            pixels = tf.map_fn(transforms.decode, tf.reshape(images, [-1]), fn_output_signature=tf.uint8)
            return tf.reshape(pixels, tf.concat([tf.shape(images), tf.shape(pixels)[1:]], 0))

        return {name: decode(x) if x.dtype == tf.string else x for name, x in images.items()}

    def _crops(self, clip, crops):
        """What the network takes of the crops of a decoded test clip, `[crops, T, S, S, C]`."""
        spec = self.spec
        frames = tf.ensure_shape(clip["frames"], [spec.clip_frames, None, None, 3])
        # Normalised before, not after: there are fewer pixels.
        found = transforms.test_crops(transforms.normalize(frames, spec), spec.crop_size, crops)
        motion = None
        if self._flow:
            motion = flow.displacements(clip["flow"])
            # Displacements grow and shrink with the frame.
            scale = spec.crop_size / tf.reduce_min(tf.shape(motion)[1:3]) / flow.LIMIT
            motion = transforms.test_crops(motion, spec.crop_size, crops) * tf.cast(scale, tf.float32)
        return transforms.pathways(found, spec, motion)

    def _labels_during(self, clip, span):
        """1 for each class that happens in a video between two times, float32 `[classes]`."""
        during = tf.logical_and(clip["starts"] < span[1], clip["ends"] > span[0])
        one_hot = tf.one_hot(tf.boolean_mask(clip["labels"], during), len(self.labels))
        return tf.minimum(tf.reduce_sum(one_hot, 0), 1.0)

    def _with_boxes(self, inputs, boxes, box_labels):
        """Inputs, labels and weights of the boxes that are in the crop."""
        kept = tf.reduce_any(boxes != 0, -1)
        labels, boxes = self._box_labels(tf.boolean_mask(box_labels, kept)), tf.boolean_mask(boxes, kept)
        weights = tf.ones([tf.shape(boxes)[0]])
        # One row of padding where there is none, or the loss of a batch without boxes would be 0 / 0.
        more = [0, tf.cast(tf.size(weights) == 0, tf.int32)]
        boxes, labels = (tf.pad(x, [more, [0, 0]]) for x in (boxes, labels))
        return {**inputs, "boxes": boxes}, labels, tf.pad(weights, [more])

    def _box_labels(self, box_labels):
        """Class indices of boxes, `[N, any]` with -1 for none, as float32 `[N, classes]`."""
        return tf.reduce_sum(tf.one_hot(box_labels, len(self.labels)), 1)
