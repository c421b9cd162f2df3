"""EgoGestAR: ten gestures that a hand draws in the air, filmed by a camera on the head (arXiv 1904.09843).

The clips have no license, so this package does not distribute them, and neither may records. Users clone the source:
`git clone --depth 1 https://github.com/varunj/EgoGestAR`.
"""

import re

from ...errors import InputError
from ..reference import Video
from . import files
from .base import DataSet, Split

SOURCE = "https://github.com/varunj/EgoGestAR"
LEFT_OUT = "unclassified"  # clips with none of the ten gestures
_NAME = re.compile(r"testvideo_([a-z]+)_(\d+)\.mp4")


class EgoGestAR(DataSet):
    """The clips of `root/testvideo`. All of them are in "train"; `data.fold` divides them into folds.

    Ids are "CLASS_SCENE". A scene is a combination of hand, background and camera, the same for all classes.
    """

    def read(self, split: str) -> Split:
        """See `DataSet.read`."""
        advice = f"git clone --depth 1 {SOURCE} {self.root}"
        files.need("EgoGestAR", self.root, ["testvideo"], advice)
        if split == "val":
            raise InputError("EgoGestAR has no validation videos; set data.fold, such as [0, 11]")
        clips = []
        for path in sorted((self.root / "testvideo").iterdir()):
            match = _NAME.fullmatch(path.name)
            if match and match[1] != LEFT_OUT:
                clips.append((match[1], int(match[2]), str(path)))
        if not clips:
            raise InputError(f"{self.root / 'testvideo'}: no testvideo_CLASS_SCENE.mp4; {advice}")
        classes = sorted({name for name, _, _ in clips})
        videos = [
            Video(path, ((classes.index(name), *files.ALWAYS),), f"{name}_{scene}")
            for name, scene, path in sorted(clips)
        ]
        return Split(tuple(videos), tuple(classes))
