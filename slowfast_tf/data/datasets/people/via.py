"""Read annotations of VIA 3 (VGG Image Annotator): a project of videos (JSON)."""

import json
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ....errors import InputError
from ....files import csv_files
from ..key_frames import Corners
from .rows import Row, shares, split_actions
from .videos import Videos, key_time

VIDEO = 4  # VIA's number for the file type "video"
TEXT, CHECKBOX = 1, 2  # VIA's numbers for attribute types; attributes of other types have a single option
RECTANGLE, EXTREME_RECTANGLE = 2, 8  # VIA's shapes: x, y, width, height; x, y of points on the four sides
PARTS = ("attribute", "file", "view", "metadata")


def read_via(path: pathlib.Path, videos: Videos, problems: list[str]) -> Iterator[Row]:
    """Read the rectangles in frames of videos; each frame is a key frame.

    The action of a person is the value of the attribute "action". Without this attribute, the actions are the values
    of all attributes with options.

    Args:
        path: path of a project.
        videos: videos of the data set; they have the size of frames.
        problems: list to extend with a line for each box that is left out.

    Raises:
        InputError: if the file cannot be read, or if its format is wrong.
    """
    project = _read(path)
    attributes = _attributes(project["attribute"])
    for name, entry in project["metadata"].items():
        place = f"{path}:{name}"
        try:
            second, shape = [float(x) for x in entry["z"]], [float(x) for x in entry["xy"]]
            values = dict(entry["av"])
            (file_id,) = project["view"][str(entry["vid"])]["fid_list"]
            file = project["file"][str(file_id)]
            given, kind = file["fname"].strip(), file["type"]
        except (KeyError, TypeError, ValueError, AttributeError):
            problems.append(f"{place}: expected vid, z, xy and av of a video; received {json.dumps(entry)[:100]}")
            continue
        if not shape:  # an annotation of a whole file or of a time span
            continue
        video = videos.name(given)  # outside of the `try`, because an InputError is a ValueError
        pixels = _rectangle(shape)
        if kind != VIDEO or len(second) != 1 or not 0 <= second[0] < math.inf:
            problems.append(f"{place}: a region of {video}, at z={second}, which is not a frame of a video")
        elif pixels is None:
            problems.append(f"{place}: a shape that is not a rectangle; received xy={shape}")
        else:
            actions = _actions(values, attributes, place, problems)
            times, size = videos.times(video), videos.size(video)
            if times is None or size is None:
                yield Row(video, None, None, actions, place)
            elif corners := shares(pixels, size):
                yield Row(video, key_time(times, second[0]), corners, actions, place)
            else:
                problems.append(f"{place}: nothing of the box is in the frame of {size[0]} x {size[1]} pixels")


def _read(path: pathlib.Path) -> dict[str, Any]:
    with csv_files.open_text(path) as file:
        try:
            project = json.load(file)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is not JSON: {error}") from error
    missing = [part for part in PARTS if not isinstance(project, dict) or not isinstance(project.get(part), dict)]
    if missing:
        raise InputError(f"{path}: no project of VIA 3: no {', '.join(missing)}; save the project in VIA as JSON")
    return project


def _attributes(found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the attributes that are actions, by id: those named "action", or, if there is none, all with options."""
    known: dict[str, Mapping[str, Any]] = {i: value for i, value in found.items() if isinstance(value, dict)}
    named = {i: value for i, value in known.items() if str(value.get("aname", "")).strip().lower() == "action"}
    return named or {i: value for i, value in known.items() if value.get("type") != TEXT and value.get("options")}


def _actions(
    values: Mapping[str, Any], attributes: Mapping[str, Mapping[str, Any]], place: str, problems: list[str]
) -> tuple[str, ...] | None:
    names = []
    for number, attribute in attributes.items():
        value, options = str(values.get(number, "")), attribute.get("options") or {}
        if attribute.get("type") == TEXT:
            names.append(value)
            continue
        for option in filter(None, value.split(",") if attribute.get("type") == CHECKBOX else [value]):
            if option in options:
                names.append(str(options[option]))
            else:
                problems.append(f"{place}: unknown option {option!r} of {attribute.get('aname')!r}")
    return split_actions(";".join(names))


def _rectangle(shape: Sequence[float]) -> Corners | None:
    """Return x1, y1, x2, y2 in pixels; None for another shape."""
    if shape[0] == RECTANGLE and len(shape) == 5:
        xs, ys = (shape[1], shape[1] + shape[3]), (shape[2], shape[2] + shape[4])
    elif shape[0] == EXTREME_RECTANGLE and len(shape) >= 5 and len(shape) % 2:
        xs, ys = shape[1::2], shape[2::2]
    else:
        return None
    return min(xs), min(ys), max(xs), max(ys)
