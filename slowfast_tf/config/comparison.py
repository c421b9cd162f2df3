"""Compare the configurations of PySlowFast and MMAction2 with ours, as Markdown. Needs no TensorFlow."""

import json
import pathlib
from typing import Any, NamedTuple

from .loading import load, shipped

# The values of each published file by folder, with the field names of this package. Missing keys of PySlowFast's files
# have its defaults. A file that only tests a network has no values for training.
PUBLISHED = pathlib.Path(__file__).with_name("published.json")
PAPER = ("kinetics", "charades", "ava")  # the data sets of the paper: prefixes of the names of configurations

# Prefix of a published file's path, fields, and the reason why they differ. The first matching row is used.
REASONS: list[tuple[str | tuple[str, ...], str, str]] = [
    (
        "PySlowFast configs/Kinetics",
        "model.frame_index",
        "The paper takes frames at equal strides; PySlowFast spreads them evenly to the last frame.",
    ),
    ("PySlowFast configs/Kinetics", "train.epochs", "The paper trains for 256 epochs if T = 4."),
    (
        "PySlowFast configs/Kinetics/pytorchvideo",
        "data.short_sides",
        "The paper, and PySlowFast's other configurations for Kinetics, draw from 256 to 320.",
    ),
    ("PySlowFast", "model.channel_order", "The weights that the run starts from expect RGB."),
    ("PySlowFast configs/Charades/pytorchvideo", "train.schedule", "The cosine schedule here ends at 0."),
    (
        "PySlowFast",
        "train.synchronize_batchnorm",
        "PySlowFast has 2 clips on each of 8 devices;"
        " [whether to synchronize here depends on the devices](recipes.md#change-the-batch-size).",
    ),
    (
        "PySlowFast configs/AVA",
        "train.step_epochs train.step_rates",
        "The last step is at the end of the run, so it has no effect.",
    ),
    (
        "PySlowFast configs/AVA/SLOWFAST",
        "model.crop_size",
        "The paper, and all other configurations for AVA, test with a shorter side of 256.",
    ),
    (
        "PySlowFast configs/AVA/c2",
        "model.roi_aligned",
        "These files test weights from Caffe2; ours trains with aligned boxes, as PySlowFast's training files do.",
    ),
    (
        ("MMAction2 configs/recognition/slowonly/slowonly_r50_8xb16", "MMAction2 configs/detection"),
        "train.schedule",
        "A cosine schedule here starts with the run, as in PySlowFast, not after the warm-up.",
    ),
    (
        "MMAction2 configs/recognition",
        "data.short_sides",
        "MMAction2 crops a random part of the area; ours crops a square of the resized video, as the paper does.",
    ),
    ("MMAction2", "data.root", "MMAction2 uses AVA v2.1; ours uses v2.2, as PySlowFast does."),
    (
        "MMAction2",
        "train.init",
        "MMAction2's network starts from other weights, in a file that `train.init` does not read.",
    ),
    ("MMAction2", "train.optimizer", "PySlowFast's SGD has Nesterov momentum, and so has ours."),
    (
        "MMAction2",
        "data.crop_size data.short_side_draw model.mean model.std model.frame_rate model.frame_index"
        " model.person_score model.lateral_norm model.lateral_kernel model.nonlocal_kind model.nonlocal_blocks"
        " model.nonlocal_pool_last model.roi_bins model.roi_dilation model.roi_context model.roi_time test.to_the_end"
        " train.epochs train.batch_size train.learning_rate train.warmup_epochs train.warmup_learning_rate"
        " train.schedule train.step_epochs train.step_rates train.weight_decay train.clip_norm"
        " train.precise_batchnorm",
        "MMAction2 has its own recipe for this network; ours follows PySlowFast. `--set` takes its values.",
    ),
]


class Difference(NamedTuple):
    """A field that differs.

    Attributes:
        field: name of the field, such as "train.epochs".
        published, ours: the two values.
        reason: the reason why the values differ.
    """

    field: str
    published: Any
    ours: Any
    reason: str


def published() -> dict[str, dict[str, dict[str, Any]]]:
    """Return the published values by source and file, with "ours" (our configuration or None) and "why" it is None.

    Example:
        >>> published()["PySlowFast configs/Kinetics"]["SLOW_8x8_R50.yaml"]["train.epochs"]
        196
    """
    sources = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    return {
        source: {file: {**group["defaults"], **values} for file, values in group["files"].items()}
        for source, group in sources.items()
    }


