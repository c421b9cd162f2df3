"""Build the graph of a SavedModel: from raw video, JPEG frames or clips to scores and labels, TensorFlow's ops only."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from ..data import sampling, transforms
from ..inference.predictor import Predictor
from ..models.spec import SlowFastSpec
from ..models.views import Views
from ..video.probe import MAX_ASPECT, MAX_PIXELS
from .folded import Network, input_specs
from .requests import checked_boxes, checked_inputs

TOP = 5  # labels in a response
_VIDEO = tf.TensorSpec([None, None, None, None, 3], tf.uint8, "video")
_JPEG = tf.TensorSpec([None, None], tf.string, "frames")
_RATE = tf.TensorSpec([None], tf.float32, "rate")
_BOXES = tf.TensorSpec([None, None, 4], tf.float32, "boxes")


def signatures(network: Network, views: Views | None = None) -> dict[str, Any]:
    """Return the signatures of a SavedModel by name, as `saved_model.export` describes them.

    Args:
        network: the `Network` of a model that takes video.
        views: clips and crops of each video; by default those of the model's own test.

    Returns:
        `tf.function`s with input signatures: "serving_default", "rated" and "clips". If the network takes no boxes,
        also "jpeg" and "rated_jpeg".
    """
    spec = dataclasses.replace(network.spec, views=views or network.spec.views)
    predictor = Predictor(network, spec)
    inputs = {tensor.name: tensor for tensor in input_specs(spec)}
    jpeg_crops = functools.partial(_jpeg_crops, spec)

    @tf.function(input_signature=[inputs], jit_compile=False, autograph=False)
    def clips(inputs):
        return {"scores": predictor.score_inputs(checked_inputs(inputs, spec))}

    if spec.head == "roi":
        return {**_detection(predictor), "clips": clips}

    @tf.function(input_signature=[_VIDEO], jit_compile=False, autograph=False)
    def serve(video):
        return _answer(predictor, _sane(video), None, predictor.crop)

    @tf.function(input_signature=[_VIDEO, _RATE], jit_compile=False, autograph=False)
    def rated(video, rate):
        return _answer(predictor, _sane(video), rate, predictor.crop)

    @tf.function(input_signature=[_JPEG], jit_compile=False, autograph=False)
    def jpeg(frames):
        return _answer(predictor, frames, None, jpeg_crops)

    @tf.function(input_signature=[_JPEG, _RATE], jit_compile=False, autograph=False)
    def rated_jpeg(frames, rate):
        return _answer(predictor, frames, rate, jpeg_crops)

    return {"serving_default": serve, "rated": rated, "jpeg": jpeg, "rated_jpeg": rated_jpeg, "clips": clips}


def _answer(
    predictor: Predictor, video: tf.Tensor, rate: tf.Tensor | None, crops_of: Callable[[tf.Tensor, int], tf.Tensor]
) -> dict[str, tf.Tensor]:
    """Return the scores and the best labels of each video.

    Args:
        predictor: a `Predictor`, whose `spec` has the views.
        video: decoded or encoded frames, `[B, frames, ...]`.
        rate: frames per second of each video, float32 `[B]`; None for the rate that the network's stride counts.
        crops_of: function that crops clips, as `Predictor.crop` does.
    """
    spec, frames = predictor.spec, tf.shape(video)[1]
    starts = sampling.test_starts(spec, spec.views)
    clips = _clips(video, rate, lambda ratio: sampling.clip_frames(starts, frames, spec, ratio), spec)
    if (spec.views.clips, spec.views.crops) == (1, 1):
        scores = predictor.score_crops(crops_of(clips(0), 1)[0])
    else:
        # Compute one view at a time, so that memory is needed for only one.
        scores = tf.map_fn(
            lambda k: tf.map_fn(predictor.score_crops, crops_of(clips(k), spec.views.crops), parallel_iterations=1),
            tf.range(spec.views.clips),
            parallel_iterations=1,
            fn_output_signature=tf.float32,
        )
        fuse = {"mean": tf.reduce_mean, "max": tf.reduce_max}[spec.views.fuse]
        scores = tf.ensure_shape(fuse(scores, [0, 1]), [None, spec.num_classes])
    return _best(predictor, scores)


def _clips(
    video: tf.Tensor,
    rate: tf.Tensor | None,
    indices: Callable[[tf.Tensor], tf.Tensor],
    spec: SlowFastSpec,
) -> Callable[[Any], tf.Tensor]:
    """Return a function from k to the k-th clip of each video, `[B, F, ...]`.

    Args:
        video, rate: as for `_answer`.
        indices: function from the ratio of a video (see `sampling.rate_ratio`) to the frame indices of its clips,
            int32 `[K, F]`.
        spec: the network.
    """
    shape = tf.shape(video)
    with tf.control_dependencies([_check_full(shape)]):
        video = tf.identity(video)
    if rate is None:
        shared = indices(tf.constant(1.0, tf.float64))
        return lambda k: tf.gather(video, shared[k], axis=1)
    with tf.control_dependencies([_check_rate(rate, shape)]):
        ratios = tf.map_fn(lambda one: sampling.rate_ratio(spec, one), rate, fn_output_signature=tf.float64)
    own = tf.ensure_shape(tf.map_fn(indices, ratios, fn_output_signature=tf.int32), [None, None, spec.clip_frames])
    return lambda k: tf.gather(video, own[:, k], axis=1, batch_dims=1)


def _detection(predictor: Predictor) -> dict[str, Any]:
    """Return the signatures that take raw video and boxes, without and with a frame rate."""

    def answer(video: tf.Tensor, boxes: tf.Tensor, rate: tf.Tensor | None) -> dict[str, tf.Tensor]:
        video, spec = _sane(video), predictor.spec
        frames = tf.shape(video)[1]
        clips = _clips(video, rate, lambda ratio: sampling.key_frames(frames // 2, frames, spec, ratio), spec)
        scores = predictor.score_boxes(clips(0), checked_boxes(boxes))
        return _best(predictor, tf.where(tf.reduce_any(boxes != 0, -1, keepdims=True), scores, 0.0))

    @tf.function(input_signature=[_VIDEO, _BOXES], jit_compile=False, autograph=False)
    def detect(video, boxes):
        return answer(video, boxes, None)

    @tf.function(input_signature=[_VIDEO, _BOXES, _RATE], jit_compile=False, autograph=False)
    def rated(video, boxes, rate):
        return answer(video, boxes, rate)

    return {"serving_default": detect, "rated": rated}


def _best(predictor: Predictor, scores: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the scores, the best labels and the scores of the best labels."""
    top = tf.math.top_k(scores, min(TOP, predictor.spec.num_classes))
    return {"scores": scores, "labels": tf.gather(predictor.labels, top.indices), "label_scores": top.values}


