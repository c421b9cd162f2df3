"""Augmentation against PIL, SciPy and cases worked by hand; boxes against the frames that they go with."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps
from scipy import stats

from slowfast_tf.data import augment, transforms
from slowfast_tf.errors import InputError

# Three frames of whole numbers: smooth ones with dark, bright and narrow ranges, and one of a single color.
ROWS, COLUMNS = np.mgrid[:40, :56].astype(np.float32)
WAVES = np.stack([np.sin(ROWS / 7 + COLUMNS / 11 + c) for c in range(3)], -1)
FRAMES = np.round(np.stack([128 + 120 * WAVES, 90 + 40 * WAVES**3, np.ones_like(WAVES) * (30, 90, 200)]))
FRAMES = FRAMES.astype(np.float32)


def by_pil(function, frames=FRAMES):
    """`function` of PIL images, frame by frame."""
    return np.stack([np.asarray(function(Image.fromarray(f.astype(np.uint8)))) for f in frames]).astype(np.float32)


def seeds(count, fixed=5):
    return [tf.constant([fixed, i], tf.int64) for i in range(count)]


# Single operations


@pytest.mark.parametrize("factor", [0.0, 0.1, 0.7, 1.0, 1.3, 1.9])
@pytest.mark.parametrize(
    "function, pil",
    [
        (augment.brightness, ImageEnhance.Brightness),
        (augment.contrast, ImageEnhance.Contrast),
        (augment.saturation, ImageEnhance.Color),
        (augment.sharpness, ImageEnhance.Sharpness),
    ],
)
def test_enhancements_equal_pils(function, pil, factor):
    """PIL rounds the gray (or smooth) picture and the result to whole numbers."""
    expected = by_pil(lambda image: pil(image).enhance(factor))
    np.testing.assert_allclose(function(FRAMES, factor), expected, atol=2.0)
    noise = np.random.default_rng(0).integers(0, 256, (2, 9, 7, 3)).astype(np.float32)
    np.testing.assert_allclose(
        function(noise, factor), by_pil(lambda image: pil(image).enhance(factor), noise), atol=2.0
    )


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_equals_pils(bits):
    np.testing.assert_array_equal(augment.posterize(FRAMES, bits), by_pil(lambda i: ImageOps.posterize(i, bits)))


@pytest.mark.parametrize("threshold", [0, 26, 128, 255, 256])
def test_solarize_equals_pils(threshold):
    expected = by_pil(lambda image: ImageOps.solarize(image, threshold))
    np.testing.assert_array_equal(augment.solarize(FRAMES, threshold), expected)


def test_solarize_add():
    clip = np.float32([0, 100, 127, 128, 255])[None, None, :, None]
    np.testing.assert_array_equal(augment.solarize_add(clip, 110)[0, 0, :, 0], [110, 210, 237, 128, 255])


def test_auto_contrast_equals_pils():
    np.testing.assert_allclose(augment.auto_contrast(FRAMES), by_pil(ImageOps.autocontrast), atol=1.01)
    np.testing.assert_array_equal(augment.auto_contrast(FRAMES)[2], FRAMES[2])


def test_equalize_equals_pils():
    random = np.random.default_rng(0)
    pictures = [
        FRAMES,
        random.integers(0, 256, (2, 64, 64, 3)),  # 16 pixels a value
        random.integers(0, 256, (2, 12, 12, 3)),  # fewer pixels than values: PIL leaves it as it is
        random.integers(100, 110, (1, 40, 40, 3)),
        random.binomial(255, 0.02, (2, 50, 50, 3)),
    ]
    for frames in pictures:
        np.testing.assert_array_equal(augment.equalize(frames.astype(np.float32)), by_pil(ImageOps.equalize, frames))


def test_quarter_turns_are_exact():
    square = FRAMES[:, :, :40]
    for turns in range(4):
        turned = augment.rotate(square, 90.0 * turns)
        np.testing.assert_allclose(turned, np.rot90(square, turns, (1, 2)), atol=0.02)


def test_whole_shifts_are_exact():
    moved = augment.affine(FRAMES, [1, 0, 3, 0, 1, -2]).numpy()
    np.testing.assert_array_equal(moved[:, 2:, :-3], FRAMES[:, :-2, 3:])
    assert np.all(moved[:, :2] == 128) and np.all(moved[:, :, -3:] == 128)


@pytest.mark.parametrize("degrees", [-30, -7.5, 12, 30])
def test_rotation_equals_pils(degrees):
    check_moved(
        augment.rotate(FRAMES, degrees),
        lambda image, fill: image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=fill),
    )


@pytest.mark.parametrize("matrix", [(1, 0.3, 0, 0, 1, 0), (1, 0, 0, -0.2, 1, 0), (1, 0, 4.6, 0, 1, 0)])
def test_affine_equals_pils(matrix):
    check_moved(
        augment.affine(FRAMES, matrix),
        lambda image, fill: image.transform(
            image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=fill
        ),
    )


def check_moved(moved, pil):
    """Compare with PIL, except along the border of the moved picture, where PIL does not blend with the fill."""
    expected = by_pil(lambda image: pil(image, (128, 128, 128)))
    # Pixels whose neighborhood of 3 x 3 is partly from outside the picture.
    mask = by_pil(lambda image: pil(image, (0, 0, 0)), np.full_like(FRAMES, 255))[..., 0]
    around = np.pad(mask, [(0, 0), (1, 1), (1, 1)], mode="edge")
    windows = [around[:, y : y + 40, x : x + 56] for y in range(3) for x in range(3)]
    border = np.min(windows, 0) != np.max(windows, 0)
    # The border of the frame, where half of the interpolated pixels would be outside.
    border[:, [0, -1]] = border[:, :, [0, -1]] = True
    assert border.mean() < 0.25
    np.testing.assert_allclose(moved.numpy()[~border], expected[~border], atol=1.5)
    assert np.any(expected[~border] == 128) or mask.mean() > 200


# Clips


def test_color_jitter_draws_factors_and_order():
    """A gray pixel knows brightness and contrast, a colored one saturation too."""
    jitter = tf.function(augment.color_jitter)
    clip = np.full((2, 8, 8, 3), 100, np.float32)  # of one value: only brightness is seen
    factors = np.array([jitter(clip, 0.4, s).numpy() for s in seeds(300)])
    assert np.ptp(factors, (1, 2, 3, 4)).max() < 1e-3  # all frames and pixels alike
    factors = factors[:, 0, 0, 0, 0] / 100
    assert stats.kstest(factors, stats.uniform(0.6, 0.8).cdf).pvalue > 1e-3
    # Reached by the three operations in one of the six orders, and in more than one of them.
    clip, orders = FRAMES[:2], set()
    operations = (augment.brightness, augment.contrast, augment.saturation)
    for s in seeds(12):
        draws = tf.random.stateless_uniform([2, 3], s).numpy()
        expected = clip
        for i in np.argsort(draws[1]):
            expected = operations[i](expected, 1 + 0.4 * (2 * draws[0, i] - 1))
        np.testing.assert_allclose(jitter(clip, 0.4, s), expected, atol=0.01)
        orders.add(tuple(np.argsort(draws[1])))
    assert len(orders) > 3
    np.testing.assert_allclose(jitter(clip, 0.0, seeds(1)[0]), clip, atol=1e-3)


def candidates(clip, strength):
    """Everything that one layer of RandAugment can make of a clip at a strength, for both signs."""
    for sign in (-1.0, 1.0):
        yield from (operation() for operation in augment._operations(tf.constant(clip), strength, sign))
    yield tf.constant(clip)


def test_rand_augment_operations_equal_pyslowfasts():
    """Strengths at magnitude 9, as in slowfast/datasets/rand_augment.py for increasing severity."""

    def affine(*matrix):
        return lambda i: i.transform(i.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, 1, (128,) * 3)

    pil = [
        ImageOps.autocontrast,
        ImageOps.equalize,
        ImageOps.invert,
        lambda i: i.rotate(27, Image.Resampling.BILINEAR, fillcolor=(128,) * 3),
        lambda i: ImageOps.posterize(i, 1),
        lambda i: ImageOps.solarize(i, 26),
        lambda i: i.point([min(255, v + 99) if v < 128 else v for v in range(256)] * 3),
        lambda i: ImageEnhance.Color(i).enhance(1.81),
        lambda i: ImageEnhance.Contrast(i).enhance(1.81),
        lambda i: ImageEnhance.Brightness(i).enhance(1.81),
        lambda i: ImageEnhance.Sharpness(i).enhance(1.81),
        affine(1, 0.27, 0, 0, 1, 0),
        affine(1, 0, 0, 0.27, 1, 0),
        affine(1, 0, 0.405 * 56, 0, 1, 0),
        affine(1, 0, 0, 0, 1, 0.405 * 40),
    ]
    operations = augment._operations(tf.constant(FRAMES), 0.9, 1.0)
    assert len(operations) == len(pil)
    for operation, reference in zip(operations, pil):
        difference = np.abs(operation().numpy() - by_pil(reference))
        assert (difference > 2.01).mean() < 0.1  # the border of what was moved


def test_rand_augment_applies_each_operation_half_of_the_time():
    # In half of the draws, magnitude 10 with its noise is limited to 10, so that the results are known.
    layer = tf.function(augment.rand_augment)
    clip = FRAMES[:1]
    known = np.stack([c.numpy() for c in candidates(clip, 1.0)])
    found = []
    for s in seeds(240):
        result = layer(clip, 1, 10.0, s).numpy()
        assert result.shape == clip.shape and result.min() >= 0 and result.max() <= 255.001
        distance = np.abs(known - result).max((1, 2, 3, 4))
        if distance.min() < 0.01:
            found.append(29 if distance[-1] < 0.01 else int(np.argmin(distance)))
    unchanged = sum(f == 29 for f in found)
    assert 90 < unchanged < 165  # half of 240, within 4 standard deviations, with some operations that change nothing
    assert len({f % 15 for f in found}) > 10
    np.testing.assert_array_equal(layer(clip, 0, 9.0, seeds(1)[0]), clip)


def test_rand_augment_draws_its_strength():
    """For a clip of 50s, only SolarizeAdd gives 85 to 125 in the middle: 50 + 11 * strength."""
    layer = tf.function(augment.rand_augment)
    clip = np.full((1, 16, 16, 3), 50, np.float32)
    results = np.array([layer(clip, 1, 5.0, s).numpy()[0, 8, 8, 0] for s in seeds(600)])
    strengths = (results[(results > 85) & (results < 125)] - 50) / 11
    assert len(strengths) > 8 and abs(strengths.mean() - 5) < 0.5 and 0.25 < strengths.std() < 0.75


def test_rand_augment_does_the_same_to_all_frames():
    clip = np.repeat(FRAMES[:1], 3, 0)
    augmented = tf.function(lambda c, s: augment.rand_augment(c, 3, 9.0, s))
    changed = 0
    for s in seeds(30):
        result = augmented(clip, s).numpy()
        np.testing.assert_array_equal(result, augmented(clip, s))
        np.testing.assert_allclose(result[1:], result[:1].repeat(2, 0), atol=1e-3)
        changed += np.abs(result - clip).max() > 1
    assert changed > 20


def test_random_erasing():
    erase = tf.function(augment.random_erasing)
    clip = np.full((3, 40, 30, 3), 100, np.float32)
    areas, aspects, erased = [], [], 0
    for s in seeds(400):
        result = erase(clip, 0.5, s).numpy()
        gone = result != 100
        if not gone.any():
            continue
        erased += 1
        box = gone[0, ..., 0]
        assert np.all(gone == box[None, ..., None])  # the same in all frames and channels
        rows, columns = np.flatnonzero(box.any(1)), np.flatnonzero(box.any(0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert box.sum() == height * width  # a whole rectangle
        areas.append(height * width / 1200)
        aspects.append(height / width)
        noise = result[gone]
        assert abs(noise.mean()) < 5 / np.sqrt(noise.size) and abs(noise.std() - 1) < 5 / np.sqrt(noise.size)
        assert not np.array_equal(result[0], result[1])  # noise is each frame's own
    assert 150 < erased < 250
    assert min(areas) > 0.01 and max(areas) < 0.36 and np.mean(areas) > 0.14
    assert 0.25 < min(aspects) < 0.45 and 2.3 < max(aspects) < 4.2
    np.testing.assert_array_equal(erase(clip, 0.0, seeds(1)[0]), clip)


# Boxes


def window(*places, flip=False):
    return transforms.Window(*(tf.constant(place) for place in places), tf.constant(flip))


def test_boxes_by_hand():
    """Of a 40 x 80 frame the 25 x 25 pixels from (top 4, left 20) on, twice as large."""
    boxes = np.float32(
        [
            [0.5, 0.25, 0.6, 0.5],  # 40, 10, 48, 20: cut on the right
            [0.0, 0.0, 1.0, 1.0],
            [0.2, 0.2, 0.4, 0.9],  # 16, 8, 32, 36: cut on the left and below
            [0.0, 0.0, 0.2, 0.2],  # outside
            [0.0, 0.0, 0.255, 0.9],  # to 20.4: 0.8 pixels left
            [0.0, 0.0, 0.2575, 0.9],  # to 20.6: 1.2 pixels left
            [0.5, 0.5, 0.505, 0.6],  # less than a pixel from the start
            [0.0, 0.0, 0.0, 0.0],  # padding
        ]
    )
    zero = [0, 0, 0, 0]
    expected = [[40, 12, 50, 32], [0, 0, 50, 50], [0, 8, 24, 50], zero, zero, [0, 0, 1.2, 50], zero, zero]
    found = transforms.crop_boxes(boxes, (40, 80), window(4, 20, 25, 25), 50)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    mirrored = [[50 - x2, y1, 50 - x1, y2] if x2 else zero for x1, y1, x2, y2 in expected]
    found = transforms.crop_boxes(boxes, (40, 80), window(4, 20, 25, 25, flip=True), 50)
    np.testing.assert_allclose(found, mirrored, atol=1e-4)
    # The whole frame, half as large again.
    whole = transforms.crop_boxes(boxes[:2], (40, 80), window(0, 0, 40, 80), (60, 120))
    np.testing.assert_allclose(whole, [[60, 15, 72, 30], [0, 0, 120, 60]], atol=1e-4)
    assert transforms.crop_boxes(boxes[:0], (40, 80), window(0, 0, 40, 80), 50).shape == (0, 4)


@pytest.mark.parametrize("height, width", [(48, 80), (80, 48), (50, 71)])
@pytest.mark.parametrize("draw", ["uniform", "inverse"])
def test_boxes_follow_frames(height, width, draw):
    """A bright rectangle is at its box in the crop, to half a pixel plus the blur of resizing."""
    x1, y1, x2, y2 = 20, 14, 36, 38
    frames = np.zeros((1, height, width, 1), np.uint8)
    frames[:, y1:y2, x1:x2] = 255
    boxes = np.float32([[x1 / width, y1 / height, x2 / width, y2 / height], [0, 0, 0, 0]])

    @tf.function
    def both(seed):
        drawn = transforms.draw_window((height, width), (48, 64), 40, seed, draw)
        crop = transforms.resize_window(transforms.cut(tf.constant(frames), drawn), drawn.flip, 40)
        return crop, transforms.crop_boxes(boxes, (height, width), drawn, 40), drawn.flip

    flips = 0
    for s in seeds(40):
        crop, (box, padding), flip = both(s)
        assert not np.any(padding)
        seen = crop.numpy()[0, ..., 0] / 255
        # The sum of a blurred edge lies where the edge is, unless it is cut by the border of the crop.
        expected = np.outer(
            *(
                np.clip(np.minimum(np.arange(40) + 1, b) - np.maximum(np.arange(40), a), 0, 1)
                for a, b in ((box[1], box[3]), (box[0], box[2]))
            )
        )
        assert np.abs(seen - expected).max() < 0.6 and abs(seen.sum() - expected.sum()) < 0.02 * 40 * 40
        flips += bool(flip)
    assert 8 < flips < 32


# Configuration


@pytest.mark.parametrize(
    "override, said",
    [
        ("data.color_jitter=1.5", "less than or equal to 1; received 1.5"),
        ("data.rand_augment_layers=-1", "greater than or equal to 0; received -1"),
        ("data.rand_augment_magnitude=11", "less than or equal to 10; received 11"),
        ("data.random_erasing=2", "less than or equal to 1; received 2"),
        ("data.mixup=-0.1", "greater than or equal to 0; received -0.1"),
        ("data.cutmix=yes", "received 'yes'"),
        ("model.fast_input=flow", "optical flow would not follow data.rand_augment_layers"),
    ],
)
def test_configuration(configure, override, said):
    usual = ["data.color_jitter=0.4", "data.rand_augment_layers=2", "data.random_erasing=0.25", "data.mixup=0.8"]
    assert configure(*usual).data.rand_augment_magnitude == 9
    with pytest.raises(InputError) as error:
        configure(*usual, override)
    assert said in str(error.value)
