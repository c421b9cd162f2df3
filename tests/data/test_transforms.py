"""The transforms of frames and boxes, against SciPy, Pillow and PySlowFast."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import ndimage

from slowfast_tf.data import transforms
from slowfast_tf.models.presets import get_spec


def test_boxes_follow_the_middle_crop():
    """A white rectangle is where its box is after `test_crops`; one that is cut off on the left, too."""
    for box in ((0.3, 0.25, 0.7, 0.75), (0.0, 0.5, 0.2, 1.0)):
        x1, y1, x2, y2 = (round(share * side) for share, side in zip(box, (100, 80, 100, 80)))
        image = np.zeros((1, 80, 100, 3), np.uint8)
        image[:, y1:y2, x1:x2] = 255
        crop = transforms.test_crops(image, 32, 1)[0, 0, ..., 0].numpy() > 127
        shape, window = transforms.middle_window(tf.constant([80, 100]), 32)
        left, top, right, bottom = transforms.crop_boxes(tf.constant([box]), shape, window, 32)[0].numpy()
        rows, columns = np.flatnonzero(crop.any(1)), np.flatnonzero(crop.any(0))
        np.testing.assert_allclose(
            [left, right, top, bottom], [columns[0], columns[-1] + 1, rows[0], rows[-1] + 1], atol=0.8
        )


def test_resized_shape_equals_pyslowfasts():
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
def test_test_crops_lie_as_in_pyslowfast(height, width):
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


def test_short_sides_follow_their_distribution(draws):
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
def test_crops_equal_scipys(kind, top, left, side, flip):
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
    crop = transforms.resize_window(transforms.cut(frames, window), flip, 32)
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


def test_a_crop_of_normalized_frames_is_the_normalized_crop():
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), np.uint8)
    spec = get_spec("slowfast_8x8_r50", mean=(0.1, 0.2, 0.3))
    window = transforms.draw_window((40, 60), (32, 48), 32, (0, 1))
    part = transforms.cut(tf.constant(frames), window)
    expected = transforms.normalize(transforms.resize_window(part, window.flip, 32), spec)
    np.testing.assert_allclose(transforms.resize_window(part, window.flip, 32, spec), expected, atol=5e-6)


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


@pytest.mark.legacy
def test_downscaling_averages_blocks():
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 98, 3), np.uint8)
    blocks = frames[:, :, :96].reshape(2, 16, 4, 24, 4, 3).mean((2, 4))
    np.testing.assert_allclose(transforms.downscale(tf.constant(frames[:, :, :96]), 13), blocks, atol=0.51)
    assert transforms.downscale(tf.constant(frames), 16).shape == (2, 16, 24, 3)
    np.testing.assert_array_equal(transforms.downscale(tf.constant(frames), 33), frames)
