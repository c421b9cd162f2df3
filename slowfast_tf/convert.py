"""Convert published weights (PyTorch, Caffe2, or an ImageNet ResNet50) to a .keras file.

The number of classes identifies the data set, which gives the class names: 400, 600, 700 or 710 for Kinetics, 157 for
Charades, 174 for Something-Something V2; with boxes, 80 for AVA and 66 for MultiSports. A network with another number
of classes has no class names.
"""

import argparse
import pathlib
from typing import TYPE_CHECKING, Any

from .errors import InputError
from .files.atomic import atomic, is_writable
from .runtime import import_tensorflow, run

if TYPE_CHECKING:
    from .models.slowfast import SlowFast

ADVICE = {"preset": "give --preset NAME", "activation": "give --activation softmax or sigmoid"}


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.convert",
        description="Converts published weights to a .keras file: checkpoints of PySlowFast (.pyth), of its Caffe2"
        " model zoo (.pkl), of PyTorchVideo (.pyth) and of MMAction2 (.pth). The file determines the architecture and"
        " the format; the number of classes determines the class names. An ImageNet ResNet50 of Keras Applications"
        " (.h5) is inflated into the Slow pathway of --preset.",
        epilog="example: python -m slowfast_tf.convert SLOWFAST_8x8_R50.pkl --output slowfast_8x8_r50.keras",
    )
    parser.add_argument("checkpoint", type=pathlib.Path, help="the published file")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="the .keras file to write")
    parser.add_argument(
        "--preset",
        help="the network, if the file does not determine it: a preset, or a published name that describe lists; for an"
        " .h5 file, the network to initialize",
    )
    parser.add_argument(
        "--activation",
        choices=("softmax", "sigmoid"),
        help="activation of the scores: softmax for one class per clip, sigmoid for several; by default that of the"
        " file or its data set",
    )
    parser.add_argument(
        "--num-classes", type=int, help="replace the checkpoint's classifier by a new one with this number of classes"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    options = parser.parse_args(arguments)
    _check(options)

    import_tensorflow()
    from .checkpoints import build_model, read_checkpoint
    from .checkpoints.reader import is_hdf5

    if is_hdf5(options.checkpoint):
        model = _inflated(options)
        print(f"ImageNet ResNet50 in the Slow pathway of {options.preset}")
    else:
        checkpoint = read_checkpoint(options.checkpoint, options.preset, **_changes(options))
        spec = checkpoint.spec
        print(
            f"{checkpoint.source}: {' and '.join(spec.pathways)}, depth {spec.depth}, width {spec.width},"
            f" {spec.frames}x{spec.stride}, {spec.num_classes} classes, {len(checkpoint.tensors)} tensors"
        )
        if checkpoint.assumed:
            print(f"{checkpoint.assumed}; choose another network with --preset")
        model = build_model(checkpoint, options.num_classes)
    with atomic(options.output) as temporary:
        model.save(temporary)
    print(f"wrote {options.output}")


def _check(options: argparse.Namespace) -> None:
    """Refuse wrong options before TensorFlow is imported."""
    if not options.checkpoint.is_file():
        raise InputError(f"no such file: {options.checkpoint}; give the path of a checkpoint")
    if options.output.suffix != ".keras":
        raise InputError(f"--output must end in .keras; got {options.output}")
    if options.output.exists() and not options.overwrite:
        raise InputError(f"{options.output} exists; give another --output, or --overwrite to replace it")
    if not is_writable(options.output):
        raise InputError(f"--output {options.output} cannot be written; give a file in a writable directory")
    if options.num_classes is not None and options.num_classes < 1:
        raise InputError(f"--num-classes must be at least 1; got {options.num_classes}")


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    return {"activation": options.activation} if options.activation else {}


def _inflated(options: argparse.Namespace) -> "SlowFast":
    from .checkpoints import inflate_imagenet
    from .checkpoints.names import read_spec
    from .models.presets import PRESETS, get_spec
    from .models.slowfast import SlowFast

    if not options.preset:
        raise InputError(
            f"{options.checkpoint} holds an image network: name the network to start with it, as --preset slow_8x8_r50"
        )
    spec = get_spec(options.preset) if options.preset in PRESETS else read_spec(options.preset)
    classes = {} if options.num_classes is None else {"num_classes": options.num_classes, "labels": ()}
    model = SlowFast(spec, **classes, **_changes(options))
    inflate_imagenet(options.checkpoint, model)
    return model


if __name__ == "__main__":
    run(main, ADVICE)
