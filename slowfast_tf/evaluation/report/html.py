"""The report of a test: a self-contained HTML page."""

import base64
import html
import io
import json
import math
import os
import pathlib
import typing
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...files.atomic import write_text
from .. import metrics
from ..scores import About, Scores
from . import plots

MISCLASSIFIED = 1000  # maximum number of listed videos: those whose wrong class has the highest score

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 14px/1.45 sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #222; }}
h2 {{ margin-top: 1.8em; font-size: 1.2em; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: 2px 16px 2px 0; text-align: right; border-bottom: 1px solid #eee; }}
td:first-child, th:first-child, .sortable .text, .pairs .text {{ text-align: left; }}
thead th {{ position: sticky; top: 0; background: white; }}
th button {{ font: inherit; font-weight: bold; border: 0; padding: 0; background: none; cursor: pointer; }}
th[aria-sort=ascending] button::after {{ content: " \\25B2"; }}
th[aria-sort=descending] button::after {{ content: " \\25BC"; }}
.metrics td {{ font-size: 1.15em; }}
img {{ max-width: min(100%, 46em); }}
pre {{ background: #f6f6f6; padding: 1em; overflow: auto; }}
.scroll {{ max-height: 40em; overflow: auto; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{about}</p>
{sections}
<script>
for (const table of document.querySelectorAll("table.sortable")) {{
  table.querySelectorAll("th button").forEach((button, column) => button.addEventListener("click", () => {{
    const head = button.parentElement, down = head.getAttribute("aria-sort") !== "descending";
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const rows = [...table.tBodies[0].rows].sort((a, b) => {{
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");  // what is not known comes last
      return (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y) * (down ? -1 : 1);
    }});
    table.tBodies[0].append(...rows);
  }}));
}}
</script>
</body>
</html>
"""


def save_report(
    tested: Scores, found: Mapping[str, typing.Any], path: str | os.PathLike, title: str | None = None
) -> None:
    """Write the report of a test: metrics, plots, classes, confused pairs, skipped videos and configuration.

    Args:
        tested: the scores.
        found: metrics of the scores, from `metrics.compute_metrics`.
        path: path of the HTML file.
        title: as for `report_page`.

    Example:
        >>> scores = load_scores("scores.npz")
        >>> save_report(scores, compute_metrics(scores), "report.html")
    """
    write_text(path, report_page(tested, found, title))


def report_page(tested: Scores, found: Mapping[str, typing.Any], title: str | None = None) -> str:
    """Return the text of the report; see `save_report`.

    Args:
        tested: the scores.
        found: metrics of the scores.
        title: name of the test in the heading; by default the configuration's `name`. The heading also has the name of
            the data directory, because a configuration may inherit its name ("demo") from another configuration.
    """
    classes, config = tested.about.classes, tested.about.config
    rows = [
        (name.replace("_", " "), f"{x:.4f}" if isinstance(x, float) else x)
        for name, x in found.items()
        if not isinstance(x, dict)
    ]
    sections = _section("Metrics", _table(("metric", "value"), rows, "metrics"))
    if tested.boxes is not None:
        sections += _detection(found["AP"])
    elif tested.about.activation == "sigmoid":
        sections += _multi_label(tested, classes)
    else:
        sections += _classification(tested, classes)
    if tested.skipped:
        lines = "\n".join(f"<li>{html.escape(why)}</li>" for why in tested.skipped.values())
        sections += _section(f"Skipped videos: {len(tested.skipped)}", f'<ul class="scroll">\n{lines}\n</ul>')
    sections += _section("Configuration", f"<pre>{html.escape(json.dumps(config, indent=2))}</pre>")
    weights = tested.about.weights and f", SHA-256 of its weights {tested.about.weights[:12]}"
    about = (
        f"Data set {tested.about.dataset}, {tested.videos} videos, {tested.views} views of each, the"
        f" {tested.about.test['fuse']} of their scores. Network {config['model']['preset']}{weights}."
    )
    return _PAGE.format(title=html.escape(_heading(tested.about, title)), about=html.escape(about), sections=sections)


def _heading(about: About, title: str | None) -> str:
    name, place = title or about.config["name"], pathlib.PurePath(about.config["data"]["root"]).name
    return f"Test of {name}" + (f" on {place}" if place not in ("", name) else "")


def _classification(tested: Scores, classes: Sequence[str]) -> str:
    truth, scores = metrics.single_labels(tested)
    predicted = scores.argmax(1)
    recall, precision = metrics.by_class(truth, predicted, len(classes))
    videos = np.bincount(truth, minlength=len(classes))
    pairs = metrics.confused_pairs(truth, predicted, most=len(classes) ** 2)
    most_confused = {}
    for true, other, count, _ in pairs:
        most_confused.setdefault(true, f"{classes[other]} ({count})")
    rows = [(name, int(videos[i]), recall[i], precision[i], most_confused.get(i, "")) for i, name in enumerate(classes)]
    top = [(classes[a], classes[b], count, share) for a, b, count, share in pairs[:20]]
    heads = "true class", "predicted class", "videos", "share of the class"
    ids = [name for name, labels in zip(tested.ids, tested.labels) if labels.any()]
    wrong = np.flatnonzero(truth != predicted)
    worst = wrong[np.argsort(-scores[wrong, predicted[wrong]], kind="stable")][:MISCLASSIFIED].tolist()
    listed = [
        (ids[i], classes[int(truth[i])], classes[int(predicted[i])], float(scores[i].max()), float(scores[i, truth[i]]))
        for i in worst
    ]
    columns = "video", "true class", "predicted class", "its score", "score of the true class"
    table = _scroll(_table(columns, listed, "sortable")) if listed else ""
    return (
        _section("Confusion matrix", _picture(plots.save_confusion, truth, predicted, classes))
        + _section("Most confused pairs", _table(heads, top, "pairs") if top else "<p>None.</p>")
        + _section(f"Misclassified videos: {len(wrong)}", table)
        + _section("Accuracy by class", _picture(plots.save_classes, recall, classes, "accuracy"))
        + _section(
            "Classes",
            _table(("class", "videos", "accuracy", "precision", "most often predicted as"), rows, "sortable"),
        )
    )


def _multi_label(tested: Scores, classes: Sequence[str]) -> str:
    found = metrics.average_precisions(tested.labels, tested.scores)
    videos = tested.labels.sum(0, dtype=int)
    rows = [(name, int(videos[i]), videos[i] / len(tested.ids), found[i]) for i, name in enumerate(classes)]
    return _section(
        "Average precision by class", _picture(plots.save_classes, found, classes, "average precision")
    ) + _section("Classes", _table(("class", "videos", "share of videos", "average precision"), rows, "sortable"))


def _detection(precisions: Mapping[str, float | None]) -> str:
    """Return the sections with the average precision by class name; None is a class without annotations."""
    found = {name: math.nan if value is None else value for name, value in precisions.items()}
    return _section(
        "Average precision by class",
        _picture(plots.save_classes, np.array(list(found.values())), list(found), "average precision"),
    ) + _section("Classes", _table(("class", "average precision"), list(found.items()), "sortable"))


def _scroll(content: str) -> str:
    return f'<div class="scroll">\n{content}\n</div>'


def _section(title: str, content: str) -> str:
    return f"<h2>{title}</h2>\n{content}\n"


def _table(names: Sequence[str], rows: Sequence[Sequence[str | int | float]], kind: str) -> str:
    """Return an HTML table. Numbers are shown rounded and sorted by their full value; NaN is an empty cell."""
    texts = [isinstance(value, str) for value in rows[0]]
    heads = "".join(
        f"<th{' class=text' * text}>{f'<button>{name}</button>' if kind == 'sortable' else name}</th>"
        for name, text in zip(names, texts)
    )
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<table class="{kind}">\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def _cell(value: str | int | float) -> str:
    if isinstance(value, str):
        return f'<td class="text">{html.escape(value)}</td>'
    if isinstance(value, int):
        return f"<td>{value}</td>"
    if math.isnan(value):
        return '<td data-value=""></td>'
    return f'<td data-value="{value:.9g}">{value:.3f}</td>'


def _picture(draw: Callable[..., None], *arguments: typing.Any) -> str:
    file = io.BytesIO()
    draw(*arguments, file)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
