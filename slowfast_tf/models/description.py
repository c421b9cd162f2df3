"""Prints a network as the paper's Table 1 does, with its parameters and multiply-adds. Needs no TensorFlow."""

import itertools
import json
import pathlib
import zipfile

from ..errors import InputError
from ..models.cost import cost, nonlocal_products, total
from ..models.presets import PRESETS, get_spec, nearest
from ..models.spec import SlowFastSpec

# The paper's cost figures (Tables 2 and 5): model, preset, changes, multiply-adds in G as published, the same
# recomputed from Table 1, and parameters in M recomputed.
PAPER = [
    ("SlowFast 4x16 R50", "slowfast_4x16_r50", {}, 36.1, 36.10, 34.48),
    ("SlowFast 8x8 R50", "slowfast_8x8_r50", {}, 65.7, 65.71, 34.57),
    ("SlowFast 8x8 R101", "slowfast_8x8_r101", {}, 106, 106.5, 53.77),
    ("SlowFast 16x8 R101", "slowfast_16x8_r101", {}, 213, 213.0, 53.77),
    ("SlowFast 16x8 R101 + non-local", "slowfast_16x8_r101_nl", {}, 234, None, None),
    ("Slow-only 4x16 R50", "slow_4x16_r50", {}, 27.3, 27.26, 32.45),
    ("Fast-only", "fast_4x16_r50", {}, 6.4, 6.90, 0.62),
    ("no lateral connection", "slowfast_4x16_r50", {"lateral": "none"}, 34.2, 34.16, 33.07),
    ("TtoC, sum", "slowfast_4x16_r50", {"lateral": "channel_sum"}, 34.2, 34.16, 33.07),
    ("TtoC, concatenation", "slowfast_4x16_r50", {"lateral": "channel_concat"}, 39.8, 39.86, 37.84),
    ("T-sample", "slowfast_4x16_r50", {"lateral": "sample"}, 34.9, 34.87, 33.67),
    ("beta 1/4", "slowfast_4x16_r50", {"beta_inv": 4}, 54.5, 53.6, None),
    ("beta 1/6", "slowfast_4x16_r50", {"beta_inv": 6}, 41.8, 41.2, None),
    ("beta 1/12", "slowfast_4x16_r50", {"beta_inv": 12}, 32.8, 32.0, None),
    ("beta 1/16", "slowfast_4x16_r50", {"beta_inv": 16}, 30.6, 30.60, None),
    ("beta 1/32", "slowfast_4x16_r50", {"beta_inv": 32}, 28.6, 28.66, None),
    ("Fast input gray-scale", "slowfast_4x16_r50", {"fast_input": "gray"}, 34.1, 34.04, None),
    ("Fast input time difference", "slowfast_4x16_r50", {"fast_input": "difference"}, 34.2, None, None),
    ("Fast input optical flow", "slowfast_4x16_r50", {"fast_input": "flow"}, 35.1, 35.07, None),
    (
        "Fast input half resolution, beta 1/4",
        "slowfast_4x16_r50",
        {"fast_input": "half", "beta_inv": 4},
        34.4,
        35.98,
        None,
    ),
]


def read_spec(source):
    """The spec of a preset, of a saved `.keras` file or of a run directory that holds `model.keras`.

    Args:
        source: a preset's name or a path.

    Raises:
        InputError: where it is none of these; the message names the nearest preset.
    """
    if source in PRESETS:
        return get_spec(source)
    path = pathlib.Path(source)
    if path.is_dir():
        if not (path / "model.keras").is_file():
            raise InputError(f"{source} is a directory without model.keras; give the directory of a finished run")
        path = path / "model.keras"
    if not path.exists():
        if path.suffix or len(path.parts) > 1:
            raise InputError(f"no such file: {source}; give a preset, a .keras file or the directory of a run")
        raise InputError(f"unknown preset {source!r}{nearest(source, PRESETS)}")
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        return SlowFastSpec(**config["config"]["preset"])
    except (zipfile.BadZipFile, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} holds no network of slowfast_tf ({error}); give a .keras file that it saved"
        ) from error


def describe(spec, size=256):
    """What a network is and costs, as a dictionary that JSON can hold.

    Keys:
        `parameters` (trainable) and `multiply_adds` (of one clip; convolutions and the classifier): totals;
        `slow`, `fast`, `lateral`, `head`: objects of the same two, for the part;
        `nonlocal_products`: multiply-adds of the non-local blocks' matrix products, not in the totals;
        `size`: height and width that this is for;
        `inputs`: shape of each input, by name, without the batch;
        `stages`: Table 1, an object a row: `stage`, and for each pathway that there is `slow` and `fast`
        (a list of operations) and `slow_output` and `fast_output` (time, height, width, channels);
        `spec`: the fields of `SlowFastSpec`.

    Args:
        spec: a `SlowFastSpec`.
        size: height and width of the input.

    Raises:
        ValueError: where the network cannot take an input of that size.
    """
    inputs = {
        pathway: [
            spec.clip_frames if pathway == "fast" else spec.frames,
            *[spec.input_size(pathway, size)] * 2,
            spec.input_channels(pathway),
        ]
        for pathway in spec.pathways
    }
    return {
        **total(spec, size),
        **cost(spec, size),
        "nonlocal_products": nonlocal_products(spec, size),
        "size": size,
        "inputs": inputs,
        "stages": _stages(spec, size),
        "spec": spec.as_dict(),
    }


