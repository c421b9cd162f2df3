"""TFLite (LiteRT): the network as Conv2D, which is what LiteRT runs fast and quantizes."""

import io
import json
import tempfile
import warnings
import zipfile

import tensorflow as tf

from ..cli import atomic
from .freeze import Network, input_specs
from .metadata import metadata


def export(model, path, quantize="none", clips=None, int8_io=False):
    """Writes a TFLite file: the model's own inputs, `slow` and `fast`, to `logits`, for one clip of the crop size.

    A zip archive behind the model, as TFLite's metadata has it, holds `slowfast.json` (`metadata.metadata`) and
    `labels.txt`.

    Args:
        model: a `SlowFast` of a classification head. BatchNorm is folded into the convolutions.
        path: the file to write, whole or not at all.
        quantize: "none" (float32), "float16" (weights), "dynamic" (int8 weights, activations as they come) or
            "int8" (weights per channel, and activations).
        clips: for "int8", an iterable of clips that are like those to come: dictionaries of the model's inputs,
            float32 `[1, ...]`.
        int8_io: whether the inputs and logits of "int8" are int8 too; their scales are in the file.

    Raises:
        UserError: where `path` cannot be written.
        Failure: where the folded network differs.
    """
    with atomic(path) as temporary:
        network = Network(model, lowering="conv2d", batch=1, size=model.spec.crop_size)
        temporary.write_bytes(_archived(convert(network, quantize, clips, int8_io), model.spec))


def convert(network, quantize="none", clips=None, int8_io=False):
    """The bytes of a TFLite model; arguments as `export` has them, `network` a `freeze.Network`."""
    specs = input_specs(network.spec, 1, network.spec.crop_size)

    @tf.function(input_signature=specs, jit_compile=False)
    def logits(*inputs):
        return {"logits": network.function(*inputs)[0]}

    # By way of a SavedModel: a concrete function alone gives a file without a signature, whose outputs have no names.
    with tempfile.TemporaryDirectory() as directory:
        tf.saved_model.save(tf.Module(), directory, signatures=logits)
        return _convert(directory, specs, quantize, clips, int8_io)


def _convert(directory, specs, quantize, clips, int8_io):
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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="\\s*Warning: tf.lite.Interpreter is deprecated")
        return converter.convert()


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
