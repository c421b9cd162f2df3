"""Convert a checkpoint of another library to a model: names, layouts and architecture. Every parameter must be used."""

import dataclasses
import os
import pathlib
import re
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..labels import guess_labels
from ..models.spec import BLOCKS, SlowFastSpec
from . import caffe2, mmaction2, pyslowfast, pytorchvideo
from .architecture import architecture, head
from .reader import read_arrays
from .unstated import unstated_fields
from .variables import assign, some, variables

__all__ = ["FORMATS", "Checkpoint", "assign", "build_model", "names", "read_checkpoint", "variables"]

if TYPE_CHECKING:
    from ..models.slowfast import SlowFast

FORMATS = (pyslowfast, caffe2, pytorchvideo, mmaction2)
# Patterns that occur only in the parameter names of another family.
OTHERS = {
    r"roi_head\.shared_head\.(fbo|lfb)|\bfbo\.": "a network with a long-term feature bank (LFB)",
    r"roi_head\.shared_head\.": "ACRN",
    r"\.branch2\.se\.|stem\.conv_xy|blocks\.0\.conv\.conv_t|backbone\.conv1_[st]\.conv": "X3D",
    r"patch_embed|cls_token": "a transformer",
    r"cls_head\.fc[23]d\.": "OmniSource, whose backbone is another one (OmniResNet)",
    r"^neck\.": "TPN",
    r"\.conv_[st]\.|branch2\.conv_b\.conv_t": "R(2+1)D",
}


@dataclasses.dataclass
class Checkpoint:
    """A checkpoint of another library, with this package's names and layouts.

    Attributes:
        path: path of the file.
        source: name of the format, for messages.
        tensors: dictionary from our names, such as "slow_res2/block0/a/conv/kernel", to float32 arrays in our layout
            (kernels `[T, H, W, in, out]`; the kernel of the classifier `[in, out]`).
        leftover: dictionary from the names of unused parameters to their shapes.
        spec: the `SlowFastSpec` of its network.
        assumed: one line that lists the values that the file lacks and that were assumed; empty if there are none.
    """

    path: pathlib.Path
    source: str
    tensors: dict[str, np.ndarray]
    leftover: dict[str, tuple[int, ...]]
    spec: SlowFastSpec
    assumed: str


def read_checkpoint(path: str | os.PathLike, preset: str | None = None, **changes: Any) -> Checkpoint:
    """Read a checkpoint of PySlowFast, its Caffe2 model zoo, PyTorchVideo or MMAction2.

    The number of classes identifies the data set, which gives the class names. The data set is Kinetics for 400, 600,
    700 or 710 classes, Charades for 157, and Something-Something V2 for 174. With boxes, it is AVA for 80 classes and
    MultiSports for 66. For other numbers, there are no class names.

    Args:
        path: the file.
        preset: name of a preset, for frames, stride and alpha, which the parameters do not show; or name of a published
            network, for its views as well. The configuration in the file takes precedence over the preset. So do the
            fields in which all matching published networks agree, such as the kind of non-local blocks.
        **changes: fields of `SlowFastSpec` to override, such as `activation`.

    Returns:
        A `Checkpoint`.

    Raises:
        InputError: if the file cannot be read or has another format; if `SlowFastSpec` cannot describe the network
            (such as C2D or ACRN); if the preset is unknown or contradicts the file; if several published networks match
            and no preset is given (`argument` is "preset"); or if the activation is unknown (`argument` is
            "activation").

    Example:
        >>> model = build_model(read_checkpoint("SLOWFAST_8x8_R50.pkl"))  # doctest: +SKIP
    """
    path = pathlib.Path(path)
    arrays, config = read_arrays(path)
    _refuse_others(arrays, path)
    source, tensors, leftover = _translate(arrays, path)
    try:
        configured = _configured(source, config)
        shown = _shown(arrays, tensors, source, configured.pop("background_class", None))
        found, assumed = unstated_fields(path, shown, configured, source.PUBLISHER, preset, changes)
        fields = {**shown, **found, **configured, **changes}
        labels = guess_labels(fields["num_classes"], fields.get("head", "pool"))
        spec = SlowFastSpec(**{"labels": labels, **fields})
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    if not spec.lateral_norm:  # then the lateral convolution is not part of a ConvNorm
        tensors = {re.sub(r"^(lateral_\w+/conv)/conv", r"\1", name): value for name, value in tensors.items()}
    return Checkpoint(path, source.TITLE, tensors, leftover, spec, assumed)


def _shown(
    arrays: dict[str, np.ndarray], tensors: dict[str, np.ndarray], source: ModuleType, background: bool | None
) -> dict[str, Any]:
    """Return the fields of `SlowFastSpec` that the parameters show; reorder the classifier in `tensors`.

    `background` is whether the configuration has a background class; None if it does not say.
    """
    fields: dict[str, Any] = {**architecture(tensors), **source.SPEC}
    names = {_bare(name) for name in arrays}
    if len(fields["pathways"]) == 2 and mmaction2.FAST_FIRST in names:
        fast = 32 * tensors["fast_stem/conv1/conv/kernel"].shape[-1]  # channels after res5
        tensors["head/classifier/kernel"] = np.roll(tensors["head/classifier/kernel"], -fast, axis=0)
    classes = np.size(tensors.get("head/classifier/bias", range(400)))
    # In a Caffe2 file, only AVA's 80 classes identify a detection network.
    if any(re.match(r"detection_head\.|roi_head\.", name) for name in names) or (source is caffe2 and classes == 80):
        fields.update(head="roi", activation="sigmoid", **source.DETECTION, **head(tensors))
        background = classes == mmaction2.WITH_BACKGROUND if background is None else background
        if source is mmaction2 and background:
            classes -= 1
            for name in {"head/classifier/kernel", "head/classifier/bias"} & set(tensors):
                tensors[name] = tensors[name][..., 1:]
    fields["num_classes"] = classes
    return fields


