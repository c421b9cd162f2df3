"""From a foreign checkpoint to a model: names, layouts, architecture, and an account of every parameter."""

import dataclasses
import pathlib
import re

import numpy as np

from ..errors import InputError
from ..models.presets import get_spec
from ..models.spec import BLOCKS, CHANNELS, SlowFastSpec
from . import caffe2, mmaction2, pyslowfast, pytorchvideo
from .reader import read_arrays

FORMATS = (pyslowfast, caffe2, pytorchvideo, mmaction2)
WEIGHTS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")


@dataclasses.dataclass
class Checkpoint:
    """A foreign checkpoint in our names and layouts.

    Attributes:
        path: of the file.
        source: which format it is, for people.
        tensors: from our names, such as "slow_res2/block0/a/conv/kernel", to float32 arrays in our layout
            (kernels `[T, H, W, in, out]`, the classifier's `[in, out]`).
        leftover: from the names that have no place here to their shapes.
        spec: the `SlowFastSpec` found.
        assumed: what the file does not say and was assumed, in one line; or empty.
    """

    path: pathlib.Path
    source: str
    tensors: dict
    leftover: dict
    spec: SlowFastSpec
    assumed: str


def read(path, preset=None, **changes):
    """Reads a checkpoint of PySlowFast, its Caffe2 model zoo, PyTorchVideo or MMAction2.

    Args:
        path: the file.
        preset: name of a preset that gives frames, stride and alpha, which parameters do not show; by
            default what the file's configuration says, or a guess from the parameters.
        **changes: fields of `SlowFastSpec` that the caller knows better.

    Returns:
        A `Checkpoint`.

    Raises:
        InputError: for a file that cannot be read or is none of these, a network that `SlowFastSpec` cannot
            describe (such as MMAction2's detection models), an unknown preset, or one of other pathways or depth.
    """
    path = pathlib.Path(path)
    arrays, config = read_arrays(path)
    source, tensors, leftover = _translate(arrays, path)
    classes = np.size(tensors.get("head/classifier/bias", range(400)))
    fields = {**_architecture(tensors), **source.SPEC, "num_classes": classes}
    if len(fields["pathways"]) == 2 and any(_bare(name) == mmaction2.FAST_FIRST for name in arrays):
        fast = 32 * tensors["fast_stem/conv1/conv/kernel"].shape[-1]  # channels after res5
        tensors["head/classifier/kernel"] = np.roll(tensors["head/classifier/kernel"], -fast, axis=0)
    # Nothing in a Caffe2 file tells detection but the 80 classes of AVA.
    detection = any(re.match(r"detection_head\.|roi_head\.", _bare(name)) for name in arrays)
    detection = detection or (source is caffe2 and classes == 80)
    if detection and source is mmaction2:
        raise InputError(
            f"{path} is a detection model of MMAction2: it has 8x8 bins a box and no dilation in res5, where this"
            " package builds 7x7 and dilation 2; give one of PySlowFast or PyTorchVideo"
        )
    if detection:  # those without a configuration are of Caffe2 and PyTorchVideo, which do not align
        fields.update(head="roi", roi_aligned=False, activation="sigmoid")
    assumed = ""
    if config:  # PySlowFast writes one, also beside PyTorchVideo's networks
        fields.update(pyslowfast.settings(config))
    elif not preset and not {"frames", "stride", "alpha"} <= set(changes):
        fields.update(_guess(fields))
        alpha = f", alpha {fields['alpha']}" if "fast" in fields["pathways"] else ""
        assumed = (
            f"assumed {fields['frames']}x{fields['stride']}{alpha}: the file does not say;"
            " --preset names another (such as slowfast_4x16_r50)"
        )
    try:
        if preset:
            given = get_spec(preset)
            for field in ("pathways", "depth"):
                if getattr(given, field) != fields[field]:
                    raise InputError(
                        f"{path} has {field} {fields[field]}, but preset {preset} has {getattr(given, field)};"
                        " name a preset that fits"
                    )
            fields.update(frames=given.frames, stride=given.stride, alpha=given.alpha)
        spec = SlowFastSpec(**{**fields, **changes})
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    if not spec.lateral_norm:  # then no ConvNorm is around the lateral convolution
        tensors = {re.sub(r"^(lateral_\w+/conv)/conv", r"\1", name): value for name, value in tensors.items()}
    return Checkpoint(path, source.TITLE, tensors, leftover, spec, assumed)


