"""Draw training clips: the video, the frames and the crop. All draws depend only on the seed and the clip's number."""

import dataclasses
from typing import Any

import tensorflow as tf

from ..config import Data
from ..models.spec import SlowFastSpec
from . import clips, mixing, multigrid
from .clips import Clip, Crop, Windows
from .sampling import Sampling, draw_count


@dataclasses.dataclass(frozen=True)
class RandomClips:
    """The training clips of one phase (see `multigrid.Phase`), as functions of their number in the run.

    Attributes:
        spec: the network; its frames, stride and crop size are those of the base shape.
        data: how clips are cropped and augmented.
        shapes: the batch shapes that successive steps use in turn.
        seed: seed of the run.
    """

    spec: SlowFastSpec
    data: Data
    shapes: tuple[multigrid.Shape, ...]
    seed: int

    @property
    def clip_spec(self) -> SlowFastSpec:
        """The spec with the number of frames of this phase's clips."""
        return dataclasses.replace(self.spec, frames=self.shapes[0].frames)

    def seeds(self, number: tf.Tensor) -> tf.Tensor:
        """Return the seed of a clip, int64 `[2]`, from its number in the run, int64 `[]`."""
        return tf.stack([tf.constant(self.seed, tf.int64), number])

    def sampling(self, number: tf.Tensor) -> Sampling:
        """Return the sampling of a clip: a random start (or a random frame of each segment) and, in multigrid training,
        a random stride.
        """
        lowest, highest = multigrid.strides(self.spec.stride, self.spec.frames, self.shapes[0])
        count = draw_count(self.clip_spec)
        draws = tf.random.stateless_uniform([count + 1], self.seeds(number), dtype=tf.float64)
        stride = tf.floor(lowest + draws[-1] * (highest - lowest + 1))
        return Sampling(self.clip_spec, draws[:-1], stride / self.spec.stride, self.data.short_sides[1])

    def windows(self, clip: Clip, number: tf.Tensor, slot: tf.Tensor) -> tuple:
        """Return windows and labels of a clip (see `clips.training_windows`).

        Args:
            clip: the clip that `sampling` selects.
            number: number of the clip in the run, int64 `[]`.
            slot: index in `shapes` of the clip's batch.
        """
        seed = self.seeds(number) + 1  # `sampling` uses the seed itself
        return clips.training_windows(clip, self.clip_spec, self.data, self._crop(slot), seed)

    def inputs(self, windows: Windows) -> clips.Inputs:
        """Return the inputs of one clip's `windows`."""
        return clips.window_inputs(windows, self.clip_spec, self.data, self._size)

    def mix(self, seeds: tf.Tensor, inputs: clips.Inputs, labels: tf.Tensor) -> tuple[clips.Inputs, tf.Tensor]:
        """Apply mixup and CutMix to a batch if configured; `seeds` are the seeds of its clips, int64 `[B, 2]`."""
        if not (self.data.mixup or self.data.cutmix):
            return inputs, labels
        seed = seeds[0] + 4  # a clip's augmentation uses the seeds before this one
        return mixing.mix(inputs, labels, self.data.mixup, self.data.cutmix, seed)

    def finish(self, windows: Windows, labels: tf.Tensor, *weights: tf.Tensor) -> tuple:
        """Return inputs, labels and weights of a batch of `windows`, for `fit`. It runs on any device."""
        shapes = {name: self.clip_spec.input_shape(name, self._size) for name in self.spec.pathways}
        signature = {name: tf.TensorSpec(shape, tf.float32) for name, shape in shapes.items()}
        if self.spec.head == "roi":
            signature["boxes"] = tf.TensorSpec([None, 4], tf.float32)
        inputs = tf.map_fn(lambda one: self.inputs(clips.without_padding(one)), windows, fn_output_signature=signature)
        return *self.mix(windows.seed, inputs, labels), *weights

    @property
    def _size(self) -> int | None:
        """Height and width of all crops, in pixels; None if they differ between batches."""
        sizes = {shape.size for shape in self.shapes}
        return sizes.pop() if len(sizes) == 1 else None

    def _crop(self, slot: tf.Tensor) -> Crop:
        size = self._size or tf.constant([shape.size for shape in self.shapes])[slot]
        crop_size = self.data.crop_size
        lows, highs = zip(*(multigrid.short_sides(self.data.short_sides, crop_size, shape) for shape in self.shapes))
        return Crop(size, (tf.constant(lows)[slot], highs[0]))


def shuffled(place: tf.Tensor, epoch: tf.Tensor, seed: int, count: int) -> tf.Tensor:
    """Return the number of the video at a position of an epoch's random order, int64.

    Args:
        place: position, 0 to `count` - 1.
        epoch: number of the epoch; each epoch has its own order.
        seed: seed of the run.
        count: number of videos.
    """
    # `index_shuffle` uses only a few bits of its seed, so hash it first.
    seeds = tf.stack([tf.constant(seed, tf.int64), epoch])
    whole: Any = None  # None draws from all integers; the stubs lack it
    seeds = tf.random.stateless_uniform([2], seeds, minval=whole, maxval=whole, dtype=tf.int32)
    return tf.random.experimental.index_shuffle(place, seeds, count - 1)  # pyright: ignore[reportAttributeAccessIssue]
