"""Turn clips into network inputs and labels: crop, augment, normalize. All functions are TensorFlow ops.

A source returns a `Clip`. For training, `training_windows` cuts a window out of the clip, on the host. Then
`window_inputs` computes the inputs, on the host or on the device: uint8 windows have a fifth of the inputs' bytes. For
a test, `test_frames` decodes the clip and `test_inputs` crops it. The same seed gives the same pixels.
"""

import typing
from collections.abc import Sequence

import tensorflow as tf

from ..config import Data
from ..models.base import HAS_GPU
from ..models.spec import SlowFastSpec
from . import augment, flow, transforms

Inputs: typing.TypeAlias = dict[str, tf.Tensor]  # "slow" and "fast", and "boxes" for a network with head "roi"
ALWAYS = (0.0, float("inf"))  # a span that overlaps every label


class Clip(typing.NamedTuple):
    """K clips of one video, as a source returns them, and the labels of the video.

    Attributes:
        id: id of the video, string; empty if the video cannot be read.
        frames: uint8 `[K, F, H, W, 3]`, or JPEG images, string `[K, F]`.
        spans: start and end of each clip, in seconds, float32 `[K, 2]`.
        labels: class indices, int64 `[L]`.
        starts: start of each label, in seconds, float32 `[L]`.
        ends: end of each label, in seconds, float32 `[L]`.
        boxes: boxes of the key frame: x1, y1, x2, y2 as fractions of width and height, float32 `[M, 4]`.
        box_labels: class indices of each box, int64 `[M, any]`, padded with -1.
        box_scores: score of each box, float32 `[M]`.
        flow: images for `flow.decode`, string `[K, F]`; an empty tuple if the source does not read optical flow.
    """

    id: typing.Any
    frames: typing.Any
    spans: typing.Any
    labels: typing.Any
    starts: typing.Any
    ends: typing.Any
    boxes: typing.Any
    box_labels: typing.Any
    box_scores: typing.Any
    flow: typing.Any = ()


class Crop(typing.NamedTuple):
    """The size of a training crop.

    Attributes:
        size: height and width, in pixels; a scalar tensor if it differs between batches.
        short_sides: lowest and highest shorter side to resize frames to, in pixels.
    """

    size: int | tf.Tensor
    short_sides: tuple[typing.Any, typing.Any]


class Windows(typing.NamedTuple):
    """The windows of training crops, before their pixels are processed; `[B, ...]` in a batch.

    Attributes:
        frames: uint8 `[F, side, side, 3]`; in a batch, padded at the bottom and at the right to the largest side.
        side: height and width of the window, in pixels, int32 `[]`.
        flip: whether the crop is mirrored, bool `[]`.
        size: height and width of the crop, in pixels, int32 `[]`.
        seed: seed of the clip's augmentation, int64 `[2]`.
        flow: images of optical flow, as `frames`; an empty tuple without optical flow.
        boxes: boxes in pixels of the crop, float32 `[N, 4]`; an empty tuple for a network without boxes.
    """

    frames: typing.Any
    side: typing.Any
    flip: typing.Any
    size: typing.Any
    seed: typing.Any
    flow: typing.Any = ()
    boxes: typing.Any = ()


class TestFrames(typing.NamedTuple):
    """Decoded frames of test clips.

    Attributes:
        frames: uint8 `[..., F, H, W, 3]`.
        flow: decoded images of optical flow, uint8 `[..., F, H, W, 3]`; an empty tuple without optical flow.
    """

    frames: tf.Tensor
    flow: tf.Tensor | tuple[()] = ()


def training_windows(clip: Clip, spec: SlowFastSpec, data: Data, crop: Crop, seed: tf.Tensor) -> tuple:
    """Cut the random window of a training crop out of a clip. `window_inputs` computes the inputs from the window.

    Args:
        clip: one clip, K = 1.
        spec: the network, with the frames of this clip.
        data: the augmentation to apply.
        crop: the size of the crop.
        seed: int64 `[2]`; `seed` to `seed + 3` are used.

    Returns:
        `Windows` of this clip, and labels, float32 `[classes]`. For a network with boxes, labels are `[N, classes]`,
        and weights `[N]` come third; see `with_boxes`.
    """
    shape = frame_shape(clip)
    window = transforms.draw_window(shape, crop.short_sides, crop.size, seed, data.short_side_draw, data.flip)
    windows = Windows(
        frames=tf.ensure_shape(transforms.cut(clip.frames[0], window), [spec.clip_frames, None, None, 3]),
        side=window.height,
        flip=window.flip,
        size=tf.convert_to_tensor(crop.size),
        seed=seed,
        flow=transforms.cut(clip.flow[0], window) if _has_flow(clip) else (),
    )
    if spec.head == "roi":
        clip = boxes_from(clip, spec.person_score)
        boxes = transforms.crop_boxes(clip.boxes, shape, window, crop.size)
        boxes, labels, weights = with_boxes(boxes, clip.box_labels, spec.num_classes)
        return windows._replace(boxes=boxes), labels, weights
    return windows, labels_during(clip, tf.unstack(clip.spans[0]), spec.num_classes)