def build(checkpoint, num_classes=None):
    """The model of a checkpoint, with its weights.

    Args:
        checkpoint: what `read` gave.
        num_classes: classes of a fresh classifier, in place of the checkpoint's; by default the latter.

    Returns:
        A `SlowFast`.

    Raises:
        InputError: where a parameter is missing, left over or of another shape, with names and shapes.
    """
    from ..models.slowfast import SlowFast

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


def variables(model):
    """The weights of a model by path, such as "slow_res2/block0/a/conv/kernel", in Keras 2 and 3 alike."""
    found = {}

    def walk(layer, path):
        for name in WEIGHTS:
            variable = getattr(layer, name, None)
            if variable is not None:
                found[f"{path}{name}"] = variable
        # Keras 2 gives no paths to the weights of inner layers, and no public way to walk these.
        for inner in layer._flatten_layers(include_self=False, recursive=False):
            walk(inner, f"{path}{inner.name}/")

    walk(model, "")
    return found


def assign(targets, tensors, leftover, path):
    """Gives variables their values, all or none.

    Args:
        targets: from name to variable.
        tensors: from name to array. The bias of a convolution that BatchNorm follows has no variable here:
            it is subtracted from the moving mean, which changes no result.
        leftover: names, with shapes, that are known to have no place.
        path: of the file, for messages.

    Raises:
        InputError: where names or shapes differ.
    """
    tensors = dict(tensors)
    for name in [n for n in tensors if n.endswith("/conv/bias") and n not in targets]:
        mean = name.replace("/conv/bias", "/norm/moving_mean")
        if mean in tensors and tensors[mean].shape == tensors[name].shape:
            tensors[mean] = tensors[mean] - tensors.pop(name)
    leftover = {**leftover, **{name: value.shape for name, value in tensors.items() if name not in targets}}
    shapes = {name: tuple(variable.shape) for name, variable in targets.items()}
    problems = {
        "missing": [f"{name} {shape}" for name, shape in shapes.items() if name not in tensors],
        "left over": [f"{name} {tuple(shape)}" for name, shape in leftover.items()],
        "of another shape": [
            f"{name} {tensors[name].shape} for {shape}"
            for name, shape in shapes.items()
            if name in tensors and tensors[name].shape != shape
        ],
    }
    found = [f"{len(names)} {what}: {_some(names)}" for what, names in problems.items() if names]
    if found:
        raise InputError(f"the parameters of {path} do not fit the network: {'; '.join(found)}")
    for name, variable in targets.items():
        variable.assign(tensors[name])


def _some(names, most=12):
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _bare(name):
    """A parameter's name without what wrappers (DataParallel, PySlowFast's PyTorchVideo models) put before it."""
    return re.sub(r"^((module|model)\.)+", "", name)


def _translate(arrays, path):
    """Finds the format; gives it, tensors by our names, and the shapes of what has none."""
    tables = {source: names(source) for source in FORMATS}
    known = {source: sum(_bare(name) in table for name in arrays) for source, table in tables.items()}
    source = max(known, key=known.get)
    if not known[source]:
        raise InputError(
            f"{path} is no SlowFast checkpoint of {', '.join(s.TITLE for s in FORMATS)}: its first parameters are"
            f" {_some(list(arrays), 3) or 'none'}"
        )
    tensors, leftover = {}, {}
    for name, value in arrays.items():
        ours = tables[source].get(_bare(name))
        if ours and ours not in tensors and value.dtype.kind == "f":
            tensors[ours] = _layout(ours, value.astype("float32"))
        elif not re.fullmatch(source.IGNORED, _bare(name)):
            leftover[name] = value.shape
    return source, tensors, leftover


def names(source):
    """A format's table written out: from each of its parameter names to ours."""
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


def _layout(name, value):
    """From `[out, in, T, H, W]` and `[out, in]` to our layout."""
    if name.endswith("/kernel") and value.ndim in (2, 5):
        value = value.transpose(2, 3, 4, 1, 0) if value.ndim == 5 else value.T
    return value


