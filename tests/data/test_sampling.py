"""Which frames a clip has, against PySlowFast and exact arithmetic."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf
from helpers.golden import GOLDEN, needs_golden

from slowfast_tf.data import sampling
from slowfast_tf.models.presets import get_spec
from slowfast_tf.models.views import Views


def clip(place, frames, preset="slowfast_8x8_r50", **changes):
    index = sampling.clip_frames([place], frames, get_spec(preset, **changes))
    assert index.dtype == tf.int32
    return index[0].numpy().tolist()


def test_strided_clips():
    """8x8 with alpha 4: 32 Fast frames, every second of 64."""
    assert clip(0.0, 100) == list(range(0, 64, 2))
    assert clip(0.5, 100) == list(range(18, 82, 2))  # 36 frames of room
    assert clip(1.0, 100) == list(range(36, 100, 2))
    assert clip(0.99, 100) == list(range(35, 99, 2))
    assert clip(0.7, 64) == list(range(0, 64, 2))  # no room
    assert clip(0.7, 40) == [*range(0, 40, 2), *[39] * 12]
    assert clip(0.3, 1) == [0] * 32
    assert clip(0.0, 100, "slow_8x8_r50") == [0, 8, 16, 24, 32, 40, 48, 56]
    assert clip(0.0, 100, "slowfast_4x16_r50") == list(range(0, 64, 2))
    assert clip(1.0, 300, "slowfast_16x8_r50") == list(range(172, 300, 2))


def test_linspace_clips():
    """32 of 64 frames, first and last included: 63 / 31 apart, rounded down."""
    assert clip(0.0, 100, frame_index="linspace") == [*range(0, 62, 2), 63]
    assert clip(1.0, 100, frame_index="linspace") == [*range(36, 98, 2), 99]
    assert clip(0.0, 20, frame_index="linspace") == [*range(0, 20, 2), *[19] * 22]
    assert clip(0.0, 1, frame_index="linspace") == [0] * 32
    # From a half: 0.5 + 2.03 i passes the next whole number from i = 16 on.
    assert clip(0.5, 65, frame_index="linspace") == [*range(0, 32, 2), *range(33, 64, 2)]
    assert clip(0.0, 100, "slow_8x8_r50", frame_index="linspace") == [0, 9, 18, 27, 36, 45, 54, 63]


@pytest.mark.parametrize("frame_index", ["strided", "linspace"])
@pytest.mark.parametrize("rate", [15, 24, 25, 30, 50, 60])
def test_rates_in_exact_arithmetic(frame_index, rate):
    """Ten clips of videos of a rate for a network at 30 a second: fractions, rounded down, in graphs as well."""
    spec = get_spec("slowfast_8x8_r50", frame_index=frame_index, frame_rate=30.0)
    pace, steps = Fraction(rate, 30), range(32)
    span = 64 * pace

    @tf.function
    def found(frames):
        starts = sampling.test_starts(spec, Views(10))
        return sampling.Sampling(spec, starts).indices(frames, tf.constant(float(rate)), tf.constant(-1))

    for frames in (71, 100, 233, 300, 1799):
        starts = [max(frames - span, 0) * Fraction(k, 10) for k in range(10)]
        if frame_index == "strided":
            exact = [[math.floor(start) + 2 * pace * i for i in steps] for start in starts]
        else:
            exact = [[start + (span - 1) * i / 31 for i in steps] for start in starts]
        expected = np.clip([[math.floor(x) for x in row] for row in exact], 0, frames - 1)
        np.testing.assert_array_equal(found(tf.constant(frames)), expected, str(frames))


@pytest.mark.parametrize("frames", [64, 71, 100, 233, 300, 1799])
@pytest.mark.parametrize("clips", [2, 3, 10])
def test_test_clips_start_as_in_pyslowfast(frames, clips):
    spec = get_spec("slowfast_8x8_r50")
    index = sampling.clip_frames(sampling.test_starts(spec, Views(clips)), frames, spec)
    assert index.shape == (clips, 32)
    # start = delta * clip / clips, then whole frames (slowfast/datasets/decoder.py)
    assert index[:, 0].numpy().tolist() == [int((frames - 64) * k / clips) for k in range(clips)]


def pyslowfast_indices(start, length, count, frames):
    """slowfast/datasets/decoder.py, temporal_sampling: evenly from the start to the end, kept within, rounded down."""
    return np.clip(np.linspace(start, start + length - 1, count), 0, frames - 1).astype(int)


@pytest.mark.parametrize("frames", [300, 250, 64, 54, 40, 2, 1])
@pytest.mark.parametrize("rate", [30, 25, 24, 60, 29.97])
def test_ten_clips_at_a_nominal_rate(frames, rate):
    """A clip lasts 64 / 30 s whatever the video's rate: 53.3 frames of 25 a second."""
    spec = get_spec("slowfast_8x8_r50", frame_index="linspace", frame_rate=30)
    sample = sampling.Sampling(spec, sampling.test_starts(spec, Views(10)))
    found = sample.indices(frames, rate, -1).numpy()
    length = 64 / 30 * rate
    for k, clip in enumerate(found):
        expected = pyslowfast_indices(max(frames - length, 0) * k / 10, length, 32, frames)
        # float32 may fall on the other side of a whole number.
        assert np.abs(clip - expected).max() <= 1 and np.mean(clip != expected) < 0.1


