"""ONNX: the network as Conv3D, for ONNX Runtime, OpenVINO and TensorRT."""

import json

import tensorflow as tf

from ..cli import UserError, atomic
from .freeze import Network, input_specs
from .metadata import metadata

OPSET = 17


def export(model, path):
    """Writes an ONNX file: the model's own inputs, `slow` and `fast`, to `logits`, for a batch of any size.

    Frames are of the spec's crop size. A detection network has `boxes` as well, any number of them, and takes frames of
    any size; `logits` are `[B, N, classes]`. The file's metadata property "slowfast" holds `metadata.metadata` as JSON.

    Args:
        model: a `SlowFast`. BatchNorm is folded into the convolutions.
        path: the file to write, whole or not at all.

    Raises:
        UserError: where tf2onnx is missing, `path` exists or cannot be written.
        Failure: where the folded network differs.
    """
    try:
        import onnx
        import tf2onnx
    except ImportError as error:
        raise UserError(f"ONNX needs {error.name}: pip install 'slowfast_tf[export]'") from error
    with atomic(path) as temporary:
        size = None if model.spec.head == "roi" else model.spec.crop_size
        specs = input_specs(model.spec, size=size)
        network = Network(model, size=size)

        @tf.function(input_signature=specs, jit_compile=False, autograph=False)
        def logits(*inputs):
            return {"logits": network.function(*inputs)[0]}

        exported, _ = tf2onnx.convert.from_function(logits, specs, opset=OPSET)
        exported.graph.name = model.name
        for value in (*exported.graph.input, *exported.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
        _number(exported.graph)
        onnx.helper.set_model_props(exported, {"slowfast": json.dumps(metadata(model.spec))})
        onnx.checker.check_model(exported, full_check=True)  # shapes as well
        temporary.write_bytes(exported.SerializeToString(deterministic=True))


def _number(graph):
    """Names nodes and values by their order: tf2onnx's own numbers differ from run to run."""
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