def _stages(spec, size):
    rows = [{"stage": name} for name in ("conv1", "pool1", "res2", "res3", "res4", "res5")]
    for pathway in spec.pathways:
        frames, height, width, channels = spec.feature_shape(pathway, 1, size)
        side = -(-spec.input_size(pathway, size) // 2)
        kernel = (spec.fast_kernels if pathway == "fast" else spec.slow_kernels)[0]
        cells = [
            ([f"{kernel}x7^2, {channels}, stride 1,2^2"], (frames, side, side, channels)),
            (["max 1x3^2, stride 1,2^2"], (frames, height, width, channels)),
        ]
        for stage in (2, 3, 4, 5):
            shape = spec.feature_shape(pathway, stage, size)
            inner = spec.pathway_width(pathway, stage)
            dilated = ", dilation 2" if spec.stage_dilation(stage) == 2 else ""
            operations = [
                f"({kernel}x1^2,{inner}; 1x3^2,{inner}{dilated}; 1x1^2,{shape[3]}) x{len(list(same))}"
                for kernel, same in itertools.groupby(spec.temporal_kernels(pathway, stage))
            ]
            places = spec.nonlocal_places(pathway, stage)
            if places:
                operations.append(f"non-local after block {', '.join(map(str, places))} (from 0)")
            cells.append((operations, shape))
        for row, (operations, shape) in zip(rows, cells):
            row[pathway] = operations
            row[f"{pathway}_output"] = list(shape)
    return rows


def as_text(name, spec, size):
    about = describe(spec, size)
    pathways = spec.pathways
    span = f"{spec.clip_span} x {size}^2"
    strides = {"slow": spec.stride, "fast": spec.clip_stride}
    lines = [["stage", *(p.capitalize() for p in pathways), "output T x H x W x C"]]
    lines.append(["raw clip", *[""] * len(pathways), span])
    lines.append(
        [
            "data layer",
            *(f"stride {strides[p]}" for p in pathways),
            " / ".join("x".join(map(str, about["inputs"][p])) for p in pathways),
        ]
    )
    for row in about["stages"]:
        outputs = " / ".join("x".join(map(str, row[f"{p}_output"])) for p in pathways)
        cells = itertools.zip_longest([row["stage"]], *(row[p] for p in pathways), [outputs], fillvalue="")
        lines.extend(map(list, cells))
    pooling = "global average pool" if spec.head == "pool" else "average over time, RoIAlign 7x7, max of each box"
    lines.append(["head", *[pooling] * len(pathways), f"dropout {spec.dropout}, {spec.num_classes} classes"])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [name, ""]
    text += ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines]
    if len(pathways) == 2:
        detail = f" (kernel {spec.lateral_kernel})" if spec.lateral == "conv" else ""
        where = "" if spec.lateral == "none" else " after pool1, res2, res3 and res4"
        text += ["", f"lateral connection: {spec.lateral}{detail}{where}; alpha {spec.alpha}, beta 1/{spec.beta_inv}"]
    text += ["", f"{'':12}{'parameters':>12}  multiply-adds of one {size}^2 clip"]
    for part in (*pathways, *(["lateral"] if len(pathways) == 2 else []), "head", "total"):
        numbers = about if part == "total" else about[part]
        text.append(f"{part:12}{numbers['parameters']:12,}  {numbers['multiply_adds'] / 1e9:.3f} G")
    if about["nonlocal_products"]:
        text.append(f"not counted: matrix products of non-local blocks, {about['nonlocal_products'] / 1e9:.3f} G")
    return "\n".join(text)


def table():
    """The paper's cost table beside this package's own counts, as Markdown."""
    lines = [
        "# Cost of the paper's networks",
        "",
        "Written by `python -m slowfast_tf.describe --table docs/costs.md`; do not edit. Multiply-adds in G of one",
        "256^2 clip, 400 classes, convolutions and the classifier only. Published: the paper's figure; recomputed:",
        "counted from the paper's Table 1; ours: counted from this package's networks. The difference is to the",
        "recomputed figure, or to the published one where there is no other.",
        "",
        "| model | preset, changes | published G | recomputed G | ours G | difference | parameters M | recomputed M |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model, preset, changes, published, recomputed, parameters in PAPER:
        ours = total(get_spec(preset, **changes))
        count = ours["multiply_adds"] / 1e9
        difference = 100 * (count / (recomputed or published) - 1)
        lines.append(
            f"| {model} | {', '.join([preset, *(f'{k}={v}' for k, v in changes.items())])} | {published}"
            f" | {recomputed or ''} | {count:.2f} | {difference:+.2f}%{'' if recomputed else ' (published)'}"
            f" | {ours['parameters'] / 1e6:.2f} | {parameters or ''} |"
        )
    return "\n".join(lines) + "\n"
