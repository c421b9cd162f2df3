"""Who does what in a video: boxes of people, tracks, actions, and the files that show them."""

from ..detectors import Detector, load_detector
from .annotate import Annotation, annotate, annotate_files, check_outputs
from .boxes_file import read_boxes
from .detect import detect
from .draw import draw
from .output import as_json, write_video
from .person import Person
from .scoring import Scorer
from .tracking import shown, track

__all__ = [
    "Annotation",
    "Detector",
    "Person",
    "Scorer",
    "annotate",
    "annotate_files",
    "as_json",
    "check_outputs",
    "detect",
    "draw",
    "load_detector",
    "read_boxes",
    "shown",
    "track",
    "write_video",
]
