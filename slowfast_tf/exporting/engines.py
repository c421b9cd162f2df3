"""Exported files as functions that run one clip in their own runtime: what a benchmark times.

Each function takes a `SlowFastSpec`, a directory to export to, and a number of threads, and gives a function without
arguments. Weights are random. They are for processes of their own, one engine in each.
"""

import os
import pathlib

import numpy as np

from ..cli import import_tensorflow


def saved_model(spec, directory, threads, precision="float32"):
    """A SavedModel's `clips` signature; `precision` "float32" or "bfloat16"."""
    tf = _tensorflow(threads)
    from . import saved_model

    path = pathlib.Path(directory) / "saved_model"
    saved_model.export(_model(spec), path, precision)
    function = tf.saved_model.load(str(path)).signatures["clips"]
    inputs = {name: tf.constant(x) for name, x in _inputs(spec).items()}
    return lambda: function(**inputs)["scores"].numpy()


def tflite(spec, directory, threads, quantize="none"):
    """LiteRT; `quantize` as `tflite.export` has it, calibrated on noise: only the time means anything."""
    _tensorflow(threads)
    from ai_edge_litert.interpreter import Interpreter

    from . import tflite

    path, inputs = pathlib.Path(directory) / "model.tflite", _inputs(spec)
    tflite.export(_model(spec), path, quantize, [inputs])
    function = Interpreter(model_path=str(path), num_threads=threads).get_signature_runner()
    return lambda: function(**inputs)["logits"]


def onnxruntime(spec, directory, threads):
    """ONNX Runtime."""
    path = _onnx(spec, directory, threads)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session, inputs = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"]), _inputs(spec)
    return lambda: session.run(["logits"], inputs)[0]


def openvino(spec, directory, threads, precision="float32"):
    """OpenVINO on the ONNX file; `precision` "float32" or "bfloat16"."""
    path = _onnx(spec, directory, threads)
    import openvino

    core, inputs = openvino.Core(), _inputs(spec)
    model = core.read_model(path)
    model.reshape({name: list(x.shape) for name, x in inputs.items()})
    hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
    function = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads})
    return lambda: function(inputs)[0]


def _tensorflow(threads):
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)
    import_tensorflow()
    import tensorflow as tf

    return tf


def _model(spec):
    """A network whose BatchNorm is as if trained: of a fresh one, folding leaves zeros that are optimised away."""
    from ..models.slowfast import SlowFast

    model, random = SlowFast(spec), np.random.default_rng(0)
    for variable in model.variables:
        if "/norm/" in variable.path:
            variable.assign(random.uniform(0.5, 1.0, variable.shape))
    return model


def _inputs(spec):
    from .freeze import random_inputs

    return random_inputs(spec, 1, spec.crop_size)


def _onnx(spec, directory, threads):
    _tensorflow(threads)
    from . import onnx

    path = pathlib.Path(directory) / "model.onnx"
    onnx.export(_model(spec), path)
    return str(path)
