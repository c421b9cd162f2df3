"""Schedule multigrid training (arXiv 1912.00998): small clips in large batches first, full clips last.

Needs no TensorFlow.

The long cycle runs through four batch shapes before every drop of the learning rate. In the short cycle, successive
steps use three frame sizes in turn. Smaller clips have larger batches, so that every step costs about the same. With
1.5 times the epochs, a run takes about 0.3 times the steps.

The batch shape also affects:

- The learning rate. It scales with the batch of the long cycle (`Phase.rate`), not with that of the short cycle.
- The stride and the resized shorter side. A clip keeps its span in time (`strides`) and its field of view
  (`short_sides`).
- The statistics of BatchNorm, which are over all clips of a replica. The paper splits larger batches so that BatchNorm
  always sees 8 clips. The fused kernel used here cannot split, so the statistics are less noisy in the early phases.
- The running averages of BatchNorm, which mix three frame sizes, while a test uses the largest one. Before a test,
  recompute them ("precise BN" in PySlowFast): run some dozens of training-mode forward passes over batches of
  `Phase.shapes[-1]` (the momentum is 0.9).
"""

import typing
from collections.abc import Sequence

LONG_CYCLE = ((0.25, 0.5**0.5), (0.5, 0.5**0.5), (0.5, 1.0), (1.0, 1.0))  # factors on T and S
SHORT_CYCLE = (0.5, 0.5**0.5)  # factors on S; the third step uses the long cycle's own size
EPOCH_FACTOR = 1.5


class Shape(typing.NamedTuple):
    """The shape of a training batch: clips, frames of a clip, and height and width of a crop in pixels."""

    batch: int
    frames: int
    size: int


class Phase(typing.NamedTuple):
    """Consecutive epochs with the same batch shapes and learning rate.

    Attributes:
        epochs: numbers of the epochs.
        shapes: the batch shapes that successive steps of an epoch use in turn; the last shape is the long cycle's.
        rate: factor on the base learning rate.
    """

    epochs: range
    shapes: tuple[Shape, ...]
    rate: float

    def shape(self, step: int) -> Shape:
        """Return the batch shape of a step, counted from 0 in each epoch."""
        return self.shapes[step % len(self.shapes)]

    def steps(self, clips: int) -> int:
        """Return the number of whole batches in an epoch of `clips` clips."""
        cycles, left = divmod(clips, sum(shape.batch for shape in self.shapes))
        steps = cycles * len(self.shapes)
        while left >= self.shape(steps).batch:
            left -= self.shape(steps).batch
            steps += 1
        return steps


def schedule(
    batch: int, frames: int, size: int, epochs: int, step_epochs: Sequence[float], step_rates: Sequence[float]
) -> list[Phase]:
    """Return the phases of a multigrid run, given a step schedule of the learning rate.

    The epochs of each learning rate are divided among the four shapes of the long cycle in proportion to their mean
    batch size, so that each shape gets the same number of steps. After the last drop only the full shape is used; the
    first half of these epochs keeps the learning rate from before the drop.

    Args:
        batch, frames, size: the base shape; `frames` is T of either pathway, a multiple of 4.
        epochs: number of epochs without multigrid training; the phases have 1.5 times as many.
        step_epochs: epochs at which the learning rate drops, ascending, from 1 to `epochs`.
        step_rates: factor on the base learning rate from each of these epochs on.

    Returns:
        Consecutive phases, starting at epoch 0.

    Example:
        >>> schedule(64, 8, 224, 196, [94, 154], [0.1, 0.01])[-1].shapes[-1]
        Shape(batch=64, frames=8, size=224)
    """
    cycle = [_short_cycle(batch, frames, size, *factors) for factors in LONG_CYCLE]
    clips = [_mean_batch(frames, size, *factors) for factors in LONG_CYCLE]
    full = len(cycle) - 1
    stretches = []  # (rate, place in the long cycle, epochs)
    steps = 0.0
    for start, stop, rate in zip([0, *step_epochs], step_epochs, [1.0, *step_rates]):
        for place in range(len(cycle)):
            stretches.append((rate, place, (stop - start) * clips[place] / sum(clips)))
            steps += (stop - start) / sum(clips)
    saved = step_epochs[-1] / steps
    stretches.append((step_rates[-1], full, (epochs - step_epochs[-1]) / saved * clips[full]))
    factor = epochs * EPOCH_FACTOR / sum(length for *_, length in stretches)

    phases, done, before = [], 0.0, 0
    for rate, place, length in stretches:
        done += length * factor
        end = round(done)
        shapes = cycle[place]
        phases.append(Phase(range(before, end), shapes, rate * (shapes[-1].batch / batch)))
        before = end
    last = phases.pop()
    middle = (last.epochs.start + last.epochs.stop) // 2
    phases.append(last._replace(epochs=range(last.epochs.start, middle), rate=phases[-1].rate))
    phases.append(last._replace(epochs=range(middle, last.epochs.stop)))
    return [phase for phase in phases if phase.epochs]


def _short_cycle(batch: int, frames: int, size: int, frame_factor: float, size_factor: float) -> tuple[Shape, ...]:
    """Return the three batch shapes of the short cycle for a shape of the long cycle, given by its factors."""
    long = Shape(0, round(frames * frame_factor), round(size * size_factor))
    long = long._replace(batch=batch * round(frames * size**2 / (long.frames * long.size**2)))
    short = [
        Shape(long.batch * round((long.size / (size * factor)) ** 2), long.frames, round(size * factor))
        for factor in SHORT_CYCLE
    ]
    return (*short, long)


def _mean_batch(frames: int, size: int, frame_factor: float, size_factor: float) -> float:
    """Return the mean batch size of a shape of the long cycle, in base batches, without rounding short-cycle sizes."""
    frame_share = round(frames * frame_factor) / frames
    shares = (*SHORT_CYCLE, round(size * size_factor) / size)
    return sum(round(1 / (frame_share * share**2)) for share in shares) / len(shares)


def strides(stride: int, frames: int, shape: Shape) -> tuple[int, int]:
    """Return the lowest and highest stride of a shape's clips, both included; each clip draws its stride.

    Args:
        stride: stride of the base shape, in raw frames.
        frames: number of frames of the base shape.
        shape: the shape of the batch.
    """
    return stride, stride * (frames // shape.frames)


def short_sides(sides: Sequence[int], size: int, shape: Shape) -> list[int]:
    """Return the lowest and highest shorter side, in pixels, to resize frames to.

    Only the lowest shorter side shrinks with the crop. At this side, a small crop shows the same part of a frame as a
    large crop; at the highest shorter side, it shows a smaller part.

    Args:
        sides: lowest and highest shorter side of the base shape, in pixels.
        size: height and width of the base shape's crop, in pixels.
        shape: the shape of the batch.
    """
    return [round(sides[0] * shape.size / size), sides[1]]
