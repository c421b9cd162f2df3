"""How training clips are drawn: which video, which frames, which crop. The seed and a clip's number decide it all."""

import dataclasses
from typing import Any

import tensorflow as tf

from ..config import Data
from ..models.spec import SlowFastSpec
from . import clips, multigrid
from .clips import Clip, Crop
from .sampling import Sampling, draw_count


@dataclasses.dataclass(frozen=True)
class RandomClips:
    """The training clips of one phase (see `multigrid.Phase`), as functions of their number in the run.

    Attributes:
        spec: of the network; its frames, stride and crop size are those of the base shape.
        data: how clips are cut and augmented.
        shapes: of the batches that steps take in turn.
        seed: of the run.
    """

    spec: SlowFastSpec
    data: Data
    shapes: tuple[multigrid.Shape, ...]
    seed: int

    @property
    def clip_spec(self) -> SlowFastSpec:
        """The spec with the frames that clips of this phase have."""
        return dataclasses.replace(self.spec, frames=self.shapes[0].frames)

    def seeds(self, number: tf.Tensor) -> tf.Tensor:
        """Return the two integers that all draws of a clip are made from."""
        return tf.stack([tf.constant(self.seed, tf.int64), number])

    def sampling(self, number: tf.Tensor) -> Sampling:
        """Return which frames the clip has: a random start (or a frame of each segment), and a random stride
        with multigrid training."""
        slowest, fastest = multigrid.strides(self.spec.stride, self.spec.frames, self.shapes[0])
        count = draw_count(self.clip_spec)
        draws = tf.random.stateless_uniform([count + 1], self.seeds(number), dtype=tf.float64)
        stride = tf.floor(slowest + draws[-1] * (fastest - slowest + 1))
        return Sampling(self.clip_spec, draws[:-1], stride / self.spec.stride, self.data.short_sides[1])

    def example(self, clip: Clip, number: tf.Tensor, slot: tf.Tensor) -> tuple:
        """Return inputs and labels (see `clips.training_example`).

        Args:
            clip: what `sampling` asked for.
            number: of the clip in the run.
            slot: index of the shape of its batch.
        """
        seed = self.seeds(number) + 1  # the frames' own draws have none added
        return clips.training_example(clip, self.clip_spec, self.data, self._crop(slot), seed)

    def mixing_seed(self, number: tf.Tensor) -> tf.Tensor:
        """Return the seed for mixing a batch whose first clip has this number, past that clip's own draws."""
        return self.seeds(number) + 5

    def _crop(self, slot: tf.Tensor) -> Crop:
        sizes = [shape.size for shape in self.shapes]
        size = sizes[0] if len(set(sizes)) == 1 else tf.constant(sizes)[slot]
        crop_size = self.data.crop_size
        lows, highs = zip(*(multigrid.short_sides(self.data.short_sides, crop_size, shape) for shape in self.shapes))
        return Crop(size, (tf.constant(lows)[slot], highs[0]))


def shuffled(place: tf.Tensor, epoch: tf.Tensor, seed: int, count: int) -> tf.Tensor:
    """Return the number of the video at a place of an epoch's random order, int64.

    Args:
        place: 0 to `count` - 1.
        epoch: each epoch has an order of its own.
        seed: of the run.
        count: how many videos there are.
    """
    # `index_shuffle` uses only a few bits of its seed, so hash it first.
    seeds = tf.stack([tf.constant(seed, tf.int64), epoch])
    whole: Any = None  # draw from all integers, which the stubs do not know
    seeds = tf.random.stateless_uniform([2], seeds, minval=whole, maxval=whole, dtype=tf.int32)
    return tf.random.experimental.index_shuffle(place, seeds, count - 1)  # pyright: ignore[reportAttributeAccessIssue]
