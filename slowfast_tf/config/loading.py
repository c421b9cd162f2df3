"""Load a `Config` from a file or from a shipped configuration, with bases, overrides and clear error messages."""

import difflib
import json
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import pydantic
from pydantic_core import ErrorDetails

from ..errors import InputError
from ..models.presets import nearest
from .schema import Config

# In a wheel, this directory is package data; in a checkout, it is a link to the directory at the top.
SHIPPED = pathlib.Path(__file__).parents[1] / "configs"


# Keys of earlier versions, and the keys that replace them.
_MOVED = {"data.frame_rate": "model.frame_rate"}
# Removed keys, and what to do instead. Saved configurations have them with the value null, which is accepted.
_REMOVED = {
    "data.service": "a tf.data service is no longer supported; remove the key or set it to null, and each machine reads"
    " the records that it trains on"
}


def shipped() -> list[str]:
    """Return the names of the configurations that come with the package, such as "kinetics400/slowfast_8x8_r50".

    Example:
        >>> "kinetics400/slowfast_8x8_r50" in shipped()
        True
    """
    return sorted(path.relative_to(SHIPPED).with_suffix("").as_posix() for path in SHIPPED.rglob("*.json"))


def find(name: str | os.PathLike, folder: str | os.PathLike = "") -> pathlib.Path:
    """Return the path of a configuration.

    Args:
        name: a JSON file, or the name of a shipped configuration. A file takes precedence.
        folder: directory to which a relative path is relative.

    Raises:
        InputError: if there is neither; the message has the most similar names.

    Example:
        >>> find("kinetics400/slowfast_8x8_r50").name
        'slowfast_8x8_r50.json'
    """
    path = pathlib.Path(folder, name)
    if os.path.isfile(path):  # Path.is_file() raises for a name that is too long
        return path
    names = shipped()
    if os.fspath(name) in names:
        return SHIPPED / f"{os.fspath(name)}.json"
    if os.path.exists(path):
        raise InputError(f"cannot read the configuration {path}: not a file; give a JSON file")
    asked = pathlib.PurePath(name).with_suffix("").as_posix().removeprefix("configs/")
    same = [known for known in names if known.endswith(f"/{asked}")]  # the folder is missing
    close = [*same, *difflib.get_close_matches(asked, set(names).difference(same), n=3, cutoff=0)][:3]
    raise InputError(
        f"cannot read the configuration {path}: no such file; give the path of a JSON file, or the name of a shipped"
        f" configuration; nearest: {', '.join(close)}"
    )


def load(path: str | os.PathLike, overrides: Iterable[str] = ()) -> Config:
    """Read a configuration.

    Args:
        path: a JSON file, or the name of a shipped configuration. Its "base" is the name of a shipped configuration, or
            a path relative to the file; the values of the file override those of the base.
        overrides: text such as "train.epochs=3"; the value is JSON, or else a string.

    Raises:
        InputError: if the file is missing or is not JSON, if a key is unknown (the message has the most similar key),
            or if a value has the wrong type or range (the message has the value). If an override cannot be applied,
            `argument` is "overrides".

    Example:
        >>> load("demo", ["train.epochs=3"]).train.epochs
        3
    """
    values = _read(find(path), ())
    for override in overrides:
        _apply(values, override)
    _drop_removed(path, values)
    try:
        return Config.model_validate(values)
    except pydantic.ValidationError as error:
        raise InputError(f"{path}: {_explain(error.errors()[0])}") from error


def overridden(overrides: Iterable[str]) -> set[str]:
    """Return the keys that overrides set, such as {"model.frame_rate"}.

    A section, such as 'test={"clips": 1}', sets the keys that it has.

    Args:
        overrides: text of the form "KEY=VALUE", as for `load`.

    Example:
        >>> sorted(overridden(["model.frame_rate=25", 'test={"clips": 1}']))
        ['model.frame_rate', 'test', 'test.clips']
    """
    keys = set()
    for key, value in map(_parse, overrides):
        keys |= {key, *(f"{key}.{name}" for name in (value if isinstance(value, dict) else ()))}
    return keys


def _parse(override: str) -> tuple[str, Any]:
    """Return the key and the value of an override."""
    key, equals, text = override.partition("=")
    if not equals:
        raise InputError(f"an override is KEY=VALUE, such as train.epochs=3; got {override!r}", "overrides")
    key = key.strip()
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    return _MOVED.get(key, key), value


def _apply(values: dict[str, Any], override: str) -> None:
    """Set one value in place."""
    key, value = _parse(override)
    *parents, last = key.split(".")
    section = values
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise InputError(f"override {override!r}: {parent!r} holds a value, not further keys", "overrides")
    if last == "class_name" and section.get(last) != value:
        section.pop("config", None)  # the config is for another class, as in `_merge`
    section[last] = value


def _read(path: pathlib.Path, readers: tuple[pathlib.Path, ...]) -> dict[str, Any]:
    """Return the values of a file merged into those of its bases; `readers` are the files that inherit from it."""
    if path.resolve() in readers:
        raise InputError(f"{path}: is its own base")
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows write a byte order mark
        values = json.loads(text, object_pairs_hook=_once)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read the configuration {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: a configuration is an object {{...}}; got {type(values).__name__}")
    _move(values)
    if "base" in values:
        base = values.pop("base")
        if not isinstance(base, str):
            raise InputError(f"{path}: base names a configuration; received {base!r}")
        try:
            found = find(base, path.parent)
        except InputError as error:
            raise InputError(f"{path}: base: {error}") from error
        values = _merge(_read(found, (*readers, path.resolve())), values)
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dictionary. Without this check, the last of two equal keys would count."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"key {twice!r} is given twice in an object; merge both")
    return values


def _move(values: dict[str, Any]) -> None:
    """Move the values of keys of earlier versions to their new keys, in place."""
    for old, new in _MOVED.items():
        (section, key), (target, name) = old.split("."), new.split(".")
        sections = values.get(section), values.get(target, {})
        if all(isinstance(part, dict) for part in sections) and key in values[section]:
            values.setdefault(target, {}).setdefault(name, values[section].pop(key))


def _drop_removed(path: str | os.PathLike, values: dict[str, Any]) -> None:
    """Drop the removed keys of a configuration, in place; fail if one of them has a value."""
    for removed, advice in _REMOVED.items():
        section, key = removed.split(".")
        part = values.get(section)
        value = part.pop(key, None) if isinstance(part, dict) else None
        if value is not None:
            raise InputError(f"{path}: {removed}: {advice}; received {value!r}")


def _merge(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of `base`, overridden by `values` section by section."""
    if values.get("class_name", base.get("class_name")) != base.get("class_name"):
        return values  # {"class_name": ..., "config": ...}: the config of one class does not fit another
    merged = dict(base)
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merge(base[key], value) if both else value
    return merged


def _explain(error: ErrorDetails) -> str:
    """Return a one-line message for an error."""
    where = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        *parents, key = error["loc"]
        section: Any = Config
        for parent in parents:
            section = section.model_fields[parent].annotation
        return f"unknown key {where!r}{nearest(key, section.model_fields)}"
    if error["type"] == "missing":
        return f"key {where!r} is missing"
    message = error["msg"].removeprefix("Value error, ")
    where = f"{where}: " if where else ""  # a check across sections names its keys
    return f"{where}{message}" + ("" if error["type"] == "value_error" else f"; received {error['input']!r}")