def window_inputs(windows: Windows, spec: SlowFastSpec, data: Data, size: int | None = None) -> Inputs:
    """Return the inputs of one clip's windows: mirrored, resized, augmented and normalized. It runs on any device.

    Args:
        windows: the windows of one clip.
        spec: the network, with the frames of this clip.
        data: the augmentation to apply.
        size: height and width of the crop, in pixels; None to use `windows.size`.
    """
    crop = size or windows.size
    inputs = transforms.pathways(augmented(windows, crop, spec, data), spec, _motion(windows, crop))
    inputs = {name: tf.ensure_shape(x, spec.input_shape(name, size)) for name, x in inputs.items()}
    return {**inputs, "boxes": windows.boxes} if spec.head == "roi" else inputs


def without_padding(windows: Windows) -> Windows:
    """Return the windows of one clip of a batch without padding."""

    def cut(frames: tf.Tensor) -> tf.Tensor:
        return frames[:, : windows.side, : windows.side]

    pixels = windows._replace(frames=cut(windows.frames))
    return pixels if isinstance(windows.flow, tuple) else pixels._replace(flow=cut(windows.flow))


def frame_shape(clip: Clip) -> tf.Tensor:
    """Return the height and width of a clip's frames, int32 `[2]`."""
    frames = clip.frames[0]
    return tf.shape(frames)[1:3] if frames.dtype == tf.uint8 else tf.io.extract_jpeg_shape(frames[0])[:2]


def augmented(windows: Windows, size: int | tf.Tensor, spec: SlowFastSpec, data: Data) -> tf.Tensor:
    """Resize the frames of one clip to a crop, augment and normalize them.

    Args:
        windows: the windows of one clip.
        size: height and width of the crop, in pixels.
        spec: the network to normalize for.
        data: the augmentation to apply.

    Returns:
        float32 `[F, size, size, 3]`, in the channel order of the spec.
    """
    seed = windows.seed
    colored = data.color_jitter or data.rand_augment_layers
    frames = windows.frames
    if HAS_GPU:  # the conversion in `transforms.normalize` that is fast on CPUs has no GPU kernel
        frames = tf.cast(frames, tf.float32)
    # Color augmentation takes values from 0 to 255. Without it, normalizing before resizing is faster.
    frames = transforms.resize_window(frames, windows.flip, size, None if colored else spec)
    if data.color_jitter:
        frames = augment.color_jitter(frames, data.color_jitter, seed + 1)
    if data.rand_augment_layers:
        frames = augment.rand_augment(frames, data.rand_augment_layers, data.rand_augment_magnitude, seed + 2)
    if colored:
        frames = transforms.normalize(frames, spec)
    if data.random_erasing:
        frames = augment.random_erasing(frames, data.random_erasing, seed + 3)
    return frames


def _motion(windows: Windows, size: int | tf.Tensor) -> tf.Tensor | None:
    """Return the cropped optical flow of one clip, float32 `[F, size, size, 2]`; None without optical flow."""
    if isinstance(windows.flow, tuple):
        return None
    return transforms.resize_flow(flow.displacements(windows.flow), windows.flip, size) / flow.LIMIT


def labels_during(clip: Clip, span: Sequence[float | tf.Tensor], classes: int) -> tf.Tensor:
    """Return the labels of a video between two times.

    Args:
        clip: clips of the video.
        span: start and end, in seconds; `ALWAYS` for the whole video.
        classes: number of classes.

    Returns:
        float32 `[classes]`, 1 for each class with a label that overlaps the span, else 0.
    """
    during = tf.logical_and(clip.starts < span[1], clip.ends > span[0])
    one_hot = tf.one_hot(tf.boolean_mask(clip.labels, during), classes)
    return tf.minimum(tf.reduce_sum(one_hot, 0), 1.0)


