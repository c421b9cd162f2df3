"""Your own videos, a folder for each class: `root/train/CLASS/*.mp4` and `root/val/CLASS/*.mp4`."""

import os
import pathlib

from ...errors import InputError
from ..reference import Video
from . import files
from .base import DataSet, Split

LAYOUT = "lay it out as {root}/train/CLASS/*.mp4 and {root}/val/CLASS/*.mp4"


class Folder(DataSet):
    """Videos in a folder for each class. The classes are the folders of `root/train`, in alphabetical order."""

    def read(self, split: str) -> Split:
        """See `DataSet.read`."""
        return read_folders(self.root, split)


def read_folders(root: pathlib.Path, split: str) -> Split:
    """Return the videos of `root/SPLIT/CLASS`.

    Raises:
        InputError: if there is no video, or if `root/SPLIT` has a class that `root/train` does not have.
    """
    classes = _folders(root / "train", root)
    videos = []
    for folder in _folders(root / split, root):
        if folder not in classes:
            raise InputError(f"{root / split / folder}: no such class in {root / 'train'}; it has {', '.join(classes)}")
        for path in sorted(files.walk(root / split / folder), key=lambda path: path.split(os.sep)):
            name = os.path.relpath(path, root / split).replace(os.sep, "/")
            videos.append(Video(path, ((classes.index(folder), *files.ALWAYS),), name))
    if not videos:
        raise InputError(
            f"{root / split}: no video ({', '.join(files.SUFFIXES)}) in its folders; {LAYOUT.format(root=root)}"
        )
    return Split(tuple(videos), tuple(classes))


def _folders(directory: pathlib.Path, root: pathlib.Path) -> list[str]:
    if not directory.is_dir():
        raise InputError(f"{directory}: no such directory; {LAYOUT.format(root=root)}")
    return sorted(files.find_folders(directory))