def test_nominal_rate_by_hand():
    spec = get_spec("slowfast_2x16_demo", frame_rate=30.0)  # 16 of 32 frames
    sample = sampling.Sampling(spec, [0.0, 1.0])
    # 25 frames a second for 30: every 1.667th of 26.67; 250 - 26.67 = 223.33 of room
    first = [0, 1, 3, 5, 6, 8, 10, 11, 13, 15, 16, 18, 20, 21, 23, 25]
    found = sample.indices(250, 25.0, -1).numpy()
    assert found.tolist() == [first, [223 + i for i in first]]
    # 60 for 30: every fourth; a faster pace on top of it; and a video of one frame
    assert sample.indices(64, 60.0, -1).numpy()[0].tolist() == list(range(0, 64, 4))
    assert sample._replace(rate_ratio=2.0).indices(64, 30.0, -1).numpy()[0].tolist() == list(range(0, 64, 4))
    assert sample.indices(1, 25.0, -1).numpy().tolist() == [[0] * 16] * 2
    # Any rate: every second one
    sample = sample._replace(spec=get_spec("slowfast_2x16_demo"))
    assert sample.indices(40, 7.0, -1).numpy()[1].tolist() == list(range(8, 40, 2))


@pytest.mark.parametrize("frames", [64, 65, 200, 733])
def test_clips_to_the_end(frames):
    """slowfast/datasets/charades.py rounds, and a clip spans 63 frames there, from the first one to the last one."""
    spec = get_spec("slowfast_8x8_r50")
    index = sampling.clip_frames(sampling.test_starts(spec, Views(10, to_the_end=True)), frames, spec).numpy()
    gap = (frames - 63) / 9
    expected = [[min(round(gap * k) + 2 * i, frames - 1) for i in range(32)] for k in range(10)]
    assert np.abs(index - expected).max() <= 2
    assert index[0, 0] == 0 and index[-1, 0] == frames - 64


def key_frame(key, frames, rate=30.0, nominal=None, preset="slowfast_8x8_r50"):
    sample = sampling.Sampling(get_spec(preset, frame_rate=nominal), [0.3])
    return sample.indices(frames, rate, round(key * rate)).numpy().tolist()


def test_key_frames():
    """slowfast/datasets/utils.py, get_sequence: from half a clip before on, kept within."""
    assert key_frame(2.0, 150) == [list(range(28, 92, 2))]
    assert key_frame(0.5, 150) == [[0] * 9 + list(range(1, 47, 2))]  # from -17 on
    assert key_frame(4.5, 150) == [[*range(103, 149, 2), *[149] * 9]]
    assert key_frame(2.0, 1) == [[0] * 32]
    assert key_frame(2.0, 150, preset="slow_8x8_r50") == [list(range(28, 92, 8))]
    # At 24 for 30 a second: frame 48, and every 1.6th from 25.6 frames before it on
    assert key_frame(2.0, 150, 24.0, 30.0)[0][:6] == [22, 24, 25, 27, 28, 30]
    assert key_frame(2.0, 150, 24.0, 30.0)[0][16] == 48


def test_random_clips_start_anywhere():
    """PySlowFast draws the start uniformly from all of the room."""
    random = np.random.default_rng(0)
    places = random.uniform(size=2000)
    starts = sampling.clip_frames(places, 74, get_spec("slowfast_8x8_r50"))[:, 0].numpy()
    counts = np.bincount(starts, minlength=11)
    assert counts[10] == 0 and np.all(np.abs(counts[:10] - 200) < 70)


def test_a_single_test_clip_lies_in_the_middle():
    assert clip(sampling.test_starts(get_spec("slowfast_8x8_r50"))[0], 101)[0] == 18


@needs_golden
@pytest.mark.parametrize("frames", [10, 30, 48, 64, 100, 215])
def test_segments_equal_pyslowfasts(frames):
    """Something-Something: one frame from each of 64 parts of the video, and the frames of the Slow pathway."""
    golden = json.loads((GOLDEN / "ssv2_frames.json").read_text())
    spec = get_spec("slowfast_16x8_r50", frame_index="segments", views=Views(1, 3))
    found = sampling.clip_frames(sampling.test_starts(spec, spec.views), frames, spec).numpy()
    assert found.tolist() == [golden["test"][str(frames)]]
    assert list(spec.slow_index) == golden["slow_index_of_64"]
    # In training both ends of a part can be drawn, and nothing else.
    low = sampling.clip_frames([0.0] * 64, frames, spec)[0].numpy()
    high = sampling.clip_frames([1 - 1e-12] * 64, frames, spec)[0].numpy()
    edges = np.round((frames - 1) / 64 * np.arange(65))
    np.testing.assert_array_equal(low, edges[:-1])
    np.testing.assert_array_equal(high, edges[1:])
    drawn = np.array(golden["train_seed_0"][str(frames)])
    assert np.all((low <= drawn) & (drawn <= high))


def test_segments_of_one_clip_only():
    with pytest.raises(ValueError, match="test.clips 1"):
        get_spec("slowfast_16x8_r50", frame_index="segments")
