"""Run an exported file in place of its network, to measure the accuracy that the export loses."""

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import InputError
from ..files.formats import ABOUT, check_format
from ..models.spec import SlowFastSpec

Inputs = dict[str, np.ndarray]  # float32 `[1, ...]`, by input
Run = Callable[[Inputs], np.ndarray]


class Exported:
    """An exported file that `evaluation.run.evaluate` tests like a network.

    Args:
        path: a `.tflite` or `.onnx` file, or the directory of a SavedModel.
        spec: spec of the network that was exported.

    Raises:
        InputError: if the file cannot be read, is of another network or is from a newer version of the package; if its
            runtime is not installed; or if the network is tested on whole frames.

    Example:
        >>> model = slowfast_tf.load("runs/demo")
        >>> evaluate(Exported("demo_int8.tflite", model.spec), clips)[0]["top1"]
        0.958
    """

    def __init__(self, path: str | os.PathLike, spec: SlowFastSpec):
        self.path, self.spec = pathlib.Path(path), spec
        if spec.head == "roi" or not spec.views.crops:
            raise InputError("an exported file is tested on crops; this network is tested on whole frames")
        form = {".tflite": _tflite, ".onnx": _onnx}.get(self.path.suffix)
        try:
            if (self.path / ABOUT).is_file():
                check_format(json.loads((self.path / ABOUT).read_text())["format"], self.path)
            # A SavedModel becomes part of the graph of the test. In a NumPy function it would occupy a thread while it
            # waits for another thread: a deadlock on a machine with one core.
            self._saved_model = None if form else tf.saved_model.load(str(self.path))
            self._run: Run | None = form(str(self.path)) if form else None
            clip = [np.zeros((1, *spec.input_shape(name, spec.crop_size)), np.float32) for name in spec.pathways]
            if form:
                self._logits(*clip)
            else:
                self(dict(zip(spec.pathways, map(tf.constant, clip))))
        except ImportError as error:
            extra = "tflite" if self.path.suffix == ".tflite" else "export"
            raise InputError(f"{path} needs {error.name}: pip install 'slowfast_tf[{extra}]'") from error
        except InputError:
            raise
        except Exception as error:  # each runtime raises its own exceptions
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(f"{path} is not an exported file of this network: {reason[0]}") from error

    def __call__(self, inputs: dict[str, Any], training: bool = False) -> tf.Tensor:
        """Return logits `[B, classes]` of inputs `[B, T, S, S, C]`."""
        if self._saved_model:
            return self._undone(self._saved_model.signatures["clips"](**{k: inputs[k] for k in self.spec.pathways}))
        logits = tf.numpy_function(self._logits, [inputs[name] for name in self.spec.pathways], tf.float32)
        return tf.ensure_shape(logits, [None, self.spec.num_classes])

    def get_weights(self) -> list[np.ndarray]:
        """Return the bytes of the file. `evaluate` uses them like weights, to identify the test."""
        files = sorted(file for file in self.path.rglob("*") if file.is_file()) or [self.path]
        return [np.frombuffer(file.read_bytes(), np.uint8) for file in files]

    def _undone(self, outputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Return logits that have a SavedModel's scores: the inverse of the activation."""
        scores = self._checked(tf.clip_by_value(outputs["scores"], 1e-30, 1 - 1e-7))
        return tf.math.log(scores) - (0.0 if self.spec.activation == "softmax" else tf.math.log1p(-scores))

    def _checked(self, x: Any) -> Any:
        """Return logits or scores unchanged; raise an InputError if their number of classes is not the network's."""
        if x.shape[-1] != self.spec.num_classes:
            raise InputError(f"{self.path} has {x.shape[-1]} classes, and its network {self.spec.num_classes}")
        return x

    def _logits(self, *inputs: np.ndarray) -> np.ndarray:
        """Run one clip at a time: a TFLite file takes a batch of one."""
        assert self._run
        clips = [self._run(dict(zip(self.spec.pathways, clip))) for clip in zip(*(x[:, None] for x in inputs))]
        return self._checked(np.concatenate(clips).astype(np.float32))


def _tflite(path: str) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_path=path).get_signature_runner()
    inputs, output = run.get_input_details(), run.get_output_details()["logits"]

    def logits(clip: Inputs) -> np.ndarray:
        return _dequantized(run(**{name: _quantized(x, inputs[name]) for name, x in clip.items()})["logits"], output)

    return logits


def _quantized(x: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    if details["dtype"] != np.int8:
        return x
    scale, zero = details["quantization"]
    return np.clip(np.round(x / scale) + zero, -128, 127).astype(np.int8)


def _dequantized(x: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    scale, zero = details["quantization"]
    return (x.astype(np.float32) - zero) * scale if details["dtype"] == np.int8 else x


def _onnx(path: str) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda clip: np.asarray(session.run(["logits"], clip)[0])