def _configured(source: ModuleType, config: str | None) -> dict[str, Any]:
    """Return `settings` of the configuration of a file; an empty dictionary if it is None."""
    # PySlowFast also writes its configuration into checkpoints of PyTorchVideo's networks.
    return (mmaction2 if source is mmaction2 else pyslowfast).settings(config) if config else {}


def build_model(checkpoint: Checkpoint, num_classes: int | None = None) -> "SlowFast":
    """Build the model of a checkpoint, with its weights.

    Args:
        checkpoint: from `read_checkpoint`.
        num_classes: number of classes of a new classifier; by default the checkpoint's classifier is kept.

    Returns:
        A `SlowFast`.

    Raises:
        InputError: if a parameter is missing, left over or of another shape; the message lists names and shapes.

    Example:
        >>> model = build_model(read_checkpoint("SLOWFAST_8x8_R50.pkl"), num_classes=10)  # doctest: +SKIP
    """
    from ..models.slowfast import SlowFast  # imports TensorFlow, which reading does not need

    spec, tensors = checkpoint.spec, dict(checkpoint.tensors)
    if num_classes is not None:
        spec = dataclasses.replace(spec, num_classes=num_classes, labels=())
        tensors = {name: value for name, value in tensors.items() if not name.startswith("head/")}
    model = SlowFast(spec)
    targets = variables(model)
    if num_classes is not None:
        targets = {name: variable for name, variable in targets.items() if not name.startswith("head/")}
    assign(targets, tensors, checkpoint.leftover, checkpoint.path)
    return model


def _refuse_others(arrays: dict[str, np.ndarray], path: pathlib.Path) -> None:
    """Raise an InputError if parameter names show a network of another family."""
    for pattern, family in OTHERS.items():
        if any(re.search(pattern, name) for name in arrays):
            raise InputError(
                f"{path} is of {family}, which this package does not build; it builds SlowFast and Slow-only"
            )


def _bare(name: str) -> str:
    """Return a parameter's name without the prefixes of DataParallel and of PySlowFast's PyTorchVideo models."""
    return re.sub(r"^((module|model)\.)+", "", name)


def _translate(
    arrays: dict[str, np.ndarray], path: pathlib.Path
) -> tuple[ModuleType, dict[str, np.ndarray], dict[str, tuple[int, ...]]]:
    """Return the format, the tensors by our names, and the shapes of parameters that have no name here."""
    tables = {source: names(source) for source in FORMATS}
    known = {source: sum(_bare(name) in table for name in arrays) for source, table in tables.items()}
    source = max(known, key=lambda source: known[source])
    if not known[source]:
        raise InputError(
            f"{path} is no SlowFast checkpoint of {', '.join(s.TITLE for s in FORMATS)}: its first parameters are"
            f" {some(list(arrays), 3) or 'none'}"
        )
    tensors, leftover = {}, {}
    for name, value in arrays.items():
        ours = tables[source].get(_bare(name))
        if ours and ours not in tensors and value.dtype.kind == "f":
            tensors[ours] = _layout(ours, value.astype("float32"))
        elif not re.fullmatch(source.IGNORED, _bare(name)):
            leftover[name] = value.shape
    return source, tensors, leftover


def names(source: ModuleType) -> dict[str, str]:
    """Return a dictionary from each parameter name of a format to ours.

    Args:
        source: the module of a format, such as `slowfast_tf.checkpoints.pyslowfast`.

    Example:
        >>> from slowfast_tf.checkpoints import pytorchvideo
        >>> names(pytorchvideo)["blocks.6.proj.weight"]
        'head/classifier/kernel'
    """
    table = {}
    for theirs, ours in source.NAMES:
        leaves = source.NORM if ours.endswith("/norm") else source.CONV
        for p, pathway in enumerate(("slow", "fast")):
            for stage in (2, 3, 4, 5):
                for i in range(max(max(blocks) for blocks in BLOCKS.values())):
                    place = {"p": p, "pathway": pathway, "t": "t_" * p, "stage": stage, "n": stage - 1, "i": i}
                    for end, leaf in leaves.items():
                        table[theirs.format(**place) + end] = f"{ours.format(**place)}/{leaf}"
    return table


def _layout(name: str, value: np.ndarray) -> np.ndarray:
    """Transpose from `[out, in, T, H, W]` and `[out, in]` to our layout."""
    if name.endswith("/kernel") and value.ndim in (2, 5):
        value = value.transpose(2, 3, 4, 1, 0) if value.ndim == 5 else value.T
    return value
