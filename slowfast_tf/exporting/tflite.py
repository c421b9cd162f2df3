"""Export to TFLite (LiteRT): the network is lowered to Conv2D, which LiteRT accelerates and quantizes."""

import contextlib
import csv
import io
import json
import os
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import InputError
from ..files.atomic import atomic, write_text
from ..models.slowfast import SlowFast
from ..models.spec import SlowFastSpec
from .calibration import at_least_one, check_quantize
from .folded import Network, input_specs
from .metadata import metadata

Clip = dict[str, np.ndarray]  # float32 `[1, ...]`, by input

QUANTIZE = ("none", "float16", "dynamic", "int8")
TINY = 1e-30  # avoids division by zero


def export(
    model: SlowFast,
    path: str | os.PathLike,
    quantize: str = "none",
    clips: Iterable[Clip] | None = None,
    int8_io: bool = False,
    report: str | os.PathLike | None = None,
) -> None:
    """Write a TFLite file from the model's inputs, `slow` and `fast`, to `logits`, for one clip of the crop size.

    A zip archive after the model, in the format of TFLite's metadata, contains `slowfast.json` (`metadata.metadata`)
    and `labels.txt`.

    Args:
        model: a `SlowFast`; a detection network takes at least one box for the clip (pad with a box of zeros).
            BatchNorm is folded into the convolutions.
        path: the file to write, whole or not at all. An existing file is replaced.
        quantize: "none" (float32), "float16" (weights), "dynamic" (int8 weights, activations quantized at run time) or
            "int8" (weights per channel, and activations; not with boxes).
        clips: for "int8", an iterable of clips like those at inference: dictionaries of the model's inputs,
            float32 `[1, ...]`. One is in memory at a time; with `report`, all are.
        int8_io: whether the inputs and logits of "int8" are int8 too; their scales are in the file.
        report: a CSV file to write `layer_errors` to after the export, for "int8".

    Raises:
        InputError: if `path` or `report` cannot be written; if `quantize` is unknown, or "int8" without clips or for a
            detection network; or if `int8_io` or `report` is given without "int8".
        RunError: if the outputs of the folded network differ from those of `model`.

    Example:
        >>> clips = calibration.read_calibration_clips(["a.mp4", "b.mp4"], model.spec)  # doctest: +SKIP
        >>> tflite.export(model, "demo.tflite", "int8", clips)  # doctest: +SKIP
    """
    check_quantize(quantize, QUANTIZE, model.spec, clips)
    if quantize != "int8" and (int8_io or report):
        raise InputError(f"int8_io and report are for quantize 'int8'; got {quantize!r}")
    if quantize == "int8":
        clips = at_least_one(clips or ())
        clips = list(clips) if report else clips
    with atomic(path) as temporary:
        network = Network(model, lowering="conv2d", batch=1, size=model.spec.crop_size)
        temporary.write_bytes(convert(network, quantize, clips, int8_io))
    if report:  # after the export, which a report that fails must not discard
        assert isinstance(clips, list)
        file, rows = io.StringIO(), layer_errors(network, clips)
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(report, file.getvalue())


def convert(
    network: Network, quantize: str = "none", clips: Iterable[Clip] | None = None, int8_io: bool = False
) -> bytes:
    """Return the bytes of a TFLite file.

    Args:
        network: a `folded.Network` for one clip, with lowering "conv2d".
        quantize, clips, int8_io: as for `export`.

    Example:
        >>> content = convert(network, "dynamic")  # doctest: +SKIP
    """
    with _converter(network, quantize, clips, int8_io) as converter:
        return _archived(converter.convert(), network.spec)


@contextlib.contextmanager
def _converter(
    network: Network, quantize: str, clips: Iterable[Clip] | None, int8_io: bool = False
) -> Iterator[tf.lite.TFLiteConverter]:
    specs = input_specs(network.spec, 1, network.spec.crop_size)

    @tf.function(input_signature=specs, jit_compile=False, autograph=False)
    def logits(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": network.function(*inputs)}

    # Convert a SavedModel: a file made from a concrete function would have no signature and no output names.
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="\\s*Warning: (tf.lite.Interpreter is|Enabling `experimental_pres)")
        network.save(directory, logits)
        converter = tf.lite.TFLiteConverter.from_saved_model(directory)
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "int8":
            converter.representative_dataset = lambda: ({s.name: clip[s.name] for s in specs} for clip in clips or ())  # pyright: ignore[reportArgumentType]
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            if int8_io:
                converter.inference_input_type = converter.inference_output_type = tf.int8
        yield converter


def layer_errors(network: Network, clips: Sequence[Clip]) -> list[dict[str, Any]]:
    """Measure the error of int8 in each layer, with TensorFlow's quantization debugger.

    Each layer receives the output of the int8 layers before it and computes in both float32 and int8.

    Args:
        network: a `folded.Network`, as for `convert`.
        clips: as for `export`, in a list. All clips calibrate; the error is measured on the first ten.

    Returns:
        A dictionary for each layer that computes values; layers that only move or pad values are left out.

        - "layer", "op": names.
        - "scale": size of one step of the int8 output.
        - "snr": ratio of the float32 output to the error in dB, mean over the clips.
        - "error": root mean square error in steps; rounding alone gives 0.29.

    Example:
        >>> worst = min(layer_errors(network, clips), key=lambda layer: layer["snr"])  # doctest: +SKIP
    """
    debugger, options = tf.lite.experimental.QuantizationDebugger, tf.lite.experimental.QuantizationDebugOptions

    def difference(x: np.ndarray, quantized: np.ndarray, scale: float, zero: int) -> np.ndarray:
        return (quantized.astype(np.float32) - zero) * scale - x

    metrics = {
        "snr": lambda x, *rest: 10 * np.log10((np.mean(x**2) + TINY) / (np.mean(difference(x, *rest) ** 2) + TINY)),
        "error": lambda x, *rest: np.sqrt(np.mean(difference(x, *rest) ** 2)) / rest[1],
    }
    with _converter(network, "int8", clips) as converter:
        content = debugger(converter=converter).get_debug_quantized_model()
        interpreter = tf.lite.Interpreter(model_content=content)
        names: list[Any] = [
            details["name"].removeprefix("serving_default_").split(":")[0]
            for details in interpreter.get_input_details()
        ]
        found = debugger(
            quant_debug_model_content=content,
            debug_dataset=lambda: ([clip[name] for name in names] for clip in clips[:10]),
            debug_options=options(layer_direct_compare_metrics=metrics),
        )
        found.run()
    file = io.StringIO()
    found.layer_statistics_dump(file)
    file.seek(0)
    rows: list[dict[str, Any]] = [
        {"layer": row["tensor_name"].split(";")[0], "op": row["op_name"]}
        | {name: float(row[name]) for name in ("scale", "snr", "error")}
        for row in csv.DictReader(file)
    ]
    return [row for row in rows if row["error"] > 1e-3]


def _archived(content: bytes, spec: SlowFastSpec) -> bytes:
    """Return a TFLite model followed by its metadata."""
    about = metadata(spec)
    files = {"slowfast.json": json.dumps(about), "labels.txt": "\n".join(about["labels"]) + "\n"}
    file = io.BytesIO(content)
    file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in files.items():
            # `ZipInfo` has a fixed time, so equal models give equal files.
            archive.writestr(zipfile.ZipInfo(name), text)
    return file.getvalue()
