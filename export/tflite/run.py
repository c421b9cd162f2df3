"""Labels of videos from a TFLite file of slowfast_tf.

pip install ai-edge-litert numpy av
python export/tflite/run.py slowfast.tflite holiday.mp4
python export/tflite/run.py slowfast.tflite benchmark
"""

import json
import pathlib
import sys
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import numpy as np
import runner
from ai_edge_litert.interpreter import Interpreter


def load(path, threads):
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read("slowfast.json"))
        interpreter = Interpreter(model_path=path, num_threads=threads)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ValueError(f"not a TFLite file of slowfast_tf: {error}") from error
    signature = interpreter.get_signature_runner()
    inputs, outputs = signature.get_input_details(), signature.get_output_details()

    def run(clip):
        logits = signature(**{name: _quantized(clip[name], inputs[name]) for name in inputs})["logits"]
        return _dequantized(logits, outputs["logits"])

    return about, run


def _quantized(x, details):
    if details["dtype"] != np.int8:
        return x
    scale, zero = details["quantization"]
    return np.clip(np.round(x / scale) + zero, -128, 127).astype(np.int8)


def _dequantized(x, details):
    if details["dtype"] != np.int8:
        return x
    scale, zero = details["quantization"]
    return (x.astype(np.float32) - zero) * scale


if __name__ == "__main__":
    runner.main(str(__doc__).splitlines()[0], load)
