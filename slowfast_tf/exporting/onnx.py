"""Export to ONNX: as Conv3D for ONNX Runtime, OpenVINO and TensorRT; in int8 as Conv2D for ONNX Runtime."""

import json
import os
from collections.abc import Iterable

import numpy as np

from ..errors import InputError
from ..files.atomic import atomic
from ..models.slowfast import SlowFast
from . import onnx_graph, onnx_int8
from .calibration import at_least_one, check_quantize
from .folded import Network
from .metadata import metadata

QUANTIZE = ("none", "int8")


def export(
    model: SlowFast,
    path: str | os.PathLike,
    quantize: str = "none",
    clips: Iterable[dict[str, np.ndarray]] | None = None,
) -> None:
    """Write an ONNX file from the model's inputs, `slow` and `fast`, to `logits`, for a batch of any size.

    Frames have the spec's crop size. A detection network takes frames of any size and at least one box for each clip
    (`boxes`; pad with a box of zeros), and its `logits` are `[B, N, classes]`.

    The file's metadata property "slowfast" holds `metadata.metadata` as JSON.

    Args:
        model: a `SlowFast`. BatchNorm is folded into the convolutions.
        path: the file to write, whole or not at all. An existing file is replaced.
        quantize: "none" (float32), or "int8" (weights per channel, and activations; not with boxes). "int8" is ONNX
            Runtime's static quantization of the network as Conv2D. ONNX Runtime runs Conv2D in int8 three times as fast
            as Conv3D in int8.
        clips: for "int8", an iterable of clips like those at inference: dictionaries of the model's inputs,
            float32 `[1, ...]`; one is in memory at a time.

    Raises:
        InputError: if tf2onnx is missing, if ONNX Runtime is missing for "int8", if `path` cannot be written, or if
            `quantize` is unknown, or "int8" without clips or for a detection network.
        RunError: if the logits of the folded network differ from those of `model`.

    Example:
        >>> onnx.export(slowfast_tf.load("runs/demo"), "demo.onnx")  # doctest: +SKIP
    """
    check_quantize(quantize, QUANTIZE, model.spec, clips)
    int8 = quantize == "int8"
    try:
        import onnx
        import tf2onnx  # noqa: F401, needed for the conversion

        if int8:
            import onnxruntime  # noqa: F401, needed for the quantization
    except ImportError as error:
        raise InputError(f"ONNX needs {error.name}: pip install 'slowfast_tf[export]'") from error
    clips = at_least_one(clips or ()) if int8 else ()
    with atomic(path) as temporary:
        size = None if model.spec.head == "roi" else model.spec.crop_size
        exported = onnx_graph.convert(Network(model, lowering="conv2d" if int8 else "conv3d", size=size))
        exported.graph.name = model.name
        for value in (*exported.graph.input, *exported.graph.output):
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
        if int8:
            exported = onnx_int8.quantize(exported, clips)
        onnx_graph.number(exported.graph)
        onnx.helper.set_model_props(exported, {"slowfast": json.dumps(metadata(model.spec))})
        onnx.checker.check_model(exported, full_check=True)  # also check the shapes
        temporary.write_bytes(exported.SerializeToString(deterministic=True))