def with_boxes(boxes: tf.Tensor, box_labels: tf.Tensor, classes: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return the boxes within a crop, with labels and weights.

    Args:
        boxes: x1, y1, x2, y2 in pixels of the crop, float32 `[N, 4]`; all-zero rows (outside the crop) are dropped.
        box_labels: class indices of each box, int64 `[N, any]`, padded with -1.
        classes: number of classes.

    Returns:
        Boxes `[M, 4]`, labels `[M, classes]` and weights `[M]`, float32.
    """
    kept = tf.reduce_any(boxes != 0, -1)
    labels, boxes = one_hot_labels(tf.boolean_mask(box_labels, kept), classes), tf.boolean_mask(boxes, kept)
    weights = tf.ones([tf.shape(boxes)[0]])
    # Pad to at least one row: the loss of a batch without boxes would be 0 / 0.
    more = [0, tf.cast(tf.size(weights) == 0, tf.int32)]
    boxes, labels = (tf.pad(x, [more, [0, 0]]) for x in (boxes, labels))
    return boxes, labels, tf.pad(weights, [more])


def one_hot_labels(box_labels: tf.Tensor, classes: int) -> tf.Tensor:
    """Encode class indices of boxes, int64 `[N, any]` padded with -1, as float32 `[N, classes]`."""
    return tf.reduce_sum(tf.one_hot(box_labels, classes), 1)


def test_frames(clip: Clip) -> TestFrames:
    """Decode the frames of all K test clips, uint8 `[K, F, H, W, 3]`."""
    return TestFrames(_decoded(clip.frames), _decoded(clip.flow) if _has_flow(clip) else ())


def first_test_frames(clip: Clip) -> TestFrames:
    """Decode the frames of the first test clip only, uint8 `[F, H, W, 3]`."""
    return TestFrames(_decoded(clip.frames[0]), _decoded(clip.flow[0]) if _has_flow(clip) else ())


def test_inputs(test: TestFrames, spec: SlowFastSpec, crops: int) -> Inputs:
    """Return the network's inputs of the crops of one test clip, `[crops, T, S, S, C]`.

    Args:
        test: frames of one clip, uint8 `[F, H, W, 3]`.
        spec: the network.
        crops: see `transforms.test_crops`.
    """
    frames = tf.ensure_shape(test.frames, [spec.clip_frames, None, None, 3])
    # Normalize before resizing, when there are fewer pixels.
    found = transforms.test_crops(transforms.normalize(frames, spec), spec.crop_size, crops)
    motion = None
    if isinstance(test.flow, tf.Tensor):
        motion = flow.displacements(test.flow)
        # Resizing a frame scales its displacements by the same factor.
        scale = spec.crop_size / tf.reduce_min(tf.shape(motion)[1:3]) / flow.LIMIT
        motion = transforms.test_crops(motion, spec.crop_size, crops) * tf.cast(scale, tf.float32)
    return transforms.pathways(found, spec, motion)


def middle_example(clip: Clip, spec: SlowFastSpec) -> tuple:
    """Return inputs and labels of the center crop of the first test clip, for validation; see `training_windows`."""
    test = first_test_frames(clip)
    inputs = {name: x[0] for name, x in test_inputs(test, spec, 1).items()}
    if spec.head == "roi":
        shape, window = transforms.middle_window(tf.shape(test.frames)[1:3], spec.crop_size)
        boxes = transforms.crop_boxes(clip.boxes, shape, window, spec.crop_size)
        boxes, labels, weights = with_boxes(boxes, clip.box_labels, spec.num_classes)
        return {**inputs, "boxes": boxes}, labels, weights
    return inputs, labels_during(clip, ALWAYS, spec.num_classes)


def key_frame_inputs(clip: Clip, spec: SlowFastSpec) -> Inputs:
    """Return the network's inputs of whole frames, `[1, T, H, W, C]`, with "boxes" `[1, N, 4]` in pixels."""
    inputs = test_inputs(first_test_frames(clip), spec, 0)
    sides = tf.cast(tf.shape(inputs[spec.pathways[0]])[2:4], tf.float32)
    return {**inputs, "boxes": (clip.boxes * tf.tile(sides[::-1], [2]))[None]}


def boxes_from(clip: Clip, score: float) -> Clip:
    """Return a clip without the boxes whose score is below `score`."""
    kept = clip.box_scores >= score
    boxes, labels, scores = (tf.boolean_mask(x, kept) for x in (clip.boxes, clip.box_labels, clip.box_scores))
    return clip._replace(boxes=boxes, box_labels=labels, box_scores=scores)


def _has_flow(clip: Clip) -> bool:
    return not isinstance(clip.flow, tuple)


def _decoded(images: tf.Tensor) -> tf.Tensor:
    """Decode JPEG images of one size, string `[...]`, to uint8 `[..., H, W, 3]`; return frames unchanged."""
    if images.dtype != tf.string:
        return images
    pixels = tf.map_fn(transforms.decode, tf.reshape(images, [-1]), fn_output_signature=tf.uint8)
    return tf.reshape(pixels, tf.concat([tf.shape(images), tf.shape(pixels)[1:]], 0))
