"""SavedModel for TF Serving: raw video in, labels out, TensorFlow's own ops only."""

import functools
import importlib.util
import pathlib

import numpy as np
import tensorflow as tf

from ..data import sampling, transforms
from ..errors import InputError
from ..files.atomic import atomic
from ..inference.predictor import Predictor
from ..models import keras_compat as compat
from ..video.probe import MAX_ASPECT, MAX_PIXELS
from .freeze import Network, input_specs

TOP = 5


def export(model, path, precision="float32", views=(1, 1)):
    """Writes a SavedModel with three signatures, of a batch of any size.

    `serving_default`: `video` uint8 `[B, frames, H, W, 3]`, any number of frames and any size (sides of at
    most 16 to 1); samples, resizes,
    crops and normalises as `slowfast_tf.predict` does. Gives `scores` float32 `[B, classes]`, and the top five (or
    fewer, if there are fewer classes) `labels` (strings) and `label_scores` `[B, 5]`.

    `jpeg`: `frames` string `[B, frames]`, each a JPEG of any size; gives the same.

    `clips`: the model's own inputs, `slow` and `fast`; gives `scores`.

    A detection network has two signatures. `serving_default` takes `boxes` as well, float32 `[B, N, 4]`: x1, y1, x2,
    y2 as shares of width and height in frame `frames // 2` of `video`, which the clip lies around; zeros are padding,
    whose scores are 0. It gives `scores` `[B, N, classes]`, `labels` and `label_scores` `[B, N, 5]`, as
    `slowfast_tf.predict` does for a key frame. `clips` has `boxes` in pixels.

    Where `tensorflow_serving` is installed, warm-up requests of `serving_default` and `jpeg` go along.

    Args:
        model: a `SlowFast`. BatchNorm is folded into the convolutions.
        path: the directory to make; for TF Serving it ends in a version number. It appears whole, in one rename.
        precision: "float32", or "bfloat16" for CPUs and GPUs that have it.
        views: clips in time and crops in space of each video, such as (10, 3); (1, 1) is the middle one. Their
            scores are averaged (softmax) or the highest is taken (sigmoid), as the paper's tests do.

    Raises:
        InputError: where `path` exists or cannot be written, the network does not take RGB video, or a detection
            network is to have several views.
        RunError: where the folded network differs.
    """
    if pathlib.Path(path).exists():
        raise InputError(f"{path} exists already; choose another place or remove it")
    if model.spec.fast_input == "flow":
        raise InputError("a SavedModel takes video, and this network optical flow; export it as tflite or onnx")
    if model.spec.head == "roi" and views != (1, 1):
        raise InputError(
            f"a detection network has one view, the clip around the boxes; got {views[0]}x{views[1]} views"
        )
    with atomic(path) as temporary:
        tf.saved_model.save(tf.Module(), str(temporary), signatures=_signatures(model, precision, views))
        _name_by_content(temporary)
        if importlib.util.find_spec("tensorflow_serving"):
            _write_warmup(temporary, model.spec)


def _signatures(model, precision, views):
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


def _answer(predictor, video, crops_of, views):
    """Scores and best labels of videos `[B, frames, ...]`; `crops_of` makes of clips what `Predictor.crop` does."""
    shape = tf.shape(video)
    with tf.control_dependencies([_check_full(shape)]):
        video = tf.identity(video)
    indices = sampling.clip_frames(sampling.test_starts(views[0]), shape[1], predictor.spec)

    def crops(index):
        return crops_of(tf.gather(video, index, axis=1), views[1])

    if views == (1, 1):
        scores = predictor.score_crops(crops(indices[0])[0])
    else:
        # One view at a time: memory is that of one.
        scores = tf.map_fn(
            lambda index: tf.map_fn(predictor.score_crops, crops(index), parallel_iterations=1),
            indices,
            parallel_iterations=1,
            fn_output_signature=tf.float32,
        )
        fuse = tf.reduce_mean if predictor.spec.activation == "softmax" else tf.reduce_max
        scores = tf.ensure_shape(fuse(scores, [0, 1]), [None, predictor.spec.num_classes])
    return _best(predictor, scores)


def _best(predictor, scores):
    """Scores, and the best labels with theirs."""
    top = tf.math.top_k(scores, min(TOP, predictor.spec.num_classes))
    return {"scores": scores, "labels": tf.gather(predictor.labels, top.indices), "label_scores": top.values}


def _check_full(shape):
    """An operation that fails where a request is empty."""
    return tf.debugging.Assert(tf.reduce_all(shape > 0), ["a request needs a video, a frame and a pixel; got", shape])


def _check_size(shape):
    """An operation that fails where frames of this height and width, once resized, would take all memory."""
    height, width = tf.unstack(tf.cast(shape, tf.int64))
    longer, shorter = tf.maximum(height, width), tf.minimum(height, width)
    good = (height * width <= MAX_PIXELS) & (longer <= MAX_ASPECT * shorter)
    about = f"frames have at most {MAX_PIXELS} pixels and sides of at most {MAX_ASPECT} to 1; got"
    return tf.debugging.Assert(good, [about, height, width])


def _jpeg_crops(spec, clips, crops):
    """As `Predictor.crop`, of encoded frames `[B, F]`; each is cropped once it is decoded, so that sizes may differ."""
    size = spec.crop_size

    def decode(frame):
        # Before it is decoded: a few bytes may claim to be a picture that no memory holds.
        with tf.control_dependencies([_check_size(tf.io.extract_jpeg_shape(frame)[:2])]):
            image = transforms.decode(frame)
        return transforms.test_crops(image[None], size, crops)[:, 0]

    images = tf.map_fn(decode, tf.reshape(clips, [-1]), fn_output_signature=tf.float32)
    images = tf.reshape(images, [tf.shape(clips)[0], spec.clip_frames, crops, size, size, 3])
    return tf.transpose(images, [2, 0, 1, 3, 4, 5])


def _name_by_content(path):
    """Puts a SavedModel's checksum where TensorFlow puts a random number: the same export gives the same bytes."""
    from tensorflow.core.protobuf import fingerprint_pb2

    file = path / "fingerprint.pb"
    fingerprint = fingerprint_pb2.FingerprintDef.FromString(file.read_bytes())
    if compat.SAVED_MODEL_HAS_UUID:
        fingerprint.uuid = str(fingerprint.saved_model_checksum)
    file.write_bytes(fingerprint.SerializeToString(deterministic=True))


def _write_warmup(path, spec):
    """Requests that TF Serving sends itself before it calls a version ready: a first request takes seconds."""
    from tensorflow_serving.apis import prediction_log_pb2

    # Small frames: the graph resizes them, so that the network sees what it will see.
    video = np.random.default_rng(0).integers(0, 256, (1, spec.clip_span, 32, 32, 3), np.uint8)
    encoded = np.array([[tf.io.encode_jpeg(frame).numpy() for frame in video[0]]])
    detects, boxes = spec.head == "roi", np.array([[[0.2, 0.2, 0.8, 0.8]]], np.float32)
    signatures = [
        ("serving_default", {"video": video, **({"boxes": boxes} if detects else {})}),
        *([] if detects else [("jpeg", {"frames": encoded})]),
    ]
    requests = path / "assets.extra" / "tf_serving_warmup_requests"
    requests.parent.mkdir()
    with tf.io.TFRecordWriter(str(requests)) as writer:
        for signature, inputs in signatures:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString(deterministic=True))
