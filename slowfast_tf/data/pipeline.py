"""Build `tf.data` pipelines: order videos, read their clips (`sources`), make examples (`clips`), and batch them."""

import copy
import dataclasses
import typing
from collections.abc import Callable, Collection, Sequence

import numpy as np
import tensorflow as tf

from .. import plugins
from ..config import Config
from ..errors import InputError
from ..machine import core_count
from ..models.spec import SlowFastSpec
from ..models.views import MIDDLE, Views
from ..video.probe_index import probe_index
from . import clips, datasets, folds, multigrid
from .random_clips import RandomClips, shuffled
from .sampling import Sampling, test_starts
from .sources import Files, Records, Source

# There is no data-dependent control flow here; skipping AutoGraph saves seconds at start-up.
_without_autograph = tf.autograph.experimental.do_not_convert


def load(config: Config, split: str) -> tf.data.Dataset:
    """Return the clips of a split for `model.fit`.

    Args:
        config: a `slowfast_tf.config.Config`.
        split: "train" for a random clip of each video, drawn again in each epoch, in full batches; "val" for the middle
            clip of every video.

    Returns:
        A dataset of `({"slow": ..., "fast": ...}, labels)` batches. Inputs are float32 and normalized for the network.
        Labels are float32 `[B, classes]`, 1 for each class in the clip (train) or in the video (val). For a network
        with boxes see `Clips`.

    Raises:
        InputError: if the data set is not found.

    Example:
        >>> config = slowfast_tf.config.load("configs/demo.json")  # doctest: +SKIP
        >>> inputs, labels = next(iter(slowfast_tf.data.load(config, "val")))  # doctest: +SKIP
    """
    plugins.load_plugins(config.plugins)
    found = Clips(config, split)
    return found.train() if split == "train" else found.validation()


