"""TFLite (LiteRT): the network as Conv2D, which is what LiteRT runs fast and quantizes."""

import contextlib
import csv
import io
import json
import tempfile
import warnings
import zipfile

import numpy as np
import tensorflow as tf

from ..files.atomic import atomic, write_text
from ..runtime import without_remarks
from .calibration import refuse_boxes
from .freeze import Network, input_specs
from .metadata import metadata

TINY = 1e-30  # against division by zero


def export(model, path, quantize="none", clips=None, int8_io=False, report=None):
    """Writes a TFLite file: the model's own inputs, `slow` and `fast`, to `logits`, for one clip of the crop size.

    A zip archive behind the model, as TFLite's metadata has it, holds `slowfast.json` (`metadata.metadata`) and
    `labels.txt`.

    Args:
        model: a `SlowFast`; with boxes it takes any number of them for the clip. BatchNorm is folded into the
            convolutions.
        path: the file to write, whole or not at all.
        quantize: "none" (float32), "float16" (weights), "dynamic" (int8 weights, activations as they come) or
            "int8" (weights per channel, and activations; not with boxes).
        clips: for "int8", an iterable of clips that are like those to come: dictionaries of the model's inputs,
            float32 `[1, ...]`.
        int8_io: whether the inputs and logits of "int8" are int8 too; their scales are in the file.
        report: a CSV file to write `layer_errors` to, for "int8".

    Raises:
        InputError: where `path` cannot be written, and for a network with boxes in "int8".
        RunError: where the folded network differs.
    """
    if quantize == "int8":
        refuse_boxes(model.spec)
    with atomic(path) as temporary:
        network = Network(model, lowering="conv2d", batch=1, size=model.spec.crop_size)
        temporary.write_bytes(convert(network, quantize, clips, int8_io))
        if report:
            file, rows = io.StringIO(), layer_errors(network, clips)
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            write_text(report, file.getvalue())


def convert(network, quantize="none", clips=None, int8_io=False):
    """The bytes of the file; arguments as `export` has them, `network` a `freeze.Network` of one clip as Conv2D."""
    with _converter(network, quantize, clips, int8_io) as converter, without_remarks():
        return _archived(converter.convert(), network.spec)


@contextlib.contextmanager
def _converter(network, quantize, clips, int8_io=False):
    specs = input_specs(network.spec, 1, network.spec.crop_size)

    @tf.function(input_signature=specs, jit_compile=False, autograph=False)
    def logits(*inputs):
        return {"logits": network.function(*inputs)[0]}

    # By way of a SavedModel: a concrete function alone gives a file without a signature, whose outputs have no names.
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="\\s*Warning: (tf.lite.Interpreter is|Enabling `experimental_pres)")
        tf.saved_model.save(tf.Module(), directory, signatures=logits)
        converter = tf.lite.TFLiteConverter.from_saved_model(directory)
        if quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "int8":
            converter.representative_dataset = lambda: ({s.name: clip[s.name] for s in specs} for clip in clips)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            if int8_io:
                converter.inference_input_type = converter.inference_output_type = tf.int8
        yield converter


def layer_errors(network, clips):
    """What int8 costs in each layer, by TensorFlow's quantization debugger.

    Each layer gets what the int8 layers before it gave, and computes in float32 as well as in int8.

    Args:
        network: a `freeze.Network`, as for `convert`.
        clips: a list, as `export` has it; the first ten are measured, all calibrate.

    Returns:
        A list of dictionaries, one a layer that computes (those that only move or pad numbers lose nothing): "layer"
        and "op", names; "scale", what one step of the int8 output is; "snr", float32 output against the difference, dB
        (mean of the clips); "error", the root mean square difference in steps, of which rounding alone makes 0.29.
    """
    debugger, options = tf.lite.experimental.QuantizationDebugger, tf.lite.experimental.QuantizationDebugOptions

    def difference(x, quantized, scale, zero):
        return (quantized.astype(np.float32) - zero) * scale - x

    metrics = {
        "snr": lambda x, *rest: 10 * np.log10((np.mean(x**2) + TINY) / (np.mean(difference(x, *rest) ** 2) + TINY)),
        "error": lambda x, *rest: np.sqrt(np.mean(difference(x, *rest) ** 2)) / rest[1],
    }
    with _converter(network, "int8", clips) as converter:
        content = debugger(converter=converter).get_debug_quantized_model()
        interpreter = tf.lite.Interpreter(model_content=content)
        names = [
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
    rows = [
        {"layer": row["tensor_name"].split(";")[0], "op": row["op_name"]}
        | {name: float(row[name]) for name in ("scale", "snr", "error")}
        for row in csv.DictReader(file)
    ]
    return [row for row in rows if row["error"] > 1e-3]


def _archived(content, spec):
    """A TFLite model with its metadata behind it."""
    about = metadata(spec)
    files = {"slowfast.json": json.dumps(about), "labels.txt": "\n".join(about["labels"]) + "\n"}
    file = io.BytesIO(content)
    file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)  # ZipInfo: without the time of day
    return file.getvalue()