def _architecture(tensors):
    """The fields of `SlowFastSpec` that names and shapes tell."""
    pathways = tuple(p for p in ("slow", "fast") if f"{p}_stem/conv1/conv/kernel" in tensors)
    if not pathways:
        raise InputError("the checkpoint has no first convolution, so its pathways are unknown")
    stems = {p: tensors[f"{p}_stem/conv1/conv/kernel"].shape for p in pathways}
    if any(len(shape) != 5 for shape in stems.values()):
        raise InputError(f"the checkpoint is no video network: its first kernel has shape {stems[pathways[0]]}")
    fields = {"pathways": pathways, "width": stems[pathways[0]][-1]}

    depths = set()
    for pathway in pathways:
        blocks = tuple(len(_indices(tensors, pathway, stage, "block")) for stage in (2, 3, 4, 5))
        depths.add(next((depth for depth, known in BLOCKS.items() if known == blocks), blocks))
    if len(depths) > 1 or not depths <= set(BLOCKS):
        raise InputError(
            f"the checkpoint's pathways have depth (or blocks in res2 to res5) {', '.join(map(str, depths))};"
            f" this package builds {', '.join(map(str, BLOCKS))}, the same for all pathways"
        )
    fields["depth"] = depths.pop()

    for pathway in pathways:
        kernels, temporal = zip(*(_temporal(tensors, pathway, stage) for stage in (2, 3, 4, 5)))
        if fields.setdefault("res4_temporal_blocks", temporal[2]) != temporal[2]:
            raise InputError("the checkpoint's pathways have temporal kernels in different numbers of res4's blocks")
        fields[f"{pathway}_kernels"] = (stems[pathway][0], *kernels)

    if len(pathways) == 2:
        fields["beta_inv"] = max(1, round(stems["slow"][-1] / stems["fast"][-1]))
        channels = {3: "rgb", 1: "gray", 2: "flow"}
        if stems["fast"][-2] not in channels:
            raise InputError(f"the Fast pathway takes {stems['fast'][-2]} channels; known: {CHANNELS}")
        fields["fast_input"] = channels[stems["fast"][-2]]
        lateral = tensors.get("lateral_stem/conv/conv/kernel")
        fields["lateral"] = "none" if lateral is None else "conv"
        if lateral is not None:
            fields["lateral_kernel"] = lateral.shape[0]
            fields["lateral_norm"] = "lateral_stem/conv/norm/gamma" in tensors

    nonlocal_blocks = tuple(tuple(sorted(_indices(tensors, "slow", stage, "nonlocal"))) for stage in (2, 3, 4, 5))
    if any(nonlocal_blocks):
        # Every published SlowFast has this kind; PySlowFast's configuration may overrule it.
        fields.update(nonlocal_kind="dot_product", nonlocal_blocks=nonlocal_blocks)
    return fields


def _indices(tensors, pathway, stage, what):
    found = (re.match(rf"{pathway}_res{stage}/{what}(\d+)/", name) for name in tensors)
    return {int(match.group(1)) for match in found if match}


def _temporal(tensors, pathway, stage):
    """Kernel size in time of a stage, and how many of its blocks have it where the others have 1 (0: all)."""
    blocks = sorted(_indices(tensors, pathway, stage, "block"))
    kernels = [tensors.get(f"{pathway}_res{stage}/block{i}/a/conv/kernel") for i in blocks]
    sizes = [kernel.shape[0] for kernel in kernels if kernel is not None]  # what is missing is reported later
    if len(set(sizes)) < 2:
        return (sizes or [1])[0], 0
    temporal = sum(size > 1 for size in sizes)
    if stage != 4 or sizes != [sizes[0]] * temporal + [1] * (len(sizes) - temporal):
        raise InputError(f"the blocks of res{stage} have kernel sizes {sizes} in time, as I3D's; no SlowFast has these")
    return sizes[0], temporal


def _guess(fields):
    """Frames, stride and alpha of the published models with such parameters."""
    if len(fields["pathways"]) == 2 and fields["depth"] < 101 and fields.get("lateral_kernel") != 7:
        return {"frames": 4, "stride": 16, "alpha": 8}
    return {"frames": 8, "stride": 8, "alpha": 4}