def _check_full(shape: tf.Tensor) -> tf.Operation:
    """Return an operation that fails if a request is empty."""
    return tf.debugging.Assert(tf.reduce_all(shape > 0), ["a request needs a video, a frame and a pixel; got", shape])


def _check_rate(rate: tf.Tensor, shape: tf.Tensor) -> tf.Operation:
    """Return an operation that fails unless each video has one finite rate of at least 0 (0: unknown)."""
    good = tf.equal(tf.size(rate), shape[0]) & tf.reduce_all((rate >= 0) & (rate < 1e6))
    return tf.debugging.Assert(good, ["rate is one number for each video, frames a second; got", rate])


def _sane(video: tf.Tensor) -> tf.Tensor:
    """Return the videos, `[B, frames, H, W, 3]`, with a check that their frames are not too large."""
    with tf.control_dependencies([_check_size(tf.shape(video)[2:4])]):
        return tf.identity(video)


def _check_size(shape: tf.Tensor) -> tf.Operation:
    """Return an operation that fails if frames of this height and width would fill the memory after resizing."""
    height, width = tf.unstack(tf.cast(shape, tf.int64))
    longer, shorter = tf.maximum(height, width), tf.minimum(height, width)
    good = (height * width <= MAX_PIXELS) & (longer <= MAX_ASPECT * shorter)
    about = f"frames have at most {MAX_PIXELS} pixels and sides of at most {MAX_ASPECT} to 1; got"
    return tf.debugging.Assert(good, [about, height, width])


def _jpeg_crops(spec: SlowFastSpec, clips: tf.Tensor, crops: int) -> tf.Tensor:
    """Decode and crop JPEG frames `[B, F]` one by one, as their sizes may differ; crop as `Predictor.crop` does."""
    size = spec.crop_size

    def decode(frame):
        # Check before decoding: a few bytes may declare an image that does not fit into memory.
        with tf.control_dependencies([_check_size(tf.io.extract_jpeg_shape(frame)[:2])]):
            image = transforms.decode(frame)
        return transforms.test_crops(transforms.downscale(image[None], size), size, crops)[:, 0]

    images = tf.map_fn(decode, tf.reshape(clips, [-1]), fn_output_signature=tf.float32)
    images = tf.reshape(images, [tf.shape(clips)[0], spec.clip_frames, crops, size, size, 3])
    return tf.transpose(images, [2, 0, 1, 3, 4, 5])
