"""Multigrid training (arXiv 1912.00998): small clips in large batches first, full clips last. No TensorFlow here.

A long cycle goes through four shapes of a batch before every drop of the learning rate; each step takes one of
three frame sizes in turn, the short cycle. Batches grow as clips shrink, so that a step costs about the same; with
1.5 times the epochs a run takes about 0.3 of the steps.

What else the shape of a batch decides:

- The learning rate grows with the batch of the long cycle (`Phase.rate`), not with that of the short cycle.
- The raw frames that a clip spans stay: see `strides`. So does what is seen of a frame: see `short_sides`.
- BatchNorm's statistics are over all clips that a replica has in a step. The paper keeps them at 8 clips a replica,
  by splitting larger batches; here they are less noisy in the early phases, and those of the paper at its base
  batch of 8 clips a replica. Splitting would mean a BatchNorm that the fused kernel does not compute.
- BatchNorm's running averages are of all three frame sizes, but a test takes the largest one. Before a test they
  need some dozens of training-mode forward passes over batches of `Phase.shapes[-1]` (the averages' momentum is
  0.9), as PySlowFast computes them anew ("precise BN").
"""

import typing

LONG_CYCLE = ((0.25, 0.5**0.5), (0.5, 0.5**0.5), (0.5, 1.0), (1.0, 1.0))  # shares of T and S
SHORT_CYCLE = (0.5, 0.5**0.5)  # shares of S, before the long cycle's own
EPOCH_FACTOR = 1.5


class Shape(typing.NamedTuple):
    """A training batch: clips, frames of a clip and height and width of a crop."""

    batch: int
    frames: int
    size: int


class Phase(typing.NamedTuple):
    """Epochs that are trained in the same way.

    Attributes:
        epochs: a range.
        shapes: three `Shape`s that the steps of an epoch take in turn; the last one is the long cycle's.
        rate: share of the base learning rate.
    """

    epochs: range
    shapes: tuple
    rate: float

    def shape(self, step):
        """The `Shape` of a step, counted from 0 in each epoch."""
        return self.shapes[step % len(self.shapes)]

    def steps(self, clips):
        """Steps of an epoch over so many clips, each clip at most once and every batch whole."""
        cycles, left = divmod(clips, sum(shape.batch for shape in self.shapes))
        steps = cycles * len(self.shapes)
        while left >= self.shape(steps).batch:
            left -= self.shape(steps).batch
            steps += 1
        return steps


def schedule(batch, frames, size, epochs, step_epochs, step_rates):
    """The phases of a multigrid run, from those of a run with steps of the learning rate.

    Every stretch of one learning rate is divided among the four shapes of the long cycle in proportion to their
    mean batch, so that each gets as many steps. After the last drop there is only the full shape, which starts with
    the rate from before the drop.

    Args:
        batch, frames, size: the base `Shape`; frames are T of either pathway, a multiple of 4.
        epochs: of the run without multigrid; the phases have 1.5 times as many.
        step_epochs, step_rates: from each of these epochs on, this share of the learning rate. Epochs rise, and
            lie in 1 to `epochs`.

    Returns:
        A list of `Phase`s, one after the other from epoch 0 on.
    """
    cycle = [_short_cycle(batch, frames, size, *factors) for factors in LONG_CYCLE]
    clips = [_mean_batch(frames, size, *factors) for factors in LONG_CYCLE]
    full = len(cycle) - 1
    stretches = []  # rate, place in the long cycle, epochs
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


def _short_cycle(batch, frames, size, frame_factor, size_factor):
    """The three `Shape`s of a place in the long cycle."""
    long = Shape(0, round(frames * frame_factor), round(size * size_factor))
    long = long._replace(batch=batch * round(frames * size**2 / (long.frames * long.size**2)))
    short = [
        Shape(long.batch * round((long.size / (size * factor)) ** 2), long.frames, round(size * factor))
        for factor in SHORT_CYCLE
    ]
    return (*short, long)


def _mean_batch(frames, size, frame_factor, size_factor):
    """Mean batch of a place in the long cycle, in base batches. Sizes of the short cycle are not rounded here."""
    frame_share = round(frames * frame_factor) / frames
    shares = (*SHORT_CYCLE, round(size * size_factor) / size)
    return sum(round(1 / (frame_share * share**2)) for share in shares) / len(shares)


def strides(stride, frames, shape):
    """Least and most raw frames from one frame of a clip to the next, both included; one is drawn for each clip.

    Args:
        stride: of the base shape.
        frames: of the base shape.
        shape: a `Shape`.
    """
    return stride, stride * (frames // shape.frames)


def short_sides(sides, size, shape):
    """Least and most of the shorter side that frames are resized to for a `Shape`, for those of the base shape.

    Only the least one shrinks with the crop: a small crop may show all of a frame, or as little as a large one.

    Args:
        sides: of the base shape, in pixels.
        size: of the base shape.
        shape: a `Shape`.
    """
    return [round(sides[0] * shape.size / size), sides[1]]
