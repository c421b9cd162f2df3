"""Export a trained network for a server or a device: `python -m slowfast_tf.export`."""

import argparse
import pathlib
import signal

from . import runtime
from .checkpoints.names import FORMS, check_name, is_preset, load
from .errors import InputError
from .files.atomic import is_writable
from .inference.chosen_views import SLIDING, with_views
from .interrupts import handle_signals
from .models.spec import SlowFastSpec

# The allowed values of each option, by format.
ONLY = {
    "precision": {"saved_model": ("float32", "bfloat16"), "tflite": ("float32",), "onnx": ("float32",)},
    "quantize": {"saved_model": ("none",), "tflite": ("none", "float16", "dynamic", "int8"), "onnx": ("none", "int8")},
}
SUFFIX = {"tflite": ".tflite", "onnx": ".onnx"}


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    options = _parser().parse_args(arguments)
    _check(options)

    runtime.import_tensorflow()
    # Handle a termination like Ctrl-C, so that a partly written file is removed.
    with handle_signals(signal.default_int_handler, signal.SIGTERM):
        _export(options)
    print(f"wrote {options.output}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.export",
        description="Writes a trained network for TF Serving (saved_model), LiteRT (tflite) or ONNX Runtime, OpenVINO"
        " and TensorRT (onnx). BatchNorm is folded into the convolutions, and the result is compared with the network.",
        epilog="example: python -m slowfast_tf.export --checkpoint runs/demo --format tflite --quantize int8"
        " --calibration data/demo/train/*/00*.mp4 --output demo.tflite",
    )
    parser.add_argument("--checkpoint", required=True, help=f"{FORMS}; or a preset (random weights)")
    parser.add_argument("--format", required=True, choices=("saved_model", "tflite", "onnx"))
    parser.add_argument(
        "--output", required=True, type=pathlib.Path, help="a file, or the directory of a SavedModel (NAME/VERSION)"
    )
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"), help="saved_model only")
    parser.add_argument(
        "--quantize", default="none", choices=("none", "float16", "dynamic", "int8"), help="onnx: only none and int8"
    )
    parser.add_argument(
        "--calibration", nargs="+", default=[], metavar="FILE", help="for int8: at least 50 videos, or .tfrecord files"
    )
    parser.add_argument("--int8-io", action="store_true", help="tflite int8: inputs and outputs in int8 as well")
    parser.add_argument("--report", type=pathlib.Path, metavar="FILE", help="tflite int8: CSV file of layer errors")
    parser.add_argument(
        "--views",
        metavar="VIEWS",
        help="saved_model only: KxC (clips, crops), such as 10x3, or middle (1x1, the fastest); by default those of the"
        " model's own test",
    )
    return parser


def _export(options: argparse.Namespace) -> None:
    from .models.slowfast import SlowFast

    preset = is_preset(options.checkpoint)
    model = SlowFast(options.checkpoint) if preset else load(options.checkpoint)
    if options.format == "saved_model":
        from .exporting import saved_model

        views = with_views(model.spec, options.views).views
        saved_model.export(model, options.output, options.precision, views)
    else:
        from .exporting import calibration, onnx, tflite

        clips = calibration.read_calibration_clips(options.calibration, model.spec)
        with runtime.without_remarks():  # of converters
            if options.format == "onnx":
                onnx.export(model, options.output, options.quantize, clips)
            else:
                tflite.export(model, options.output, options.quantize, clips, options.int8_io, options.report)


def _check(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other before TensorFlow is imported."""
    form = options.format
    for name, formats in ONLY.items():
        value = getattr(options, name)
        if value not in formats[form]:
            others = ", ".join(key for key, values in formats.items() if value in values)
            raise InputError(f"--{name} {value} is for --format {others}; received --format {form}")
    if options.views and form != "saved_model":
        raise InputError(f"--views is for --format saved_model; received --format {form}")
    if options.views == SLIDING:
        raise InputError("--views takes middle or KxC here, such as 10x3; received 'sliding'")
    with_views(SlowFastSpec(), options.views)
    if options.quantize == "int8" and not options.calibration:
        raise InputError("--quantize int8 needs --calibration: videos like those that the network will see")
    for name in ("calibration", "int8_io", "report"):
        option = "--" + name.replace("_", "-")
        if getattr(options, name) and options.quantize != "int8":
            raise InputError(f"{option} needs --quantize int8; received {options.quantize}")
        if getattr(options, name) and name != "calibration" and form != "tflite":
            raise InputError(f"{option} is for --format tflite; received --format {form}")
    if form in SUFFIX and options.output.suffix != SUFFIX[form]:
        raise InputError(f"--output must end in {SUFFIX[form]} for --format {form}; received {options.output}")
    for path in filter(None, (options.output, options.report)):
        if path.exists():
            raise InputError(f"{path} exists already; choose another place or remove it")
    if options.report and (options.report.resolve() == options.output.resolve() or not is_writable(options.report)):
        raise InputError(f"--report cannot be written to {options.report}; choose another place")
    check_name(options.checkpoint, presets=True)


if __name__ == "__main__":
    runtime.run(main)
