"""Serve a SavedModel of slowfast_tf with NVIDIA's Triton Inference Server. Each signature is a model of that name.

pip install nvidia-pytriton tensorflow
python export/serving/triton.py export/serving/models/slowfast/1
"""

import argparse
import os
import signal
import sys
import sysconfig

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
import tensorflow as tf
from pytriton.decorators import batch  # pyright: ignore[reportMissingImports]
from pytriton.model_config import DynamicBatcher, ModelConfig, QueuePolicy, Tensor  # pyright: ignore[reportMissingImports]
from pytriton.triton import Triton, TritonConfig  # pyright: ignore[reportMissingImports]


def main():
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("model", help="directory of the SavedModel that `python -m slowfast_tf.export` wrote")
    parser.add_argument("--batch", type=int, default=1, help="largest batch; above 1 for GPUs only (%(default)s)")
    parser.add_argument("--queue", type=int, default=16, help="most waiting requests; others are refused (%(default)s)")
    options = parser.parse_args()
    for name in ("batch", "queue"):
        if getattr(options, name) < 1:
            exit_with(f"--{name} must be at least 1; received {getattr(options, name)}")
    try:
        signatures = tf.saved_model.load(options.model).signatures
    except (OSError, ValueError, tf.errors.OpError) as error:
        exit_with(f"{options.model}: cannot be read as a SavedModel: {str(error).splitlines()[0]}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as at Ctrl-C, which removes temporary files
    # Triton's Python backend would load the system's libpython, which may be an older one than this Python's.
    paths = [sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH")]
    os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, paths))
    for protocol in ("HTTP", "GRPC"):  # by default, Triton listens on all addresses
        os.environ.setdefault(f"PYTRITON_TRITON_CONFIG_{protocol}_ADDRESS", "127.0.0.1")
    queue = QueuePolicy(max_queue_size=options.queue)
    config = ModelConfig(max_batch_size=options.batch, batcher=DynamicBatcher(default_queue_policy=queue))
    with Triton(config=TritonConfig.from_env()) as triton:
        for name, signature in signatures.items():
            inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
            triton.bind(name, answers(signature), tensors(inputs), tensors(outputs), config=config, strict=True)
        triton.serve()


def tensors(specs):
    """Return Triton's descriptions of tensors: without the batch dimension; a scalar becomes a vector of length 1."""
    found = []
    for name, spec in specs.items():
        kind = bytes if spec.dtype == tf.string else spec.dtype.as_numpy_dtype
        shape = [-1 if side is None else side for side in spec.shape[1:]] or [1]
        found.append(Tensor(name=name, dtype=kind, shape=shape))
    return found


def answers(signature):
    """Return the function that Triton calls with the arrays of a batch, by name."""
    ranks = {name: spec.shape.rank for name, spec in signature.structured_input_signature[1].items()}

    @batch
    def infer(**arrays):
        inputs = {name: tf.constant(x.reshape(x.shape[: ranks[name]])) for name, x in arrays.items()}
        return {name: x.numpy() for name, x in signature(**inputs).items()}

    return infer


def exit_with(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
