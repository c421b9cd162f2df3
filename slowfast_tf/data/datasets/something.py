"""Something-Something v2 (Goyal et al., arXiv 1706.04261) in its published format: 174 actions, one per video."""

import json
import pathlib
import typing

from ...errors import InputError
from ...files import csv_files
from ..reference import Video
from . import files
from .base import DataSet, Split

LISTS = {"labels": "labels", "train": "train", "val": "validation"}
# File names of the first release (20BN), and of the release of 2022 (Qualcomm), which unpacks into `labels`.
NAMES = ("something-something-v2-{}.json", "labels/something-something-v2-{}.json", "{}.json", "labels/{}.json")
VIDEOS = "20bn-something-something-v2"
ADVICE = (
    "get the labels and the videos (20bn-something-something-v2-00 and so on, for 'cat ... | tar zx') from"
    " https://developer.qualcomm.com/software/ai-datasets/something-something and unpack both there"
)


class SomethingSomething(DataSet):
    """Something-Something v2. "val" is the official validation list; the test list has no labels.

    The classes are those of the labels file, in the order of their numbers.
    """

    def read(self, split: str) -> Split:
        """See `DataSet.read`."""
        root = self.root
        lists = {name: _find(root, file) for name, file in LISTS.items()}
        files.need("Something-Something v2", root, [*lists.values(), VIDEOS], ADVICE)
        classes = _classes(root / lists["labels"])
        index = {name: i for i, name in enumerate(classes)}
        there = files.find_videos(root / VIDEOS)
        path = root / lists[split]
        videos, problems, missing, seen = [], [], [], set()
        for number, entry in enumerate(_read(path, list, 'entries such as {"id": "78687", "template": "..."}'), 1):
            name, action = _fields(entry)
            if not isinstance(name, str) or not isinstance(action, str):
                problems.append(f"{path}: entry {number}: no id and template as text; received {str(entry)[:100]!r}")
            elif _plain(action) not in index:
                problems.append(f"{path}: entry {number}: {action!r} is not a class of {lists['labels']}")
            elif name in seen:
                problems.append(f"{path}: entry {number}: {name} is listed again")
            else:
                seen.add(name)
                if name in there:
                    videos.append(Video(there[name], ((index[_plain(action)], *files.ALWAYS),), name))
                else:
                    missing.append(name)
        return files.make_split(path, root / VIDEOS, videos, classes, problems, missing)


def _find(root: pathlib.Path, name: str) -> str:
    """Return the path of a list, relative to the root; if no list exists, the path in the first release."""
    names = [pattern.format(name) for pattern in NAMES]
    return next((name for name in names if (root / name).is_file()), names[0])


def _read(path: pathlib.Path, kind: type, form: str) -> typing.Any:
    """Return the contents of a JSON file.

    Raises:
        InputError: if the file is not JSON, or if its content is not of this type.
    """
    with csv_files.open_text(path) as file:
        try:
            found = json.load(file)
        except ValueError as error:
            raise InputError(f"{path}: not JSON: {error}") from error
    if not isinstance(found, kind):
        raise InputError(f"{path}: expected {form}; received {str(found)[:100]!r}")
    return found


def _classes(path: pathlib.Path) -> list[str]:
    """Return the class names, ordered by number. In the official file the numbers are text."""
    form = 'an object of names and numbers from 0, such as {"Holding something": "0"}'
    numbers = {_plain(name): str(number) for name, number in _read(path, dict, form).items()}
    classes = sorted(numbers, key=lambda name: (len(numbers[name]), numbers[name]))
    found = [numbers[name] for name in classes]
    if not classes or found != [str(i) for i in range(len(classes))]:
        absent = next((i for i in range(len(found)) if str(i) not in found), 0)
        raise InputError(f"{path}: expected {form}; received {len(found)} names, but no number {absent}")
    return classes


def _fields(entry: typing.Any) -> tuple[typing.Any, typing.Any]:
    """Return the id and the template of an entry. If an entry has both, `label` is the template filled with objects."""
    if not isinstance(entry, dict):
        return None, None
    return entry.get("id"), entry.get("template", entry.get("label"))


def _plain(action: str) -> str:
    """Return a template as the labels file names it: "Holding [something]" is "Holding something"."""
    return action.replace("[", "").replace("]", "")
