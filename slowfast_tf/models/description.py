"""Describe a network in the format of the paper's Table 1, with parameters and multiply-adds. Needs no TensorFlow."""

import itertools
from typing import Any

from .cost import cost, nonlocal_products, total
from .spec import SlowFastSpec


def describe(spec: SlowFastSpec, size: int = 256) -> dict[str, Any]:
    """Return the architecture and the cost of a network as a JSON-compatible dictionary.

    Keys:
        `parameters` (trainable) and `multiply_adds` (of one clip; convolutions and the classifier): totals;
        `slow`, `fast`, `lateral`, `head`: an object with `parameters` and `multiply_adds` of this part;
        `nonlocal_products`: multiply-adds of the non-local blocks' matrix products, not in the totals;
        `size`: height and width of the input;
        `inputs`: shape of each input, by name, without the batch;
        `stages`: Table 1, an object per row: `stage`, and for each pathway of the network `slow` and `fast`
        (a list of operations) and `slow_output` and `fast_output` (time, height, width, channels);
        `spec`: the fields of `SlowFastSpec`.

    Args:
        spec: a `SlowFastSpec`.
        size: height and width of the input.

    Raises:
        ValueError: if the network cannot take an input of that size.

    Example:
        >>> describe(get_spec("slowfast_4x16_r50"))["inputs"]
        {'slow': [4, 256, 256, 3], 'fast': [32, 256, 256, 3]}
    """
    return {
        **total(spec, size),
        **cost(spec, size),
        "nonlocal_products": nonlocal_products(spec, size),
        "size": size,
        "inputs": {pathway: list(spec.input_shape(pathway, size)) for pathway in spec.pathways},
        "stages": _stages(spec, size),
        "spec": spec.as_dict(),
    }


def _stages(spec: SlowFastSpec, size: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"stage": name} for name in ("conv1", "pool1", "res2", "res3", "res4", "res5")]
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
            dilation = spec.stage_dilation(stage)
            dilated = f", dilation {dilation}" if dilation > 1 else ""
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


def as_text(name: str, spec: SlowFastSpec, size: int) -> str:
    """Return `describe` as text: Table 1, the lateral connection, and the cost of each part.

    Args:
        name: title of the text.
        spec: a `SlowFastSpec`.
        size: height and width of the input.

    Raises:
        ValueError: if the network cannot take an input of that size.

    Example:
        >>> print(as_text("SlowFast", get_spec("slowfast_8x8_r50"), 256).splitlines()[-1])
        total         34,566,488  65.709 G
    """
    about = describe(spec, size)
    return "\n".join(
        [name, "", *_table_lines(about, spec, size), *_lateral_lines(spec), *_cost_lines(about, spec, size)]
    )


def _table_lines(about: dict[str, Any], spec: SlowFastSpec, size: int) -> list[str]:
    pathways = spec.pathways
    strides = {"slow": spec.stride, "fast": spec.clip_stride}
    rows = [
        ["stage", *(p.capitalize() for p in pathways), "output T x H x W x C"],
        ["raw clip", *[""] * len(pathways), f"{spec.clip_span} x {size}^2"],
        [
            "data layer",
            *(f"stride {strides[p]}" for p in pathways),
            " / ".join("x".join(map(str, about["inputs"][p])) for p in pathways),
        ],
    ]
    for stage in about["stages"]:
        outputs = " / ".join("x".join(map(str, stage[f"{p}_output"])) for p in pathways)
        cells = itertools.zip_longest([stage["stage"]], *(stage[p] for p in pathways), [outputs], fillvalue="")
        rows.extend(map(list, cells))
    pooling = "global average pool"
    if spec.head == "roi":
        whole = ", context of the frame" if spec.roi_context else ""
        hidden = ", hidden layer" if spec.roi_hidden else ""
        over_time = {"mean": "average", "max": "max"}[spec.roi_time]
        pooling = f"{over_time} over time, RoIAlign {spec.roi_bins}x{spec.roi_bins}, max of each box{whole}{hidden}"
    rows.append(["head", *[pooling] * len(pathways), f"dropout {spec.dropout}, {spec.num_classes} classes"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _lateral_lines(spec: SlowFastSpec) -> list[str]:
    if len(spec.pathways) < 2:
        return []
    detail = f" (kernel {spec.lateral_kernel})" if spec.lateral == "conv" else ""
    where = "" if spec.lateral == "none" else " after pool1, res2, res3 and res4"
    return ["", f"lateral connection: {spec.lateral}{detail}{where}; alpha {spec.alpha}, beta 1/{spec.beta_inv}"]


def _cost_lines(about: dict[str, Any], spec: SlowFastSpec, size: int) -> list[str]:
    lines = ["", f"{'':12}{'parameters':>12}  multiply-adds of one {size}^2 clip"]
    for part in (*spec.pathways, *(["lateral"] if len(spec.pathways) == 2 else []), "head", "total"):
        numbers = about if part == "total" else about[part]
        lines.append(f"{part:12}{numbers['parameters']:12,}  {numbers['multiply_adds'] / 1e9:.3f} G")
    if about["nonlocal_products"]:
        lines.append(f"not counted: matrix products of non-local blocks, {about['nonlocal_products'] / 1e9:.3f} G")
    return lines
