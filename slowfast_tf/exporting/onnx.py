"""ONNX: the network as Conv3D, for ONNX Runtime, OpenVINO and TensorRT; in int8 as Conv2D, for ONNX Runtime."""

import copy
import json
import os
import pathlib
import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import InputError
from ..files.atomic import atomic
from ..models.slowfast import SlowFast
from .calibration import refuse_boxes
from .freeze import Network, input_specs
from .metadata import metadata

OPSET = 17


def export(
    model: SlowFast,
    path: str | os.PathLike,
    quantize: str = "none",
    clips: Iterable[dict[str, np.ndarray]] | None = None,
) -> None:
    """Write an ONNX file: the model's own inputs, `slow` and `fast`, to `logits`, for a batch of any size.

    Frames are of the spec's crop size. A detection network has `boxes` as well, any number of them, and takes frames of
    any size; `logits` are `[B, N, classes]`. The file's metadata property "slowfast" holds `metadata.metadata` as JSON.

    Args:
        model: a `SlowFast`. BatchNorm is folded into the convolutions.
        path: the file to write, whole or not at all. An existing file is replaced.
        quantize: "none" (float32), or "int8" (weights per channel, and activations; not with boxes): ONNX Runtime's
            static quantization, of the network as Conv2D, which runs three times as fast there as Conv3D in int8.
        clips: for "int8", an iterable of clips like those at inference: dictionaries of the model's inputs,
            float32 `[1, ...]`.

    Raises:
        InputError: if tf2onnx is missing, or ONNX Runtime for "int8"; if `path` cannot be written; for a
            network with boxes in "int8".
        RunError: if the folded network differs.

    Example:
        >>> onnx.export(slowfast_tf.load("runs/demo"), "demo.onnx")  # doctest: +SKIP
    """
    int8 = quantize == "int8"
    if int8:
        refuse_boxes(model.spec)
    try:
        import onnx
        import tf2onnx

        if int8:
            import onnxruntime  # noqa: F401, it quantizes
    except ImportError as error:
        raise InputError(f"ONNX needs {error.name}: pip install 'slowfast_tf[export]'") from error
    with atomic(path) as temporary:
        size = None if model.spec.head == "roi" else model.spec.crop_size
        specs = input_specs(model.spec, size=size)
        network = Network(model, lowering="conv2d" if int8 else "conv3d", size=size)

        @tf.function(input_signature=specs, jit_compile=False, autograph=False)
        def logits(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"logits": network.function(*inputs)[0]}

        exported, _ = tf2onnx.convert.from_function(logits, specs, opset=OPSET)
        exported.graph.name = model.name
        for value in (*exported.graph.input, *exported.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
        if int8:
            exported = _quantized(exported, clips)
        _number(exported.graph)
        onnx.helper.set_model_props(exported, {"slowfast": json.dumps(metadata(model.spec))})
        onnx.checker.check_model(exported, full_check=True)  # shapes as well
        temporary.write_bytes(exported.SerializeToString(deterministic=True))


def _quantized(exported: Any, clips: Iterable[dict[str, np.ndarray]] | None) -> Any:
    """Return a model in int8, by ONNX Runtime."""
    import onnx
    from onnxruntime import quantization

    class Clips(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = iter(clips or ())

        def get_next(self) -> dict[str, np.ndarray] | None:  # pyright: ignore[reportIncompatibleMethodOverride]
            return next(self.left, None)

    with tempfile.TemporaryDirectory() as directory:
        source, file = (pathlib.Path(directory) / name for name in ("float32.onnx", "int8.onnx"))
        onnx.save(exported, source)
        # Unsigned activations and signed weights are what VNNI multiplies. Weights of 7 bits: without VNNI the sum of
        # two products is cut off at 16 bits.
        quantization.quantize_static(
            source,
            file,
            Clips(),
            per_channel=True,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return onnx.load(file)


def _number(graph: Any) -> None:
    """Sort nodes in the order in which the output needs them, and name nodes and values by it.

    The converter's own order and names differ from run to run.
    """
    makers = {value: i for i, node in enumerate(graph.node) for value in node.output}
    order, waiting = {}, [makers[value.name] for value in graph.output]  # a dictionary: quick to ask, and keeps order
    while waiting:
        inputs = graph.node[waiting[-1]].input
        missing = [makers[value] for value in inputs if value in makers and makers[value] not in order]
        if missing:
            waiting += missing[::-1]
        else:
            order[waiting.pop()] = True
    nodes = [copy.deepcopy(graph.node[i]) for i in order]
    del graph.node[:]
    graph.node.extend(nodes)
    kept = [value.name for value in (*graph.input, *graph.output)]
    names = dict(zip(kept, kept))
    for i, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{i}"
        for values in (node.input, node.output):
            for j, value in enumerate(values):
                values[j] = names.setdefault(value, f"value_{len(names)}") if value else value
    constants = sorted(graph.initializer, key=lambda tensor: int(names[tensor.name].split("_")[1]))
    for tensor in constants:
        tensor.name = names[tensor.name]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    del graph.value_info[:]  # by the old names; readers infer these
