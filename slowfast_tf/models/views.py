"""The views of a video in a test. Needs no TensorFlow."""

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Views:
    """The views of a video in a test, and how their scores are fused (section 4 of the paper: 10 clips, 3 crops).

    Attributes:
        clips: clips, uniform in time; a single clip lies in the middle of the video.
        crops: square crops of each clip along its longer side. 0: a single pass over the whole width and height, in
            which every crop-sized window counts as a view.
        to_the_end: whether the last clip ends with the video, as in PySlowFast on Charades. If not, K clips start at
            0, 1/K, ..., (K - 1)/K of the last possible start, as on Kinetics. Starts are within two raw frames of
            PySlowFast's, which rounds them.
        fuse: "mean" or "max" over the scores of the views.

    Raises:
        ValueError: for values out of range.

    Example:
        >>> str(Views(clips=10, crops=3))
        '10x3'
    """

    clips: int = 10
    crops: int = 3
    to_the_end: bool = False
    fuse: str = "mean"

    def __post_init__(self):
        for name, least, most in (("clips", 1, 9999), ("crops", 0, 999)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"views: {name} must be a whole number from {least} to {most}; got {value!r}")
        if self.fuse not in ("mean", "max"):
            raise ValueError(f"views: fuse must be mean or max; got {self.fuse!r}")

    def __str__(self) -> str:
        return f"{self.clips}x{self.crops or 'whole'}"

    def describe(self) -> str:
        """Return all fields as text.

        Example:
            >>> Views(to_the_end=True).describe()
            '10x3 to the end, fused by mean'
        """
        return f"{self}{' to the end' if self.to_the_end else ''}, fused by {self.fuse}"

    def parse(self, text: str) -> "Views":
        """Return views with other numbers of clips and crops, and otherwise the same fields.

        Args:
            text: "middle" (one clip and one crop) or "KxC" (K clips, and C crops or "whole"), such as "10x3".

        Raises:
            ValueError: if the text has another format.

        Example:
            >>> Views(fuse="max").parse("4x1")
            Views(clips=4, crops=1, to_the_end=False, fuse='max')
        """
        found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,2}|whole)", "1x1" if text == "middle" else text)
        if not found:
            raise ValueError(f"views are middle or KxC, such as 10x3; got {text!r}")
        crops = 0 if found[2] == "whole" else int(found[2])
        return dataclasses.replace(self, clips=int(found[1]), crops=crops)


MIDDLE = Views(1, 1)
