"""From videos to batches: what the videos' own pixels say must be what the pipeline says of them."""

import collections
import io
import json
import math
import pathlib
import shutil
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf
from helpers.coded_video import decode
from helpers.pictures import CLASSES, told
from PIL import Image
from scipy import ndimage

import slowfast_tf
from slowfast_tf import config
from slowfast_tf.data import Clips, load, sampling, transforms
from slowfast_tf.errors import InputError
from slowfast_tf.models.presets import get_spec

ROOT = pathlib.Path(__file__).parents[2]


# Time


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


def test_slow_frames_of_a_clip():
    """As paper.md has them from the two codebases."""
    assert get_spec("slowfast_8x8_r50").slow_index == (0, 4, 8, 12, 16, 20, 24, 28)
    assert get_spec("slowfast_8x8_r50", frame_index="linspace").slow_index == (0, 4, 8, 13, 17, 22, 26, 31)
    assert get_spec("slowfast_4x16_r50", frame_index="linspace").slow_index == (0, 10, 20, 31)
    assert get_spec("slow_8x8_r50", frame_index="linspace").slow_index == tuple(range(8))


@pytest.mark.parametrize("frame_index", ["strided", "linspace"])
@pytest.mark.parametrize("rate", [15, 24, 25, 30, 50, 60])
def test_rates_in_exact_arithmetic(frame_index, rate):
    """Ten clips of videos of a rate for a network at 30 a second: fractions, rounded down, in graphs as well."""
    spec = get_spec("slowfast_8x8_r50", frame_index=frame_index)
    pace, steps = Fraction(rate, 30), range(32)
    span = 64 * pace

    @tf.function
    def found(frames):
        return sampling.Sampling(spec, sampling.test_starts(10)).indices(
            frames, tf.constant(float(rate)), 30.0, tf.constant(-1)
        )

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
def test_test_clips_start_where_pyslowfast_has_them(frames, clips):
    index = sampling.clip_frames(sampling.test_starts(clips), frames, get_spec("slowfast_8x8_r50"))
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
    spec = get_spec("slowfast_8x8_r50", frame_index="linspace")
    sample = sampling.Sampling(spec, sampling.test_starts(10))
    found = sample.indices(frames, rate, 30, -1).numpy()
    length = 64 / 30 * rate
    for k, clip in enumerate(found):
        expected = pyslowfast_indices(max(frames - length, 0) * k / 10, length, 32, frames)
        # float32 may fall on the other side of a whole number.
        assert np.abs(clip - expected).max() <= 1 and np.mean(clip != expected) < 0.1


def test_nominal_rate_by_hand():
    spec = get_spec("slowfast_2x16_demo")  # 16 of 32 frames
    sample = sampling.Sampling(spec, [0.0, 1.0])
    # 25 frames a second for 30: every 1.667th of 26.67; 250 - 26.67 = 223.33 of room
    first = [0, 1, 3, 5, 6, 8, 10, 11, 13, 15, 16, 18, 20, 21, 23, 25]
    found = sample.indices(250, 25.0, 30.0, -1).numpy()
    assert found.tolist() == [first, [223 + i for i in first]]
    # 60 for 30: every fourth; a faster pace on top of it; and a video of one frame
    assert sample.indices(64, 60.0, 30.0, -1).numpy()[0].tolist() == list(range(0, 64, 4))
    assert sample._replace(rate_ratio=2.0).indices(64, 30.0, 30.0, -1).numpy()[0].tolist() == list(range(0, 64, 4))
    assert sample.indices(1, 25.0, 30.0, -1).numpy().tolist() == [[0] * 16] * 2
    # Any rate: every second one
    assert sample.indices(40, 7.0, None, -1).numpy()[1].tolist() == list(range(8, 40, 2))


@pytest.mark.parametrize("frames", [64, 65, 200, 733])
def test_clips_to_the_end(frames):
    """slowfast/datasets/charades.py rounds, and a clip spans 63 frames there, from the first one to the last one."""
    index = sampling.clip_frames(sampling.test_starts(10, True), frames, get_spec("slowfast_8x8_r50")).numpy()
    gap = (frames - 63) / 9
    expected = [[min(round(gap * k) + 2 * i, frames - 1) for i in range(32)] for k in range(10)]
    assert np.abs(index - expected).max() <= 2
    assert index[0, 0] == 0 and index[-1, 0] == frames - 64


