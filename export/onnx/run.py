"""Labels of videos from an ONNX file of slowfast_tf.

pip install onnxruntime numpy av
python export/onnx/run.py slowfast.onnx holiday.mp4
python export/onnx/run.py slowfast.onnx benchmark
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import onnxruntime
import runner


def load(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        about = json.loads(session.get_modelmeta().custom_metadata_map["slowfast"])
    except Exception as error:  # ONNX Runtime's own errors have no common class
        raise ValueError(f"not an ONNX file of slowfast_tf: {str(error).splitlines()[0]}") from error
    return about, lambda inputs: session.run(["logits"], inputs)[0]


if __name__ == "__main__":
    runner.main(str(__doc__).splitlines()[0], load)
