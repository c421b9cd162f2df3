"""The people in a video: boxes, tracks, actions, and the files that show them."""

from ..detectors import Detector, load_detector
from .annotate import Annotation, annotate, annotate_files, check_outputs
from .boxes_file import read_boxes
from .detect import Sighting, detect, detection_times
from .draw import draw
from .live import Scene, watch_people
from .output import as_json, write_video
from .person import Person
from .scoring import Scorer
from .to_label import Listed, list_people
from .tracking import Tracker, Tracks, follow

__all__ = [
    "Annotation",
    "Detector",
    "Listed",
    "Person",
    "Scene",
    "Scorer",
    "Sighting",
    "Tracker",
    "Tracks",
    "annotate",
    "annotate_files",
    "as_json",
    "check_outputs",
    "detect",
    "detection_times",
    "draw",
    "follow",
    "list_people",
    "load_detector",
    "read_boxes",
    "watch_people",
    "write_video",
]
