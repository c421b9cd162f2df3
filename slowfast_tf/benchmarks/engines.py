"""Build the steps that the benchmark times: training, exported files in their runtimes, and PyTorch for comparison.

Each engine is a function from a `Job` to a step. It runs in a separate process and imports only its own runtime, so
that the peak memory is that of the runtime. Weights are random.
"""

import dataclasses
import functools
import importlib.util
import os
import pathlib
import tempfile
import typing
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ..files.atomic import atomic
from ..models.presets import get_spec
from ..models.spec import SlowFastSpec
from ..models.views import MIDDLE
from ..runtime import import_tensorflow, without_remarks
from . import peer

Step = Callable[[], typing.Any]  # runs one step; an inference step returns its scores, float32 `[B, classes]`


@dataclasses.dataclass(frozen=True)
class Job:
    """The work of one process: values that can be sent as JSON.

    Attributes:
        task: "training" or "inference".
        engine: a key of `ENGINES[task]`.
        precision: one of the engine's precisions.
        preset: name of the network.
        size: height and width of a frame, pixels.
        batch: clips per step.
        threads: threads of the engine.
        file: path of the exported file, for engines that run one.
    """

    task: str
    engine: str
    precision: str
    preset: str
    size: int
    batch: int
    threads: int
    file: str = ""

    @property
    def spec(self) -> SlowFastSpec:
        return get_spec(self.preset, crop_size=self.size)


def tensorflow_training(job: Job) -> Step:
    """Train with TensorFlow: forward, backward, SGD with Nesterov momentum."""
    tf = _tensorflow(job)
    import keras

    from ..models.slowfast import SlowFast
    from ..training.optimizers import SGD

    spec = job.spec
    model = SlowFast(spec, dtype="float32" if job.precision == "float32" else "mixed_bfloat16")
    optimizer = SGD(0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)
    model.compile(optimizer, keras.losses.CategoricalCrossentropy(from_logits=True))
    clips = {name: tf.constant(x) for name, x in _inputs(job).items()}
    labels = tf.one_hot(tf.range(job.batch) % spec.num_classes, spec.num_classes)
    return lambda: model.train_on_batch(clips, labels)


def saved_model(job: Job) -> Step:
    """Run the `clips` signature of a SavedModel."""
    tf = _tensorflow(job)
    function = tf.saved_model.load(job.file).signatures["clips"]
    inputs = {name: tf.constant(x) for name, x in _inputs(job).items()}
    return lambda: function(**inputs)["scores"].numpy()


