"""The graph of a SavedModel: from raw video, JPEG frames or clips to scores and labels, TensorFlow's own ops only."""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..data import sampling, transforms
from ..inference.predictor import Predictor
from ..models.slowfast import SlowFast
from ..models.spec import SlowFastSpec
from ..video.probe import MAX_ASPECT, MAX_PIXELS
from .freeze import Network, input_specs

TOP = 5  # labels


def signatures(model: SlowFast, precision: str = "float32", views: tuple[int, int] = (1, 1)) -> dict[str, Any]:
    """Return the signatures of a SavedModel by name, as `saved_model.export` describes them.

    Args:
        model: a `SlowFast` that takes video.
        precision: "float32" or "bfloat16".
        views: clips in time and crops in space.

    Returns:
        `tf.function`s with input signatures: "serving_default", "clips", and "jpeg" unless the network takes boxes.
    """
    predictor = Predictor(Network(model, precision))
    inputs = {spec.name: spec for spec in input_specs(model.spec)}
    jpeg_crops = functools.partial(_jpeg_crops, model.spec)

    @tf.function(input_signature=[inputs], jit_compile=False, autograph=False)
    def clips(inputs):
        return {"scores": predictor.score_inputs(inputs)}

    raw = tf.TensorSpec([None, None, None, None, 3], tf.uint8, "video")
    if model.spec.head == "roi":

        @tf.function(
            input_signature=[raw, tf.TensorSpec([None, None, 4], tf.float32, "boxes")],
            jit_compile=False,
            autograph=False,
        )
        def detect(video, boxes):
            with tf.control_dependencies([_check_size(tf.shape(video)[2:4]), _check_full(tf.shape(video))]):
                frames = tf.shape(video)[1]
                clip = tf.gather(video, sampling.key_frames(frames // 2, frames, predictor.spec)[0], axis=1)
                scores = predictor.score_boxes(clip, boxes)
            return _best(predictor, tf.where(tf.reduce_any(boxes != 0, -1, keepdims=True), scores, 0.0))

        return {"serving_default": detect, "clips": clips}

    @tf.function(input_signature=[raw], jit_compile=False, autograph=False)
    def serve(video):
        with tf.control_dependencies([_check_size(tf.shape(video)[2:4])]):
            return _answer(predictor, video, predictor.crop, views)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.string, "frames")], jit_compile=False, autograph=False)
    def jpeg(frames):
        return _answer(predictor, frames, jpeg_crops, views)

    return {"serving_default": serve, "jpeg": jpeg, "clips": clips}


def _answer(predictor: Predictor, video: tf.Tensor, crops_of: Callable, views: tuple[int, int]) -> dict[str, tf.Tensor]:
    """Return scores and best labels of videos `[B, frames, ...]`; `crops_of` crops clips as `Predictor.crop` does."""
    shape = tf.shape(video)
    with tf.control_dependencies([_check_full(shape)]):
        video = tf.identity(video)
    indices = sampling.clip_frames(sampling.test_starts(views[0]), shape[1], predictor.spec)

    def crops(index):
        return crops_of(tf.gather(video, index, axis=1), views[1])

    if views == (1, 1):
        scores = predictor.score_crops(crops(indices[0])[0])
    else:
        # One view at a time, so that memory is that of one.
        scores = tf.map_fn(
            lambda index: tf.map_fn(predictor.score_crops, crops(index), parallel_iterations=1),
            indices,
            parallel_iterations=1,
            fn_output_signature=tf.float32,
        )
        fuse = tf.reduce_mean if predictor.spec.activation == "softmax" else tf.reduce_max
        scores = tf.ensure_shape(fuse(scores, [0, 1]), [None, predictor.spec.num_classes])
    return _best(predictor, scores)


def _best(predictor: Predictor, scores: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return scores, and the best labels with theirs."""
    top = tf.math.top_k(scores, min(TOP, predictor.spec.num_classes))
    return {"scores": scores, "labels": tf.gather(predictor.labels, top.indices), "label_scores": top.values}


def _check_full(shape: tf.Tensor) -> tf.Operation:
    """Return an operation that fails if a request is empty."""
    return tf.debugging.Assert(tf.reduce_all(shape > 0), ["a request needs a video, a frame and a pixel; got", shape])


def _check_size(shape: tf.Tensor) -> tf.Operation:
    """Return an operation that fails if frames of this height and width, once resized, would take all memory."""
    height, width = tf.unstack(tf.cast(shape, tf.int64))
    longer, shorter = tf.maximum(height, width), tf.minimum(height, width)
    good = (height * width <= MAX_PIXELS) & (longer <= MAX_ASPECT * shorter)
    about = f"frames have at most {MAX_PIXELS} pixels and sides of at most {MAX_ASPECT} to 1; got"
    return tf.debugging.Assert(good, [about, height, width])


def _jpeg_crops(spec: SlowFastSpec, clips: tf.Tensor, crops: int) -> tf.Tensor:
    """Crop encoded frames `[B, F]` as `Predictor.crop` does, each once it is decoded, so that sizes may differ."""
    size = spec.crop_size

    def decode(frame):
        # Before it is decoded: a few bytes may claim to be a picture that no memory holds.
        with tf.control_dependencies([_check_size(tf.io.extract_jpeg_shape(frame)[:2])]):
            image = transforms.decode(frame)
        return transforms.test_crops(image[None], size, crops)[:, 0]

    images = tf.map_fn(decode, tf.reshape(clips, [-1]), fn_output_signature=tf.float32)
    images = tf.reshape(images, [tf.shape(clips)[0], spec.clip_frames, crops, size, size, 3])
    return tf.transpose(images, [2, 0, 1, 3, 4, 5])
