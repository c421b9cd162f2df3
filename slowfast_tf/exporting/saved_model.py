"""Export a SavedModel for TF Serving: from raw video to labels, with TensorFlow's own ops only."""

import importlib.util
import json
import os
import pathlib

import numpy as np
import tensorflow as tf

from ..errors import InputError
from ..files.atomic import atomic
from ..files.formats import ABOUT, FORMAT
from ..models import keras_compat as compat
from ..models.slowfast import SlowFast
from ..models.spec import SlowFastSpec
from ..models.views import Views
from .folded import Network
from .signatures import signatures

PRECISIONS = ("float32", "bfloat16")


def export(model: SlowFast, path: str | os.PathLike, precision: str = "float32", views: Views | None = None) -> None:
    """Write a SavedModel with these signatures, for a batch of any size.

    `rated`: takes `video`, uint8 `[B, frames, H, W, 3]`, and `rate`, float32 `[B]`, the frames per second of each
    video. A video has any number of frames, and an aspect ratio of at most 16. The signature samples, resizes, crops
    and normalizes as `slowfast_tf.predict` does. It returns `scores`, float32 `[B, classes]`, and the five best
    `labels` (strings) and their `label_scores`, `[B, 5]` (fewer if there are fewer classes).

    `serving_default`: takes `video` alone, at the frame rate that the network's stride counts.

    `rated_jpeg` and `jpeg`: the same with `frames` in place of `video`: string `[B, frames]`, JPEG images of any size.

    `clips`: takes the model's own inputs, `slow` and `fast`, and returns `scores`.

    A detection network has no JPEG signatures. Its `serving_default` and `rated` also take `boxes`, float32
    `[B, N, 4]`: x1, y1, x2, y2 as fractions of width and height in frame `frames // 2` of `video`. The clip lies around
    this frame. Boxes of zeros are padding, and their scores are 0. The results are those of `slowfast_tf.predict` for a
    key frame: `scores` `[B, N, classes]`, `labels` and `label_scores` `[B, N, 5]`. `clips` takes `boxes` in pixels.

    If `tensorflow_serving` is installed, warm-up requests of `serving_default` and `rated_jpeg` are included.

    Args:
        model: a `SlowFast`. BatchNorm is folded into the convolutions.
        path: the directory to create, whole or not at all. TF Serving needs a version number as its name.
        precision: "float32", or "bfloat16" for CPUs and GPUs that have it.
        views: clips and crops of each video, and how their scores are fused; by default those of the model's own test.
            Ten clips of three crops take thirty times as long as the middle clip and center crop, `Views(1, 1)`.

    Raises:
        InputError: if `path` exists or cannot be written, if `precision` is unknown, if the network does not take RGB
            video, or if the views have whole frames in place of crops.
        RunError: if the logits of the folded network differ from those of `model`.

    Example:
        >>> saved_model.export(slowfast_tf.load("runs/demo"), "served/demo/1", views=Views(1, 1))  # doctest: +SKIP
    """
    if pathlib.Path(path).exists():
        raise InputError(f"{path} exists already; choose another place or remove it", argument="output")
    if precision not in PRECISIONS:
        raise InputError(f"precision must be {' or '.join(PRECISIONS)}; got {precision!r}")
    if not model.spec.takes_video:
        raise InputError("a SavedModel takes video, and this network takes optical flow; export it as tflite or onnx")
    if model.spec.head == "pool" and not (views or model.spec.views).crops:
        raise InputError(
            f"a SavedModel scores crops, and the views are {views or model.spec.views}; give others, such as 10x3",
            argument="views",
        )
    with atomic(path) as temporary:
        network = Network(model, precision)
        network.save(temporary, signatures(network, views))
        _name_by_content(temporary)
        about = pathlib.Path(temporary) / ABOUT
        about.parent.mkdir()
        about.write_text(json.dumps({"format": FORMAT}) + "\n")
        if importlib.util.find_spec("tensorflow_serving"):
            _write_warmup(temporary, model.spec)


def _name_by_content(path: pathlib.Path) -> None:
    """Replace TensorFlow's random number by the checksum of the SavedModel, so that equal exports have equal bytes."""
    from tensorflow.core.protobuf import fingerprint_pb2

    file = path / "fingerprint.pb"
    fingerprint = fingerprint_pb2.FingerprintDef.FromString(file.read_bytes())
    if compat.SAVED_MODEL_HAS_UUID:
        fingerprint.uuid = str(fingerprint.saved_model_checksum)  # pyright: ignore[reportAttributeAccessIssue]
    file.write_bytes(fingerprint.SerializeToString(deterministic=True))


def _write_warmup(path: pathlib.Path, spec: SlowFastSpec) -> None:
    """Write the requests that TF Serving runs before a version is ready, because the first request takes seconds."""
    from tensorflow_serving.apis import prediction_log_pb2

    # Small frames: the graph resizes them, so the network sees its usual size.
    video = np.random.default_rng(0).integers(0, 256, (1, spec.clip_span, 32, 32, 3), np.uint8)
    encoded = np.array([[tf.io.encode_jpeg(frame).numpy() for frame in video[0]]])
    requests = {"serving_default": {"video": video}}
    if spec.head == "roi":
        requests["serving_default"]["boxes"] = np.array([[[0.2, 0.2, 0.8, 0.8]]], np.float32)
    else:
        requests["rated_jpeg"] = {"frames": encoded, "rate": np.array([spec.frame_rate or 30], np.float32)}
    with tf.io.TFRecordWriter(str(path / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for signature, inputs in requests.items():
            log = prediction_log_pb2.PredictionLog()  # pyright: ignore[reportAttributeAccessIssue]
            request = log.predict_log.request
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString(deterministic=True))