def ours(name: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of our configuration for the fields of a published configuration.

    Args:
        name: name of our configuration, such as "kinetics400/slow_8x8_r50".
        values: the published values.
    """
    settings = load(name)
    parts = {"model": settings.spec(), "data": settings.data, "train": settings.train, "test": settings.test}
    fields = [field.split(".") for field in values if "." in field]
    found = {f"{section}.{key}": getattr(parts[section], key) for section, key in fields}
    return json.loads(json.dumps(found))  # converts tuples to lists, as in the published values


def differences(source: str, file: str, values: dict[str, Any]) -> list[Difference]:
    """Return the fields in which a published configuration differs from ours.

    Args:
        source: publisher and folder of the published configuration.
        file: file name of the published configuration.
        values: values of the published configuration, from `published`.

    Raises:
        LookupError: if a difference has no reason in `REASONS`.
    """
    found = []
    for field, value in ours(values["ours"], values).items():
        if value != values[field]:
            found.append(Difference(field, values[field], value, _reason(f"{source}/{file}", field)))
    return found


def _reason(path: str, field: str) -> str:
    for start, fields, reason in REASONS:
        if path.startswith(start) and field in fields.split():
            return reason
    raise LookupError(f"{path}: {field} differs from ours without a reason; add it to REASONS")


def configurations_pages() -> dict[str, str]:
    """Return the comparisons of the published configurations with ours: file name to Markdown, one page a publisher."""
    sources = published()
    own = ["", "## The paper's own", "", "Neither PySlowFast nor MMAction2 publishes a file for these:", ""]
    own += [f"- `{name}`" for name in unpublished(sources)]
    return {
        "published_configurations.md": _page(
            "Published configurations",
            sources,
            "PySlowFast",
            "If a file does not set a field, PySlowFast's default is compared. Its files in `c2` only test",
            "networks, so their training fields are not compared. [Another",
            "page](published_configurations_mmaction2.md) compares those of MMAction2.",
        )
        + "\n".join([*own, ""]),
        "published_configurations_mmaction2.md": _page("Configurations of MMAction2", sources, "MMAction2"),
    }


def _page(title: str, sources: dict[str, dict[str, dict[str, Any]]], publisher: str, *notes: str) -> str:
    """Return the page of one publisher, which ends with a newline."""
    lines = [
        f"# {title}",
        "",
        "Written by `python -m slowfast_tf.describe --configurations docs`; do not edit.",
        "",
        f"Each configuration that {publisher} publishes for SlowFast and Slow-only networks is compared with ours. The",
        "tables list each field that differs, by our name: the published value, then ours.",
        *notes,
    ]
    for source, files in sources.items():
        if not source.startswith(publisher):
            continue
        lines += ["", f"## {source}", "", "| published | ours | field: published, ours | why |", "|---|---|---|---|"]
        found = {file: differences(source, file, values) for file, values in files.items() if values["ours"]}
        shared = [one for one in next(iter(found.values())) if all(one in other for other in found.values())]
        lines += _rows("all with a configuration here", "", shared)
        for file, values in files.items():
            if file in found:
                own = [one for one in found[file] if one not in shared]
                lines += _rows(f"`{file}`", f"`{values['ours']}`", own) or [f"| `{file}` | `{values['ours']}` | | |"]
            else:
                lines.append(f"| `{file}` | none | | {values['why']} |")
    return "\n".join([*lines, ""])


def unpublished(sources: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Return the names of our configurations for the paper's data sets that have no published counterpart."""
    listed = {values["ours"] for files in sources.values() for values in files.values()}
    return [name for name in shipped() if name not in listed and name.startswith(PAPER)]


def _rows(file: str, name: str, found: list[Difference]) -> list[str]:
    """Return a table row for each reason; the first row names the configurations."""
    rows = []
    for reason in dict.fromkeys(one.reason for one in found):
        fields = (f"`{f}`: {_text(p)}, {_text(o)}" for f, p, o, r in found if r == reason)
        rows.append(f"| {file} | {name} | {'<br>'.join(fields)} | {reason} |")
        file = name = ""
    return rows


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
