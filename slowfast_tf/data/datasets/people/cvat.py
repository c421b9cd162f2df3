"""Read annotations of CVAT, exported as "CVAT for video 1.1" (XML)."""

import collections
import pathlib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any, NamedTuple
from xml.parsers import expat

import numpy as np

from ....errors import InputError
from .rows import Row, shares, split_actions
from .videos import Videos, key_time

LINE = "line"  # attribute that `_parse` adds to each element: its line in the file
UNDEFINED = "__undefined__"  # CVAT's value of an attribute without a choice
EXPORT = "export the task from CVAT as 'CVAT for video 1.1', and unpack annotations.xml"


class _Task(NamedTuple):
    """A task: the annotations of a video.

    Attributes:
        video: file name of the video.
        size: width and height of the frames in pixels; None if the file does not have them.
        first: frame number in the file at which the video starts.
    """

    video: str
    size: tuple[int, int] | None
    first: int


def read_cvat(path: pathlib.Path, videos: Videos, problems: list[str]) -> Iterator[Row]:
    """Read one key frame per second: the frame with boxes that is nearest to the middle of the second.

    The action of a person is the value of the attribute "action". Without this attribute, the actions are the names of
    the checked checkboxes; without checkboxes, the action is the label of the track.

    Args:
        path: path of a task, a job, or a project with several tasks.
        videos: videos of the data set; they have the time of each frame.
        problems: list to extend with a line for each box that is left out.

    Raises:
        InputError: if the file cannot be read, or if its format is wrong.
    """
    root = _parse(path)
    tasks = _tasks(path, root, videos)
    found: dict[_Task, list[tuple[int, ET.Element, ET.Element]]] = collections.defaultdict(list)
    for track in root.iter("track"):
        task = tasks.get(track.get("task_id", "")) or next(iter(tasks.values()))
        for box in track.findall("box"):
            if box.get("outside") == "1":
                continue
            number = box.get("frame", "")
            if number.isdecimal():
                found[task].append((int(number) - task.first, box, track))
            else:
                problems.append(f"{path}:{box.get(LINE)}: frame {number!r} is not a whole number")
    for task, boxes in found.items():
        yield from _rows(path, task, boxes, videos, problems)


def _rows(
    path: pathlib.Path,
    task: _Task,
    boxes: list[tuple[int, ET.Element, ET.Element]],
    videos: Videos,
    problems: list[str],
) -> Iterator[Row]:
    times, size = videos.times(task.video), task.size or videos.size(task.video)
    if times is None or size is None:
        # Yield the actions of a missing video as well: the classes must not depend on which videos exist.
        for actions in dict.fromkeys(_actions(box, track) for _, box, track in boxes):
            yield Row(task.video, None, None, actions, str(path))
        return
    outside = {number for number, _, _ in boxes if not 0 <= number < len(times)}
    if outside:
        problems.append(
            f"{path}: boxes in {len(outside)} frames that {task.video} does not have, such as"
            f" {min(outside)}; it has {len(times)} frames"
        )
    chosen = _one_a_second(sorted({number for number, _, _ in boxes} - outside), times)
    for number, box, track in boxes:
        if number not in chosen:
            continue
        place = f"{path}:{box.get(LINE)}"
        try:
            corners = shares([float(box.get(side, "")) for side in ("xtl", "ytl", "xbr", "ybr")], size)
        except ValueError:
            problems.append(f"{place}: expected xtl, ytl, xbr and ybr in pixels; received {_shown(box)}")
            continue
        if corners is None:
            problems.append(f"{place}: nothing of the box is in the frame of {size[0]} x {size[1]} pixels")
            continue
        yield Row(task.video, key_time(times, times[number]), corners, _actions(box, track), place)


def _one_a_second(frames: list[int], times: np.ndarray) -> set[int]:
    """Return for each second with frames the frame nearest to the middle of the second."""
    best: dict[int, int] = {}
    for frame in frames:
        second = int(times[frame] + 1e-6)
        middle = second + 0.5
        if second not in best or abs(times[frame] - middle) < abs(times[best[second]] - middle) - 1e-6:
            best[second] = frame
    return {*best.values()}


def _actions(box: ET.Element, track: ET.Element) -> tuple[str, ...] | None:
    values = {a.get("name", "").strip(): (a.text or "").strip() for a in box.findall("attribute")}
    named = [value for name, value in values.items() if name.lower() == "action"]
    if named:
        return split_actions("" if named[0] == UNDEFINED else named[0])
    boxes = {name: value.lower() == "true" for name, value in values.items() if value.lower() in ("true", "false")}
    if boxes:
        return split_actions(";".join(name for name, ticked in boxes.items() if ticked))
    return split_actions(track.get("label", ""))


def _tasks(path: pathlib.Path, root: ET.Element, videos: Videos) -> dict[str, _Task]:
    """Return the tasks of an export, by id."""
    meta = root.find("meta")
    if root.tag != "annotations" or meta is None:
        raise InputError(f"{path}: no annotations of CVAT, received an element <{root.tag}>; {EXPORT}")
    if root.find("image") is not None:
        raise InputError(f"{path}: an export as 'CVAT for images', which has no videos; {EXPORT}")
    tasks, first, subset = {}, 0, None
    several = meta.findall("project/tasks/task")
    for element in several or [*meta.findall("task"), *meta.findall("job")]:
        name = element.findtext("source") or meta.findtext("source") or element.findtext("name") or ""
        try:
            size = int(element.findtext("original_size/width", "0")), int(element.findtext("original_size/height", "0"))
            length = int(element.findtext("size", "0"))
            start = int(element.findtext("start_frame") or 0)
            step = int((element.findtext("frame_filter") or "step=1").partition("=")[2])
        except ValueError as error:
            raise InputError(f"{path}:{element.get(LINE)}: a number of the task is wrong: {error}") from error
        # In the export of a project, frame numbers continue from task to task within a subset.
        if subset != element.findtext("subset"):
            first, subset = 0, element.findtext("subset")
        number = element.findtext("id", "")
        tasks[number] = _Task(videos.name(name), size if min(size) > 0 else None, first if several else 0)
        first += start + step * length
    if not tasks:
        raise InputError(f"{path}: no task in its meta data; {EXPORT}")
    return tasks


def _parse(path: pathlib.Path) -> ET.Element:
    """Return the root element of an XML file; each element has its line as an attribute. Entities are refused."""
    builder, parser = ET.TreeBuilder(), expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        builder.start(tag, {**attributes, LINE: str(parser.CurrentLineNumber)})

    def refuse(*_: Any) -> None:
        raise InputError(f"{path}:{parser.CurrentLineNumber}: a document type with entities, which CVAT never writes")

    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse  # before any entity is expanded
    parser.StartElementHandler, parser.EndElementHandler = start, builder.end
    parser.CharacterDataHandler = builder.data
    try:
        with open(path, "rb") as file:
            parser.ParseFile(file)
    except expat.ExpatError as error:
        raise InputError(f"{path} is not XML: {error}; {EXPORT}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return builder.close()


def _shown(box: ET.Element) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in box.attrib.items() if name != LINE)[:100]
