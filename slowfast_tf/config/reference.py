"""List every key of a configuration with type, default and meaning, as Markdown, from the docstrings of the schema."""

import dataclasses
import inspect
import json
import re
import types
import typing
from typing import Any, NamedTuple

import annotated_types
import pydantic

from ..models.spec import SlowFastSpec
from ..models.views import Views
from .loading import SHIPPED, shipped
from .schema import KINDS, Config, Data, Evaluation, Model, Prepare, Train

NO_KEYS = ("num_classes", "labels", "views")  # fields of the spec that the data set and the section `test` set
SECTIONS: dict[str, tuple[type, type]] = {  # the class with the keys of a section, and the class with their docstring
    "": (Config, Config),
    "model": (SlowFastSpec, SlowFastSpec),
    "data": (Data, Data),
    "train": (Train, Train),
    "test": (Evaluation, Views),
    "prepare": (Prepare, Prepare),
}


class Key(NamedTuple):
    """The description of a key of a configuration.

    Attributes:
        name: name of the key, such as "train.epochs".
        kind: type and range of the value.
        default: default value as JSON, or "required".
        meaning: meaning of the key, from the docstring.
    """

    name: str
    kind: str
    default: str
    meaning: str


def keys() -> dict[str, list[Key]]:
    """Return all keys by section; "" has the keys outside of sections.

    Raises:
        LookupError: if the docstring does not describe a key.

    Example:
        >>> keys()["prepare"][0].default
        '256'
    """
    found = {name: _section(name, owner, meanings(described)) for name, (owner, described) in SECTIONS.items()}
    preset = Key("model.preset", "text", "required", meanings(Model)["preset"])
    return {**found, "model": [preset, *found["model"]]}


def meanings(described: type) -> dict[str, str]:
    """Return the description of each field in the docstring of a class, in one line, with JSON's names of values.

    A line "name: ..." or "name, other: ..." starts a description, and lines with more indentation continue it.

    Example:
        >>> meanings(Prepare)["quality"]
        'Quality of the JPEG images.'
    """
    found: dict[str, str] = {}
    names, indent = [], 0
    for line in inspect.cleandoc(described.__doc__ or "").splitlines():
        depth = len(line) - len(line.lstrip())
        start = re.match(r"\s*(\w+(?:, \w+)*): (.*)", line)
        if names and line.strip() and depth > indent:
            text = line.strip()
        elif start and set(start[1].split(", ")) <= set(described.__annotations__):
            names, indent, text = start[1].split(", "), depth, start[2]
        else:
            names, text = [], ""
        for name in names:
            found[name] = f"{found.get(name, '')} {text}".strip()
    words = {"None": "null", "True": "true", "False": "false"}
    pattern = rf"\b({'|'.join(words)})\b"
    return {name: _sentence(re.sub(pattern, lambda word: words[word[0]], text)) for name, text in found.items()}


def keys_page() -> str:
    """Return a Markdown page with all keys."""
    lines = [
        "# Configuration",
        "",
        "Written by `python -m slowfast_tf.describe --keys docs/configuration.md` from the schema's docstrings; do not",
        "edit.",
        "",
        'A configuration is a JSON file. `"base"` names another one, whose values it inherits: a path relative to',
        "the file, or the name of a shipped configuration. `--set KEY=VALUE` changes one value, which is JSON or text:",
        "`--set train.epochs=30`, `--set 'train.freeze=[\"norm\"]'`. An unknown key is an error that suggests the",
        "nearest one. The work directory of a run has the complete configuration, `config.json`.",
        "",
        "The preset gives the defaults of `model`. A default below applies if the preset does not set the key.",
    ]
    for section, rows in keys().items():
        example = "" if section == "model" else " example |"
        lines += ["", f"## {f'The section {section}' if section else 'Top level'}", ""]
        lines += [f"| key | type | default | meaning |{example}", "|---|---|---|---|" + "---|" * bool(example)]
        for key in rows:
            row = f"| `{key.name}` | {_cell(key.kind)} | `{_cell(key.default)}` | {_cell(key.meaning)} |"
            lines.append(row + (f" {_cell(_example(key))} |" if example else ""))
    return "\n".join(lines) + "\n"


def _section(name: str, owner: type, described: dict[str, str]) -> list[Key]:
    if issubclass(owner, pydantic.BaseModel):
        fields = {key: field for key, field in owner.model_fields.items() if key not in SECTIONS}
        kinds = {key: _kind(field.annotation, field.metadata) for key, field in fields.items()}
        defaults = {key: field.default for key, field in fields.items() if not field.is_required()}
    else:
        kinds = {field.name: _kind(field.type) for field in dataclasses.fields(owner) if field.name not in NO_KEYS}
        defaults = {field.name: field.default for field in dataclasses.fields(owner)}
    missing = sorted(kinds.keys() - described.keys())
    if missing:
        raise LookupError(f"the docstring that describes {name or 'Config'} lacks {', '.join(missing)}")
    prefix = f"{name}." if name else ""
    return [
        Key(prefix + key, kind, json.dumps(defaults[key]) if key in defaults else "required", described[key])
        for key, kind in kinds.items()
    ]


def _kind(annotation: Any, limits: typing.Iterable[Any] = ()) -> str:
    """Return a type as text, such as "list of whole number, at least 1"."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _kind(arguments[0], [*arguments[1:], *limits])
    if origin is typing.Literal:
        return " or ".join(json.dumps(value) for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind(one, limits) for one in arguments)
    if origin in (list, tuple):
        return f"list of {_kind(arguments[0])}"
    if annotation is type(None):
        return "null"
    if annotation is Any:  # an optimizer
        return "text or object"
    return KINDS[annotation].removeprefix("a ") + _range(limits)


def _range(limits: typing.Iterable[Any]) -> str:
    """Return pydantic's bounds as text, such as ", at least 0 and at most 1"."""
    bounds = [one for limit in limits for one in (getattr(limit, "metadata", None) or [limit])]
    words = {
        annotated_types.Ge: lambda bound: f"at least {bound.ge:g}",
        annotated_types.Gt: lambda bound: f"above {bound.gt:g}",
        annotated_types.Le: lambda bound: f"at most {bound.le:g}",
        annotated_types.Lt: lambda bound: f"below {bound.lt}",
    }
    said = [words[type(bound)](bound) for bound in bounds if type(bound) in words]  # the others are validators
    return f", {' and '.join(said)}" if said else ""


def _example(key: Key) -> str:
    """Return an example value from a shipped configuration for a key whose default is null or an empty list."""
    if key.default not in ("null", "[]"):
        return ""
    section, _, name = key.name.rpartition(".")
    for file in shipped():
        values = json.loads((SHIPPED / f"{file}.json").read_text(encoding="utf-8"))
        value = (values.get(section, {}) if section else values).get(name)
        if value:
            return f"`{json.dumps(value)}`"
    return ""


def _sentence(text: str) -> str:
    """Return a description with a capital letter (unless it starts with a quoted value) and a full stop."""
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