def key_frame(key, frames, rate=30.0, nominal=None, preset="slowfast_8x8_r50"):
    sample = sampling.Sampling(get_spec(preset), [0.3])
    return sample.indices(frames, rate, nominal, round(key * rate)).numpy().tolist()


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
    assert clip(sampling.test_starts(1)[0], 101)[0] == 18


# Space


def test_resized_shape_is_pyslowfasts():
    """Also where float32 would round a whole number down to the one before, such as 39 / 25 * 300 = 468."""
    random = np.random.default_rng(0)
    shapes = [(25, 39, 300), (130, 25, 340), (256, 340, 256), (7, 7, 9), *random.integers(16, 500, (300, 3)).tolist()]
    for height, width, side in shapes:
        # slowfast/datasets/transform.py, random_short_side_scale_jitter
        if width < height:
            expected = [int(np.floor(float(height) / width * side)), side]
        else:
            expected = [side, int(np.floor(float(width) / height * side))]
        assert transforms.resized_shape((height, width), side).numpy().tolist() == expected


@pytest.mark.parametrize("height, width", [(40, 71), (71, 40), (40, 40), (50, 61)])
def test_test_crops_lie_where_pyslowfast_has_them(height, width):
    frames = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    size = 32
    shape = (size, width * size // height) if height <= width else (height * size // width, size)
    resized = tf.image.resize(frames, shape).numpy()
    for crops, places in ((3, (0, 1, 2)), (1, (1,))):
        results = transforms.test_crops(frames, size, crops)
        assert results.shape == (crops, 1, size, size, 3)
        for result, place in zip(results, places):
            # slowfast/datasets/transform.py, uniform_crop
            y, x = (int(np.ceil((side - size) / 2)) for side in shape)
            if height > width:
                y = {0: 0, 1: y, 2: shape[0] - size}[place]
            else:
                x = {0: 0, 1: x, 2: shape[1] - size}[place]
            np.testing.assert_allclose(result, resized[:, y : y + size, x : x + size], atol=0.02)


def test_test_crops_of_the_right_size_are_exact():
    frames = np.random.default_rng(0).integers(0, 256, (3, 32, 41, 3), np.uint8)
    left, middle, right = transforms.test_crops(frames, 32, 3).numpy()
    np.testing.assert_array_equal(left, frames[:, :, :32])
    np.testing.assert_array_equal(middle, frames[:, :, 5:37])
    np.testing.assert_array_equal(right, frames[:, :, 9:])


@pytest.fixture(scope="module")
def draws():
    """3,000 windows of a 400 x 600 picture, for crops of 32: for each way to draw, tops, lefts, sides, mirrored."""
    results = {}
    for draw in ("uniform", "inverse"):

        def one(i, draw=draw):
            window = transforms.draw_window((400, 600), (48, 64), 32, tf.stack([i, 7]), draw)
            assert all(value.dtype == tf.int32 for value in window[:4]) and window.flip.dtype == tf.bool
            return tf.stack([*window[:4], tf.cast(window.flip, tf.int32)])

        top, left, height, width, flip = tf.function(lambda one=one: tf.map_fn(one, tf.range(3000)))().numpy().T
        np.testing.assert_array_equal(height, width)
        results[draw] = top, left, height, flip
    return results


def test_windows_lie_within(draws):
    for top, left, side, _ in draws.values():
        # 400 * 32 / 64 and, where the shorter side becomes 48, 400 * 32 / 48 = 266.7
        assert 200 <= side.min() < 204 and 263 < side.max() <= 267
        for place, longest in ((left, 600), (top, 400)):
            share = place / (longest - side)
            assert 0 <= share.min() < 0.02 and 0.98 < share.max() <= 1
            assert 0.47 < share.mean() < 0.53  # 5 standard errors


def test_short_sides_are_drawn_as_asked(draws):
    """Uniform from 48 to 64, or its inverse is: then the window's side, 12800 / short side, is uniform itself."""
    assert abs((12800 / draws["uniform"][2]).mean() - 56) < 0.42  # 5 standard errors
    inverse = draws["inverse"][2]
    assert abs(inverse.mean() - (200 + 266.7) / 2) < 1.8
    assert (12800 / inverse).mean() < (12800 / draws["uniform"][2]).mean() - 0.4


def test_half_of_the_windows_are_mirrored(draws):
    for *_, flip in draws.values():
        assert 1360 < flip.sum() < 1640


def test_windows_of_frames_that_are_hardly_larger():
    """The side is rounded to whole pixels, and never leaves the frame."""
    for shape in ((32, 32), (33, 32), (5, 7), (1, 3)):
        for i in range(20):
            top, left, height, width, flip = transforms.draw_window(shape, (32, 33), 32, (i, 0), flip=False)
            assert 0 <= top and top + height <= shape[0] and 0 <= left and left + width <= shape[1]
            assert height == width and max(min(shape) - 1, 1) <= height <= min(shape) and not flip


def interpolated(frames, size):
    """Bilinear resizing by SciPy: centers of pixels at halves, the edge goes on."""
    places = [(np.arange(size) + 0.5) * side / size - 0.5 for side in frames.shape[1:3]]
    grid = np.meshgrid(*places, indexing="ij")
    layers = np.moveaxis(frames.astype(float), -1, 1).reshape(-1, *frames.shape[1:3])
    resized = [ndimage.map_coordinates(layer, grid, order=1, mode="nearest") for layer in layers]
    return np.moveaxis(np.reshape(resized, (len(frames), -1, size, size)), 1, -1)


WINDOWS = [(0, 0, 40, False), (3, 17, 25, True), (39, 59, 1, False), (8, 28, 32, True), (5, 0, 32, False)]


@pytest.mark.parametrize("top, left, side, flip", WINDOWS)
@pytest.mark.parametrize("kind", ["uint8", "float32", "jpeg"])
def test_crop_window_is_scipys(kind, top, left, side, flip):
    random = np.random.default_rng(0)
    if kind == "float32":
        shown = frames = random.normal(0, 40, (2, 40, 60, 2)).astype(np.float32)
    elif kind == "uint8":
        shown = frames = random.integers(0, 256, (2, 40, 60, 3), np.uint8)
    else:
        smooth = ndimage.zoom(random.integers(0, 256, (2, 10, 15, 3)).astype(float), (1, 4, 4, 1), order=1)
        files = [io.BytesIO() for _ in smooth]
        for file, image in zip(files, smooth.astype(np.uint8)):
            Image.fromarray(image).save(file, "JPEG", quality=95, subsampling=0)
        frames = tf.constant([file.getvalue() for file in files])
        shown = np.stack([np.asarray(Image.open(file)) for file in files])
    window = transforms.Window(*(tf.constant(x) for x in (top, left, side, side, flip)))
    crop = transforms.crop_window(frames, window, 32)
    assert crop.dtype == tf.float32 and crop.shape == (2, 32, 32, shown.shape[-1])
    cut = shown[:, top : top + side, left : left + side]
    expected = interpolated(cut[:, :, ::-1] if flip else cut, 32)
    np.testing.assert_allclose(crop, expected, atol=1 if kind == "jpeg" else 0.01)


def test_windows_are_functions_of_their_seed():
    first, again, other = (
        [int(x) for x in transforms.draw_window((400, 600), (48, 64), 32, (1, i))] for i in (2, 2, 3)
    )
    assert first == again != other


@pytest.mark.parametrize("mean, std", [((0.1, 0.2, 0.3), (0.5, 0.6, 0.7)), ((0.45,) * 3, (0.225,) * 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalize(mean, std, dtype):
    frames = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype(dtype)
    frames[0, 0, :2] = [[0], [255]]
    for order, expected in (("rgb", frames / 255), ("bgr", frames[..., ::-1] / 255)):
        spec = get_spec("slowfast_8x8_r50", mean=mean, std=std, channel_order=order)
        found = transforms.normalize(frames, spec)
        assert found.dtype == tf.float32
        np.testing.assert_allclose(found, (expected - mean) / std, atol=2e-6)


def test_a_normalised_crop_is_the_crop_normalised():
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), np.uint8)
    spec = get_spec("slowfast_8x8_r50", mean=(0.1, 0.2, 0.3))
    window = transforms.draw_window((40, 60), (32, 48), 32, (0, 1))
    expected = transforms.normalize(transforms.crop_window(frames, window, 32), spec)
    np.testing.assert_allclose(transforms.crop_window(frames, window, 32, spec), expected, atol=5e-6)


def test_pathways():
    frames = np.arange(32, dtype=np.float32)[:, None, None, None] * np.ones((32, 2, 2, 3), np.float32)
    for preset, slow in (("slowfast_4x16_r50", [0, 8, 16, 24]), ("slowfast_8x8_r50", [0, 4, 8, 12, 16, 20, 24, 28])):
        inputs = transforms.pathways(frames, get_spec(preset))
        assert list(inputs) == ["slow", "fast"]
        np.testing.assert_array_equal(inputs["fast"], frames)
        np.testing.assert_array_equal(inputs["slow"], frames[slow])
        batch = transforms.pathways(np.stack([frames, frames + 1]), get_spec(preset))
        np.testing.assert_array_equal(batch["slow"][1], frames[slow] + 1)
    spec = get_spec("slowfast_8x8_r50", frame_index="linspace")
    np.testing.assert_array_equal(transforms.pathways(frames, spec)["slow"], frames[[0, 4, 8, 13, 17, 22, 26, 31]])
    assert list(transforms.pathways(frames[:4], get_spec("slow_4x16_r50"))) == ["slow"]
    assert list(transforms.pathways(frames, get_spec("fast_4x16_r50"))) == ["fast"]


# Batches


def check_batch(inputs, labels, size=4):
    """Shapes, types, labels and the frames of a batch of the `folder` data set; gives the videos and first frames."""
    assert {name: (x.dtype, x.shape) for name, x in inputs.items()} == {
        "slow": (tf.float32, (size, 2, 32, 32, 3)),
        "fast": (tf.float32, (size, 16, 32, 32, 3)),
    }
    assert labels.dtype == tf.float32 and labels.shape == (size, 4)
    video, frame = told(inputs["fast"])
    assert np.all(video == video[:, :1])
    video = video[:, 0]
    np.testing.assert_array_equal(labels, np.eye(4)[video % 4])
    np.testing.assert_array_equal(frame, frame[:, :1] + np.arange(0, 32, 2))
    np.testing.assert_array_equal(told(inputs["slow"])[1], frame[:, [0, 8]])
    assert np.all(frame[:, -1] < 34 + 3 * (video % 2))
    return video.tolist(), frame[:, 0].tolist()


def epoch(data):
    """Videos and first frames of every batch of an epoch, one list each."""
    videos, frames = zip(*(check_batch(*batch) for batch in data))
    return sum(videos, []), sum(frames, [])


def test_training_epochs(configure):
    clips = Clips(configure(), "train")
    assert clips.labels == CLASSES and clips.spec.labels == CLASSES and clips.spec.num_classes == 4
    assert clips.count == 8 and clips.steps(clips.phases[-1]) == 2
    videos, frames = epoch(clips.train(range(0, 6)))
    epochs = [tuple(videos[i : i + 8]) for i in range(0, 48, 8)]
    assert all(sorted(videos) == list(range(8)) for videos in epochs)
    assert len(set(epochs)) == 6
    starts = collections.defaultdict(set)
    for video, frame in zip(videos, frames):
        starts[video % 2].add(frame)
    # A clip of 32 frames has room for 2 and 5 more, and lies anywhere.
    assert starts[0] <= {0, 1, 2} and len(starts[0]) > 1 and starts[1] <= set(range(6)) and len(starts[1]) > 2
    assert not clips.skipped


def test_load_draws_anew_at_every_iteration(configure):
    data = slowfast_tf.data.load(configure(), "train")
    epochs = [epoch(data) for _ in range(4)]
    for videos, _ in epochs:
        assert sorted(videos) == list(range(8))
    assert len({tuple(videos) for videos, _ in epochs}) > 1
    assert len({tuple(frame for _, frame in sorted(zip(*e))) for e in epochs}) > 1


def test_the_last_part_of_a_batch_is_left_out(configure):
    clips = Clips(configure("train.batch_size=3"), "train")
    assert clips.steps(clips.phases[-1]) == 2
    videos = [check_batch(*batch, 3)[0] for batch in clips.train(range(0, 6))]
    assert len(videos) == 12
    epochs = [sum(videos[i : i + 2], []) for i in range(0, 12, 2)]
    assert all(len(set(e)) == 6 for e in epochs)
    assert set(sum(epochs, [])) == set(range(8))
    with pytest.raises(InputError, match="9 is larger than the 8 training videos"):
        Clips(configure("train.batch_size=9"), "train").train()


def test_mirroring_can_be_left_out(configure):
    """Blue rises to the right, and falls in a mirrored clip."""
    rises = {}
    for flip in ("true", "false"):
        data = Clips(configure(f"data.flip={flip}"), "train").train(range(0, 4))
        rises[flip] = np.concatenate([x["fast"][:, 0, 0, -1, 2] > x["fast"][:, 0, 0, 0, 2] for x, _ in data])
    assert rises["false"].all() and 4 < rises["true"].sum() < 28


def test_validation(configure):
    (batch,) = load(configure(), "val")
    videos, frames = check_batch(*batch)
    assert videos == [8, 9, 10, 11]
    assert frames == [1, 2, 1, 2]  # the middle of 2 or 5 frames of room, rounded down
    parts = [check_batch(*b, size)[0] for b, size in zip(load(configure("train.batch_size=3"), "val"), (3, 1))]
    assert parts == [[8, 9, 10], [11]]


def test_views(configure, folder):
    """The crops of one clip at a time, the clips of a video one after the other."""
    views = list(Clips(configure(), "val").views())
    names = [name.numpy().decode() for *_, name in views]
    assert names == [f"{CLASSES[n % 4]}/{n:02d}.mp4" for n in (8, 9, 10, 11) for _ in range(2)]
    for i, (inputs, labels, name) in enumerate(views):
        assert inputs["fast"].shape == (3, 16, 32, 32, 3) and inputs["slow"].shape == (3, 2, 32, 32, 3)
        video, frame = told(inputs["fast"])
        number = 8 + i // 2
        assert np.all(video == number)
        np.testing.assert_array_equal(labels, np.eye(4)[number % 4])
        # k / K of the room of 2 or 5 frames
        np.testing.assert_array_equal(frame[:, 0], [(0, (1, 2)[number % 2])[i % 2]] * 3)
        first_column = inputs["fast"].numpy()[:, 0, :, 0, 2].mean(-1)
        height, width = decode(folder / "val" / name.numpy().decode()).shape[1:3]
        if height < width:
            assert np.all(np.diff(first_column) > 0.05)  # from left to right
        else:
            assert np.all(np.abs(np.diff(first_column)) < 0.01)


@pytest.mark.parametrize("preset, names", [("slow_4x16_r50", ["slow"]), ("fast_4x16_r50", ["fast"])])
def test_batches_for_one_pathway(configure, preset, names):
    inputs, _ = next(iter(load(configure(f"model.preset={preset}", "train.batch_size=2"), "train")))
    assert list(inputs) == names and inputs[names[0]].shape == (2, 4 if names == ["slow"] else 32, 32, 32, 3)


@pytest.fixture
def damaged(folder, tmp_path):
    """`folder` with a text file and a broken video in each split."""
    root = tmp_path / "damaged"
    shutil.copytree(folder, root)
    for split in ("train", "val"):
        (root / split / "ant" / "text.mp4").write_text("no video")
        whole = next((root / split / "bee").glob("*.mp4")).read_bytes()
        (root / split / "dog" / "broken.avi").write_bytes(whole[: len(whole) // 3])
        (root / split / "dog" / "notes.txt").write_text("not even called a video")
    return root


def test_files_that_cannot_be_read(configure, damaged):
    clips = Clips(configure(f"data.root={damaged}", "train.batch_size=5"), "train")
    assert clips.count == 10
    videos = []
    for batch in clips.train(range(0, 3)):
        videos += check_batch(*batch, 5)[0]
    assert len(videos) == 30 and set(videos) == set(range(8))
    assert set(clips.skipped) == {"ant/text.mp4", "dog/broken.avi"}
    for name, cause in clips.skipped.items():
        path = str(damaged / "train" / name)
        assert cause.startswith(f"{path}: ") and len(cause) > len(path) + 5

    clips = Clips(configure(f"data.root={damaged}"), "val")
    (batch,) = clips.validation()
    assert check_batch(*batch)[0] == [8, 9, 10, 11]
    assert len(clips.skipped) == 2
    assert [name.numpy().decode() for *_, name in clips.views()] == [
        f"{CLASSES[n % 4]}/{n:02d}.mp4" for n in (8, 9, 10, 11) for _ in range(2)
    ]


def test_no_video_that_can_be_read(values, tmp_path):
    """The command ends, and with one line: an iterator that is alive at its end has held it up forever."""
    root = tmp_path / "bad"
    for split in ("train", "val"):
        for name in CLASSES:
            (root / split / name).mkdir(parents=True)
            (root / split / name / "a.mp4").write_text("no video")
    (tmp_path / "c.json").write_text(json.dumps({**values, "data": {**values["data"], "root": str(root)}}))
    done = subprocess.run(
        [sys.executable, "-m", "slowfast_tf.train", "--config", "c.json", "--workdir", "run"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2 and len(errors) == 1, done.stderr
    assert "none of the 4 training videos can be read" in errors[0] and str(root) in errors[0]
    assert "Traceback" not in done.stderr


def test_unknown_split_or_dataset_settings(values, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="data.dataset"):
        config.load(path, ["data.dataset=imagenet"])