class Clips:
    """The videos of one split, and every way to read them.

    For a network with boxes (head "roi"), inputs also have "boxes", float32 `[B, N, 4]`, and labels are
    `[B, N, classes]`. A batch has a third part: weights, float32 `[B, N]`, 0 for padding. Boxes with a score below
    `spec.person_score`, and key frames without other boxes, are left out, also in training. Boxes with less than a
    pixel in the crop are dropped.

    Args:
        config: a `slowfast_tf.config.Config`.
        split: "train" or "val".
        strict: raise an error for any problem in the data set's lists.
        spec: spec of the network; by default that of the configuration. Its frame rate, views, crop size, channel order
            and normalization determine the clips.
        source: source of the videos in place of the configured one, such as `sources.Files` with another decoder.

    Attributes:
        config: the given configuration.
        source: the source of the videos.
        labels: the class names.
        dataset: name of the data set; for records, the name of the original data set.
        problems: a line for each entry of the data set's lists that is wrong and was dropped.
        spec: the `SlowFastSpec` of the network; the configuration's has these labels.
        phases: see `multigrid.schedule`; a single phase without multigrid training.

    Raises:
        InputError: if the data set is not found or does not fit the network. For files this includes videos with
            several labels and activation "softmax". For records only `data.fold` reads all labels before the test.

    Example:
        >>> for inputs, labels, name in Clips(config, "val").views(): ...  # doctest: +SKIP
    """

    def __init__(
        self,
        config: Config,
        split: str,
        strict: bool = False,
        spec: SlowFastSpec | None = None,
        source: Source | None = None,
    ):
        self.config = config
        opened = _open(config, split, strict, spec or config.spec())
        self.source = source or opened.source
        self.labels, self.dataset, self.problems = opened.labels, opened.dataset, opened.problems
        self.spec = spec or config.spec(self.labels)
        self.phases = _phases(config)
        if self.spec.head == "roi" and not self.count:
            least = self.spec.person_score
            raise InputError(f"no box of {split} has a score of at least {least}; lower model.person_score")

    def with_spec(self, spec: SlowFastSpec) -> "Clips":
        """Return the same videos for another network, or for another protocol of the same network."""
        other = copy.copy(self)
        other.spec = spec
        return other

    @property
    def count(self) -> int:
        """Number of videos."""
        return self.size((0, 1))

    @property
    def skipped(self) -> dict[str, str]:
        """The reason for each video that could not be read, by its id; updated while reading."""
        return self.source.skipped

    def steps(self, phase: multigrid.Phase) -> int:
        """Return the number of training steps of an epoch of a phase.

        Raises:
            InputError: if there are fewer videos than clips in a batch.
        """
        steps = phase.steps(self.count)
        if not steps:
            items = f"{self.count} training {'key frames' if self.spec.head == 'roi' else 'videos'}"
            batch, largest = self.config.train.batch_size, phase.shapes[0].batch
            if self.config.train.multigrid:
                raise InputError(
                    f"with train.multigrid, a train.batch_size of {batch} has batches of up to {largest} clips, more"
                    f" than the {items}; lower train.batch_size or set train.multigrid to false"
                )
            raise InputError(f"train.batch_size {largest} is larger than the {items}; lower it")
        return steps

    @_without_autograph
    def train(
        self,
        epochs: range | None = None,
        phase: multigrid.Phase | None = None,
        shard: tuple[int, int] = (0, 1),
        skip: int = 0,
        finished: bool = True,
    ) -> tf.data.Dataset:
        """Return training batches (see `load`).

        Args:
            epochs: consecutive epochs to read. Each clip depends only on the seed, the epoch and the step, so a
                resumed run continues with the same clips. None for a single epoch that differs at every iteration.
            phase: one of `phases`, which sets the batch shapes; None for the last phase.
            shard: number of the shard to read, and the number of shards. Shards have no video in common; each reads
                its part of every batch.
            skip: steps already done in the resumed epoch.
            finished: whether to compute the inputs here. If False, batches are `clips.Windows` and labels, and `finish`
                computes the inputs.
        """
        phase = phase or self.phases[-1]
        steps = self.steps(phase)
        shapes = tuple(shape._replace(batch=shape.batch // shard[1]) for shape in phase.shapes)
        draws, layout = self._draws(phase), _Layout(shapes, steps)

        def example(clip: clips.Clip, position: tf.Tensor) -> tuple:
            slot = layout.slot(position)
            windows, *labels = draws.windows(clip, position * shard[1] + shard[0], slot)
            return slot, (windows.seed, draws.inputs(windows), *labels) if finished else (windows, *labels)

        found = self._ordered_clips(draws, layout, shard, epochs, layout.clips(skip))
        data = self._batches(found.map(example, core_count()), draws, shapes, finished)
        # Keras needs the cardinality if several devices share the batches.
        count = (len(epochs) if epochs else 1) * steps - skip
        data = data.apply(tf.data.experimental.assert_cardinality(count))
        options = tf.data.Options()
        options.threading.max_intra_op_parallelism = 1  # the cores are already busy with parallel clips
        return _ready(data).with_options(options)

    def finish(self, phase: multigrid.Phase) -> Callable[..., tuple]:
        """Return the function from an unfinished batch of `train` to a finished one. It runs on any device."""
        return self._draws(phase).finish

    def _draws(self, phase: multigrid.Phase) -> RandomClips:
        return RandomClips(self.spec, self.config.data, phase.shapes, self.config.seed)

    def _ordered_clips(
        self, draws: RandomClips, layout: "_Layout", shard: tuple[int, int], epochs: range | None, done: int
    ) -> tf.data.Dataset:
        """Return (clip, position in the shard's run) in the run's order, without the first `done` clips."""
        number, shards = shard
        per_epoch = layout.clips()
        videos = tf.constant(self._videos((0, 1)), tf.int64)

        def read(position: typing.Any) -> tuple[clips.Clip, tf.Tensor]:
            place = position % per_epoch * shards + number
            video = tf.gather(videos, shuffled(place, position // per_epoch, self.config.seed, len(videos)))
            sampling = draws.sampling(position * shards + number)
            return self.source.read(video, sampling, stand_in=True), position

        data = _epoch_numbers(epochs, self.config.seed)
        data = data.flat_map(lambda epoch: tf.data.Dataset.range(epoch * per_epoch, (epoch + 1) * per_epoch))
        return data.skip(done).map(read, num_parallel_calls=self.source.at_once)

    def _batches(
        self, examples: tf.data.Dataset, draws: RandomClips, shapes: Sequence[multigrid.Shape], finished: bool
    ) -> tf.data.Dataset:
        """Return full batches; see `train`."""
        # Padding takes another pass over the batch, and only windows and boxes need it.
        padded = self.spec.head == "roi" or not finished

        def batched(examples: tf.data.Dataset, size: int | tf.Tensor) -> tf.data.Dataset:
            examples = examples.map(lambda _, example: example)
            return (examples.padded_batch if padded else examples.batch)(size, drop_remainder=True)

        def mixed(seeds: tf.Tensor, inputs: clips.Inputs, labels: tf.Tensor, *weights: tf.Tensor) -> tuple:
            return *draws.mix(seeds, inputs, labels), *weights

        if len(shapes) == 1:
            batches = batched(examples, shapes[0].batch)
        else:
            sizes = tf.constant([shape.batch for shape in shapes], tf.int64)
            batches = examples.group_by_window(
                lambda slot, *_: tf.cast(slot, tf.int64),
                lambda slot, window: batched(window, sizes[slot]),
                window_size_func=lambda slot: sizes[slot],
            )
        return batches.map(mixed, core_count()) if finished else batches

    @_without_autograph
    def validation(self, shard: tuple[int, int] = (0, 1)) -> tf.data.Dataset:
        """Return the middle clip and center crop of each video of a shard (see `views`), in order, in batches."""
        data = self._test_clips(self._test_sampling(), shard)
        data = data.map(lambda clip: clips.middle_example(clip, self.spec), core_count())
        return _ready(data.padded_batch(self.config.train.batch_size // shard[1]))

    def size(self, shard: tuple[int, int]) -> int:
        """Return the number of videos of a shard (see `views`)."""
        return len(self._videos(shard))

    @_without_autograph
    def views(self, shard: tuple[int, int] = (0, 1), done: Collection[str] = ()) -> tf.data.Dataset:
        """Return every view of every video, in order (section 4: 10 clips x 3 crops). Each video is decoded once.

        Args:
            shard: number of the shard to read, and the number of shards.
            done: ids of videos to leave out.

        Yields:
            Inputs of the crops of one clip, `[crops, T, S, S, C]` (whole frames, `[1, T, H, W, C]`, for views with 0
            crops); labels of the video, float32 `[classes]`; and the id of the video. The clips of a video are
            consecutive. Videos that cannot be read are left out and listed in `skipped`.
        """
        views, classes = self.spec.views, self.spec.num_classes

        def decoded(clip: clips.Clip) -> tuple[clips.TestFrames, tf.Tensor, tf.Tensor]:
            return clips.test_frames(clip), clips.labels_during(clip, clips.ALWAYS, classes), clip.id

        def one_by_one(frames: clips.TestFrames, labels: tf.Tensor, name: tf.Tensor) -> tf.data.Dataset:
            return tf.data.Dataset.from_tensor_slices(frames).map(lambda one: (one, labels, name))

        def inputs(frames: clips.TestFrames, labels: tf.Tensor, name: tf.Tensor) -> tuple:
            return clips.test_inputs(frames, self.spec, views.crops), labels, name

        data = self._test_clips(self._test_sampling(views), shard, done)
        data = data.map(decoded, core_count()).flat_map(one_by_one)  # pyright: ignore[reportArgumentType]
        return _ready(data.map(inputs, core_count()))

    @_without_autograph
    def key_frames(self, shard: tuple[int, int] = (0, 1), done: Collection[str] = ()) -> tf.data.Dataset:
        """Return the clip around every key frame, in order, with its boxes, to test a network with boxes (section 5).

        Args:
            shard, done: as for `views`.

        Yields:
            Inputs of whole frames, `[1, T, H, W, C]`, with "boxes" `[1, N, 4]` in pixels of the inputs; labels,
            float32 `[N, classes]`; boxes as fractions of width and height, float32 `[N, 4]`; and the key frame's id.
            Videos that cannot be read are left out and listed in `skipped`.
        """

        def example(clip: clips.Clip) -> tuple:
            labels = clips.one_hot_labels(clip.box_labels, self.spec.num_classes)
            return clips.key_frame_inputs(clip, self.spec), labels, clip.boxes, clip.id

        data = self._test_clips(self._test_sampling(), shard, done)
        return _ready(data.map(example, core_count()))

    def _test_sampling(self, views: Views = MIDDLE) -> Sampling:
        return Sampling(self.spec, test_starts(self.spec, views), short_side=self.spec.crop_size)

    def _test_clips(
        self, sampling: Sampling, shard: tuple[int, int] = (0, 1), done: Collection[str] = ()
    ) -> tf.data.Dataset:
        """Return the clips of every readable video, in order."""
        data = tf.data.Dataset.from_tensor_slices(np.array(self._videos(shard, done), np.int64))
        data = data.map(lambda number: self.source.read(number, sampling), num_parallel_calls=self.source.at_once)
        data = data.filter(lambda clip: tf.strings.length(clip.id) > 0)
        if self.spec.head == "roi":
            score = self.spec.person_score
            data = data.filter(lambda clip: tf.reduce_any(clip.box_scores >= score))
            data = data.map(lambda clip: clips.boxes_from(clip, score))
        return data

    def _videos(self, shard: tuple[int, int], done: Collection[str] = ()) -> list[int]:
        """Return the numbers of a shard's videos; see `Source.shard`."""
        return self.source.shard(shard, done, self.spec.person_score if self.spec.head == "roi" else 0.0)


def _ready(data: tf.data.Dataset) -> tf.data.Dataset:
    """Return the dataset with two elements computed ahead, and with the options of every dataset here."""
    options = tf.data.Options()
    # Shard by element, not by file: there may be fewer files than workers.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    # The end of an iterator waits for the autotuning thread. On a single or busy core, that thread often misses the
    # signal to end (TensorFlow 2.21): validations of 0.5 s ended with pauses of 5 to 30 s.
    options.autotune.enabled = False
    return data.prefetch(2).with_options(options)


class _Opened(typing.NamedTuple):
    """The source of a split, and the contents of its lists."""

    source: Source
    labels: tuple[str, ...]
    dataset: str
    problems: tuple[str, ...]


def _open(config: Config, split: str, strict: bool, spec: SlowFastSpec) -> _Opened:
    data = config.data
    if data.fold:
        data = data.model_copy(update={"fold": None})
        whole = _open(config.model_copy(update={"data": data}), "train", strict, spec)
        classes = whole.source.classes()
        if spec.activation == "softmax":  # the index of records lacks labels
            datasets.check_single_labels(whole.source.names, classes)
        numbers = folds.of_split(split, whole.source.names, classes, config.data)
        return whole._replace(source=whole.source.select(numbers))
    flow = not spec.takes_video
    if data.dataset == "records":
        records = Records(data.root, split, flow)
        return _Opened(records, records.labels, records.dataset, ())
    if flow:
        raise InputError(
            f"the network needs records with optical flow, not dataset {data.dataset!r}; prepare them with"
            " prepare.flow true, and set data.dataset to records"
        )
    found = datasets.load_split(data.dataset, data.root, split, strict)
    decode = None
    if data.reader == "tensorflow_io":
        from ..video import tensorflow_io

        decode = tensorflow_io.reader()
    files = Files(found.videos, decode, probe_index(data.root).probe)
    if spec.activation == "softmax":
        datasets.check_single_labels(files.names, files.classes())
    return _Opened(files, found.labels, data.dataset, found.problems)


def _phases(config: Config) -> list[multigrid.Phase]:
    train, frames, size = config.train, config.spec().frames, config.data.crop_size
    if train.multigrid:
        return multigrid.schedule(train.batch_size, frames, size, train.epochs, train.step_epochs, train.step_rates)
    return [multigrid.Phase(range(train.epochs), (multigrid.Shape(train.batch_size, frames, size),), 1.0)]


def _epoch_numbers(epochs: range | None, seed: int) -> tf.data.Dataset:
    """Return the numbers of epochs; for None, a single number that is drawn again at every iteration."""
    if epochs is not None:
        return tf.data.Dataset.range(epochs.start, epochs.stop)
    numbers = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).take(1)
    return numbers.map(lambda number: number % 2**20)


@dataclasses.dataclass(frozen=True)
class _Layout:
    """The assignment of an epoch's clips to batches.

    Attributes:
        shapes: the batch shapes that successive steps use in turn.
        steps: number of steps of an epoch.
    """

    shapes: tuple[multigrid.Shape, ...]
    steps: int

    def clips(self, steps: int | None = None) -> int:
        """Return the number of clips in the first `steps` steps of an epoch; by default in all steps."""
        steps = self.steps if steps is None else steps
        cycles, rest = divmod(steps, len(self.shapes))
        return cycles * int(self._ends()[-1]) + sum(shape.batch for shape in self.shapes[:rest])

    def slot(self, position: tf.Tensor) -> tf.Tensor:
        """Return the index in `shapes` of the batch that holds the clip at a position of the run."""
        ends = self._ends()
        place = tf.math.floormod(tf.math.floormod(position, self.clips()), ends[-1])
        return tf.searchsorted(tf.constant(ends), [place], "right")[0]

    def _ends(self) -> np.ndarray:
        return np.cumsum([shape.batch for shape in self.shapes])