def tflite(job: Job) -> Step:
    """Run a TFLite file with LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    function, inputs = Interpreter(model_path=job.file, num_threads=job.threads).get_signature_runner(), _inputs(job)
    return lambda: function(**inputs)["logits"]


def onnxruntime(job: Job) -> Step:
    """Run an ONNX file with ONNX Runtime."""
    import onnxruntime

    options, inputs = onnxruntime.SessionOptions(), _inputs(job)
    options.intra_op_num_threads = job.threads
    session = onnxruntime.InferenceSession(job.file, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(["logits"], inputs)[0]


def openvino(job: Job) -> Step:
    """Run an ONNX file with OpenVINO, compiled for one clip of this size; NNCF quantizes it for int8."""
    import openvino  # pyright: ignore[reportMissingImports]

    core, inputs = openvino.Core(), _inputs(job)
    model = core.read_model(job.file)
    model.reshape({name: list(x.shape) for name, x in inputs.items()})
    if job.precision == "int8":
        import nncf  # pyright: ignore[reportMissingImports]

        model = nncf.quantize(model, nncf.Dataset([inputs]))
    hint = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}[job.precision]  # for layers that are not int8
    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": job.threads}
    function = core.compile_model(model, "CPU", settings)
    return lambda: function(inputs)[0]


def torch_training(job: Job) -> Step:
    """Train with PyTorch eager, as `tensorflow_training` does."""
    import torch

    network, clips = _torch_network(job)
    labels = torch.arange(job.batch) % job.spec.num_classes
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=job.precision == "bfloat16"):
            logits = network(*clips)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def torch_training_compiled(job: Job) -> Step:
    """Train with torch.compile, as `torch_training` does; it needs a C++ compiler."""
    import torch

    step = torch.compile(torch_training(job))
    step()  # compiles for minutes, which must not count as a step
    return step


def torch_eager(job: Job) -> Step:
    """Run PyTorch eager, channels last."""
    import torch

    network, clips = _torch_network(job)
    network.eval()
    if job.precision == "bfloat16":  # weights in bfloat16 save autocast's casts
        network, clips = network.to(torch.bfloat16), [clip.to(torch.bfloat16) for clip in clips]

    def step() -> np.ndarray:
        with torch.inference_mode():
            return network(*clips).float().numpy()

    return step


def torch_compiled(job: Job) -> Step:
    """Run PyTorch with torch.compile and freezing, which folds BatchNorm as well; it needs a C++ compiler."""
    import torch
    import torch._inductor.config

    torch._inductor.config.freezing = True
    network, clips = _torch_network(job)
    network.eval()
    if job.precision == "bfloat16":
        network, clips = network.to(torch.bfloat16), [clip.to(torch.bfloat16) for clip in clips]
    network = torch.compile(network)

    def step() -> np.ndarray:
        with torch.no_grad():  # freezing has no effect in inference mode
            return network(*clips).float().numpy()

    step()  # compiles for minutes, which must not count as a step
    return step


@dataclasses.dataclass(frozen=True)
class Engine:
    """A way to run a network.

    Attributes:
        title: name of the engine in the table.
        package: import name of the package that must be installed.
        build: builds the step of a job.
        precisions: the precisions that it supports.
        form: format of the exported file that the engine runs: "saved_model", "tflite" or "onnx"; empty if none.
        peer: whether it is independent of TensorFlow.
    """

    title: str
    package: str
    build: Callable[[Job], Step]
    precisions: tuple[str, ...] = ("float32", "bfloat16")
    form: str = ""
    peer: bool = True


ENGINES: dict[str, dict[str, Engine]] = {
    "training": {
        "tensorflow": Engine("TensorFlow (slowfast_tf)", "tensorflow", tensorflow_training, peer=False),
        "pytorch": Engine("PyTorch eager", "torch", torch_training),
        "pytorch_compiled": Engine("PyTorch torch.compile", "torch", torch_training_compiled),
    },
    "inference": {
        "saved_model": Engine("SavedModel", "tensorflow", saved_model, form="saved_model", peer=False),
        "tflite": Engine(
            "TFLite", "ai_edge_litert", tflite, ("float32", "float16", "dynamic", "int8"), "tflite", peer=False
        ),
        "onnxruntime": Engine(
            "ONNX Runtime on our file", "onnxruntime", onnxruntime, ("float32", "float16", "int8"), "onnx"
        ),
        "openvino": Engine(
            "OpenVINO on our ONNX file", "openvino", openvino, ("float32", "bfloat16", "int8"), form="onnx"
        ),
        "pytorch": Engine("PyTorch eager", "torch", torch_eager),
        "pytorch_compiled": Engine("PyTorch torch.compile, freezing", "torch", torch_compiled),
    },
}


def unavailable(job: Job) -> str | None:
    """Return one line that says why an engine cannot run here and what to do; None if it can run."""
    package = ENGINES[job.task][job.engine].package
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed: pip install 'slowfast_tf[bench]'"
    return peer.unsupported(job.spec) if package == "torch" else None


def file_of(job: Job, directory: str | os.PathLike) -> str:
    """Return the path in `directory` of the exported file that a job runs; "" for engines without a file."""
    form = ENGINES[job.task][job.engine].form
    precision = "float32" if job.engine == "openvino" else job.precision  # OpenVINO converts the float32 file
    return form and str(pathlib.Path(directory) / f"{job.preset}_{job.size}_{precision}.{form}")


def export(jobs: Sequence[Job]) -> Iterator[str | None]:
    """Write the files of jobs that differ only in engine and precision.

    int8 is calibrated on noise, so its scores are meaningless; only its time is used.

    Yields:
        For each file None, or the reason why it could not be written.
    """
    _tensorflow(jobs[0])
    import keras

    from ..exporting.folded import Network
    from ..models.slowfast import SlowFast

    keras.utils.set_random_seed(0)  # a later run that reuses files of this one must have the same network
    model = SlowFast(jobs[0].spec)
    randomize(model)
    frozen = functools.cache(lambda: Network(model, lowering="conv2d", batch=1, size=jobs[0].size))
    for job in jobs:
        try:
            with without_remarks():  # the converters' logs would hide the reason of a failure
                _export_file(job, model, frozen)
        except Exception as error:  # the other files may still be written
            yield f"export: {type(error).__name__}: {str(error).strip().splitlines()[0]}"
        else:
            yield None


def randomize(model: typing.Any) -> None:
    """Give BatchNorm random weights: a new one with gamma 0 folds to zero weights, which runtimes optimize away."""
    random = np.random.default_rng(0)
    for variable in model.variables:
        if "/norm/" in variable.path:
            variable.assign(random.uniform(0.5, 1.0, variable.shape))


def _export_file(job: Job, model: typing.Any, frozen: Callable[[], typing.Any]) -> None:
    """Write the file of a job; `frozen` returns the `exporting.folded.Network` of the model."""
    from ..exporting import onnx, saved_model, tflite

    form = ENGINES[job.task][job.engine].form
    quantize = "none" if job.precision == "float32" else job.precision
    if form == "saved_model":
        saved_model.export(model, job.file, job.precision, MIDDLE)
    elif form == "tflite":
        with atomic(job.file) as temporary:
            temporary.write_bytes(tflite.convert(frozen(), quantize, [_inputs(job)]))
    elif quantize == "float16":
        _onnx_float16(model, job.file)
    else:
        onnx.export(model, job.file, quantize, [_inputs(job)])


def _onnx_float16(model: typing.Any, path: str) -> None:
    """Write an ONNX file in float16 with ONNX Runtime's converter; slowfast_tf does not export it: it gains little."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    from ..exporting.onnx import export

    with tempfile.TemporaryDirectory() as directory, atomic(path) as temporary:
        source = pathlib.Path(directory) / "float32.onnx"
        export(model, source)
        onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), temporary)


def _inputs(job: Job) -> dict[str, np.ndarray]:
    """Return a batch of noise with the statistics of normalized clips, float32 `[B, T, S, S, C]`, by input."""
    spec, random = job.spec, np.random.default_rng(0)
    return {
        name: random.normal(size=(job.batch, *spec.input_shape(name, job.size))).astype(np.float32)
        for name in spec.pathways
    }


def _tensorflow(job: Job) -> typing.Any:
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(job.threads)
    import_tensorflow()
    import tensorflow as tf

    return tf


def _torch_network(job: Job) -> tuple[typing.Any, list]:
    import torch

    torch.set_num_threads(job.threads)
    # PyTorch's convolutions run fastest with channels last.
    clips = [torch.from_numpy(x).movedim(-1, 1) for x in _inputs(job).values()]
    return peer.build(job.spec), clips
