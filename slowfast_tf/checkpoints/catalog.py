"""List the published networks, as dictionaries, as text and as a page. Needs no TensorFlow."""

from typing import Any

from ..models.cost import total
from .published import MODELS, recommended
from .published_files import OTHERS
from .zoo import converted_copy


def catalog() -> list[dict[str, Any]]:
    """Return the known properties of every published network, as dictionaries that JSON can hold. Needs no files.

    Keys:
        `name`: name for `from_pretrained`; `recommended`: the shorter name of the same file, or None;
        `dataset`: name of the data set; `accuracy`: published accuracy in percent, by metric ("top1" and "top5", or
        "mAP"); `source`: the page with the accuracy;
        `multiply_adds`: multiply-adds of one view at the published test crop (for a detection network, with one box);
        `bytes`: size of the parameters in float32; `cached`: whether the converted copy is in the cache.

    Example:
        >>> catalog()[0]["name"]
        'slow_4x16_r50_k400_pyslowfast'
    """
    short = {name: key for key, name in recommended().items()}
    rows = []
    for name, published in MODELS.items():
        spec = published.spec()
        cost = total(spec, spec.crop_size)
        rows.append(
            {
                "name": name,
                "recommended": short.get(name),
                "dataset": published.dataset,
                "accuracy": published.accuracy,
                "source": published.source,
                "multiply_adds": cost["multiply_adds"],
                "bytes": 4 * cost["parameters"],
                "cached": converted_copy(name).exists(),
            }
        )
    return rows


def catalog_text() -> str:
    """Return `catalog` as a table."""
    rows = [("name", "", "data set", "accuracy", "source", "G", "MB", "cached")]
    for row in catalog():
        rows.append(
            (
                row["name"],
                "*" if row["recommended"] else "",
                row["dataset"],
                ", ".join(f"{metric} {percent}" for metric, percent in row["accuracy"].items()),
                row["source"],
                f"{row['multiply_adds'] / 1e9:.1f}",
                f"{row['bytes'] / 1e6:.0f}",
                "yes" if row["cached"] else "no",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    note = "*: recommended; its name also works without the publisher. G: 1e9 multiply-adds of one view."
    return "\n".join([*lines, "", note])


def catalog_page() -> str:
    """Return a Markdown page with all SlowFast and Slow-only networks in the publishers' model zoos."""
    lines = [
        "# Published networks",
        "",
        "Written by `python -m slowfast_tf.describe --networks docs/published_networks.md`; do not edit.",
        "",
        "The first table has the SlowFast and Slow-only networks of the model zoos of PySlowFast, PyTorchVideo and",
        "MMAction2. All of them can be converted: `--model NAME` downloads and converts one, and",
        "`python -m slowfast_tf.convert FILE --preset NAME` converts a file that you have. Files of PyTorchVideo and",
        "MMAction2 need `pip install '.[convert]'`. G: 1e9 multiply-adds of one view at the published test crop.",
        "PySlowFast trained its R101 networks for AVA from those for Kinetics-600.",
        "",
        "| name | data set | published | G | file |",
        "|---|---|---|---|---|",
    ]
    for row in catalog():
        accuracy = ", ".join(f"{percent} {metric}" for metric, percent in row["accuracy"].items()) or "no figure"
        address = MODELS[row["name"]].address
        lines.append(
            f"| `{row['name']}` | {row['dataset']} | {accuracy} | {row['multiply_adds'] / 1e9:.1f}"
            f" | [{address.rpartition('/')[2]}]({address}) |"
        )
    lines += ["", "The second table has the networks of the same zoos that cannot be converted.", ""]
    lines += ["| zoo | network | why |", "|---|---|---|"]
    for zoo, networks, reason in OTHERS:
        lines += [f"| {zoo} | {network} | {reason} |" for network in networks]
    return "\n".join(lines) + "\n"
